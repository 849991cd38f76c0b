//! Requests without a network, and their answers.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes, to_bytes};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Login, token_of};
use crate::proxy::{ClientInfo, Scheme};

/// A request on its way.
pub(in crate::api) struct Ask {
    router: Router,
    request: Request<Body>,
}

impl Ask {
    pub(super) fn new(router: Router, method: &str, path: &str) -> Self {
        let client = ClientInfo {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            scheme: Scheme::Http,
            host: "hub.test:8000".to_owned(),
            identity: None,
        };
        let uri = format!("/hub/api{path}");
        let request = Request::builder().method(method).uri(uri).extension(client);
        let request = request.body(Body::empty()).unwrap();
        Self { router, request }
    }

    /// Replaces a header.
    pub(in crate::api) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        let name = HeaderName::from_static(name);
        self.request.headers_mut().insert(name, value);
        self
    }

    pub(in crate::api) fn token(self, text: &str) -> Self {
        self.header("authorization", &format!("token {text}"))
    }

    pub(in crate::api) fn user(self, name: &str) -> Self {
        self.token(&token_of(name))
    }

    pub(in crate::api) fn admin(self) -> Self {
        self.user("admin")
    }

    pub(in crate::api) fn cookies(self, login: &Login) -> Self {
        self.header("cookie", &login.cookies)
    }

    pub(in crate::api) fn over_https(mut self) -> Self {
        let client = self.request.extensions_mut().get_mut::<ClientInfo>();
        let client = client.unwrap();
        client.scheme = Scheme::Https;
        client.host = "hub.test".to_owned();
        self
    }

    pub(in crate::api) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string().as_bytes())
    }

    /// A body of known length.
    pub(in crate::api) fn body(mut self, body: &[u8]) -> Self {
        let length = body.len().to_string();
        *self.request.body_mut() = Body::from(body.to_vec());
        self.header("content-length", &length)
    }

    /// A body in pieces, whose length nobody knows before.
    pub(in crate::api) fn chunked(mut self, body: &[u8]) -> Self {
        let pieces: Vec<_> = body.chunks(4096).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        *self.request.body_mut() = Body::from_stream(pieces);
        self
    }

    pub(in crate::api) async fn send(self) -> Reply {
        let (parts, body) = self.answer().await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    /// Sends it and leaves the answer's body where it is.
    pub(in crate::api) async fn stream(self) -> Streamed {
        let (parts, body) = self.answer().await.into_parts();
        Streamed {
            status: parts.status,
            headers: parts.headers,
            body: body.into_data_stream(),
        }
    }

    async fn answer(self) -> Response<Body> {
        self.router.oneshot(self.request).await.unwrap()
    }
}

/// A whole answer.
pub(in crate::api) struct Reply {
    pub(in crate::api) status: StatusCode,
    pub(in crate::api) text: String,
    /// Null if the body is no JSON.
    pub(in crate::api) json: Value,
    headers: HeaderMap,
}

impl Reply {
    pub(in crate::api) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What an error says; empty if it is none.
    pub(in crate::api) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}

/// An answer that comes in pieces.
pub(in crate::api) struct Streamed {
    pub(in crate::api) status: StatusCode,
    headers: HeaderMap,
    body: BodyDataStream,
}

impl Streamed {
    pub(in crate::api) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The next piece; `None` at the end.
    pub(in crate::api) async fn next(&mut self) -> Option<String> {
        let piece = self.body.next().await?.unwrap();
        Some(String::from_utf8(piece.to_vec()).unwrap())
    }
}
