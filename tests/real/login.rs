//! The main story: from an address in a browser to the result of a cell, and back to the hub.

use hub_tests::kernel::{Kernel, Protocol};
use hub_tests::venv::Venv;
use hub_tests::visit::Visitor;

use crate::launcher::Launcher;

#[tokio::test]
async fn jupyterhub_singleuser() {
    story(Launcher::SingleUser).await;
}

#[tokio::test]
async fn jupyter_labhub() {
    story(Launcher::LabHub).await;
}

async fn story(launcher: Launcher) {
    let Some(venv) = Venv::find() else { return };
    let hub = launcher.setup(&venv).start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");

    let offer = tee.arrive().await;
    tee.press_start(&offer).await;
    let events = tee.watch().await;
    assert!(
        events.is_sorted_by_key(|event| event.progress),
        "it never falls: {events:#?}"
    );

    let page = tee.enter().await;
    assert_eq!((page.status(), page.url.path()), (200, "/user/tee/lab"));
    assert!(
        page.reply.text().contains("JupyterLab"),
        "{}",
        page.reply.text()
    );
    let hops = page.trail();
    let authorize = "GET /hub/api/oauth2/authorize?client_id=jupyterhub-user-tee&";
    assert_eq!(
        hops.iter().filter(|hop| hop.starts_with(authorize)).count(),
        1,
        "{hops:#?}"
    );
    assert_cookies(&tee);

    for protocol in [Protocol::V1, Protocol::Json] {
        let kernel = Kernel::start(&mut tee.browser, "/user/tee/").await;
        let mut channel = kernel.connect(&tee.browser, protocol).await;
        assert_eq!(channel.protocol(), protocol);
        assert_eq!(channel.run("1+1").await, "2");
    }

    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
    let page = tee.browser.get("/user/tee/lab").await;
    assert_eq!(
        page.trail(),
        [
            "GET /user/tee/lab 302 /hub/user/tee/lab",
            "GET /hub/user/tee/lab 424"
        ]
    );
}

/// Exactly the five of the contract: two names and their tokens for the hub's pages and for the
/// server's, and the one that ties them together.
fn assert_cookies(tee: &Visitor) {
    let cookies = tee.browser.cookies();
    let bare: Vec<&str> = cookies
        .iter()
        .map(|cookie| {
            cookie
                .trim_end_matches("; Lasting")
                .trim_end_matches("; SameSite=Lax")
        })
        .collect();
    assert_eq!(
        bare,
        [
            "jupyterhub-session-id; Path=/; HttpOnly",
            "_xsrf; Path=/hub/",
            "jupyterhub-hub-login; Path=/hub/; HttpOnly",
            "_xsrf; Path=/user/tee/",
            "jupyterhub-user-tee; Path=/user/tee/; HttpOnly",
        ]
    );
}
