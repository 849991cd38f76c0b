//! Who makes a request, as an extractor that comes before everything else of a handler.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::error::{ApiError, sentence};
use crate::app::{App, AppState, NotAdmitted, client_of};
use crate::auth::caller::Caller;
use crate::auth::xsrf::need::{Credential, Door};
use crate::people::By;
use crate::scopes::ScopeSet;
use crate::store::audit::{Action, Actor, Entry};

/// After how many seconds to ask again whom the hub cannot tell.
const DOUBT_LASTS: u64 = 5;

/// Somebody who has shown who they are, by token or by cookie. Anybody else gets a 403, never a
/// 401: a single-user server takes any other status for a failure of the hub.
#[derive(Debug)]
pub(crate) struct ApiCaller(pub(super) Caller, Actor);

/// As [`ApiCaller`], for the one door that can also be opened with a password in the body.
#[derive(Debug)]
pub(super) struct MaybeCaller(pub(super) Option<Caller>);

impl ApiCaller {
    /// What they may do.
    pub(super) fn rights(&self) -> &ScopeSet {
        &self.0.rights
    }

    /// How the audit log names them.
    pub(super) fn actor(&self) -> Actor {
        self.1.clone()
    }

    /// What the audit log is to say of something that they do.
    pub(super) fn entry(&self, action: Action) -> Entry {
        Entry::new(self.actor(), action)
    }

    /// Whether they carry the admin flag, which no scope stands for.
    pub(super) fn is_admin(&self, app: &App) -> bool {
        self.0.is_admin(&app.directory)
    }

    /// Who changes something that the rules of `people` are about.
    pub(super) fn by(&self) -> By<'_> {
        By {
            caller: &self.0,
            actor: self.actor(),
        }
    }
}

/// The answer to credentials that are no good, or that nobody can look up at the moment.
fn not_admitted(error: NotAdmitted) -> ApiError {
    if error.may_pass() {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence(&error)).retry_after(DOUBT_LASTS)
    } else {
        ApiError::forbidden(sentence(&error))
    }
}

/// The answer to a request without credentials.
pub(super) fn stranger() -> ApiError {
    ApiError::forbidden("Who are you? Send a token (Authorization: token ...), or log in first.")
}

impl FromRequestParts<AppState> for ApiCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let admitted = app.admit(parts, Door::Api, None);
        let caller = admitted.map_err(not_admitted)?;
        let caller = caller.ok_or_else(stranger)?;
        refuse_forms(parts, &caller)?;
        let actor = caller.actor(client_of(parts).ip);
        Ok(Self(caller, actor))
    }
}

impl FromRequestParts<AppState> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let known = app.callers.identify(&parts.headers);
        // Who brings no credential that a browser sends unasked needs no XSRF token either.
        match known.map_err(|error| not_admitted(error.into()))? {
            None => Ok(Self(None)),
            Some(_) => ApiCaller::from_request_parts(parts, app)
                .await
                .map(|ApiCaller(caller, _)| Self(Some(caller))),
        }
    }
}

