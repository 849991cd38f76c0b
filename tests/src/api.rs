//! The REST API as a program with a token uses it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::http::{Reply, open, send, try_send};
use crate::progress::Events;
use crate::wait::until;

/// A program with one token, or with none.
#[derive(Debug, Clone)]
pub struct Api {
    origin: String,
    token: Option<String>,
}

impl Api {
    /// A program that calls the hub at `origin` (`http://127.0.0.1:8000`).
    pub fn new(origin: &str, token: Option<&str>) -> Self {
        Self {
            origin: origin.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    /// `GET`. Paths start with `/users`, say, and mean `/hub/api/users`.
    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    /// `POST` with a JSON body, or with an empty one.
    pub async fn post(&self, path: &str, body: Option<&Value>) -> Reply {
        self.call(Method::POST, path, body).await
    }

    /// `DELETE` without a body.
    pub async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None).await
    }

    /// Any method; the path is taken below `/hub/api`, byte for byte.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string);
        let headers: &[_] = if body.is_some() {
            &[(CONTENT_TYPE.as_str(), "application/json")]
        } else {
            &[]
        };
        let path = format!("/hub/api{path}");
        self.send(method, &path, headers, body.unwrap_or_default())
            .await
    }

    /// A call without a body, whose hub may be gone before it answers.
    pub async fn attempt(&self, method: Method, path: &str) -> Result<Reply, String> {
        try_send(self.request(method, &format!("/hub/api{path}"), &[], "")).await
    }

    /// Any request of this program: the whole path, and a body as it is.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        send(self.request(method, path, headers, body)).await
    }

    /// The progress stream of a user's server (`""` for the default one).
    pub async fn progress(&self, user: &str, server: &str) -> Events {
        let path = format!("/hub/api{}/progress", server_path(user, server));
        let reply = open(self.request(Method::GET, &path, &[], "")).await;
        Events::read(reply.unwrap_or_else(|error| panic!("{error}"))).await
    }

    /// Starts a user's default server and waits until it is ready.
    pub async fn start(&self, user: &str) {
        let reply = self.post(&server_path(user, ""), None).await;
        if reply.status == StatusCode::ACCEPTED {
            let last = self.progress(user, "").await.to_end().await.pop();
            assert!(
                last.as_ref().is_some_and(|event| event.ready),
                "{user} did not start: {last:?}"
            );
        } else {
            assert_eq!(
                reply.status,
                StatusCode::CREATED,
                "{user} did not start: {}",
                reply.text()
            );
        }
    }

    /// Stops a user's default server and waits until it is gone.
    pub async fn stop(&self, user: &str) {
        let reply = self.delete(&server_path(user, "")).await;
        let fine = [StatusCode::NO_CONTENT, StatusCode::ACCEPTED].contains(&reply.status);
        assert!(
            fine,
            "{user} did not stop: {} {}",
            reply.status,
            reply.text()
        );
        self.until_stopped(user).await;
    }

    /// Waits until the hub says that a user has no default server.
    pub async fn until_stopped(&self, user: &str) {
        let what = format!("the server of {user} to be stopped");
        until(&what, async || {
            let model = self.get(&format!("/users/{user}")).await.json();
            let servers = model["servers"]
                .as_object()
                .is_none_or(|servers| !servers.contains_key(""));
            if servers && model["pending"].is_null() {
                Ok(())
            } else {
                Err(model.to_string())
            }
        })
        .await;
    }

    /// Waits until the hub says that a user's default server is ready; after a restart it looks for
    /// each server first.
    pub async fn until_ready(&self, user: &str) {
        let what = format!("the server of {user} to be ready");
        until(&what, async || {
            let model = self.get(&format!("/users/{user}")).await.json();
            if model["servers"][""]["ready"] == true {
                Ok(())
            } else {
                Err(model.to_string())
            }
        })
        .await;
    }

    /// Makes users.
    pub async fn create(&self, users: &[&str]) {
        let body = serde_json::json!({ "usernames": users });
        let reply = self.post("/users", Some(&body)).await;
        assert_eq!(
            reply.status,
            StatusCode::CREATED,
            "{users:?}: {}",
            reply.text()
        );
    }

    /// A new token of a user with all that the user may do.
    pub async fn token_for(&self, user: &str) -> Self {
        let reply = self
            .post(
                &format!("/users/{user}/tokens"),
                Some(&serde_json::json!({})),
            )
            .await;
        assert_eq!(
            reply.status,
            StatusCode::CREATED,
            "{user}: {}",
            reply.text()
        );
        let token = reply.json()["token"].as_str().map(str::to_owned);
        Self {
            origin: self.origin.clone(),
            token: Some(token.expect("a token model has the token")),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("token {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(Full::new(body.into()))
            .unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }
}

/// `/users/NAME/server` or `/users/NAME/servers/SERVER`.
pub fn server_path(user: &str, server: &str) -> String {
    match server {
        "" => format!("/users/{user}/server"),
        server => format!("/users/{user}/servers/{server}"),
    }
}
