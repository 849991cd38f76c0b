//! The harness does what its documentation says, shown against small servers and pretend hubs.

use std::fs;
use std::path::Path;

use http::{Method, Request, StatusCode};
use hub_tests::api::Api;
use hub_tests::browser::Browser;
use hub_tests::loopback::{Answer, Loopback};
use hub_tests::processes;
use hub_tests::setup::Setup;
use hub_tests::wait::until;
use hyper::body::Incoming;
use serde_json::json;

/// A site with a login like a hub's.
async fn site(request: Request<Incoming>) -> Answer {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let told = json!({
        "cookie": header("cookie"), "xsrf": header("x-xsrftoken"), "origin": header("origin"),
        "fetch": [header("sec-fetch-site"), header("sec-fetch-mode"), header("sec-fetch-dest")],
        "authorization": header("authorization"),
    });
    match (request.method().as_str(), request.uri().path()) {
        (_, "/away") => Answer::found("http://127.0.0.2:1/"),
        (_, "/round") => Answer::found("/round"),
        (_, "/user/tee/") => Answer::found("../../hub/login?next=%2Fuser%2Ftee%2F"),
        ("GET", "/hub/login") => Answer::new(
            StatusCode::OK,
            "<form method=post action='/hub/login?next=%2Fx'><input name=username>
             <input type=password name=password><input type=hidden name=_xsrf value=tok></form>",
        )
        .header("set-cookie", "_xsrf=tok; Path=/hub/"),
        ("POST", "/hub/login") => Answer::found("/hub/home")
            .header(
                "set-cookie",
                "login=\"2|1:0\"; Path=/hub/; HttpOnly; Max-Age=100",
            )
            .header("set-cookie", "session=s; Path=/; HttpOnly; SameSite=Lax")
            .header("set-cookie", "_xsrf=new; Path=/hub/"),
        (_, "/hub/logout") => Answer::found("/tell").header(
            "set-cookie",
            "login=; Path=/hub/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ),
        (_, "/hub/api/users/tee/server/progress") => Answer::new(
            StatusCode::OK,
            "\n\ndata: {\"progress\": 50, \"message\": \"half\"}\n\n
data: {\"progress\": 100, \"ready\": true, \"message\": \"done\"}\n\n",
        )
        .header("content-type", "text/event-stream"),
        _ => Answer::json(&told),
    }
}

#[tokio::test]
async fn a_browser_logs_in_as_a_person_would() {
    let server = Loopback::start(site).await;
    let mut browser = Browser::new(&server.origin());
    let page = browser.log_in("/user/tee/", "tee", "secret").await;
    assert_eq!(
        page.trail(),
        [
            "POST /hub/login?next=%2Fx 302 /hub/home",
            "GET /hub/home 200"
        ]
    );
    assert_eq!(
        browser.cookies(),
        [
            "session; Path=/; HttpOnly; SameSite=Lax",
            "_xsrf; Path=/hub/",
            "login; Path=/hub/; HttpOnly; Lasting",
        ]
    );
    let told = page.reply.json();
    assert_eq!(
        told["cookie"], "_xsrf=new; login=\"2|1:0\"; session=s",
        "the exact paths first"
    );
    assert_eq!(
        told["fetch"],
        json!(["same-origin", "navigate", "document"])
    );
    assert_eq!(
        told["origin"], "",
        "a redirect of a form arrives as a plain GET"
    );

    let page = browser.get("/user/tee/").await;
    let hops = ["GET /user/tee/ 302 ../../hub/login?next=%2Fuser%2Ftee%2F"];
    assert_eq!(page.trail()[..1], hops);
    assert_eq!(page.target(), "/hub/login?next=%2Fuser%2Ftee%2F");
    assert_eq!(
        browser.look("/user/tee/").await.trail(),
        hops,
        "a look follows nothing"
    );

    browser.get("/hub/logout").await;
    assert_eq!(browser.cookie("login", "/hub/"), None);
}

#[tokio::test]
async fn a_script_sends_the_token_it_can_read() {
    let server = Loopback::start(site).await;
    let mut browser = Browser::new(&server.origin());
    browser.set_cookie("_xsrf", "/hub/", "readable");
    let told = browser
        .fetch(Method::POST, "/hub/api/x", Some(&json!({})))
        .await
        .json();
    assert_eq!(
        (&told["xsrf"], &told["cookie"]),
        (&json!("readable"), &json!("_xsrf=readable"))
    );
    assert_eq!(told["fetch"], json!(["same-origin", "cors", "empty"]));
    assert_eq!(told["origin"], server.origin());
    let told = browser
        .fetch(Method::GET, "/user/tee/api", None)
        .await
        .json();
    assert_eq!(
        (&told["xsrf"], &told["cookie"]),
        (&json!(""), &json!("")),
        "another path"
    );
    let told = browser.get("/hub/x").await.reply.json();
    assert_eq!(told["fetch"], json!(["none", "navigate", "document"]));
    browser.forget("_xsrf", "/hub/");
    assert_eq!(browser.cookies(), [""; 0]);
}

#[tokio::test]
#[should_panic(expected = "led off the site")]
async fn a_browser_never_leaves_its_site() {
    let server = Loopback::start(site).await;
    Browser::new(&server.origin()).get("/away").await;
}

#[tokio::test]
#[should_panic(expected = "too many redirects")]
async fn a_browser_gives_up_on_a_round_of_redirects() {
    let server = Loopback::start(site).await;
    Browser::new(&server.origin()).get("/round").await;
}

#[tokio::test]
async fn a_program_sends_its_token_and_reads_a_stream_of_events() {
    let server = Loopback::start(site).await;
    let api = Api::new(&server.origin(), Some("abc"));
    assert_eq!(api.get("/user").await.json()["authorization"], "token abc");
    let events = api.progress("tee", "").await.to_end().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.progress, event.message.as_str()))
        .collect();
    assert_eq!(told, [(50, "half"), (100, "done")]);
    assert!(events[1].ready);
}

