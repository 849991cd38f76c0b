//! What a hub left behind is found by its marks, and nobody is harmed by forged ones.

mod common;

use std::mem::ManuallyDrop;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use common::{Place, is_root, launch_as, lives, pid, script, server, within};
use nix::unistd::User;
use serde_json::json;
use spawner_core::{
    Endpoint, Found, Known, LAUNCH_MARKER, LaunchId, PollStatus, Spawner, SpawnerFactory, StopMode,
};

/// What a hub that comes back to this place finds.
async fn reap(place: &Place, known: &[Known]) -> Vec<Found> {
    within(place.factory.reap(known)).await.unwrap()
}

/// A process with marks, made by whoever likes to.
struct Forger(Child);

impl Forger {
    fn new(place: &Place, account: &str, of: &str, launch: &str) -> Self {
        let account = User::from_name(account).unwrap().unwrap();
        let mut sleep = Command::new("sleep");
        sleep
            .arg("1000")
            .env("HUBD_INSTANCE", place.dir.path())
            .env("HUBD_SERVER", of)
            .env(LAUNCH_MARKER, launch)
            .env(
                "JUPYTERHUB_SERVICE_URL",
                "http+unix://%2Frun%2Fdocker.sock/x/",
            );
        if nix::unistd::geteuid().is_root() {
            sleep.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        Self(sleep.spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_run_without_its_books_is_found_and_ended_with_all_of_it() {
    let place = Place::simple();
    let ready = place.fifo("ready");
    let mut lost = place.spawner();
    let family = format!(
        "setsid sh -c 'echo $$ > {}; exec sleep 1000' & exec sleep 1000",
        ready.path().display()
    );
    within(lost.start(script(&family))).await.unwrap();
    let child: i32 = ready.read().await.parse().unwrap();
    let root = pid(&lost);
    let launch_id = LaunchId::new(lost.get_state().data["launch_id"].as_str().unwrap()).unwrap();

    let known = Known {
        server: server("tee"),
        launch_id: launch_id.clone(),
    };
    assert_eq!(reap(&place, &[known]).await, []);
    assert_eq!(reap(&Place::simple(), &[]).await, []);
    let [found] = &*reap(&place, &[]).await else {
        panic!("{:?}", reap(&place, &[]).await)
    };
    assert_eq!(
        (&found.server, &found.launch_id),
        (&server("tee"), &launch_id)
    );
    let mut taken_up = place.spawner();
    taken_up.load_state(&found.state).unwrap();
    assert_eq!(pid(&taken_up), root);
    assert_eq!(taken_up.poll().await.unwrap(), PollStatus::Running);
    assert!(lives(root) && lives(child), "it only looks");

    within(found.end(&place.factory)).await.unwrap();
    assert!(!lives(root) && !lives(child));
    assert_eq!(reap(&place, &[]).await, []);
}

#[tokio::test]
async fn marks_are_not_to_be_set_by_configuration_or_layers() {
    let place = Place::simple();
    let mut launch = script("exec sleep 1000");
    for name in [LAUNCH_MARKER, "HUBD_INSTANCE", "HUBD_SERVER"] {
        launch.env.set(name, "another");
    }
    let mut lost = place.spawner();
    within(lost.start(launch)).await.unwrap();
    assert_eq!(reap(&place, &[]).await.len(), 1);
    within(lost.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn what_a_dead_server_left_can_be_ended() {
    let place = Place::simple();
    let ready = place.fifo("ready");
    let text = format!(
        "setsid sh -c 'echo $$ > {}; exec sleep 1000' & exit 0",
        ready.path().display()
    );
    let mut lost = place.spawner();
    within(lost.start(script(&text))).await.unwrap();
    within(lost.exited()).await;
    let child: i32 = ready.read().await.parse().unwrap();
    let found = reap(&place, &[]).await;
    assert_eq!(found.len(), 1);
    within(found[0].end(&place.factory)).await.unwrap();
    assert!(!lives(child));
}

#[tokio::test]
async fn a_claim_about_another_account_is_not_believed() {
    if !is_root("a_claim_about_another_account_is_not_believed") {
        return;
    }
    let place = Place::local(json!({}));
    let mut real = place.factory.spawner(&server("daemon"));
    within(real.start(launch_as("daemon", &["sleep", "1000"])))
        .await
        .unwrap();
    let state = real.get_state();
    let launch = state.data["launch_id"].as_str().unwrap();

    let another = LaunchId::random();
    let mut forgers = [
        // Somebody else's server, in a run of its own or in the real one.
        Forger::new(&place, "bin", "daemon", another.as_str()),
        Forger::new(&place, "bin", "daemon", launch),
        Forger::new(&place, "bin", "daemon:named", another.as_str()),
        // Nobody's.
        Forger::new(&place, "bin", "no-such-account-here", another.as_str()),
        Forger::new(&place, "bin", "root", another.as_str()),
    ];
    let [found] = &*reap(&place, &[]).await else {
        panic!("{:?}", reap(&place, &[]).await)
    };
    assert_eq!(found.state.data["pid"], state.data["pid"]);
    // Not even by the end of the run that a forger claims to be in.
    within(found.end(&place.factory)).await.unwrap();
    assert!(!lives(pid(&real)));
    for forger in &mut forgers {
        assert!(forger.lives(), "a stranger was ended");
    }
}

#[tokio::test]
async fn who_forges_for_himself_gets_no_address_from_it() {
    let place = Place::simple();
    let account = User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
    let launch = LaunchId::random();
    // The end buries it, because it is a child of this process: its number is not ours to use then.
    let forger = ManuallyDrop::new(Forger::new(&place, &account.name, "tee", launch.as_str()));
    let number = forger.0.id().try_into().unwrap();
    assert!(lives(number));
    let [found] = &*reap(&place, &[]).await else {
        panic!("{:?}", reap(&place, &[]).await)
    };
    assert_eq!(found.launch_id, launch);
    let mut spawner = place.spawner();
    spawner.load_state(&found.state).unwrap();
    assert_eq!(spawner.endpoint().await.unwrap(), None::<Endpoint>);
    within(found.end(&place.factory)).await.unwrap();
    assert!(!lives(number));
}

#[tokio::test]
async fn one_account_cannot_drown_the_others() {
    if !is_root("one_account_cannot_drown_the_others") {
        return;
    }
    let place = Place::local(json!({}));
    let mut real = place.factory.spawner(&server("daemon"));
    within(real.start(launch_as("daemon", &["sleep", "1000"])))
        .await
        .unwrap();
    let mut forgers: Vec<Forger> = (0..70)
        .map(|_| Forger::new(&place, "bin", "bin", LaunchId::random().as_str()))
        .collect();
    let found = reap(&place, &[]).await;
    let of = |user: &str| found.iter().filter(|f| f.server == server(user)).count();
    assert_eq!((of("daemon"), of("bin")), (1, 64));
    assert!(forgers.iter_mut().all(Forger::lives));
    within(real.stop(StopMode::Now)).await.unwrap();
}