/// Refuses what a plain form of another site could send with the browser's cookie. The XSRF token
/// protects as well; this holds also where that one leaked.
fn refuse_forms(parts: &Parts, caller: &Caller) -> Result<(), ApiError> {
    if parts.method.is_safe() || caller.credential() != Credential::Cookie {
        return Ok(());
    }
    let is_json = |value: &http::HeaderValue| {
        let essence = value.to_str().unwrap_or_default().split(';').next();
        essence.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    };
    if parts.headers.get_all(CONTENT_TYPE).iter().all(is_json) {
        Ok(())
    } else {
        Err(ApiError::forbidden(
            "A request with a login cookie must be sent as Content-Type: application/json.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::{Hub, token_of};

    #[tokio::test]
    async fn every_bad_credential_is_a_403_with_a_sentence() {
        let hub = Hub::new().await;
        let long = format!("token {}", "x".repeat(64 * 1024));
        for (header, words) in [
            (None, "Who are you?"),
            (Some("token wrong"), "unknown, expired or revoked"),
            (Some("token"), "one token"),
            (Some("token a b"), "one token"),
            (Some("Basic dTpw"), "Who are you?"),
            (Some(long.as_str()), "at most"),
        ] {
            let mut request = hub.get("/user");
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let reply = request.send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{header:?}");
            assert_eq!(reply.json["status"], 403);
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        let query = hub.get("/user?token=token-of-admin").send().await;
        assert_eq!(query.status, StatusCode::FORBIDDEN);
        for scheme in ["Bearer", "TOKEN", "bEARER"] {
            let header = format!("{scheme} {}", token_of("admin"));
            let reply = hub.get("/user").header("authorization", &header).send();
            assert_eq!(reply.await.status, StatusCode::OK, "{scheme}");
        }
    }

    /// A single-user server logs its visitor out when it hears 403, so "perhaps" is never 403.
    #[tokio::test]
    async fn who_cannot_be_told_is_asked_to_come_back() {
        let hub = Hub::new().await;
        let login = hub.log_in("alice").await;
        let forgotten = |path: &'static str| {
            let stale = hub
                .get(path)
                .header("cookie", "jupyterhub-hub-login=unknown");
            (hub.get(path).token("unknown"), stale)
        };
        for doubt in [true, false] {
            hub.app.store.doubt(doubt);
            let (token, cookie) = forgotten("/user");
            for request in [token, cookie] {
                let reply = request.send().await;
                let expected = if doubt { 503 } else { 403 };
                assert_eq!(reply.status.as_u16(), expected, "{}", reply.message());
                assert_eq!(reply.header("retry-after").is_some(), doubt);
            }
            let known = hub.get("/user").user("alice").send().await;
            assert_eq!(known.status, StatusCode::OK, "what is known is known");
            let known = hub.get("/user").cookies(&login).send().await;
            assert_eq!(known.status, StatusCode::OK);
            let nobody = hub.get("/user").send().await;
            assert_eq!(nobody.status, StatusCode::FORBIDDEN);
        }
    }

    #[tokio::test]
    async fn a_cookie_needs_the_xsrf_token_and_json() {
        let hub = Hub::new().await;
        let login = hub.log_in("admin").await;
        let post = |xsrf: bool, kind: &'static str| {
            let request = hub.post("/users/fresh").json(&json!({})).cookies(&login);
            let request = request.header("content-type", kind);
            if xsrf {
                request.header("x-xsrftoken", &login.xsrf)
            } else {
                request
            }
        };
        for kind in [
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/json2",
            "",
        ] {
            let reply = post(true, kind).send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{kind}");
            assert!(reply.message().contains("application/json"), "{kind}");
        }
        let unproven = post(false, "application/json").send().await;
        assert_eq!(unproven.status, StatusCode::FORBIDDEN);
        let good = post(true, "Application/JSON; charset=utf-8").send().await;
        assert_eq!(good.status, StatusCode::CREATED);
    }

    #[tokio::test]
    async fn scripts_need_the_xsrf_token_even_to_read() {
        let hub = Hub::new().await;
        let login = hub.log_in("alice").await;
        let get = |mode| {
            hub.get("/user")
                .cookies(&login)
                .header("sec-fetch-mode", mode)
        };
        assert_eq!(get("cors").send().await.status, StatusCode::FORBIDDEN);
        assert_eq!(get("navigate").send().await.status, StatusCode::OK);
        let shown = get("cors").header("x-xsrftoken", &login.xsrf).send().await;
        assert_eq!(shown.status, StatusCode::OK);
        let query = format!("/user?_xsrf={}", login.xsrf);
        let stream = hub
            .get(&query)
            .cookies(&login)
            .header("sec-fetch-mode", "cors");
        assert_eq!(stream.send().await.status, StatusCode::OK);
    }
}
