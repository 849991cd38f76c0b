//! Resource limits: what is configured is kept, or nothing is started.

use crate::config::SpawnerConfig;
use crate::conformance::backend::Behaviour;
use crate::conformance::bench::Bench;
use crate::conformance::checks::failures::not_a_sentence;
use crate::conformance::fault::{Checked, ensure, fault};
use crate::conformance::subject::Subject;
use crate::error::{SpawnError, SpawnErrorKind, error_chain};
use crate::status::StopMode;

/// A limit that a probe server can live with.
const MEMORY: u64 = 64 << 20;
/// What it then asks for: more than the limit and as much swap.
const TOO_MUCH: u64 = 3 * MEMORY;

/// A knob, its variable, the value that the variable has then, and how it is turned.
type Knob = (
    &'static str,
    &'static str,
    &'static str,
    fn(&mut SpawnerConfig),
);

const KNOBS: [Knob; 4] = [
    ("mem_limit", "MEM_LIMIT", "67108864", |config| {
        config.mem_limit = Some(MEMORY);
    }),
    ("mem_guarantee", "MEM_GUARANTEE", "67108864", |config| {
        config.mem_guarantee = Some(MEMORY);
    }),
    ("cpu_limit", "CPU_LIMIT", "0.5", |config| {
        config.cpu_limit = Some(0.5);
    }),
    ("cpu_guarantee", "CPU_GUARANTEE", "0.5", |config| {
        config.cpu_guarantee = Some(0.5);
    }),
];

pub(in super::super) async fn what_is_not_set_is_not_refused(bench: &Bench) -> Checked {
    let spawner = bench.subject().spawner;
    if let Some(name) = spawner.config().limits_set().next() {
        return Err(fault!(
            "Backend::factory sets `{name}`; the checks want one without limits"
        ));
    }
    spawner.check_limits().map_err(|error| {
        let error = error_chain(&error);
        fault!("no limit is configured, and check_limits refuses: {error}")
    })
}

pub(in super::super) async fn a_limit_is_kept_or_refused(bench: &Bench) -> Checked {
    for (name, variable, value, turn) in KNOBS {
        let factory = bench.factory_from(&|setup| turn(&mut setup.config))?;
        let server = bench.server();
        let spawner = factory.create(&server);
        let mut subject = Subject::new(bench, server, spawner);
        if let Err(error) = subject.spawner.check_limits() {
            is_refused(name, &error)?;
            continue;
        }
        let run = subject.run(Behaviour::Serve).await?;
        let inside = run.inside(bench).await?;
        let arrived = inside.env.get(variable).map(String::as_str);
        ensure!(
            arrived == Some(value),
            "with `{name}` set, {variable} is {arrived:?} in the server, not {value:?}"
        );
        if name == "mem_limit" {
            let got = run.ask(bench, &format!("allocate/{TOO_MUCH}")).await?;
            ensure!(
                got != Some(200),
                "check_limits takes `mem_limit` = {MEMORY}, and the server could use {TOO_MUCH} bytes"
            );
        }
        subject.end(StopMode::Now).await?;
    }
    Ok(())
}

/// Fails unless somebody who reads the error knows which knob to turn.
fn is_refused(name: &str, error: &SpawnError) -> Checked {
    let (kind, message) = (error.kind(), error.to_string());
    ensure!(
        kind == SpawnErrorKind::Refused && message.contains(name),
        "with `{name}` set, check_limits fails as {kind:?} and says {message:?}; an admin has to read \
         which knob it is"
    );
    let wrong = not_a_sentence(&message);
    ensure!(
        wrong.is_none(),
        "the error that the user reads is {message:?}: {}",
        wrong.unwrap_or_default()
    );
    Ok(())
}
