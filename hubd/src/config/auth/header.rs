//! `[auth.header]`: a proxy in front of the hub has asked who it is.

use http::HeaderName;

use super::super::reader::TableReader;
use super::super::spec::{KeySpec, TableSpec};
use super::super::value::{Fault, quote, some_text};

/// Headers that mean something else to somebody on the way.
const TAKEN: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "referer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// `[auth.header]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderTable {
    /// The header that names the user. From anybody but a trusted proxy it is dropped.
    pub(crate) name: HeaderName,
}

impl Default for HeaderTable {
    fn default() -> Self {
        Self {
            name: HeaderName::from_static("x-remote-user"),
        }
    }
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth.header",
    repeated: false,
    about: "For kind = \"header\". It is believed from `trusted_proxies` in [hub] only, and the proxy has\n\
            to drop or overwrite what its own clients send under that name.",
    keys: &[KeySpec::new(
        "name",
        "\"X-Remote-User\"",
        "The header that holds the name of the user.",
    )],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> HeaderTable {
    let read = table.get("name", |value| {
        let name = some_text(value)?;
        let parsed = HeaderName::try_from(name.as_str());
        let parsed = parsed.map_err(|_| Fault::new(format!("{} is no header", quote(&name))))?;
        let word = parsed.as_str();
        if TAKEN.contains(&word) || word.starts_with("x-forwarded-") || word.starts_with("sec-") {
            let message = format!("{} has a meaning of its own", quote(&name));
            return Err(Fault::new(message).help("take one such as `X-Remote-User`"));
        }
        if word.contains('_') {
            let message = "proxies drop or rewrite headers with `_`";
            return Err(Fault::new(message).help("write it with `-`"));
        }
        Ok(parsed)
    });
    let read = read.map_or_else(HeaderTable::default, |name| HeaderTable { name });
    table.finish();
    read
}
