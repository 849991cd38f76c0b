//! Plain requests and responses.

use super::super::{Event, ProxyOptions, TrustedProxies};
use super::rig::{Rig, Server, nobody, route};

#[tokio::test]
async fn what_has_no_route_is_the_hubs() {
    let server = Server::echo().await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let claims = "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nRemote_User: root\r\n\
                  Cookie: jupyterhub-hub-login=x\r\nAuthorization: token t\r\n";
    let answer = rig.get("/user/alic%65x/a%2fb?next=%2F..", claims).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, told) = answer.split_once("\r\n\r\n").unwrap();
    let mut told: Vec<&str> = told.lines().collect();
    told[2..].sort_unstable();
    assert_eq!(
        told,
        [
            "hub GET /user/alic%65x/a%2fb?next=%2F..",
            "127.0.0.1 http hub",
            "authorization: token t",
            "connection: close",
            "cookie: jupyterhub-hub-login=x",
            "host: hub",
        ]
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_server_gets_the_request_as_it_was_sent() {
    let server = Server::echo().await;
    let rig = Rig::start(&[route("a@b", &server.endpoint)]).await;
    let answer = rig
        .ask(
            "PUT /user/a%40b/api/contents/x%2Fy%zz;?a=%2e&b=[1] HTTP/1.1\r\nHost: Hub.Example:80\r\n\
             Connection: close, x-hop\r\nX-Hop: 1\r\nContent-Length: 4\r\nOrigin: http://elsewhere\r\n\
             Cookie: a=1; jupyterhub-hub-login=secret; jupyterhub-session-id=s\r\n\r\nbody",
        )
        .await;
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let port = rig.address.port();
    assert_ne!(port, 80);
    let mut lines: Vec<&str> = seen
        .trim_end_matches("\r\n\r\nbody")
        .split("\r\n")
        .collect();
    assert_eq!(
        lines.remove(0),
        "PUT /user/a%40b/api/contents/x%2Fy%zz;?a=%2e&b=[1] HTTP/1.1"
    );
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "content-length: 4",
            "cookie: a=1; jupyterhub-session-id=s",
            "host: Hub.Example:80",
            "origin: http://elsewhere",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: Hub.Example:80",
            "x-forwarded-port: 80",
            "x-forwarded-proto: http",
            "x-real-ip: 127.0.0.1",
        ]
    );
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::echo_on_unix(&folder.path().join("socket"));
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let answer = rig.get("/user/alice", "").await;
    assert!(answer.contains("GET /user/alice HTTP/1.1\r\n"), "{answer}");
}

