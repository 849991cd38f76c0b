//! What passes through the hub's proxy to a server, as the server sees it.

use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::kernel;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

async fn running(user: &str) -> TestHub {
    let hub = TestHub::start().await;
    hub.admin().create(&[user]).await;
    hub.admin().start(user).await;
    hub
}

/// The values of a header, in the order they arrived.
fn header<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = seen["headers"].as_array().into_iter().flatten();
    pairs
        .filter(|pair| pair[0] == name)
        .filter_map(|pair| pair[1].as_str())
        .collect()
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let hub = running("tee").await;
    let nobody = hub.api(None);
    let path = "/user/tee/a%2Fb/%C3%BC;x=1//c?q=%20&q=2&&=";
    let headers = [
        ("cookie", "a=\"b c\"; a=d"),
        ("authorization", "token of-the-server"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("x-scheme", "https"),
        ("forwarded", "for=203.0.113.9;proto=https"),
        ("connection", "x-of-this-hop"),
        ("x-of-this-hop", "1"),
        ("te", "trailers"),
        ("x-end-to-end", "1"),
    ];
    let seen = nobody
        .send(Method::PUT, path, &headers, "12345")
        .await
        .json();
    assert_eq!(
        (seen["method"].as_str(), seen["length"].as_u64()),
        (Some("PUT"), Some(5))
    );
    assert_eq!(seen["target"], path, "byte for byte");
    assert_eq!(
        header(&seen, "host"),
        [hub.origin().strip_prefix("http://").unwrap()]
    );
    assert_eq!(header(&seen, "cookie"), ["a=\"b c\"; a=d"]);
    assert_eq!(header(&seen, "authorization"), ["token of-the-server"]);
    assert_eq!(header(&seen, "x-end-to-end"), ["1"]);
    assert_eq!(header(&seen, "x-forwarded-proto"), ["http"]);
    let forwarded = header(&seen, "x-forwarded-for").join(",");
    assert_eq!(forwarded, "127.0.0.1", "a stranger's word is not passed on");
    for gone in ["x-scheme", "forwarded", "x-of-this-hop"] {
        assert_eq!(header(&seen, gone), [""; 0], "{gone}");
    }
    assert!(
        header(&seen, "x-real-ip")
            .iter()
            .all(|ip| *ip == "127.0.0.1"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_large_body_passes_and_each_method_does() {
    let hub = running("tee").await;
    let nobody = hub.api(None);
    let body = vec![b'x'; 20 << 20];
    let seen = nobody
        .send(Method::POST, "/user/tee/upload", &[], body)
        .await
        .json();
    assert_eq!(seen["length"], 20 << 20);
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let seen = nobody
            .send(method.clone(), "/user/tee/x", &[], "")
            .await
            .json();
        assert_eq!(seen["method"], method.as_str());
    }
}

#[tokio::test]
async fn a_web_socket_passes_both_ways_and_ends_with_its_server() {
    let hub = running("tee").await;
    let mut browser = hub.browser();
    let opened = kernel::open(&browser, "/user/tee/echo", browser.origin(), None).await;
    let (mut socket, _) = opened.expect("101");
    for size in [0, 1, 126, 70_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    hub.admin().stop("tee").await;
    let end = hub_tests::wait::within("the end of the WebSocket", socket.next()).await;
    assert!(
        !matches!(end, Some(Ok(Message::Text(_) | Message::Binary(_)))),
        "{end:?}"
    );
    let refused = kernel::open(&browser, "/user/tee/echo", browser.origin(), None).await;
    assert!(refused.unwrap_err() != StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(browser.look("/user/tee/echo").await.status(), 302);
    assert!(
        browser
            .get("/user/tee/echo")
            .await
            .url
            .path()
            .starts_with("/hub/login")
    );
}

#[tokio::test]
async fn a_name_that_needs_escapes_has_one_server_under_each_spelling() {
    let hub = running("a@b.c+d").await;
    let nobody = hub.api(None);
    for path in [
        "/user/a@b.c+d/x",
        "/user/a%40b.c%2Bd/x",
        "/user/%61@b.c+d/x",
    ] {
        let reply = nobody.send(Method::GET, path, &[], "").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(
            reply.json()["target"],
            path,
            "routed by meaning, passed on as written"
        );
    }
    let model = hub.admin().get("/users/a@b.c+d").await.json();
    assert_eq!(model["servers"][""]["url"], "/user/a@b.c%2Bd/");
}

#[tokio::test]
async fn only_whole_segments_match() {
    let hub = running("tee").await;
    let mut browser = hub.browser();
    for path in [
        "/user/te/",
        "/user/teex/",
        "/user/tee%2Fx/",
        "/users/tee/",
        "/user/",
    ] {
        let page = browser.look(path).await;
        assert_ne!(page.status(), 200, "{path}");
        assert!(page.status() < 500, "{path}: {}", page.status());
    }
    assert_eq!(
        browser.look("/user/ann/x?y=1").await.trail(),
        ["GET /user/ann/x?y=1 302 /hub/user/ann/x?y=1"]
    );
    assert_eq!(browser.look("/").await.trail(), ["GET / 302 /hub/"]);
}
