//! A spawner whose server was never started.

use crate::conformance::bench::{Bench, shown};
use crate::conformance::fault::{Checked, ensure, fault};
use crate::error::error_chain;
use crate::options::{FormContext, FormData, UserOptions};
use crate::status::{ExitStatus, PollStatus, StopMode};

pub(in super::super) async fn create_touches_nothing(bench: &Bench) -> Checked {
    let subject = bench.subject();
    bench
        .nothing_left(&subject.id, "SpawnerFactory::create")
        .await
}

pub(in super::super) async fn questions_touch_nothing(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let id = subject.id.clone();
    let spawner = &mut subject.spawner;
    let form = FormContext {
        server: id.clone(),
        previous: UserOptions::default(),
    };
    let mut ctx = Bench::context(&id, UserOptions::default());
    // What they answer is the business of other checks, or of nobody.
    let asked = async {
        let _ = spawner.options_form(&form).await;
        let _ = spawner.options_from_form(FormData::default());
        let _ = spawner.check_options(&ctx.options);
        ctx.listen = spawner.listen_on(&ctx).await.ok();
        let _ = (spawner.get_env(&ctx), spawner.get_args(&ctx));
        let _ = (spawner.poll().await, spawner.endpoint().await);
        spawner.log_tail(10).await
    };
    bench.within("a question", asked).await?;
    let after = "everything that is asked before a start, and without one";
    bench.nothing_left(&id, after).await
}

pub(in super::super) async fn never_started_is_exited(bench: &Bench) -> Checked {
    let status = bench.subject().poll().await?;
    ensure!(
        status == PollStatus::Exited(ExitStatus::Unknown),
        "poll said {status:?}, not Exited(Unknown)"
    );
    Ok(())
}

pub(in super::super) async fn a_stop_of_nothing_is_ok(bench: &Bench) -> Checked {
    for mode in [StopMode::Graceful, StopMode::Now] {
        let mut subject = bench.subject();
        bench
            .within("stop", subject.spawner.stop(mode))
            .await?
            .map_err(|error| {
                let error = error_chain(&error);
                fault!("stop({mode:?}) of a server that was never started failed: {error}")
            })?;
    }
    Ok(())
}

pub(in super::super) async fn nothing_is_saved_before_a_start(bench: &Bench) -> Checked {
    let state = bench.subject().spawner.get_state();
    ensure!(
        state.is_empty(),
        "get_state of a server that was never started is {}",
        shown(&state)
    );
    Ok(())
}
