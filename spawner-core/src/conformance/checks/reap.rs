//! What is in the world after a crash, and not in the books.

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::{Bench, server_id, shown};
use crate::conformance::checks::drop::{for_every_point, start_at_most};
use crate::conformance::fault::{Checked, Stop, ensure, fault};
use crate::conformance::subject::Run;
use crate::error::error_chain;
use crate::factory::{Found, Known, SpawnerFactory};
use crate::ids::{ServerId, ServerName};
use crate::options::UserOptions;
use crate::state::SpawnerState;
use crate::status::StopMode;

/// Starts a server, and forgets everything about it.
async fn orphan(bench: &Bench, server: ServerId, behaviour: Behaviour) -> Checked<Run> {
    bench.subject_of(server).run(behaviour).await
}

/// What a factory finds.
async fn reap(bench: &Bench, factory: &dyn SpawnerFactory, known: &[Known]) -> Checked<Vec<Found>> {
    bench
        .within("reap", factory.reap(known))
        .await?
        .map_err(|error| fault!("reap failed: {}", error_chain(&error)))
}

/// Fails unless exactly these runs were found.
fn are(found: &[Found], runs: &[&Run], when: &str) -> Checked {
    for run in runs {
        let launch = &run.ctx.launch_id;
        let finds: Vec<_> = found.iter().filter(|f| f.launch_id == *launch).collect();
        let [find] = finds.as_slice() else {
            return Err(fault!(
                "{when}, reap found the run of {} {} times",
                run.ctx.server,
                finds.len()
            ));
        };
        ensure!(
            find.server == run.ctx.server,
            "{when}, reap took a run of {} for one of {}",
            run.ctx.server,
            find.server
        );
    }
    let stranger = found
        .iter()
        .find(|find| runs.iter().all(|run| run.ctx.launch_id != find.launch_id));
    match stranger {
        None => Ok(()),
        Some(find) => Err(fault!(
            "{when}, reap found a run of {} that is not to be found, {}; if another check started \
             it, Backend::factory needs an `instance` that no other place has",
            find.server,
            shown(&find.state)
        )),
    }
}

/// The only find, and what it is a find of, after a journey of its state through JSON.
fn only(mut found: Vec<Found>, run: &Run) -> Checked<Found> {
    are(&found, &[run], "after a crash")?;
    let mut find = found
        .pop()
        .ok_or_else(|| fault!("the find has disappeared"))?;
    find.state = serde_json::from_str::<SpawnerState>(&shown(&find.state))
        .map_err(|error| fault!("the state of a find does not survive JSON: {error}"))?;
    Ok(find)
}

/// Ends a find, and fails if anything is left of it.
async fn end(bench: &Bench, factory: &dyn SpawnerFactory, find: &Found) -> Checked {
    bench
        .within("Found::end", find.end(factory))
        .await?
        .map_err(|error| fault!("Found::end failed: {}", error_chain(&error)))?;
    bench
        .nothing_left(&find.server, "Found::end had returned Ok")
        .await
}

pub(in super::super) async fn nothing_is_found_where_nothing_is(bench: &Bench) -> Checked {
    let factory = bench.another_daemon();
    are(&reap(bench, &*factory, &[]).await?, &[], "before any start")?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    subject.end(StopMode::Graceful).await?;
    are(&reap(bench, &*factory, &[]).await?, &[], "after a stop")
}

pub(in super::super) async fn what_the_books_lost_is_found(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let user = bench.server().user;
    let named = ServerName::new("kit").unwrap_or_default();
    let mut servers = vec![
        ServerId::default_of(user.clone()),
        ServerId::new(user, named),
    ];
    if bench.backend().users().is_empty() {
        servers.push(server_id("a.b-2d_c@d--e", "f-2dg"));
    }
    let mut runs = Vec::new();
    for server in servers {
        runs.push(orphan(bench, server, Behaviour::Serve).await?);
    }
    let factory = bench.another_daemon();
    let found = reap(bench, &*factory, &[]).await?;
    are(&found, &runs.iter().collect::<Vec<_>>(), "after a crash")?;
    for find in &found {
        end(bench, &*factory, find).await?;
    }
    Ok(())
}

pub(in super::super) async fn a_find_can_be_taken_up(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut run = orphan(bench, bench.server(), Behaviour::Serve).await?;
    let factory = bench.another_daemon();
    let find = only(reap(bench, &*factory, &[]).await?, &run)?;
    let mut subject = bench.restarted(&find.state)?;
    subject.is_running("after a find was taken up").await?;
    let endpoint = bench.within("endpoint", subject.spawner.endpoint()).await?;
    let endpoint = endpoint.map_err(|error| fault!("endpoint failed: {}", error_chain(&error)))?;
    run.endpoint = endpoint.ok_or_else(|| {
        fault!("Spawner::endpoint does not say where a find is reached, and no book knows it")
    })?;
    run.answers(bench, "after a find was taken up").await?;
    subject.end(StopMode::Graceful).await?;
    subject.is_gone("after the stop of a find").await?;
    are(&reap(bench, &*factory, &[]).await?, &[], "after its stop")
}

