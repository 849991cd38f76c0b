//! Starting and stopping a server, from the pages and over REST.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use hub_tests::visit::Visitor;
use serde_json::{Value, json};

#[tokio::test]
async fn from_the_address_to_the_server_and_back() {
    let hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    let offer = tee.arrive().await;
    let pending = tee.press_start(&offer).await;
    assert!(pending.status() == 200, "{:?}", pending.trail());
    let events = tee.watch().await;
    assert!(
        events.is_sorted_by_key(|event| event.progress),
        "{events:#?}"
    );
    let (last, before) = events.split_last().unwrap();
    assert!(
        before.iter().all(|event| event.progress < 100),
        "only the hub says ready: {events:#?}"
    );
    assert_eq!(last.progress, 100);
    let page = tee.enter().await;
    assert_eq!(page.target(), "/user/tee/");
    assert_eq!(
        page.reply.json()["target"],
        "/user/tee/",
        "the server saw the path as it was asked"
    );

    assert_eq!(hub.servers().len(), 1);
    let home = tee.browser.get("/hub/home").await;
    assert_eq!(home.status(), 200);
    assert!(
        home.link("/user/tee").is_some(),
        "a way back to the server: {}",
        home.reply.text()
    );
    let spawn = tee.browser.look("/hub/spawn").await;
    assert_eq!(spawn.status(), 302, "nothing to start");

    let gone = tee
        .browser
        .fetch(Method::DELETE, "/hub/api/users/tee/server", None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
    hub.until_no_server_is_left().await;
    let page = tee.browser.get("/user/tee/lab?x=1").await;
    assert_eq!(
        page.trail(),
        [
            "GET /user/tee/lab?x=1 302 /hub/user/tee/lab?x=1",
            "GET /hub/user/tee/lab?x=1 424"
        ]
    );
    let reply = tee
        .browser
        .fetch(Method::GET, "/hub/user/tee/api/status", None)
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.media_type()),
        (424, "application/json")
    );
    assert!(reply.json()["message"].is_string());
}

