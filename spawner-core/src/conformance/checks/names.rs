//! Servers with names that are easily taken for each other.

use std::collections::HashSet;

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::{Bench, server_id};
use crate::conformance::fault::{Checked, Stop, ensure};
use crate::conformance::subject::{Run, Subject};
use crate::ids::{ServerId, ServerName};
use crate::status::StopMode;

/// Pairs of user and server that become one when `.`, `-`, `_` and `@` are folded, when an escape is
/// not escaped itself, or when the two halves are joined without care.
const ALIKE: [(&str, &str); 12] = [
    ("ab", ""),
    ("a.b", ""),
    ("a-b", ""),
    ("a_b", ""),
    ("a@b", ""),
    ("a--b", ""),
    ("a-2eb", ""),
    ("a-2db", ""),
    ("a", "b"),
    ("a-b", "c"),
    ("a", "b-c"),
    ("a..", ""),
];

pub(in super::super) async fn two_servers_of_a_user_are_two(bench: &Bench) -> Checked {
    let user = bench.server().user;
    let servers = ["", "kit"].map(|name| {
        let name = ServerName::new(name).unwrap_or_default();
        ServerId::new(user.clone(), name)
    });
    apart(bench, servers).await
}

pub(in super::super) async fn names_that_look_alike_are_apart(bench: &Bench) -> Checked {
    let users = bench.backend().users();
    match users.as_slice() {
        [] => apart(bench, ALIKE.map(|(user, server)| server_id(user, server))).await,
        [_] => {
            let reason = "the backend has one user only (Backend::users)";
            Err(Stop::Skip(reason.into()))
        }
        _ => apart(bench, users.into_iter().map(ServerId::default_of)).await,
    }
}

pub(in super::super) async fn a_long_name_is_taken_or_refused(bench: &Bench) -> Checked {
    if !bench.backend().users().is_empty() {
        let reason = "the backend cannot make up users (Backend::users)";
        return Err(Stop::Skip(reason.into()));
    }
    let mut taken = Vec::new();
    for last in ["x", "y"] {
        let id = server_id(&format!("{}{last}", "a".repeat(254)), "");
        let mut subject = bench.subject_of(id.clone());
        let plan = subject.plan(Behaviour::Serve).await?;
        let started = subject.try_start(&plan).await?;
        subject.end(StopMode::Now).await?;
        if started.is_ok() {
            taken.push(id);
        }
    }
    apart(bench, taken).await
}

/// Starts all, and ends one after the other while the rest has to stay as it is.
async fn apart(bench: &Bench, servers: impl IntoIterator<Item = ServerId>) -> Checked {
    let mut all: Vec<(Subject<'_>, Run)> = Vec::new();
    for server in servers {
        let mut subject = bench.subject_of(server);
        let run = subject.run(Behaviour::Serve).await?;
        all.push((subject, run));
    }
    let places: HashSet<String> = all
        .iter()
        .map(|(_, run)| run.endpoint.to_string())
        .collect();
    ensure!(
        places.len() == all.len(),
        "{} servers run at {} endpoints",
        all.len(),
        places.len()
    );
    let mut when = "with all of them started".to_owned();
    while let Some((mut gone, _)) = {
        for (subject, run) in &mut all {
            subject
                .is_running(&format!("{when}, {}", subject.id))
                .await?;
            run.answers(bench, &when).await?;
        }
        all.pop()
    } {
        gone.end(StopMode::Now).await?;
        when = format!("after {} was stopped", gone.id);
    }
    Ok(())
}
