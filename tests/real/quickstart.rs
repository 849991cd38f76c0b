//! What a newcomer does: one command, one link, one button, JupyterLab; and again after Ctrl-C.

use http::Method;
use hub_tests::hub::TestHub;
use hub_tests::kernel::{Kernel, Protocol};
use hub_tests::setup::Setup;
use hub_tests::venv::Venv;
use hub_tests::visit::Visitor;
use hub_tests::wait::until;
use nix::unistd::{User, geteuid};

#[tokio::test]
async fn one_link_leads_to_jupyterlab_and_survives_a_restart() {
    let Some(venv) = Venv::find() else { return };
    let mut hub = Setup::quickstart(&venv).start().await;
    if geteuid().is_root() {
        assert!(hub.log().contains("--allow-root"), "{}", hub.log());
    }
    let link = login_link(&hub).await;
    let name = User::from_uid(geteuid()).unwrap().expect("an account").name;
    let mut person = Visitor::new(hub.browser(), &name);
    let page = person.browser.get(&link).await;
    assert_eq!(page.status(), 200, "{:?}", page.trail());
    let mut thief = hub.browser();
    let page = thief.get(&link).await;
    assert_ne!(
        page.url.path(),
        "/hub/home",
        "the link works once: {:?}",
        page.trail()
    );
    assert_eq!(thief.cookie("jupyterhub-hub-login", "/hub/"), None);

    let home = person.browser.get("/hub/home").await;
    person.press_start(&home).await;
    person.watch().await;
    let lab = person.enter().await;
    let prefix = person.prefix();
    assert_eq!(
        (lab.status(), lab.url.path()),
        (200, format!("{prefix}lab").as_str())
    );
    let kernel = Kernel::start(&mut person.browser, &prefix).await;
    let mut channel = kernel.connect(&person.browser, Protocol::V1).await;
    assert_eq!(channel.run("kept = 1 + 1; kept").await, "2");
    let before = hub.servers();

    assert_eq!(hub.interrupt().await.code(), Some(0));
    assert_eq!(hub.servers(), before);
    hub.start_again().await;
    assert_eq!(hub.servers(), before);
    let model = format!("/hub/api/users/{name}");
    until("the hub to find the server again", async || {
        let model = person.browser.fetch(Method::GET, &model, None).await.json();
        let ready = model["servers"][""]["ready"] == true;
        if ready {
            Ok(())
        } else {
            Err(model.to_string())
        }
    })
    .await;
    let page = person.browser.get(&format!("{prefix}lab")).await;
    assert_eq!(page.trail(), [format!("GET {prefix}lab 200")]);
    let mut channel = kernel.connect(&person.browser, Protocol::V1).await;
    assert_eq!(channel.run("kept").await, "2");
}

/// The path of the link that the hub prints, after the line that says where it serves.
async fn login_link(hub: &TestHub) -> String {
    until("a login link", async || {
        let log = hub.log();
        let path = log
            .lines()
            .find_map(|line| line.trim().strip_prefix(hub.origin()));
        path.filter(|path| path.len() > 1)
            .map(str::to_owned)
            .ok_or(log.clone())
    })
    .await
}
