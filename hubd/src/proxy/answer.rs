//! What the proxy says itself: a request it refuses, a path that is nobody's, a server that does
//! not answer.
//!
//! Nothing of a request is ever repeated in an answer, so there is nothing to escape. Browsers get
//! a small page, programs get `{"status", "message"}` as from the REST API.

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::body::Body;

/// What a 405 of the proxy says that is served, by the hub or by servers.
const SERVED_METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";

/// A request that is answered here, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// One sentence without the request's own words in it.
    pub(super) reason: &'static str,
    /// Whether the rest of the connection is in doubt, too.
    pub(super) close: bool,
}

impl Refusal {
    /// A request whose meaning is in doubt: refused, and the connection with it.
    pub(super) const fn malformed(reason: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason,
            close: true,
        }
    }

    /// A sound request for something that is not served.
    pub(super) const fn plain(status: StatusCode, reason: &'static str) -> Self {
        Self {
            status,
            reason,
            close: false,
        }
    }

    pub(super) fn respond(self, reader: Reader) -> Response<Body> {
        let (title, text) = ("This request cannot be served", self.reason);
        let mut response = reader.answer(self.status, title, text, "");
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            let served = HeaderValue::from_static(SERVED_METHODS);
            response.headers_mut().insert(ALLOW, served);
        }
        if self.close {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}

/// For whom an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Browser,
    Program,
}

impl Reader {
    /// Whoever names HTML among the types it accepts.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepts_html = headers
            .get_all(ACCEPT)
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")));
        if accepts_html {
            Self::Browser
        } else {
            Self::Program
        }
    }

    /// A path below no prefix of ours.
    pub(super) fn not_ours(self, base: &str) -> Response<Body> {
        self.answer(
            StatusCode::NOT_FOUND,
            "There is nothing here",
            "The hub lives below another path.",
            &link(base, "Go to the hub"),
        )
    }

    /// A server that cannot be reached, or hung up before it answered. JupyterLab offers a restart
    /// exactly on 503.
    pub(super) fn no_server(self, status: StatusCode, base: &str) -> Response<Body> {
        self.answer(
            status,
            "This server does not answer",
            "It may have stopped, or it may still be starting. Your files are safe.",
            &link(&format!("{base}hub/home"), "Go to your servers"),
        )
    }

    fn answer(self, status: StatusCode, title: &str, text: &str, more: &str) -> Response<Body> {
        let (kind, body) = match self {
            Self::Browser => ("text/html; charset=utf-8", page(title, text, more)),
            Self::Program => {
                let message = format!("{title}. {text}");
                let body = serde_json::json!({"status": status.as_u16(), "message": message});
                ("application/json", body.to_string())
            }
        };
        let mut response = Response::new(Body::Text(Full::new(Bytes::from(body))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

/// The answer to a WebSocket that leads nowhere: browsers show nothing of a body.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Text(Full::default()));
    *response.status_mut() = status;
    response
}

const HEADERS: [(HeaderName, &str); 3] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

fn link(path: &str, text: &str) -> String {
    format!(
        "<p><a href=\"{}\">{text}</a></p>",
        spawner_core::escape_html(path)
    )
}

fn page(title: &str, text: &str, more: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;\
         padding:0 1rem}}</style></head>\n<body><main><h1>{title}</h1><p>{text}</p>{more}</main>\
         </body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(response: Response<Body>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn accepting(accept: &'static str) -> Reader {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        Reader::of(&headers)
    }

    #[tokio::test]
    async fn a_dead_server_is_a_page_for_browsers_and_json_for_programs() {
        let reader = accepting("text/html,application/xhtml+xml,*/*;q=0.8");
        let response = reader.no_server(StatusCode::SERVICE_UNAVAILABLE, "/j&b/");
        assert_eq!(response.status(), 503);
        assert_eq!(
            response.headers()["content-type"],
            "text/html; charset=utf-8"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let page = text(response).await;
        assert!(page.contains("href=\"/j&amp;b/hub/home\""), "{page}");

        let response = accepting("*/*").no_server(StatusCode::SERVICE_UNAVAILABLE, "/");
        assert_eq!(response.headers()["content-type"], "application/json");
        let json: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(json["status"], 503);
    }

    #[test]
    fn a_doubtful_request_ends_its_connection() {
        let refusal = Refusal::malformed("why");
        let response = refusal.respond(Reader::Program);
        assert_eq!(response.headers()["connection"], "close");
        let refusal = Refusal::plain(StatusCode::METHOD_NOT_ALLOWED, "why");
        let response = refusal.respond(Reader::Program);
        assert!(!response.headers().contains_key("connection"));
        assert_eq!(response.headers()["allow"], SERVED_METHODS);
    }
}
