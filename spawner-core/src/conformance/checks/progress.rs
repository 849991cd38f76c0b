//! What a start tells while it is under way.

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::Bench;
use crate::conformance::fault::{Checked, ensure};
use crate::status::StopMode;

/// Where the log of a start cuts off what a spawner reports: to be seen there is to have said more.
const CEILING: u8 = 99;

pub(in super::super) async fn only_the_hub_says_ready(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    for (percent, message) in run.steps() {
        ensure!(
            percent < CEILING,
            "start reported {CEILING} % or more: {message:?}"
        );
    }
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn progress_ends_with_the_start(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let plan = subject.plan(Behaviour::Serve).await?;
    let started = subject.try_start(&plan).await?;
    let reported = plan.progress.events().len();
    if started.is_ok() {
        subject.poll().await?;
    }
    subject.stop(StopMode::Graceful).await?;
    subject.spawner.clear_state();
    let later = plan.progress.events().split_off(reported);
    ensure!(
        later.is_empty(),
        "after start had returned, there was reported: {later:?}"
    );
    Ok(())
}
