//! Servers that end by themselves, and a backend that cannot be asked.

use std::pin::pin;
use std::task::Poll;

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::{Bench, shown};
use crate::conformance::fault::{Checked, ensure};
use crate::conformance::subject::Subject;
use crate::error::SpawnErrorKind;
use crate::status::{ExitStatus, PollStatus, StopMode};

pub(in super::super) async fn an_exit_code_is_told(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    for code in [0, 3, 255] {
        let run = subject.run(Behaviour::Serve).await?;
        run.order(bench, &format!("exit/{code}")).await?;
        let status = subject.until_ended().await?;
        ensure!(
            [ExitStatus::Code(code), ExitStatus::Unknown].contains(&status),
            "the server exited with {code}, and poll said {status:?}"
        );
        subject.stop(StopMode::Now).await?;
        subject.spawner.clear_state();
    }
    Ok(())
}

pub(in super::super) async fn a_signal_is_told(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    run.order(bench, "abort").await?;
    let status = subject.until_ended().await?;
    // A shell or an engine between the spawner and the server makes a code above 128 of it.
    let told = match status {
        ExitStatus::Signal(_) | ExitStatus::Unknown => true,
        ExitStatus::Code(code) => code > 128,
        ExitStatus::OutOfMemory => false,
    };
    ensure!(
        told,
        "a signal (SIGABRT) ended the server, and poll said {status:?}"
    );
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn an_end_stays_told(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    run.order(bench, "exit/3").await?;
    let first = subject.until_ended().await?;
    for _ in 0..3 {
        let again = subject.until_ended().await?;
        ensure!(
            again == first,
            "asked once how the server ended, poll said {first:?}; asked again, {again:?}"
        );
    }
    subject.stop(StopMode::Now).await?;
    subject
        .is_gone("after the stop that follows an end")
        .await?;
    Ok(())
}

pub(in super::super) async fn an_early_exit_is_noticed(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let plan = subject.plan(Behaviour::Exit(7)).await?;
    let started = subject.try_start(&plan).await?;
    let status = match started.map_err(|error| error.kind()) {
        Ok(_) | Err(SpawnErrorKind::Exited(_)) => subject.until_ended().await?,
        // It could not be started, for whatever reason, and said so.
        Err(_) => ExitStatus::Unknown,
    };
    ensure!(
        [ExitStatus::Code(7), ExitStatus::Unknown].contains(&status),
        "the server exited with 7 at once, and poll said {status:?}"
    );
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn polling_changes_nothing(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let before = subject.spawner.get_state();
    for _ in 0..3 {
        subject.is_running("after start").await?;
    }
    let unchanged = |subject: &Subject<'_>, when: &str| {
        let after = subject.spawner.get_state();
        ensure!(
            after == before,
            "the state was {}, and after polling {when} it is {}",
            shown(&before),
            shown(&after)
        );
        Ok(())
    };
    unchanged(&subject, "a running server")?;
    run.answers(bench, "after polling").await?;
    run.order(bench, "exit/0").await?;
    subject.until_ended().await?;
    subject.poll().await?;
    unchanged(&subject, "one that has ended")?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn hearing_can_be_given_up(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    for _ in 0..10 {
        let heard = {
            let mut hearing = pin!(subject.spawner.exited());
            let once = std::future::poll_fn(|cx| Poll::Ready(hearing.as_mut().poll(cx)));
            once.await
        };
        ensure!(
            heard.is_pending(),
            "exited said {heard:?} while the server was running"
        );
        subject.is_running("after exited was dropped").await?;
    }
    run.order(bench, "exit/5").await?;
    let status = subject.until_ended().await?;
    ensure!(
        [ExitStatus::Code(5), ExitStatus::Unknown].contains(&status),
        "exited was dropped a few times; then the server exited with 5, and poll said {status:?}"
    );
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn cannot_tell_is_not_gone(bench: &Bench) -> Checked {
    bench.backend_can_be_severed().await?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    let before = subject.spawner.get_state();
    bench.backend().sever().await;
    let polled = bench.within("poll", subject.spawner.poll()).await?;
    let after = subject.spawner.get_state();
    bench.backend().mend().await;
    ensure!(
        polled.is_err(),
        "the backend could not be reached, and poll said {:?} instead of an error",
        polled.unwrap_or(PollStatus::Running)
    );
    ensure!(
        after == before,
        "the backend could not be reached, and the state {} became {}",
        shown(&before),
        shown(&after)
    );
    subject.is_running("when the backend was back").await?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn a_stop_that_cannot_tell_is_an_error(bench: &Bench) -> Checked {
    bench.backend_can_be_severed().await?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    bench.backend().sever().await;
    let stopped = bench
        .within("stop", subject.spawner.stop(StopMode::Now))
        .await?;
    bench.backend().mend().await;
    if stopped.is_ok() {
        let after = "stop(Now) had returned Ok although the backend could not be reached";
        bench.nothing_left(&subject.id, after).await?;
    }
    // The owner task tries again.
    subject.end(StopMode::Now).await
}