#[tokio::test]
async fn each_server_gets_its_own_requests_below_any_base() {
    let (al, alice, proj) = (
        Server::echo().await,
        Server::echo().await,
        Server::echo().await,
    );
    let rig = Rig::start_below("/jhub/", &[], ProxyOptions::default()).await;
    rig.publish(&[
        rig.route("al", &al.endpoint),
        rig.route("alice", &alice.endpoint),
        rig.route("alice:proj", &proj.endpoint),
    ]);
    for (path, counts) in [
        ("/jhub/user/al/ice", (1, 0, 0)),
        ("/jhub/user/alice/", (1, 1, 0)),
        ("/jhub/user/alice/proj", (1, 1, 1)),
        ("/jhub/user/alicex", (1, 1, 1)),
        ("/jhub/user/alice%2fproj/", (1, 1, 1)),
        ("/jhub/user/al/../alice/", (1, 1, 1)),
        ("/jhub/user/al/%2e%2e/alice/", (1, 1, 1)),
        ("/user/alice/", (1, 1, 1)),
    ] {
        rig.get(path, "").await;
        let seen = (al.connections(), alice.connections(), proj.connections());
        assert_eq!(seen, counts, "{path}");
    }
    let answer = rig.get("/user/alice/", "Accept: text/html\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("href=\"/jhub/\""), "{answer}");
    let answer = rig.get("/jhub", "").await;
    assert!(answer.contains("hub GET /jhub\n"), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_the_browser() {
    let server = Server::echo().await;
    let trusted_proxies = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let options = ProxyOptions {
        trusted_proxies,
        ..ProxyOptions::default()
    };
    let rig = Rig::start_below("/", &[route("alice", &server.endpoint)], options).await;
    let told = "X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: hub.example\r\nX-Forwarded-User: root\r\nX-Scheme: http\r\n";
    let answer = rig.get("/user/alice/", told).await;
    for line in [
        "\r\nhost: hub\r\n",
        "\r\nx-forwarded-for: 6.6.6.6, 1.2.3.4, 127.0.0.1\r\n",
        "\r\nx-real-ip: 1.2.3.4\r\n",
        "\r\nx-forwarded-proto: https\r\n",
        "\r\nx-forwarded-host: hub.example\r\n",
        "\r\nx-forwarded-port: 443\r\n",
    ] {
        assert!(answer.contains(line), "{line:?} in {answer}");
    }
    assert!(
        !answer.contains("root") && !answer.contains("x-scheme"),
        "{answer}"
    );
    let answer = rig.get("/hub/", told).await;
    assert!(answer.contains("1.2.3.4 https hub.example\n"), "{answer}");
}

#[tokio::test]
async fn a_server_speaks_for_itself_only() {
    let server = Server::start(async |mut wire| {
        while wire.request().await.is_some() {
            wire.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nService-Worker-Allowed: /\r\n\
                 Set-Cookie: jupyterhub-session-id=x\r\nSet-Cookie: a=1; Path=/\r\n\
                 Set-Cookie: b=1; Path=/user/alice/\r\nAlt-Svc: h3\r\nX-Mine: 1\r\n\r\nok",
            )
            .await;
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let answer = rig.get("/user/alice", "").await;
    let mut lines: Vec<&str> = answer
        .split("\r\n")
        .filter(|l| !l.starts_with("date"))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "",
            "HTTP/1.1 200 OK",
            "connection: close",
            "content-length: 2",
            "ok",
            "set-cookie: a=1; Path=/user/alice/",
            "set-cookie: b=1; Path=/user/alice/",
            "x-mine: 1",
        ]
    );
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_503_and_news_for_the_hub() {
    let endpoint = nobody().await;
    let mut rig = Rig::start(&[route("alice", &endpoint)]).await;
    let answer = rig.get("/user/alice/lab", "Accept: text/html\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("href=\"/hub/home\""), "{answer}");
    let Some(Event::Refused {
        server,
        endpoint: told,
    }) = rig.events.recv().await
    else {
        panic!("the hub was told something else");
    };
    assert_eq!((server.to_string().as_str(), told), ("alice", endpoint));
    let answer = rig
        .ask("POST /user/alice/api HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
        .await;
    assert!(
        answer.contains("\r\ncontent-type: application/json\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\"status\":503"), "{answer}");
    rig.stop().await;
    // Once a second is enough: the second request was no news.
    assert_eq!(rig.events.try_recv().ok(), None);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nobody");
    let rig = Rig::start(&[route("alice", &spawner_core::Endpoint::Unix { path })]).await;
    let answer = rig.get("/user/alice/", "").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn lengths_without_bodies_are_passed_on() {
    let server = Server::start(async |mut wire| {
        while let Some(request) = wire.request().await {
            wire.send(if request.starts_with("HEAD") {
                "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
            } else {
                "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"
            })
            .await;
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let answer = rig
        .ask("HEAD /user/alice/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.contains("\r\ncontent-length: 1234\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = rig.get("/user/alice/", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 304 Not Modified\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\netag: \"x\"\r\n"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_stays_one_even_of_a_get() {
    let server = Server::echo().await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    for method in ["GET", "POST", "SEARCH"] {
        let answer = rig
            .ask(&format!(
                "{method} /user/alice/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ))
            .await;
        assert!(
            answer.contains("\r\ntransfer-encoding: chunked\r\n"),
            "{answer}"
        );
        assert!(answer.contains("hello"), "{answer}");
    }
}

#[tokio::test]
async fn a_browser_may_wait_to_be_asked_for_its_body() {
    let server = Server::echo().await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send(
        "PUT /user/alice/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: 4\r\n\
         Expect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(wire.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send("body").await;
    let answer = wire.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nbody"), "{answer}");
}

#[tokio::test]
async fn an_old_client_gets_a_body_that_ends_with_its_connection() {
    let server = Server::start(async |mut wire| {
        wire.request().await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .await;
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let answer = rig
        .ask("GET /user/alice/ HTTP/1.0\r\nHost: hub\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(
        !answer.contains("chunked") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
}

#[tokio::test]
async fn use_is_told_once_per_interval_and_refusals_are_no_use() {
    let server = Server::start(async |mut wire| {
        while let Some(request) = wire.request().await {
            wire.send(if request.starts_with("GET /user/alice/ok") {
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 302 Found\r\nLocation: /hub/login\r\nContent-Length: 5\r\n\r\nlogin"
            })
            .await;
        }
    })
    .await;
    let mut rig = Rig::start(&[
        route("alice", &server.endpoint),
        route("bob", &server.endpoint),
    ])
    .await;
    rig.get("/user/bob/lab", "").await;
    rig.get("/user/alice/lab", "").await;
    rig.get("/user/alice/ok", "").await;
    let Some(Event::Activity { server: id, .. }) = rig.events.recv().await else {
        panic!("the hub was told something else");
    };
    assert_eq!(id.to_string(), "alice");
    rig.stop().await;
    assert_eq!(rig.events.try_recv().ok(), None);
}