pub(in super::super) async fn a_find_can_be_ended(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let run = orphan(bench, bench.server(), Behaviour::Family).await?;
    let factory = bench.another_daemon();
    let find = only(reap(bench, &*factory, &[]).await?, &run)?;
    end(bench, &*factory, &find).await?;
    // The daemon cannot know that it did, if it ends before it has noted that.
    end(bench, &*factory, &find).await?;
    are(&reap(bench, &*factory, &[]).await?, &[], "after its end")
}

pub(in super::super) async fn what_a_dead_server_left_is_found(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Family).await?;
    run.order(bench, "exit/1").await?;
    subject.until_ended().await?;
    drop(subject);
    if bench.census(&run.ctx.server).await?.is_empty() {
        let reason = "nothing of a server is left when it has ended by itself";
        return Err(Stop::Skip(reason.into()));
    }
    let factory = bench.another_daemon();
    let find = only(reap(bench, &*factory, &[]).await?, &run)?;
    end(bench, &*factory, &find).await
}

pub(in super::super) async fn what_is_in_the_books_is_not_found(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let factory = bench.another_daemon();
    let mut known = Known {
        server: run.ctx.server.clone(),
        launch_id: run.ctx.launch_id.clone(),
    };
    let found = reap(bench, &*factory, std::slice::from_ref(&known)).await?;
    are(&found, &[], "with its only run in the books")?;
    known.launch_id = Bench::context(&subject.id, UserOptions::default()).launch_id;
    let found = reap(bench, &*factory, &[known]).await?;
    are(
        &found,
        &[&run],
        "with another run of that server in the books",
    )?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn what_is_another_daemons_is_left_alone(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let neighbour = bench.factory_from(&|setup| setup.instance.push_str("-neighbour"))?;
    let run = orphan(bench, bench.server(), Behaviour::Serve).await?;
    let found = reap(bench, &*neighbour, &[]).await?;
    are(&found, &[], "asked by another daemon of this host")?;
    run.answers(bench, "after another daemon had looked")
        .await?;
    let factory = bench.another_daemon();
    let find = only(reap(bench, &*factory, &[]).await?, &run)?;
    end(bench, &*factory, &find).await
}

pub(in super::super) async fn looking_changes_nothing(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Family).await?;
    let before = bench.census(&subject.id).await?;
    let factory = bench.another_daemon();
    for _ in 0..3 {
        are(
            &reap(bench, &*factory, &[]).await?,
            &[&run],
            "after a crash",
        )?;
    }
    let after = bench.census(&subject.id).await?;
    ensure!(
        before == after,
        "reap changed the world from\n    {before:?}\n  to\n    {after:?}"
    );
    run.answers(bench, "after reap had looked").await?;
    subject.is_running("after reap had looked").await?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn a_crash_in_a_start_is_found(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let factory = bench.another_daemon();
    for_every_point(bench, async |polls| {
        let mut subject = bench.subject();
        let (through, _) = start_at_most(&mut subject, polls).await?;
        let server = subject.id.clone();
        drop(subject);
        // What a backend was making when the daemon died can turn up a moment later.
        let cleared = async || {
            for find in reap(bench, &*factory, &[]).await? {
                let ended = bench.within("Found::end", find.end(&*factory)).await?;
                ended.map_err(|error| fault!("Found::end failed: {}", error_chain(&error)))?;
            }
            Ok(bench.census(&server).await?.is_empty().then_some(()))
        };
        let what = "waiting for nothing to be left of a start that a crash ended";
        if bench.until(what, cleared).await.is_err() {
            let after = "a crash of the daemon, and the end of all that reap had found,";
            bench.nothing_left(&server, after).await?;
        }
        Ok(through)
    })
    .await
}

pub(in super::super) async fn cannot_tell_is_not_nothing(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    bench.backend_can_be_severed().await?;
    let run = orphan(bench, bench.server(), Behaviour::Serve).await?;
    let factory = bench.another_daemon();
    bench.backend().sever().await;
    let reaped = bench.within("reap", factory.reap(&[])).await?;
    bench.backend().mend().await;
    if let Ok(found) = reaped {
        return Err(fault!(
            "the backend could not be reached, and reap said that it found {} runs instead of an \
             error",
            found.len()
        ));
    }
    let find = only(reap(bench, &*factory, &[]).await?, &run)?;
    end(bench, &*factory, &find).await
}
