//! What a hub that crashed left behind, and the next hub.

use super::*;

/// A hub that ends between making a server and writing down how to find it.
async fn cut_off(first: &Bench, user: &User, name: &str) {
    let count = first.world.count();
    let begun = first.hang(user, name);
    assert!(matches!(begun.await, Ok(Begun::Pending)));
    let mut marks = first.world.marks.subscribe();
    marks.wait_for(|marks| marks.len() > count).await.unwrap();
    first.crash().await;
    assert_eq!(first.stage(name), Stage::Starting);
}

impl Bench {
    /// Ends everything of this hub; its servers live on.
    async fn crash(&self) {
        self.tasks.stop(Duration::ZERO).await;
        // The owner tasks are dropped at their next step, which a writer waits for.
        tokio::task::yield_now().await;
    }
    fn next(&self) -> Bench {
        bench(&self.store, &self.world, Limits::new(0, 0))
    }
    /// Begins a start that gets stuck between making the server and telling where it is.
    async fn hang(&self, user: &User, name: &str) -> Result<Begun, StartRefused> {
        let (server, options) = (server(name), Some(options("cut_off")));
        let begun = self
            .servers
            .start(user, &server, options, Waiting::Never, Duration::ZERO);
        begun.await
    }
    async fn stop(&self, patience: Duration) -> Stopped {
        let server = server("");
        let stopped = self.servers.stop(&server, StopMode::Graceful, patience);
        stopped.await.unwrap()
    }
    /// Waits until the default server is there.
    async fn reaches(&self, place: Place) {
        let server = server("");
        loop {
            let now = self.servers.look(&server).place;
            if now == place {
                return;
            }
            assert_ne!(self.servers.changed(&server, now, PATIENCE).await, now);
        }
    }
    fn reaped(&self) -> u64 {
        self.servers.inner.metrics.reaped_servers.get()
    }
    /// Waits until the first look has been successful.
    async fn has_looked(&self) {
        let mut begun = self.servers.inner.search.begun.subscribe();
        begun.wait_for(Option::is_none).await.unwrap();
    }
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_taken_up() {
    let (first, user) = fresh().await;
    cut_off(&first, &user, "").await;
    let token = Digest::of(&first.world.tokens.lock().unwrap()[0]);

    let next = first.next();
    next.servers.recover(PATIENCE).await;
    next.reaches(Place::Ready).await;
    assert_eq!((next.stage(""), next.world.count()), (Stage::Running, 1));
    let found = next.store.servers().find(&server("")).unwrap();
    assert_eq!(found.state, state_of(Some(1)), "it is in the books now");
    assert!(next.store.tokens().find(&token, Timestamp::now()).is_some());
    next.has_looked().await;
    assert_eq!(next.reaped(), 0);
    let stopped = next.stop(PATIENCE);
    assert_eq!(stopped.await, Stopped::Done);
    assert_eq!(next.world.count(), 0);
}

#[tokio::test]
async fn a_start_that_was_cut_off_before_anything_was_made_is_over() {
    let (first, user) = fresh().await;
    cut_off(&first, &user, "").await;
    first.world.end_all();
    let next = first.next();
    next.servers.recover(PATIENCE).await;
    next.reaches(Place::Stopped).await;
    assert_eq!(next.stage(""), Stage::Stopped);
    let none = Some(UserOptions::default());
    let server = server("");
    let begun = next
        .servers
        .start(&user, &server, none, Waiting::Never, PATIENCE);
    assert!(matches!(begun.await, Ok(Begun::Ready)));
}

#[tokio::test]
async fn what_is_not_in_the_books_is_ended() {
    let (first, user) = fresh().await;
    first.start(&user, "").await.unwrap();
    first.start(&user, "one").await.unwrap();
    first.crash().await;
    let tokens = first.world.tokens.lock().unwrap().clone();
    // One is forgotten, the other has had another start since.
    let row = first.store.servers().find(&server("one")).unwrap().id;
    let now = Timestamp::now();
    first
        .store
        .servers()
        .mark_stopped(row, None, now)
        .await
        .unwrap();
    first.store.servers().remove(row).await.unwrap();
    let row = first.store.servers().find(&server("")).unwrap().id;
    first
        .store
        .servers()
        .mark_stopped(row, None, now)
        .await
        .unwrap();

    let second = first.next();
    second.world.answered.send_replace(0);
    second.servers.recover(Duration::ZERO).await;
    let mut looks = second.world.looks.subscribe();
    looks.wait_for(|looks| *looks == 1).await.unwrap();
    // The backend has seen two and is slow to say so; meanwhile a third is begun.
    assert!(matches!(second.start(&user, "").await, Ok(Begun::Ready)));
    second.world.answered.send_replace(usize::MAX);
    second.has_looked().await;
    assert_eq!((second.reaped(), second.world.count()), (2, 1));
    assert_eq!(second.servers.look(&server("")).place, Place::Ready);
    for token in &tokens {
        let token = second
            .store
            .tokens()
            .find(&Digest::of(token), Timestamp::now());
        assert!(token.is_none(), "a token outlived its server");
    }
}

#[tokio::test]
async fn a_server_that_is_started_during_the_look_is_let_be() {
    let (first, user) = fresh().await;
    let next = first.next();
    next.world.answered.send_replace(0);
    next.world.blind.store(1, Ordering::Relaxed);
    next.servers.recover(Duration::ZERO).await;
    let mut looks = next.world.looks.subscribe();
    looks.wait_for(|looks| *looks == 1).await.unwrap();
    // The second look sees it; by the time of the verdict the books have forgotten it.
    let begun = next.hang(&user, "");
    assert!(matches!(begun.await, Ok(Begun::Pending)));
    let mut marks = next.world.marks.subscribe();
    marks.wait_for(|marks| marks.len() == 1).await.unwrap();
    let row = next.store.servers().find(&server("")).unwrap().id;
    next.store
        .servers()
        .mark_stopped(row, None, Timestamp::now())
        .await
        .unwrap();
    next.world.answered.send_replace(usize::MAX);
    next.has_looked().await;
    assert_eq!((next.reaped(), next.world.count()), (0, 1));
}

#[tokio::test]
async fn a_look_that_fails_is_done_again_and_nothing_is_concluded_meanwhile() {
    let (first, user) = fresh().await;
    cut_off(&first, &user, "").await;
    let next = first.next();
    next.world.blind.store(1, Ordering::Relaxed);
    next.servers.recover(Duration::from_millis(100)).await;
    assert_eq!(next.servers.look(&server("")).place, Place::Checking);
    assert_eq!(next.servers.active(), 1);
    assert!(matches!(
        next.start(&user, "").await,
        Err(StartRefused::Checking(_))
    ));
    assert_eq!(next.stage(""), Stage::Starting);
    next.has_looked().await;
    assert_eq!(*next.world.looks.borrow(), 2);
    assert_eq!(next.world.count(), 1, "it was not taken for gone");
}

#[tokio::test]
async fn a_stop_of_what_is_sought_is_kept_in_the_books() {
    let (first, user) = fresh().await;
    cut_off(&first, &user, "").await;
    let next = first.next();
    next.world.answered.send_replace(0);
    next.servers.recover(Duration::ZERO).await;
    let stopped = next.stop(Duration::ZERO);
    assert_eq!(stopped.await, Stopped::Pending);
    let stop = next.stop(PATIENCE);
    let found = async {
        next.world.answered.send_replace(usize::MAX);
    };
    let (stopped, ()) = tokio::join!(stop, found);
    assert_eq!(stopped, Stopped::Done);
    assert_eq!((next.stage(""), next.world.count()), (Stage::Stopped, 0));
}

#[tokio::test]
async fn a_run_that_cannot_be_read_is_ended_when_it_is_stopped() {
    let (first, user) = fresh().await;
    first.start(&user, "").await.unwrap();
    first.crash().await;
    let row = first.store.servers().find(&server("")).unwrap();
    let state = SpawnerState {
        version: 99,
        ..row.state.clone()
    };
    let launch = row.launch_id.clone().unwrap();
    first
        .store
        .servers()
        .save_state(row.id, launch, state)
        .await
        .unwrap();

    let next = first.next();
    next.servers.recover(Duration::from_millis(1)).await;
    next.has_looked().await;
    assert_eq!(next.servers.look(&server("")).place, Place::Checking);
    assert_eq!((next.reaped(), next.world.count()), (0, 1));
    let stopped = next.stop(PATIENCE);
    assert_eq!(stopped.await, Stopped::Done);
    let mut alive = next.world.alive.subscribe();
    alive.wait_for(HashMap::is_empty).await.unwrap();
    assert_eq!(next.stage(""), Stage::Stopped);
}
