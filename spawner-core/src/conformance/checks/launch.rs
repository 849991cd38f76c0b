//! What the server is given.

use tracing::instrument::WithSubscriber as _;

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::{Bench, shown};
use crate::conformance::fault::{Checked, Stop, ensure};
use crate::conformance::log::Log;
use crate::env::base_env;
use crate::status::StopMode;

/// Texts that a shell, a template or a splitter would change.
const ODD: [&str; 10] = [
    "",
    " ",
    "two words",
    "'single' \"double\" `back`",
    "back\\slash\\n",
    "$HOME ${HOME} $(id) %d %U {username} ~ *",
    "--flag=value",
    "a=b;c&d|e<f>g#h",
    "é ü 漢字 🚀",
    "line\nline\ttab",
];

/// What a backend may set by itself, and to the same value as the daemon has.
const ITS_OWN: [&str; 10] = [
    "HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "USER",
];

pub(in super::super) async fn arguments_arrive_as_given(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let mut plan = subject.plan(Behaviour::Serve).await?;
    plan.args.extend(ODD.map(str::to_owned));
    let given = plan.args.clone();
    let run = subject.start(plan).await?;
    let arrived = run.inside(bench).await?.args;
    ensure!(
        arrived == given,
        "the server was to be given the arguments\n    {given:?}\n  and got\n    {arrived:?}"
    );
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn the_environment_arrives_as_given(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let mut plan = subject.plan(Behaviour::Serve).await?;
    for (number, value) in ODD.iter().enumerate() {
        plan.env.set(format!("KIT_ODD_{number}"), *value);
    }
    plan.env.set("kit-odd.name", "lower case, hyphen and dot");
    let given = plan.env.clone();
    let run = subject.start(plan).await?;
    let inside = run.inside(bench).await?;
    for (name, value) in given.iter() {
        let arrived = inside.env.get(name);
        ensure!(
            arrived.is_some_and(|arrived| arrived == value),
            "the variable {name} was to be {value:?}, and the server has {arrived:?}"
        );
    }
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn nothing_else_is_inherited(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let plan = subject.plan(Behaviour::Serve).await?;
    let canaries: Vec<(String, String)> = std::env::vars()
        .filter(|(name, value)| {
            plan.env.get(name).is_none() && !ITS_OWN.contains(&name.as_str()) && !value.is_empty()
        })
        .collect();
    if canaries.is_empty() {
        let reason = "the tests have no environment of their own; run them with cargo";
        return Err(Stop::Skip(reason.into()));
    }
    let run = subject.start(plan).await?;
    let inside = run.inside(bench).await?;
    for (name, value) in canaries {
        ensure!(
            inside.env.get(&name) != Some(&value),
            "the server has the daemon's variable {name}, which was not in Launch::env"
        );
    }
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn the_hubs_variables_arrive(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let inside = run.inside(bench).await?;
    let expected = base_env(subject.spawner.config(), &run.ctx);
    for name in [
        crate::LAUNCH_MARKER,
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_API_URL",
        "JUPYTERHUB_CLIENT_ID",
        "JUPYTERHUB_SERVICE_PREFIX",
        "JUPYTERHUB_SERVICE_URL",
        "JUPYTERHUB_USER",
    ] {
        let arrived = inside.env.get(name).map(String::as_str);
        // The token's value is not shown, not even that of a test.
        ensure!(
            arrived == expected.get(name),
            "{name} is {} in the server",
            if arrived.is_some() {
                "another"
            } else {
                "not set"
            }
        );
    }
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn the_token_is_in_no_argv(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let token = run.ctx.token.expose();
    let words = run.inside(bench).await?.command;
    ensure!(
        !words.iter().any(|word| word.contains(token)),
        "the token is in the server's command line"
    );
    // Whatever wraps the server has a command line as well.
    for line in bench.census(&subject.id).await? {
        ensure!(!line.contains(token), "the token is in the census: {line}");
    }
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn the_token_is_shown_nowhere(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let token = run.ctx.token.expose();
    let shown_by_debug = format!("{:?} {:#?}", subject.spawner, subject.spawner);
    ensure!(
        !shown_by_debug.contains(token),
        "the token is in the Debug of the spawner"
    );
    ensure!(
        !shown(&subject.spawner.get_state()).contains(token),
        "the token is in get_state, which is stored as it is"
    );
    for (_, message) in run.steps() {
        ensure!(!message.contains(token), "the token is in the progress");
    }
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn the_token_is_in_no_log(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let log = Log::default();
    let life = async {
        let run = subject.run(Behaviour::Serve).await?;
        subject.poll().await?;
        subject.stop(StopMode::Graceful).await?;
        Ok(run)
    };
    let run = life.with_subscriber(log.clone()).await?;
    ensure!(
        !log.text().contains(run.ctx.token.expose()),
        "the token was logged while the server was started, polled and stopped"
    );
    Ok(())
}
