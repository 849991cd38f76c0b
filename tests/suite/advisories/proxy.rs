//! Where requests go, and where they come in.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use hub_tests::http::{raw, raw_reply};
use hub_tests::hub::TestHub;
use hub_tests::loopback::{Answer, Loopback};
use hub_tests::setup::Setup;

#[tokio::test]
pub(super) async fn cve_2022_21697_the_route_table_alone_names_targets() {
    let visits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&visits);
    let third = Loopback::start(move |_request| {
        seen.fetch_add(1, Ordering::SeqCst);
        async { Answer::new(StatusCode::OK, "the third party") }
    })
    .await;
    let authority = third.origin().replacen("http://", "", 1);
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    let own = hub.origin().replacen("http://", "", 1);
    let before = hub.trace();
    for target in [
        format!("http://{authority}/"),
        format!("http://{authority}/user/tee/"),
        format!("http://{own}@{authority}/user/tee/"),
        format!("http://tee@{own}/user/tee/"),
        format!("//{authority}/user/tee/"),
        format!("/user/tee@{authority}/"),
        format!(
            "/user/tee:{}/",
            third.origin().rsplit(':').next().unwrap_or_default()
        ),
        format!("/@{authority}/"),
        format!("{authority}/"),
        format!("/user/tee/../../../{authority}/"),
        format!("/proxy/{authority}/"),
        format!("/hub/user/{authority}/"),
    ] {
        for host in [own.as_str(), &authority, "evil.example"] {
            for method in ["GET", "CONNECT", "POST"] {
                let request = format!(
                    "{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-forwarded-host: {authority}\r\n\
                     content-length: 0\r\nconnection: close\r\n\r\n"
                );
                let text = raw_reply(hub.origin(), request.as_bytes()).await;
                assert!(
                    !text.contains("the third party"),
                    "{method} {target}: {text}"
                );
                let status = text.get(9..12).unwrap_or("400");
                // Who calls this hub by that name reaches the server that the path leads to here.
                let of_tee = text.contains("\"target\":\"/user/tee/\"");
                assert!(
                    ("300".."500").contains(&status) || of_tee && host == authority,
                    "{method} {target} {host}: {text:.300}"
                );
            }
        }
    }
    // Whatever the host is called, a user's prefix is that user's server.
    for host in [own.as_str(), &authority, "evil.example"] {
        let request =
            format!("GET /user/tee/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let text = raw_reply(hub.origin(), request.as_bytes()).await;
        assert!(
            text.contains("/user/tee/x") || text.starts_with("HTTP/1.1 4"),
            "{host}: {text}"
        );
    }
    assert_eq!(
        visits.load(Ordering::SeqCst),
        0,
        "nothing reached the third party"
    );
    hub.assert_no_trace(&before, "targets");
}

#[tokio::test]
pub(super) async fn cve_2024_28179_an_upgrade_opens_no_door() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    let before = hub.trace();
    for path in [
        "/hub/home",
        "/hub/token",
        "/hub/admin",
        "/hub/admin/events",
        "/hub/spawn/tee",
        "/hub/spawn-pending/tee",
        "/hub/api/user",
        "/hub/api/users",
        "/hub/api/users/tee",
        "/hub/api/users/tee/server/progress",
        "/hub/api/users/tee/tokens",
        "/hub/api/proxy",
        "/hub/user/tee/api/kernels/x/channels",
        "/user/tee/api/kernels/x/channels",
        "/user/tee/echo",
        "/services/stories/",
    ] {
        let plain = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let asked = raw(hub.origin(), plain.as_bytes()).await;
        for (origin, key) in [
            ("http://x", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("http://evil.example", "x"),
        ] {
            let upgrade = format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\nconnection: Upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
            );
            let upgraded = raw(hub.origin(), upgrade.as_bytes()).await;
            let upgraded = upgraded.expect("an answer");
            assert!(
                upgraded.is_redirection() || upgraded.is_client_error(),
                "{path}: {upgraded} (a plain request: {asked:?})"
            );
        }
        hub.assert_no_trace(&before, path);
    }
}

/// Protocol, address and port of every socket on which the process waits for others.
fn listening(pid: u32) -> BTreeSet<(String, IpAddr, u16)> {
    let folder = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(folder).expect("our own child's descriptors");
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inodes: BTreeSet<String> = links
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(link.to_owned())
        })
        .collect();
    let mut found = BTreeSet::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{protocol}"));
        for line in table.expect("the table").lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields[1], fields[3], fields[9]);
            // 0A listens; a UDP socket that is bound and not connected is in state 07.
            let waits = if protocol.starts_with("tcp") {
                state == "0A"
            } else {
                state == "07"
            };
            if waits && inodes.contains(inode) {
                let (address, port) = local.split_once(':').expect("an address and a port");
                let port = u16::from_str_radix(port, 16).expect("a port");
                found.insert((protocol.to_owned(), address_of(address), port));
            }
        }
    }
    found
}

/// The kernel writes addresses as words of the machine, in hex.
fn address_of(hex: &str) -> IpAddr {
    let words: Vec<u32> = (0..hex.len() / 8)
        .map(|at| u32::from_str_radix(&hex[at * 8..at * 8 + 8], 16).expect("hex"))
        .collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Ipv4Addr::from(bytes).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).expect("16 bytes")).into(),
    }
}

#[tokio::test]
pub(super) async fn cve_2025_32428_the_hub_listens_where_it_was_told_to() {
    for bind in ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"] {
        let hub = Setup::new().set("hub.bind", bind).start().await;
        let (address, port) = hub.origin()[7..].rsplit_once(':').expect("a port");
        let address: IpAddr = address
            .trim_matches(['[', ']'])
            .parse()
            .expect("an address");
        let protocol = if address.is_ipv6() { "tcp6" } else { "tcp" };
        let port = port.parse().expect("a number");
        let expected = BTreeSet::from([(protocol.to_owned(), address, port)]);
        assert_eq!(listening(hub.pid()), expected, "{bind}");
        hub.admin().create(&["tee"]).await;
        hub.admin().start("tee").await;
        assert_eq!(listening(hub.pid()), expected, "{bind}, with a server");
    }
}
