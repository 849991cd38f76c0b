//! A server that listens on a unix socket: nothing but one line of configuration tells it from the
//! others.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use hub_tests::hub::TestHub;
use hub_tests::kernel::{Kernel, Protocol};
use hub_tests::venv::Venv;
use hub_tests::visit::Visitor;

use crate::launcher::Launcher;

#[tokio::test]
async fn jupyterhub_singleuser_over_a_unix_socket() {
    story(Launcher::SingleUser).await;
}

#[tokio::test]
async fn jupyter_labhub_over_a_unix_socket() {
    story(Launcher::LabHub).await;
}

async fn story(launcher: Launcher) {
    let Some(venv) = Venv::find() else { return };
    let setup = launcher.setup(&venv);
    let mut hub = setup.set("spawner.simple.transport", "unix").start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    let [socket] = &*sockets(&hub) else {
        panic!("{:?}", sockets(&hub))
    };
    assert!(fs::metadata(socket).unwrap().file_type().is_socket());
    let place = fs::metadata(socket.parent().unwrap()).unwrap();
    assert_eq!(place.mode() & 0o777, 0o700);

    let page = tee.enter().await;
    assert_eq!((page.status(), page.url.path()), (200, "/user/tee/lab"));
    let kernel = Kernel::start(&mut tee.browser, "/user/tee/").await;
    for protocol in [Protocol::V1, Protocol::Json] {
        let mut channel = kernel.connect(&tee.browser, protocol).await;
        assert_eq!(channel.run("1+1").await, "2");
    }

    // A hub that comes back finds the server where it was.
    hub.kill().await;
    hub.start_again().await;
    hub.admin().until_ready("tee").await;
    let mut channel = kernel.connect(&tee.browser, Protocol::V1).await;
    assert_eq!(channel.run("2+1").await, "3");
    drop(channel);

    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
    let places = fs::read_dir(hub.state_dir().join("sockets")).unwrap();
    assert_eq!(places.count(), 0, "a stop leaves neither socket nor place");
}

/// All sockets of servers.
fn sockets(hub: &TestHub) -> Vec<PathBuf> {
    let places = fs::read_dir(hub.state_dir().join("sockets")).unwrap();
    let entries = places.flat_map(|place| fs::read_dir(place.unwrap().path()).unwrap());
    entries.map(|entry| entry.unwrap().path()).collect()
}
