//! Who answers for a server: it, or a stranger who took its address.

mod common;

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use common::{Place, is_root, launch_as, script, within};
use nix::unistd::{Uid, setfsuid};
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::json;
use spawner_core::{
    Endpoint, ExitStatus, LAUNCH_MARKER, Launch, ListenOn, SpawnErrorKind, Spawner, StopMode,
};
use spawner_local::{LocalFactory, LocalProcessSpawner};

const NOBODY: u32 = 65534;
/// Where a server of these tests listens, and the pipe that hears when it does.
const LISTEN: &str = "TEST_LISTEN";
const READY: &str = "TEST_READY";

/// A server of the tests below: listens, says so, and lives.
#[test]
#[ignore = "run by the tests below"]
fn listens() {
    let Ok(address) = std::env::var(LISTEN) else {
        return;
    };
    let _listener = TcpListener::bind(address).unwrap();
    std::fs::write(std::env::var(READY).unwrap(), "ready\n").unwrap();
    loop {
        std::thread::park();
    }
}

/// A server that listens at `address`, by itself or by a child that left it.
async fn server(place: &Place, address: &str, by_child: bool) -> LocalProcessSpawner {
    let ready = place.fifo("ready");
    let myself = std::env::current_exe().unwrap();
    let listens = format!("{} --exact listens --ignored", myself.display());
    let mut launch = script(&if by_child {
        format!("setsid {listens} & exec sleep 1000")
    } else {
        format!("exec {listens}")
    });
    launch.env.set(LISTEN, address);
    launch.env.set(READY, ready.path().to_str().unwrap());
    let mut spawner = place.spawner();
    within(spawner.start(launch)).await.unwrap();
    assert_eq!(ready.read().await, "ready");
    spawner
}

/// A port that nobody else gets as long as the second part is there.
fn reserved() -> (u16, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().port(), listener)
}

fn at(port: u16) -> Endpoint {
    Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    }
}

async fn asleep(place: &Place) -> LocalProcessSpawner {
    let mut spawner = place.spawner();
    let launch = launch_as("tee", &["sleep", "1000"]);
    within(spawner.start(launch)).await.unwrap();
    spawner
}

async fn verdict(spawner: &mut LocalProcessSpawner, port: u16) -> Option<SpawnErrorKind> {
    let checked = within(spawner.check_listener(&at(port))).await;
    checked.err().map(|error| error.kind())
}

#[tokio::test]
async fn a_server_answers_for_itself_whichever_of_its_processes_does() {
    for (ip, by_child) in [
        ("127.0.0.1", false),
        ("127.0.0.1", true),
        ("0.0.0.0", false),
        ("[::]", true),
    ] {
        let place = Place::simple();
        let port = spawner_core::free_port(None).unwrap();
        let mut spawner = server(&place, &format!("{ip}:{port}"), by_child).await;
        assert_eq!(verdict(&mut spawner, port).await, None, "{ip} {by_child}");
        // So it is after the hub came back.
        let mut adopted = place.spawner();
        adopted.load_state(&spawner.get_state()).unwrap();
        assert_eq!(verdict(&mut adopted, port).await, None, "{ip} {by_child}");
        within(adopted.stop(StopMode::Now)).await.unwrap();
    }
}

