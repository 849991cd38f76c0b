//! A hub that ends, by itself or by force, takes no server with it and forgets none.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::Setup;
use hub_tests::visit::Visitor;
use hub_tests::wait::until;

#[tokio::test]
async fn a_server_survives_a_sigkill() {
    story(async |hub| hub.kill().await).await;
}

#[tokio::test]
async fn a_server_survives_a_sigterm() {
    story(async |hub| {
        assert_eq!(hub.terminate().await.code(), Some(0));
    })
    .await;
}

async fn story(end: impl AsyncFnOnce(&mut TestHub)) {
    let mut hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    let before = hub.servers();
    let token = hub.admin().token_for("tee").await;
    let model = hub.admin().get("/users/tee").await.json();

    end(&mut hub).await;
    assert_eq!(hub.servers(), before);
    hub.start_again().await;
    hub.admin().until_ready("tee").await;

    assert_eq!(hub.servers(), before);
    let page = tee.browser.get("/user/tee/lab").await;
    assert_eq!(page.trail(), ["GET /user/tee/lab 200"]);
    assert_eq!(
        tee.browser.get("/hub/home").await.trail(),
        ["GET /hub/home 200"]
    );
    assert_eq!(
        token.get("/user").await.status,
        StatusCode::OK,
        "its tokens are still good"
    );
    let adopted = hub.admin().get("/users/tee").await.json();
    for key in ["created", "server", "pending"] {
        assert_eq!(adopted[key], model[key], "{key}");
    }
    assert_eq!(
        adopted["servers"][""]["started"],
        model["servers"][""]["started"]
    );
    let environment = tee
        .browser
        .fetch(Method::GET, "/user/tee/env", None)
        .await
        .json();
    let own = hub.api(environment["JUPYTERHUB_API_TOKEN"].as_str());
    assert_eq!(
        own.get("/user").await.json()["name"],
        "tee",
        "the server's own token is too"
    );

    let again = hub.admin().post("/users/tee/server", None).await;
    assert_eq!(
        again.status,
        StatusCode::BAD_REQUEST,
        "it is still running: {}",
        again.text()
    );
    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
}

#[tokio::test]
async fn a_server_that_ended_meanwhile_is_not_believed_in() {
    let mut hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    hub.kill().await;
    hub_tests::processes::end_all(hub.folder());
    hub.start_again().await;
    hub.admin().until_stopped("tee").await;
    let page = tee.browser.get("/user/tee/").await;
    assert_eq!(page.status(), 424, "{:?}", page.trail());
    hub.admin().start("tee").await;
    assert_eq!(hub.servers().len(), 1);
}

#[tokio::test]
async fn a_start_that_a_crash_cut_off_leaves_no_process() {
    let setup = Setup::new()
        .set("limits.slow_spawn_timeout", 0.1)
        .server_env("FAKESU_NEVER_LISTEN", "1");
    let mut hub = setup.start().await;
    hub.admin().create(&["tee"]).await;
    assert_eq!(
        hub.admin().post("/users/tee/server", None).await.status,
        StatusCode::ACCEPTED
    );
    until("the server's process", async || {
        if hub.servers().len() == 1 {
            Ok(())
        } else {
            Err("none".to_owned())
        }
    })
    .await;
    hub.kill().await;
    hub.start_again().await;
    // Taken up or given up: either way it is in the books, and a stop ends it.
    let stop = hub.admin().delete("/users/tee/server").await;
    assert!(
        [202, 204].contains(&stop.status.as_u16()),
        "{} {}",
        stop.status,
        stop.text()
    );
    hub.admin().until_stopped("tee").await;
    hub.until_no_server_is_left().await;
}
