//! What is asked of an engine.

use http::Method;

/// A call, without what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Ping,
    Version,
    Info,
    Events,
    Create,
    Start,
    Stop,
    Kill,
    Remove,
    Inspect,
    List,
    Logs,
    ImageInspect,
    Pull,
    Network,
    Other,
}

impl Verb {
    pub(crate) const ALL: [Self; 16] = [
        Self::Ping,
        Self::Version,
        Self::Info,
        Self::Events,
        Self::Create,
        Self::Start,
        Self::Stop,
        Self::Kill,
        Self::Remove,
        Self::Inspect,
        Self::List,
        Self::Logs,
        Self::ImageInspect,
        Self::Pull,
        Self::Network,
        Self::Other,
    ];

    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = strip_version(path);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            (_, ["_ping"]) => Self::Ping,
            (_, ["version"]) => Self::Version,
            (_, ["info"]) => Self::Info,
            (_, ["events"]) => Self::Events,
            ("POST", ["containers", "create"]) => Self::Create,
            ("GET", ["containers", "json"]) => Self::List,
            ("GET", ["containers", _, "json"]) => Self::Inspect,
            ("GET", ["containers", _, "logs"]) => Self::Logs,
            ("POST", ["containers", _, "start"]) => Self::Start,
            ("POST", ["containers", _, "stop"]) => Self::Stop,
            ("POST", ["containers", _, "kill"]) => Self::Kill,
            ("DELETE", ["containers", _]) => Self::Remove,
            ("POST", ["images", "create"]) => Self::Pull,
            ("GET", ["images", .., "json"]) => Self::ImageInspect,
            ("GET", ["networks", _]) => Self::Network,
            _ => Self::Other,
        }
    }
}

/// The path without `/v1.41` before it.
pub(crate) fn strip_version(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/v") else {
        return path;
    };
    match rest.find('/') {
        Some(end) if rest[..end].bytes().all(|b| b.is_ascii_digit() || b == b'.') => &rest[end..],
        _ => path,
    }
}
