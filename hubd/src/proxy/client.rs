//! Who is asking: the browser's own address, scheme and host, as far as they can be believed.
//!
//! ```text
//! browser ----------------------> hubd     the socket's peer is the browser; X-Forwarded-* is its own invention
//! browser --> trusted proxy ----> hubd     the socket's peer is trusted, so its X-Forwarded-* counts
//! ```
//!
//! `X-Forwarded-For` is read from the right: the nearest address that is not a trusted proxy is
//! the client, and what stands further left is only that client's claim.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};

use super::trust::TrustedProxies;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub(super) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address; an IPv4 address that came over an IPv6 socket is an IPv4 address.
    pub(crate) ip: IpAddr,
    /// `Https` if the connection itself is encrypted.
    pub(crate) scheme: Scheme,
}

/// How the browser reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// What the hub learns about the client of a request; a typed request extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// The client's own address, stable behind trusted proxies.
    pub(crate) ip: IpAddr,
    /// The scheme in the browser's address bar.
    pub(crate) scheme: Scheme,
    /// The host (and port, unless it is the scheme's own) in the browser's address bar.
    pub(crate) host: String,
    /// Who it is, if a trusted proxy was to say so and did.
    pub(crate) identity: Option<String>,
}

impl Peer {
    /// The peer of an unencrypted connection.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self {
            ip: address.ip().to_canonical(),
            scheme: Scheme::Http,
        }
    }
}

impl Scheme {
    /// `http` or `https`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Http => "80",
            Self::Https => "443",
        })
    }

    /// WebSocket schemes count too: some proxies write those on upgrades.
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" | "ws" => Some(Self::Http),
            "https" | "wss" => Some(Self::Https),
            _ => None,
        }
    }
}

impl ClientInfo {
    /// Reads the client off a request with a sound `Host`, before any header is removed.
    pub(super) fn of(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let mut info = Self {
            ip: peer.ip,
            scheme: peer.scheme,
            host: host.unwrap_or_default().to_owned(),
            identity: None,
        };
        if trusted.contains(peer.ip) {
            info.ip = nearest_untrusted(peer.ip, headers, trusted);
            if let Some(scheme) = first(headers, &X_FORWARDED_PROTO).and_then(Scheme::read) {
                info.scheme = scheme;
            }
            if let Some(host) = first(headers, &X_FORWARDED_HOST).filter(|host| is_host(host)) {
                host.clone_into(&mut info.host);
            }
        }
        info
    }

    /// Takes the header out in which a trusted proxy names the user. From anybody else, and when it is
    /// not exactly one text, it says nothing.
    pub(super) fn take_identity(
        &mut self,
        peer: Peer,
        name: &HeaderName,
        headers: &mut HeaderMap,
        trusted: &TrustedProxies,
    ) {
        let said: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
        headers.remove(name);
        if let ([value], true) = (&*said, trusted.contains(peer.ip)) {
            let text = str::from_utf8(value.as_bytes()).ok().map(str::trim);
            self.identity = text.filter(|text| !text.is_empty()).map(str::to_owned);
        }
    }
}

/// What is written into a request to a user's server, computed before the incoming values go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forwarded {
    pub(super) chain: HeaderValue,
    pub(super) real_ip: HeaderValue,
    pub(super) proto: HeaderValue,
    pub(super) host: HeaderValue,
    pub(super) port: HeaderValue,
}

impl Forwarded {
    pub(super) fn of(
        peer: Peer,
        info: &ClientInfo,
        headers: &HeaderMap,
        trusted: &TrustedProxies,
    ) -> Self {
        let real_ip = text_value(&info.ip);
        let (mut chain, mut port) = (real_ip.clone(), None);
        if trusted.contains(peer.ip) {
            chain = appended(headers, peer.ip);
            port = first(headers, &X_FORWARDED_PORT)
                .and_then(|port| port.parse::<u16>().ok())
                .map(HeaderValue::from);
        }
        Self {
            chain,
            real_ip,
            proto: HeaderValue::from_static(info.scheme.as_str()),
            host: info
                .host
                .parse()
                .unwrap_or_else(|_| HeaderValue::from_static("")),
            port: port
                .or_else(|| split_port(&info.host).1?.parse().ok())
                .unwrap_or_else(|| info.scheme.default_port()),
        }
    }
}

/// Whether `text` is a host with an optional port, as a `Host` header may hold it.
///
/// Stricter than the grammar of URLs: no user part, no escapes, no comma, no port 0.
pub(super) fn is_host(text: &str) -> bool {
    let (name, port) = split_port(text);
    let sound_name = match name.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    };
    let sound_port = |port: &str| {
        port.bytes().all(|digit| digit.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    sound_name && port.is_none_or(sound_port)
}

/// Host and port; a bracketed address keeps its brackets and colons.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// The first entry of a comma-separated header, trimmed.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split(',').next().map(str::trim)
}

