//! The static files of the pages: in the binary, addressed by content.
//!
//! A page links to `static/NAME?v=HASH`, and that address may be cached for ever: another content
//! has another hash. Without the right hash the file is served too, but asked for again each time.
//! Names are looked up in a table made from what was embedded; no request ever becomes a path.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, StatusCode};
use rust_embed::RustEmbed;

/// A year: the longest that caches take seriously.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "public, no-cache";
/// How many bytes of the SHA-256 name a content.
const HASH_BYTES: usize = 12;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/src/pages/static"]
struct Files;

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    Files::iter()
        .filter_map(|name| Some((name.to_string(), Asset::embedded(&name)?)))
        .collect()
});

/// One static file.
struct Asset {
    content: Bytes,
    content_type: &'static str,
    hash: String,
}

impl Asset {
    fn embedded(name: &str) -> Option<Self> {
        let file = Files::get(name)?;
        let digest = file.metadata.sha256_hash();
        Some(Self {
            content: Bytes::from(file.data.into_owned()),
            content_type: content_type(name),
            hash: URL_SAFE_NO_PAD.encode(&digest[..HASH_BYTES]),
        })
    }
}

/// The hash of a file's content, for its address; `None` for a file that there is not.
pub(crate) fn hash(name: &str) -> Option<&'static str> {
    ASSETS.get(name).map(|asset| asset.hash.as_str())
}

/// Answers a request for `static/NAME?v=VERSION`.
pub(crate) fn respond(name: &str, version: Option<&str>, request: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.get(name) else {
        return (StatusCode::NOT_FOUND, "There is no such file.\n").into_response();
    };
    let etag = format!("\"{}\"", asset.hash);
    let unchanged = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|known| matches(known, &etag));
    let lifetime = if version == Some(asset.hash.as_str()) {
        FOR_EVER
    } else {
        ASK_AGAIN
    };
    let headers = [
        (CACHE_CONTROL, lifetime),
        (ETAG, etag.as_str()),
        (CONTENT_TYPE, asset.content_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, Body::from(asset.content.clone())).into_response()
}

/// Whether a list of entity tags, as the browser sends it, names ours.
fn matches(known: &HeaderValue, etag: &str) -> bool {
    known.to_str().is_ok_and(|list| {
        list.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == etag || tag == "*")
    })
}

/// The type of a file by its ending; a test keeps the list complete.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn asked(if_none_match: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, if_none_match.parse().unwrap());
        headers
    }

    async fn body(response: Response) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[test]
    fn every_file_has_a_type() {
        let names: Vec<&str> = ASSETS.keys().map(String::as_str).collect();
        assert_eq!(names, ["logo.svg", "script.js", "style.css"]);
        for (name, asset) in ASSETS.iter() {
            assert_ne!(asset.content_type, "application/octet-stream", "{name}");
            assert_eq!(asset.hash.len(), 16);
        }
    }

    #[test]
    fn the_script_stays_small() {
        assert!(ASSETS["script.js"].content.len() < 9 * 1024);
    }

    #[tokio::test]
    async fn a_versioned_address_is_kept_for_ever() {
        let hash = hash("style.css").unwrap();
        let response = respond("style.css", Some(hash), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers[CACHE_CONTROL], FOR_EVER);
        assert_eq!(headers[CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[ETAG], format!("\"{hash}\""));
        assert_eq!(body(response).await, ASSETS["style.css"].content);
    }

    #[test]
    fn other_addresses_are_asked_for_again() {
        for version in [None, Some(""), Some("0123456789abcdef")] {
            let response = respond("script.js", version, &HeaderMap::new());
            assert_eq!(response.headers()[CACHE_CONTROL], ASK_AGAIN);
        }
    }

    #[tokio::test]
    async fn what_the_browser_has_is_not_sent_again() {
        let tag = format!("\"{}\"", hash("logo.svg").unwrap());
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".to_owned(),
        ] {
            let response = respond("logo.svg", None, &asked(&known));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[ETAG], tag);
            assert!(body(response).await.is_empty());
        }
        let response = respond("logo.svg", None, &asked("\"x\""));
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[test]
    fn names_are_never_paths() {
        for name in [
            "",
            ".",
            "../mod.rs",
            "./style.css",
            "static/style.css",
            "/etc/passwd",
            "//host/x",
            "C:\\x",
            "..%2fmod.rs",
            "style.css\0",
            "STYLE.CSS",
        ] {
            let response = respond(name, None, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name:?}");
        }
    }
}
