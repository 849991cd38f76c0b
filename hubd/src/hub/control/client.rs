//! The commands' side.

use std::io;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spawner_core::{Secret, UserName};
use tokio::net::UnixStream;

use super::{Address, Message, Status};
use crate::auth::accounts::{Account, Added, Deleted, Waiting};
use crate::auth::tokens::{NewTokenLine, OwnerName, TokenLine, TokenWish};
use crate::store::audit::{AuditQuery, Record};

/// How long an answer may take: longer than the hub waits for servers that it has to stop.
const PATIENCE: Duration = Duration::from_secs(100);
/// The longest answer: a list of a hundred thousand users.
const ANSWER_MAX: usize = 32 << 20;

/// A connection to the hub that runs, good for one call.
#[derive(Debug)]
pub(crate) struct Client(UnixStream);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The hub's own sentence.
    #[error("{0}")]
    Refused(String),
    #[error("the hub that is running did not answer within {} seconds", PATIENCE.as_secs())]
    Silent,
    #[error("the connection to the hub that is running broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Client {
    /// Connects to the hub that runs on `state_dir`; `None` if none does.
    pub(crate) async fn connect(state_dir: &Path) -> io::Result<Option<Self>> {
        let connected = match Address::of(state_dir) {
            Ok(address) => UnixStream::connect(&address.path).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => Ok(Some(Self(stream))),
            // Without a socket there is no hub; one that nobody listens at was left by a hub that was killed.
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Who runs, and where it serves.
    pub(crate) async fn status(self) -> Result<Status, CallError> {
        self.call(Method::GET, "/status", None).await
    }

    /// Everybody in the books.
    pub(crate) async fn list(self) -> Result<Vec<Account>, CallError> {
        self.call(Method::GET, "/users", None).await
    }

    /// Adds an account.
    pub(crate) async fn add(
        self,
        name: &UserName,
        admin: bool,
        password: &Secret,
    ) -> Result<Added, CallError> {
        let body = json!({"name": name, "admin": admin, "password": password.expose()});
        self.call(Method::POST, "/users", Some(body)).await
    }

    /// Changes a password.
    pub(crate) async fn set_password(
        self,
        name: &UserName,
        password: &Secret,
    ) -> Result<(), CallError> {
        let body = json!({"password": password.expose()});
        let path = format!("/users/{name}/password");
        self.call(Method::PUT, &path, Some(body)).await
    }

    /// Shuts a user out, or in again.
    pub(crate) async fn set_blocked(self, name: &UserName, blocked: bool) -> Result<(), CallError> {
        let path = format!("/users/{name}/blocked");
        let body = json!({"blocked": blocked});
        self.call(Method::PUT, &path, Some(body)).await
    }

    /// Takes an account from whoever has it at a login provider.
    pub(crate) async fn unbind(self, name: &UserName) -> Result<(), CallError> {
        let path = format!("/users/{name}/identity");
        self.call(Method::DELETE, &path, None).await
    }

    /// Everybody who asks for an account.
    pub(crate) async fn waiting(self) -> Result<Vec<Waiting>, CallError> {
        self.call(Method::GET, "/signups", None).await
    }

    /// Makes an account of a sign-up.
    pub(crate) async fn approve(self, name: &UserName) -> Result<(), CallError> {
        let path = format!("/signups/{name}");
        self.call(Method::POST, &path, None).await
    }

    /// Forgets a sign-up.
    pub(crate) async fn decline(self, name: &UserName) -> Result<(), CallError> {
        let path = format!("/signups/{name}");
        self.call(Method::DELETE, &path, None).await
    }

    /// Deletes a user.
    pub(crate) async fn delete(self, name: &UserName) -> Result<Deleted, CallError> {
        let path = format!("/users/{name}");
        self.call(Method::DELETE, &path, None).await
    }

    /// Makes a token.
    pub(crate) async fn new_token(
        self,
        owner: OwnerName,
        wish: TokenWish,
    ) -> Result<NewTokenLine, CallError> {
        let body = json!({"owner": owner, "wish": wish});
        self.call(Method::POST, "/tokens", Some(body)).await
    }

    /// The tokens of an owner, or all there are.
    pub(crate) async fn tokens(
        self,
        owner: Option<OwnerName>,
    ) -> Result<Vec<TokenLine>, CallError> {
        let body = json!({"owner": owner});
        self.call(Method::POST, "/tokens/list", Some(body)).await
    }

    /// Revokes a token.
    pub(crate) async fn revoke_token(self, id: &str) -> Result<TokenLine, CallError> {
        let body = json!({"id": id});
        self.call(Method::POST, "/tokens/revoke", Some(body)).await
    }

    /// Entries of the audit log, the latest first.
    pub(crate) async fn audit(self, query: &AuditQuery) -> Result<Vec<Record>, CallError> {
        self.call(Method::POST, "/audit", Some(json!(query))).await
    }

    async fn call<T: DeserializeOwned>(
        self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, CallError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "control")
            .header(header::CONNECTION, "close");
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        };
        let request = request.map_err(broken)?;
        let answer = tokio::time::timeout(PATIENCE, exchange(self.0, request));
        let (status, body) = answer.await.map_err(|_| CallError::Silent)??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(broken);
        }
        let message = match serde_json::from_slice(&body) {
            Ok(Message { message }) => message,
            Err(_) => format!("the hub answered {status}"),
        };
        Err(CallError::Refused(message))
    }
}

async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), CallError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(CallError::Broken)?.to_bytes();
        Ok((status, body))
    };
    // What becomes of the connection after the answer does not matter.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CallError {
    CallError::Broken(error.into())
}