fn nearest_untrusted(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut nearest = peer;
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        for entry in line.to_str().unwrap_or_default().rsplit(',') {
            let Some(ip) = address(entry.trim()) else {
                return nearest;
            };
            nearest = ip;
            if !trusted.contains(ip) {
                return nearest;
            }
        }
    }
    nearest
}

/// An address as proxies write it: bare, bracketed, or with a port.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches('"');
    let bare = entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(entry)
        .parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|ip| ip.to_canonical())
}

/// The chain that came, and behind it the peer that brought it.
fn appended(headers: &HeaderMap, peer: IpAddr) -> HeaderValue {
    let mut chain = Vec::new();
    for line in headers.get_all(X_FORWARDED_FOR) {
        chain.extend_from_slice(line.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.to_string().as_bytes());
    HeaderValue::from_bytes(&chain).unwrap_or_else(|_| text_value(&peer))
}

/// Addresses are always legal header values.
fn text_value(text: &impl fmt::Display) -> HeaderValue {
    HeaderValue::from_str(&text.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn peer(ip: &str) -> Peer {
        Peer::plain(SocketAddr::new(ip.parse().unwrap(), 1))
    }

    #[test]
    fn an_ipv4_peer_is_one_over_any_socket() {
        let mapped = Peer::plain("[::ffff:10.0.0.1]:5".parse().unwrap());
        assert_eq!(mapped, peer("10.0.0.1"));
    }

    #[test]
    fn only_trusted_peers_speak_for_others() {
        let trusted = TrustedProxies::of(&["10.0.0.0/8"]);
        let told = headers(&[
            ("host", "inner:8000"),
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.9"),
            ("x-forwarded-proto", "https,http"),
            ("x-forwarded-host", "hub.example"),
        ]);
        let info = ClientInfo::of(peer("10.0.0.1"), &told, &trusted);
        assert_eq!(
            (info.ip.to_string().as_str(), info.scheme),
            ("1.2.3.4", Scheme::Https)
        );
        assert_eq!(info.host, "hub.example");

        let info = ClientInfo::of(peer("8.8.8.8"), &told, &trusted);
        assert_eq!(
            (info.ip.to_string().as_str(), info.scheme),
            ("8.8.8.8", Scheme::Http)
        );
        assert_eq!(info.host, "inner:8000");
    }

    #[test]
    fn the_client_is_the_nearest_untrusted_address() {
        let trusted = TrustedProxies::of(&["10.0.0.0/8", "::1"]);
        for (chain, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4:5678, 10.1.1.1", "1.2.3.4"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]\", ::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
            ("1.2.3.4, unknown", "10.0.0.1"),
            ("1.2.3.4, unknown, 10.1.1.1", "10.1.1.1"),
            ("", "10.0.0.1"),
        ] {
            let headers = headers(&[("x-forwarded-for", chain)]);
            let info = ClientInfo::of(peer("10.0.0.1"), &headers, &trusted);
            assert_eq!(info.ip.to_string(), expected, "{chain}");
        }
    }

    #[test]
    fn servers_are_told_one_consistent_story() {
        let trusted = TrustedProxies::of(&["10.0.0.0/8"]);
        let forwarded = |from: &str, told: &HeaderMap| {
            let info = ClientInfo::of(peer(from), told, &trusted);
            let forwarded = Forwarded::of(peer(from), &info, told, &trusted);
            [
                forwarded.chain,
                forwarded.real_ip,
                forwarded.proto,
                forwarded.host,
                forwarded.port,
            ]
        };
        let told = headers(&[
            ("host", "hub:8000"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "hub.example"),
            ("x-forwarded-port", "8443"),
        ]);
        assert_eq!(
            forwarded("8.8.8.8", &told),
            ["8.8.8.8", "8.8.8.8", "http", "hub:8000", "8000"]
        );
        assert_eq!(
            forwarded("10.0.0.1", &told),
            [
                "1.2.3.4, 10.0.0.1",
                "1.2.3.4",
                "https",
                "hub.example",
                "8443"
            ]
        );
        let told = headers(&[
            ("host", "hub:8000"),
            ("x-forwarded-proto", "wss"),
            ("x-forwarded-host", "a@b"),
        ]);
        assert_eq!(
            forwarded("10.0.0.1", &told),
            ["10.0.0.1", "10.0.0.1", "https", "hub:8000", "8000"]
        );
    }

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for (text, expected) in [
            ("hub.example", true),
            ("hub_1:8000", true),
            ("127.0.0.1:65535", true),
            ("[::1]", true),
            ("[::1]:80", true),
            ("", false),
            (":80", false),
            ("hub:", false),
            ("hub:0", false),
            ("hub:65536", false),
            ("hub:+80", false),
            ("hub:80:80", false),
            ("hub/path", false),
            ("user@hub", false),
            ("a,b", false),
            ("a b", false),
            ("a%2eb", false),
            ("[::1", false),
            ("[x]", false),
            ("::1", false),
        ] {
            assert_eq!(is_host(text), expected, "{text:?}");
        }
    }
}
