//! What a crash left in the world and not in the books: taken up or ended by the next hub.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::processes::Process;
use hub_tests::visit::Visitor;
use hub_tests::wait::until;
use rusqlite::Connection;
use serde_json::Value;

/// A hub that was killed while tee's server ran, the server's processes, and its token.
async fn crashed() -> (TestHub, Visitor, Vec<Process>, String) {
    let mut hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    let environment = tee.browser.fetch(Method::GET, "/user/tee/env", None).await;
    let token = environment.json()["JUPYTERHUB_API_TOKEN"].clone();
    let token = token.as_str().expect("the server's token").to_owned();
    let servers = hub.servers();
    assert_eq!(servers.len(), 1);
    hub.kill().await;
    (hub, tee, servers, token)
}

fn books(hub: &TestHub) -> Connection {
    Connection::open(hub.state_dir().join("hubd.sqlite")).expect("the books")
}

async fn assert_ended(hub: &mut TestHub, token: &str) {
    hub.start_again().await;
    hub.until_no_server_is_left().await;
    let reply = hub.api(Some(token)).get("/user").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "its token is dead");
    until("the hub to say so", async || {
        let log = hub.log();
        let says = log.contains("ended what an earlier hub left");
        if says { Ok(()) } else { Err(log) }
    })
    .await;
    hub.admin().start("tee").await;
    assert_eq!(hub.servers().len(), 1);
    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
}

#[tokio::test]
async fn a_server_that_is_not_in_the_books_is_ended() {
    let (mut hub, _, _, token) = crashed().await;
    let forget = "PRAGMA foreign_keys = ON; DELETE FROM tokens; DELETE FROM oauth_clients;
        DELETE FROM servers;";
    books(&hub).execute_batch(forget).expect("rows");
    assert_ended(&mut hub, &token).await;
}

#[tokio::test]
async fn a_server_that_the_books_call_stopped_is_ended() {
    let (mut hub, _, _, token) = crashed().await;
    let stop = "PRAGMA foreign_keys = ON; DELETE FROM tokens; DELETE FROM oauth_clients;
        UPDATE servers SET stage = 'stopped', launch_id = NULL, state = NULL, endpoint = NULL,
        started = NULL;";
    books(&hub).execute_batch(stop).expect("rows");
    assert_ended(&mut hub, &token).await;
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_taken_up() {
    let (mut hub, mut tee, before, token) = crashed().await;
    let cut = "UPDATE servers SET stage = 'starting', state = NULL, endpoint = NULL;";
    books(&hub).execute_batch(cut).expect("rows");
    hub.start_again().await;
    hub.admin().until_ready("tee").await;
    assert_eq!(hub.servers(), before);
    let page = tee.browser.get("/user/tee/lab").await;
    assert_eq!(page.trail(), ["GET /user/tee/lab 200"]);
    let own = hub.api(Some(&token)).get("/user").await;
    assert_eq!(own.json()["name"], "tee", "its token is still good");
    let log = hub.log();
    assert!(!log.contains("ended what an earlier hub left"), "{log}");

    // It is in the books now.
    hub.kill().await;
    hub.start_again().await;
    hub.admin().until_ready("tee").await;
    assert_eq!(hub.servers(), before);
    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
}

#[tokio::test]
async fn a_state_that_cannot_be_read_needs_attention_and_touches_nobody() {
    let bent: [fn(&mut Value); 7] = [
        |state| *state = "no object".into(),
        |state| state["version"] = 99.into(),
        |state| state["data"]["pid"] = 0.into(),
        |state| state["data"]["pid"] = 1.into(),
        |state| state["data"]["pid"] = (-1).into(),
        |state| state["data"]["pid"] = (1_u64 << 31).into(),
        |state| state["data"]["pid"] = "7".into(),
    ];
    let (mut hub, _, before, _) = crashed().await;
    let text = "SELECT state FROM servers";
    let state: String = books(&hub)
        .query_row(text, (), |row| row.get(0))
        .expect("a state");
    let state: Value = serde_json::from_str(&state).expect("JSON");
    assert!(state["data"]["pid"].is_i64(), "{state}");
    let mut texts = vec!["{\"version\": 1, \"data\"".to_owned()];
    for bend in bent {
        let mut bad = state.clone();
        bend(&mut bad);
        texts.push(bad.to_string());
    }
    for text in texts {
        let write = "UPDATE servers SET state = ?1";
        books(&hub).execute(write, [&text]).expect("a row");
        hub.start_again().await;
        let user = hub.admin().get("/users/tee").await.json();
        assert_eq!(user["pending"], "check", "{text}: {user}");
        assert_eq!(hub.servers(), before, "{text}: nothing was signalled");
        let start = hub.admin().post("/users/tee/server", None).await;
        assert_eq!(
            start.status,
            StatusCode::BAD_REQUEST,
            "{text}: {}",
            start.text()
        );
        assert!(hub.log().contains("needs attention"), "{}", hub.log());
        hub.kill().await;
    }
    // An admin can stop it, and then nothing of it is left.
    hub.start_again().await;
    hub.admin().stop("tee").await;
    hub.until_no_server_is_left().await;
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
    hub.admin().start("tee").await;
}
