//! A hub that ends, by itself or by force, takes no JupyterLab with it.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::kernel::{Kernel, Protocol};
use hub_tests::venv::Venv;
use hub_tests::visit::Visitor;

use crate::launcher::Launcher;

#[tokio::test]
async fn jupyterhub_singleuser_survives_a_sigkill() {
    story(Launcher::SingleUser, async |hub| hub.kill().await).await;
}

#[tokio::test]
async fn jupyter_labhub_survives_a_sigterm() {
    story(Launcher::LabHub, async |hub| {
        assert_eq!(hub.terminate().await.code(), Some(0));
    })
    .await;
}

async fn story(launcher: Launcher, end: impl AsyncFnOnce(&mut TestHub)) {
    let Some(venv) = Venv::find() else { return };
    let mut hub = launcher.setup(&venv).start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    let kernel = Kernel::start(&mut tee.browser, "/user/tee/").await;
    let mut channel = kernel.connect(&tee.browser, Protocol::V1).await;
    assert_eq!(channel.run("kept = 20 + 1").await, "");
    drop(channel);
    let before = hub.servers();
    assert!(before.len() >= 2, "a server and a kernel: {before:#?}");

    end(&mut hub).await;
    assert_eq!(hub.servers(), before, "they live on without a hub");
    hub.start_again().await;
    hub.admin().until_ready("tee").await;

    assert_eq!(
        hub.servers(),
        before,
        "the same processes, pid and start time alike"
    );
    let page = tee.browser.get("/user/tee/lab").await;
    assert_eq!(
        page.trail(),
        ["GET /user/tee/lab 200"],
        "the old cookies are still good"
    );
    assert_eq!(
        tee.browser.get("/hub/home").await.trail(),
        ["GET /hub/home 200"]
    );
    let me = tee
        .browser
        .fetch(Method::GET, "/user/tee/api/me", None)
        .await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.text());
    let mut channel = kernel.connect(&tee.browser, Protocol::V1).await;
    assert_eq!(channel.run("kept + 1").await, "22", "the kernel remembers");

    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
}
