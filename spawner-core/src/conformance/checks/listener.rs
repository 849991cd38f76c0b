//! Who listens where a server was told to.

use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpListener;

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::Bench;
use crate::conformance::fault::{Checked, Stop, fault};
use crate::endpoint::ListenOn;
use crate::error::{SpawnErrorKind, error_chain};
use crate::status::StopMode;

pub(in super::super) async fn its_own_address_is_its_own(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    // Once for a server that this instance started, once for one that it took up.
    check(bench, &mut *subject.spawner, &run.endpoint).await?;
    if bench.backend().outlives() {
        let state = subject.saved_state()?;
        drop(subject);
        subject = bench.restarted(&state)?;
        check(bench, &mut *subject.spawner, &run.endpoint).await?;
    }
    subject.end(StopMode::Now).await
}

async fn check(
    bench: &Bench,
    spawner: &mut dyn crate::spawner::Spawner,
    endpoint: &crate::endpoint::Endpoint,
) -> Checked {
    bench
        .within("check_listener", spawner.check_listener(endpoint))
        .await?
        .map_err(|error| {
            let error = error_chain(&error);
            fault!("the server listens at {endpoint} itself, and check_listener failed: {error}")
        })
}

pub(in super::super) async fn a_stranger_is_no_server(bench: &Bench) -> Checked {
    if !bench.backend().knows_listeners() {
        let reason = "its spawner does not tell who listens (Backend::knows_listeners)";
        return Err(Stop::Skip(reason.into()));
    }
    let cannot_listen = |error| fault!("the kit cannot listen on a port of its own: {error}");
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let stranger = TcpListener::bind((ip, 0)).await.map_err(cannot_listen)?;
    let port = stranger.local_addr().map_err(cannot_listen)?.port();
    let mut subject = bench.subject();
    let mut plan = subject.plan(Behaviour::Silent).await?;
    plan.ctx.listen = Some(ListenOn::Tcp { ip: Some(ip), port });
    plan.env = subject.spawner.get_env(&plan.ctx);
    let run = subject.start(plan).await?;
    let asked = subject.spawner.check_listener(&run.endpoint);
    let asked = bench.within("check_listener", asked).await?;
    subject.end(StopMode::Now).await?;
    match asked.map_err(|error| error.kind()) {
        Err(SpawnErrorKind::AddressTaken) => Ok(()),
        other => Err(fault!(
            "a stranger listens at {}, and check_listener said {other:?}, not AddressTaken",
            run.endpoint
        )),
    }
}