#[tokio::test]
async fn over_rest() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let stopped = admin.get("/users/tee").await.json();
    assert_eq!(
        (&stopped["server"], &stopped["pending"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(stopped["servers"], json!({}));

    let start = admin.post("/users/tee/server", None).await;
    assert_eq!(
        (start.status, start.text().as_str()),
        (StatusCode::CREATED, "")
    );
    let ready = admin.get("/users/tee").await.json();
    assert_eq!(
        (&ready["server"], &ready["pending"]),
        (&json!("/user/tee/"), &Value::Null)
    );
    let server = &ready["servers"][""];
    assert_eq!(
        (
            &server["name"],
            &server["ready"],
            &server["stopped"],
            &server["url"]
        ),
        (
            &json!(""),
            &json!(true),
            &json!(false),
            &json!("/user/tee/")
        )
    );
    assert_eq!(server["progress_url"], "/hub/api/users/tee/server/progress");
    assert_eq!(server["full_name"], "tee/");
    assert_utc(&server["started"]);
    assert_utc(&server["last_activity"]);
    assert_utc(&ready["created"]);

    let again = admin.post("/users/tee/server", None).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(again.json()["message"], "tee is already running");
    let events = admin.progress("tee", "").await.to_end().await;
    assert_eq!(
        events.len(),
        1,
        "a ready server has the last event only: {events:#?}"
    );
    assert!(events[0].ready);

    for _ in 0..2 {
        let stop = admin.delete("/users/tee/server").await;
        assert_eq!(
            (stop.status, stop.text().as_str()),
            (StatusCode::NO_CONTENT, "")
        );
        assert!(hub.servers().is_empty(), "204 says that it is gone");
    }
    assert_eq!(admin.get("/users/tee").await.json()["servers"], json!({}));
    let progress = admin.get("/users/tee/server/progress").await;
    assert!(
        [400, 404].contains(&progress.status.as_u16()),
        "{}",
        progress.status
    );
}

#[tokio::test]
async fn with_the_options_of_a_form() {
    let form = "<label>Size <input name='size' value='1'></label>";
    let hub = Setup::new().set("spawner.options_form", form).start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    let offer = tee.arrive().await;
    let page = tee.press_start(&offer).await;
    assert!(
        hub.servers().is_empty(),
        "a form that is shown starts nothing"
    );
    let form = page.form("/hub/spawn").expect("the form of the spawner");
    assert!(
        form.fields.contains(&("size".to_owned(), "1".to_owned())),
        "{form:?}"
    );
    let page = tee.browser.submit(&form, &[("size", "<b>2")]).await;
    assert!(page.status() == 200, "{:?}", page.trail());
    tee.watch().await;
    let model = hub.admin().get("/users/tee").await.json();
    let options = &model["servers"][""]["user_options"];
    assert_eq!(
        options,
        &json!({ "size": ["<b>2"] }),
        "what was filled in, and nothing else"
    );
}

#[tokio::test]
async fn a_slow_start_is_pending_and_can_be_cancelled() {
    let setup = Setup::new()
        .set("limits.slow_spawn_timeout", 0.2)
        .server_env("FAKESU_NEVER_LISTEN", "1");
    let hub = setup.start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    for _ in 0..2 {
        let start = admin.post("/users/tee/server", None).await;
        assert_eq!(
            (start.status, start.text().as_str()),
            (StatusCode::ACCEPTED, "")
        );
    }
    let user = admin.get("/users/tee").await.json();
    assert_eq!(
        (&user["pending"], &user["server"]),
        (&json!("spawn"), &Value::Null)
    );
    assert_eq!(user["servers"][""]["ready"], false);
    assert_eq!(hub.servers().len(), 1, "the second request started nothing");

    let mut browser = hub.browser();
    let page = browser.log_in("/user/tee/", "tee", PASSWORD).await;
    assert_eq!(
        (page.status(), page.url.path()),
        (200, "/hub/spawn-pending/tee")
    );

    let mut events = browser.progress("tee", "").await;
    assert!(!events.next().await.unwrap().ready);
    let stop = admin.delete("/users/tee/server").await;
    assert!(
        [202, 204].contains(&stop.status.as_u16()),
        "{} {}",
        stop.status,
        stop.text()
    );
    admin.until_stopped("tee").await;
    hub.until_no_server_is_left().await;
    let last = events
        .to_end()
        .await
        .pop()
        .expect("the stream says how it ended");
    assert!(
        last.failed && !last.ready,
        "a cancelled start never says ready: {last:?}"
    );
}

#[tokio::test]
async fn a_stop_ends_the_stubborn_and_their_children() {
    stubborn("same").await;
}

#[tokio::test]
async fn a_stop_ends_children_that_left_the_session() {
    stubborn("own").await;
}

async fn stubborn(session: &str) {
    let setup = Setup::new()
        .server_env("FAKESU_CHILD", session)
        .server_env("FAKESU_IGNORE_TERM", "1")
        .set("spawner.simple.interrupt_timeout", 0.5)
        .set("spawner.simple.term_timeout", 0.5);
    let hub = setup.start().await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    assert_eq!(hub.servers().len(), 2);
    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
}

#[tokio::test]
async fn one_person_s_server_is_not_another_s() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee", "ann"]).await;
    admin.start("ann").await;
    let tee = admin.token_for("tee").await;
    for path in ["/users/ann", "/users/ann/server", "/users/nobody"] {
        assert_eq!(tee.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(
        tee.post("/users/ann/server", None).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        tee.delete("/users/ann/server").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(tee.get("/users").await.status, StatusCode::FORBIDDEN);
    assert_eq!(hub.servers().len(), 1);

    let mut browser = hub.browser();
    browser.log_in("/hub/home", "tee", PASSWORD).await;
    assert_eq!(browser.get("/hub/user/ann/").await.status(), 404);
    assert_eq!(
        browser.get("/hub/user/nobody/").await.status(),
        404,
        "no way to tell them apart"
    );
    assert_eq!(browser.get("/hub/spawn/ann").await.status(), 404);
}

/// UTC with microseconds, as `2026-11-21T19:19:54.992493Z`.
fn assert_utc(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let digits: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(digits, "9999-99-99T99:99:99.999999Z", "{value}");
}