#[tokio::test]
async fn raw_bytes_arrive_as_they_are() {
    let server = Loopback::start(site).await;
    let origin = server.origin();
    let status = hub_tests::http::raw(&origin, b"GET /a/../b%2f HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(status.await, Some(StatusCode::OK));
    let status = hub_tests::http::raw(&server.origin(), b"GET /\x00 HTTP/1.1\r\n\r\n").await;
    assert_eq!(status, Some(StatusCode::BAD_REQUEST));
}

/// A hub that is a shell script beside this file: it says that it serves and leaves one server.
fn pretend() -> Setup {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/suite/pretend-hub");
    Setup::with_binary(script.into()).hub_env("PRETEND", "words of its own")
}

#[tokio::test]
async fn a_hub_is_started_ended_and_started_again_on_its_port() {
    let mut hub = pretend().start().await;
    let folder = hub.folder().to_owned();
    assert_eq!(hub.origin(), "http://127.0.0.1:4711");
    assert!(
        hub.log().contains("starting with words of its own"),
        "{}",
        hub.log()
    );
    let first = hub.pid();
    hub.kill().await;
    one_more_server(&folder, 1).await;
    hub.start_again().await;
    assert_ne!(hub.pid(), first);
    assert_eq!(hub.origin(), "http://127.0.0.1:4711");
    let config = fs::read_to_string(folder.join("hubd.toml")).unwrap();
    assert!(config.contains("127.0.0.1:4711"), "{config}");
    one_more_server(&folder, 2).await;
    assert_eq!(
        hub.terminate().await.code(),
        None,
        "a shell's tail has no handler"
    );
    drop(hub);
    assert_eq!(processes::of(&folder), [], "servers end with the test");
    assert!(!folder.exists());
}

async fn one_more_server(folder: &Path, count: usize) {
    until("the server of the pretend hub", async || {
        let found = processes::servers_of(folder);
        if found.len() == count {
            Ok(())
        } else {
            Err(format!("{found:#?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_has_the_code_and_the_words() {
    let prepare = |folder: &Path| {
        fs::create_dir(folder.join("state")).unwrap();
        fs::write(folder.join("state/forbidden"), "").unwrap();
    };
    let refusal = pretend().refusal(prepare).await;
    assert_eq!(refusal.status.code(), Some(3));
    for words in ["the state is not mine", "hub: refusing to start"] {
        assert!(refusal.output.contains(words), "{}", refusal.output);
    }
}

#[tokio::test]
#[should_panic(expected = "the hub serves although it should refuse")]
async fn a_hub_that_does_not_refuse_fails_the_test() {
    pretend().refusal(|_| ()).await;
}
