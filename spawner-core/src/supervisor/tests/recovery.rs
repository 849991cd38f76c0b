//! Recovery: what an earlier process of the daemon left.

use super::*;

pub(super) fn saved(ready: bool) -> Saved {
    let state = SpawnerState {
        version: 1,
        data: serde_json::Map::from_iter([("id".into(), 7.into())]),
    };
    let mut saved = Saved::new(LaunchId::random(), state, "/user/tee/".into());
    saved.ready = ready;
    saved.endpoint = Some(endpoint());
    saved
}

#[tokio::test(start_paused = true)]
async fn a_living_server_is_taken_up_again() {
    let bench = bench(Setup {
        answers: None,
        ..Setup::default()
    });
    bench.world.set(PollStatus::Running);
    // The backend is away for a while: nothing is concluded from that.
    bench.world.polls.lock().unwrap().extend([Err("away"); 4]);
    bench.handle.recover(saved(true)).await.unwrap();
    bench
        .until(|phase| {
            *phase
                == Phase::Running {
                    endpoint: endpoint(),
                }
        })
        .await;
    assert_eq!(
        bench.world.log(),
        ["book ready"],
        "it was not probed, stopped or cleared"
    );
    bench.world.end(ExitStatus::Unknown);
    bench.stopped().await;
    bench.handle.poll().await.unwrap();
    assert_eq!(bench.fired(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_died_meanwhile_is_noticed() {
    let bench = bench(Setup::default());
    bench.world.end(ExitStatus::Unknown);
    bench.handle.recover(saved(true)).await.unwrap();
    assert!(matches!(bench.stopped().await.ending, Ending::Exited(_)));
    bench.handle.poll().await.unwrap();
    assert_eq!(bench.fired(), 1);
    assert!(bench.world.saw("book stopped"));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_start_goes_on() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    bench.handle.recover(saved(false)).await.unwrap();
    bench
        .until(|phase| matches!(phase, Phase::Running { .. }))
        .await;
    assert!(bench.world.saw("book ready"));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_start_that_leads_nowhere_is_a_failed_start() {
    for (alive, endpoint_known) in [(false, true), (true, false)] {
        let bench = bench(Setup::default());
        let status = PollStatus::Exited(ExitStatus::Unknown);
        bench
            .world
            .set(if alive { PollStatus::Running } else { status });
        let mut saved = saved(false);
        saved.endpoint = saved.endpoint.filter(|_| endpoint_known);
        bench.handle.recover(saved).await.unwrap();
        let last = bench.stopped().await;
        assert!(
            matches!(&last.ending, Ending::Failed(failure) if failure.message.contains("restarted"))
        );
        assert!(!bench.world.alive());
        bench.handle.poll().await.unwrap();
        assert_eq!(bench.fired(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_stop_is_carried_out() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    bench
        .handle
        .recover(Saved {
            stopping: true,
            ..saved(true)
        })
        .await
        .unwrap();
    assert_eq!(bench.stopped().await.ending, Ending::Stopped);
    assert!(!bench.world.alive());
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_stop_that_had_ended_the_server_fires_no_callback() {
    let bench = bench(Setup::default());
    bench.world.end(ExitStatus::Signal(15));
    let stopping = Saved {
        stopping: true,
        ..saved(true)
    };
    bench.handle.recover(stopping).await.unwrap();
    assert_eq!(bench.stopped().await.ending, Ending::Stopped);
    bench.handle.poll().await.unwrap();
    assert_eq!(bench.fired(), 0);
    assert!(bench.world.saw("book stopped"));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_stops_nothing() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    let mut saved = saved(true);
    saved.state.version = 9;
    bench.handle.recover(saved).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(matches!(bench.handle.phase(), Phase::Unknown { .. }));
    assert!(bench.handle.poll().await.is_err());
    assert_eq!(bench.world.log(), Vec::<String>::new());
    bench
        .handle
        .stop(StopMode::Graceful)
        .await
        .expect("an admin can end it");
    assert!(bench.handle.phase().is_stopped());
}