#[tokio::test]
async fn a_stranger_of_the_same_account_has_taken_the_address() {
    let place = Place::simple();
    let (port, _squatter) = reserved();
    let mut spawner = asleep(&place).await;
    let taken = Some(SpawnErrorKind::AddressTaken);
    assert_eq!(verdict(&mut spawner, port).await, taken);
    // Another server of the same user is a stranger, too.
    let other = Place::simple();
    let port = spawner_core::free_port(None).unwrap();
    let mut theirs = server(&other, &format!("127.0.0.1:{port}"), false).await;
    assert_eq!(verdict(&mut spawner, port).await, taken);
    within(theirs.stop(StopMode::Now)).await.unwrap();
    within(spawner.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_found_its_address_taken_says_so() {
    let place = Place::simple();
    let (port, squatter) = reserved();
    let mut spawner = place.spawner();
    within(spawner.start(script("exit 1"))).await.unwrap();
    assert_eq!(within(spawner.exited()).await, ExitStatus::Code(1));
    let error = within(spawner.check_listener(&at(port))).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::AddressTaken);
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    // With nobody there its end is news of its own.
    drop(squatter);
    assert_eq!(verdict(&mut spawner, port).await, None);
}

#[tokio::test]
async fn an_answer_from_nobody_is_not_believed() {
    let place = Place::simple();
    let (port, listener) = reserved();
    drop(listener);
    let mut spawner = asleep(&place).await;
    // Whoever answered a moment ago may do so again.
    let unclear = Some(SpawnErrorKind::Unavailable);
    assert_eq!(verdict(&mut spawner, port).await, unclear);
    within(spawner.stop(StopMode::Now)).await.unwrap();
    assert_eq!(verdict(&mut place.spawner(), port).await, None);
}

#[tokio::test]
async fn a_stranger_of_another_account_has_taken_the_address() {
    if !is_root("a_stranger_of_another_account_has_taken_the_address") {
        return;
    }
    let place = Place::local(json!({}));
    // Of this one thread only; what it makes is nobody's.
    let squat = || {
        setfsuid(Uid::from_raw(NOBODY));
        reserved()
    };
    let (port, _squatter) = std::thread::spawn(squat).join().unwrap();
    let mut spawner = place.factory.spawner(&common::server("daemon"));
    let launch = launch_as("daemon", &["sleep", "1000"]);
    within(spawner.start(launch)).await.unwrap();
    let taken = Some(SpawnErrorKind::AddressTaken);
    assert_eq!(verdict(&mut spawner, port).await, taken);
    within(spawner.stop(StopMode::Now)).await.unwrap();
}

/// A process of another account.
struct Stranger(Child);

impl Stranger {
    fn with_mark(mark: &str) -> Self {
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").env(LAUNCH_MARKER, mark);
        Self(sleep.uid(NOBODY).gid(NOBODY).spawn().unwrap())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_forged_mark_makes_nobody_a_part_of_a_server() {
    if !is_root("a_forged_mark_makes_nobody_a_part_of_a_server") {
        return;
    }
    let place = Place::simple();
    let mut spawner = asleep(&place).await;
    let launch = spawner.get_state().data["launch_id"].clone();
    // The stranger holds a socket that an account of the server's made, and knows its run.
    let (port, listener) = reserved();
    fcntl_setfd(&listener, FdFlags::empty()).unwrap();
    let mut forger = Stranger::with_mark(launch.as_str().unwrap());
    drop(listener);
    let taken = Some(SpawnErrorKind::AddressTaken);
    assert_eq!(verdict(&mut spawner, port).await, taken);
    within(spawner.stop(StopMode::Now)).await.unwrap();
    assert_eq!(forger.0.try_wait().unwrap(), None, "a stranger was ended");
}

/// What the owner task does with a start, as far as this crate sees it.
async fn listen(spawner: &mut LocalProcessSpawner, launch: &mut Launch) -> ListenOn {
    let listen = within(spawner.listen_on(&launch.ctx)).await.unwrap();
    launch.ctx.listen = Some(listen.clone());
    launch.args = spawner.get_args(&launch.ctx);
    listen
}

#[tokio::test]
async fn over_a_unix_socket_nobody_can_get_in_between() {
    let place = Place::with(&LocalFactory::simple, json!({"transport": "unix"}));
    let mut spawner = place.spawner();
    let told = place.fifo("told");
    let text = format!("echo \"$0\" > {}; exec sleep 1000", told.path().display());
    let mut launch = launch_as("tee", &["sh", "-c", &text]);
    let ListenOn::Unix { path } = listen(&mut spawner, &mut launch).await else {
        panic!("not a socket")
    };
    assert!(path.starts_with(place.dir.path().join("state/sockets")));
    let endpoint = within(spawner.start(launch)).await.unwrap();
    assert_eq!(endpoint, Endpoint::Unix { path: path.clone() });
    let argument = format!("--ServerApp.sock={}", path.display());
    assert_eq!(told.read().await, argument);
    // It answered, it seems, and made no socket; or one that leads elsewhere.
    assert!(within(spawner.check_listener(&endpoint)).await.is_err());
    std::os::unix::fs::symlink("/dev/log", &path).unwrap();
    assert!(within(spawner.check_listener(&endpoint)).await.is_err());
    std::fs::remove_file(&path).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    within(spawner.check_listener(&endpoint)).await.unwrap();
    within(spawner.stop(StopMode::Now)).await.unwrap();
    assert!(!path.parent().unwrap().exists());
}
