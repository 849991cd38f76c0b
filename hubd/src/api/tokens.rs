//! `{api}/users/NAME/tokens`: a user's tokens.
//!
//! The text of a token is in the answer that made it and nowhere else.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use jiff::Timestamp;
use serde::Serialize;
use spawner_core::error_chain;
use utoipa::ToSchema;

use super::caller::{ApiCaller, MaybeCaller, stranger};
use super::error::{ApiError, sentence};
use super::openapi::{Asked, Busy, Named, OfToken, OfUser, Sent};
use super::path::Segments;
use super::token_model::{NewTokenModel, TokenModel};
use super::token_wish::{Password, Wish, refused};
use super::{access, body};
use crate::app::{App, AppState, client_of};
use crate::auth::caller::Identity;
use crate::auth::login::LoginError;
use crate::auth::password::PasswordError;
use crate::auth::tokens::Issued;
use crate::scopes::ScopeName;
use crate::store::audit::{Actor, Means};
use crate::store::{Owner, Token, User};

/// The tokens of a user.
#[derive(Serialize, ToSchema)]
struct Tokens<'a> {
    api_tokens: Vec<TokenModel<'a>>,
}

/// The tokens of a user
///
/// Needs `read:tokens`.
#[utoipa::path(
    get, path = "/users/{user}/tokens", tag = "tokens", operation_id = "list_tokens",
    params(OfUser),
    responses((status = 200, description = "The tokens.", body = Tokens<'static>), Named, Asked),
)]
pub(super) async fn list(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let user = access::user(&app, caller.rights(), &[ScopeName::ReadTokens], &name)?;
    let tokens = app
        .store
        .tokens()
        .of(&Owner::User(user.id), Timestamp::now());
    let held = app.directory.rights_of_user(&user);
    let models = tokens.iter();
    let models = models.map(|token| TokenModel::new(&app, &user, &held, token));
    let api_tokens = models.collect();
    Ok(Json(Tokens { api_tokens }).into_response())
}

/// Makes a token
///
/// For a holder of `tokens`, or, without any credentials, for somebody who gives a name and a password as
/// `auth`. This answer holds the only copy of the token's text.
#[utoipa::path(
    post, path = "/users/{user}/tokens", tag = "tokens", operation_id = "create_token",
    params(OfUser), request_body = Option<Wish>,
    security((), ("token" = []), ("login" = [], "xsrf" = [])),
    responses(
        (
            status = 201, description = "The token, with its text.", body = NewTokenModel<'static>,
            headers(("Cache-Control" = String, description = "`no-store`")),
            links(
                ("GetToken" = (
                    operation_id = "get_token",
                    parameters(("user" = "$request.path.user"), ("token" = "$response.body#/id"))
                )),
                ("RevokeToken" = (
                    operation_id = "revoke_token",
                    parameters(("user" = "$request.path.user"), ("token" = "$response.body#/id"))
                )),
            )
        ),
        Named, Sent, Busy, Asked,
    ),
)]
pub(super) async fn create(
    State(app): State<AppState>,
    MaybeCaller(caller): MaybeCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    const SCOPES: &[ScopeName] = &[ScopeName::Tokens];
    let (parts, content) = request.into_parts();
    let ip = client_of(&parts).ip;
    let known = caller.map(|caller| {
        let user = access::user(&app, &caller.rights, SCOPES, &name)?;
        Ok::<_, ApiError>((user, caller.actor(ip), caller.identity))
    });
    let known = known.transpose()?;
    let wish = body::optional::<Wish>(Request::from_parts(parts, content)).await?;
    let mut wish = wish.unwrap_or_default();
    let (user, actor, by) = match (known, wish.auth.take()) {
        (Some(known), None) => known,
        (Some(_), Some(_)) => {
            let message = "auth is for requests without a token or a login; leave it out.";
            return Err(ApiError::bad_request(message));
        }
        (None, None) => return Err(stranger()),
        (None, Some(Password { username, password })) => {
            let proven = app.gate.prove(&username, password, ip).await;
            let proven = proven.map_err(not_proven)?;
            let rights = app.directory.rights_of_user(&proven);
            let user = access::user(&app, &rights, SCOPES, &name)?;
            let actor = Actor::user(&proven, Means::Password, ip);
            (user, actor, Identity::User(proven))
        }
    };
    let note = match &by {
        Identity::User(own) if own.id == user.id => "Requested via api".to_owned(),
        Identity::User(other) => format!("Requested via api by user {}", other.name),
        Identity::Service(name) => format!("Requested via api by service {name}"),
    };
    let owner = Identity::User(Arc::clone(&user));
    let issued = app.tokens.issue(actor, &owner, wish.into(), &note).await;
    let Issued { token, text } = issued.map_err(refused)?;
    let held = app.directory.rights_of_user(&user);
    let model = NewTokenModel {
        model: TokenModel::new(&app, &user, &held, &token),
        token: text.expose(),
    };
    let unkept = [(CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, unkept, Json(model)).into_response())
}

/// One token of a user
///
/// Needs `read:tokens`.
#[utoipa::path(
    get, path = "/users/{user}/tokens/{token}", tag = "tokens", operation_id = "get_token",
    params(OfToken),
    responses((status = 200, description = "The token.", body = TokenModel<'static>), Named, Asked),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments((name, id)): Segments<(String, String)>,
) -> Result<Response, ApiError> {
    let user = access::user(&app, caller.rights(), &[ScopeName::ReadTokens], &name)?;
    let token = find(&app, &user, &id)?;
    let held = app.directory.rights_of_user(&user);
    Ok(Json(TokenModel::new(&app, &user, &held, &token)).into_response())
}

/// Revokes a token
///
/// One that a server was issued for its visitor takes the others along that the server was issued for
/// them. Needs `tokens`.
#[utoipa::path(
    delete, path = "/users/{user}/tokens/{token}", tag = "tokens", operation_id = "revoke_token",
    params(OfToken),
    responses((status = 204, description = "It is worth nothing any more."), Named, Asked),
)]
pub(super) async fn revoke(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments((name, id)): Segments<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let user = access::user(&app, caller.rights(), &[ScopeName::Tokens], &name)?;
    let token = find(&app, &user, &id)?;
    app.tokens.revoke(caller.actor(), &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, user: &User, id: &str) -> Result<Arc<Token>, ApiError> {
    let token = app.tokens.find(id);
    let token = token.filter(|token| token.owner == Owner::User(user.id));
    token.ok_or_else(ApiError::not_found)
}

/// The answer to a password that opens nothing.
fn not_proven(error: LoginError) -> ApiError {
    match error {
        LoginError::TooEarly(early) => {
            let pause = early.0.as_secs() + 1;
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, sentence(&early)).retry_after(pause)
        }
        LoginError::Password(PasswordError::Busy(_)) => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence(&error))
        }
        LoginError::Pam(error) => {
            let message = "Passwords cannot be checked at the moment.";
            tracing::error!(error = error_chain(&error), "PAM has not answered");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
        LoginError::Password(error) => ApiError::internal(&error),
        LoginError::Store(error) => error.into(),
        error => ApiError::forbidden(sentence(&error)),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::{Hub, PASSWORD, token_of};
    use crate::store::TokenKind;

    const PATH: &str = "/users/alice/tokens";

    #[tokio::test]
    async fn a_token_lives_and_ends() {
        let hub = Hub::new().await;
        let wish = json!({
            "note": "for <b>tests</b>",
            "expires_in": 3600,
            "scopes": ["read:users!user", "servers!user=ALICE"],
        });
        let made = hub.post(PATH).user("alice").json(&wish).send().await;
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.header("cache-control"), Some("no-store"));
        let mut model = made.json;
        let text = model["token"].take().as_str().unwrap().to_owned();
        assert_eq!(text.len(), 64);
        let created = model["created"].take();
        let expires_at = model["expires_at"].take();
        assert!(expires_at.as_str() > created.as_str());
        let id = model["id"].as_str().unwrap().to_owned();
        let scopes = model["scopes"].take();
        assert!(
            scopes
                .as_array()
                .unwrap()
                .contains(&json!("start:servers!user=alice"))
        );
        assert_eq!(
            model,
            json!({
                "user": "alice", "id": id, "kind": "api_token", "roles": [], "scopes": null,
                "created": null, "last_activity": null, "expires_at": null,
                "note": "for <b>tests</b>", "session_id": null, "oauth_client": "JupyterHub",
                "token": null,
            })
        );
        let me = hub.get("/user").token(&text).send().await;
        assert_eq!(me.json["token_id"], id.as_str());
        assert_eq!(me.json["scopes"], scopes);

        let one = format!("{PATH}/{id}");
        let shown = hub.get(&one).user("alice").send().await;
        assert_eq!(shown.json["note"], "for <b>tests</b>");
        assert!(shown.json.get("token").is_none());
        let list = hub.get(PATH).user("alice").send().await;
        assert_eq!(list.json["api_tokens"][1], shown.json);
        let gone = hub.delete(&one).user("alice").send().await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        for (request, status) in [
            (hub.get("/user").token(&text), StatusCode::FORBIDDEN),
            (hub.get(&one).user("alice"), StatusCode::NOT_FOUND),
            (hub.delete(&one).user("alice"), StatusCode::NOT_FOUND),
        ] {
            assert_eq!(request.send().await.status, status);
        }
    }

    #[tokio::test]
    async fn somebody_elses_tokens_are_not_there() {
        let hub = Hub::new().await;
        let theirs = hub.new_token("alice", TokenKind::Api, &["inherit"]).await;
        let reads = hub.role_token(&["read:tokens"]).await;
        let one = format!("{PATH}/{}", theirs.id);
        let bobs = format!("/users/bob/tokens/{}", theirs.id);
        for (method, path, token, status) in [
            ("GET", PATH, token_of("bob"), 404),
            ("POST", PATH, token_of("bob"), 404),
            ("GET", &one, token_of("bob"), 404),
            ("DELETE", &one, token_of("bob"), 404),
            ("GET", &bobs, token_of("bob"), 404),
            ("DELETE", &bobs, token_of("admin"), 404),
            ("GET", &one, reads.clone(), 200),
            ("DELETE", &one, reads.clone(), 403),
            ("POST", PATH, reads, 403),
            ("POST", PATH, "token-of-culler".to_owned(), 403),
            ("GET", "/users/alice/tokens/a0", token_of("alice"), 404),
            ("GET", "/users/alice/tokens/1", token_of("alice"), 404),
            ("GET", "/users/alice/tokens/a%2B2", token_of("alice"), 404),
            ("POST", "/users/nobody/tokens", token_of("admin"), 404),
        ] {
            let reply = hub.request(method, path).token(&token).send().await;
            assert_eq!(reply.status.as_u16(), status, "{method} {path} {token}");
        }
    }

    #[tokio::test]
    async fn a_visitors_token_takes_its_client_along() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let (one, two) = (
            hub.visitor_token("alice", "s1").await,
            hub.visitor_token("alice", "s2").await,
        );
        let path = format!("{PATH}/{}", one.id);
        let shown = hub.get(&path).user("alice").send().await;
        assert_eq!(shown.json["oauth_client"], "Server at /user/alice/");
        assert_eq!(shown.json["session_id"], "s1");
        assert_eq!(hub.delete(&path).user("alice").send().await.status, 204);
        for token in [one, two] {
            let me = hub.get("/user").token(&token.text).send().await;
            assert_eq!(me.status, StatusCode::FORBIDDEN);
        }
        assert_eq!(
            hub.get("/user").user("alice").send().await.status,
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn a_password_makes_a_token_for_its_owner() {
        let hub = Hub::new().await;
        let ask = |path: &'static str, username: &str, password: &str| {
            let auth = json!({"username": username, "password": password});
            let request = hub.post(path).json(&json!({ "auth": auth }));
            request.header("origin", "https://elsewhere.test").send()
        };
        let made = ask(PATH, "Alice", PASSWORD).await;
        assert_eq!(made.status, StatusCode::CREATED);
        let text = made.json["token"].as_str().unwrap();
        assert_eq!(
            hub.get("/user").token(text).send().await.json["name"],
            "alice"
        );
        assert_eq!(
            ask(PATH, "bob", PASSWORD).await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            ask(PATH, "admin", PASSWORD).await.status,
            StatusCode::CREATED
        );
        let login = hub.log_in("alice").await;
        let auth = json!({"auth": {"username": "alice", "password": PASSWORD}});
        let forged = hub.post(PATH).json(&auth).cookies(&login).send().await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "a login needs XSRF");
        for _ in 0..5 {
            let wrong = ask(PATH, "alice", "wrong").await;
            assert_eq!(wrong.status, StatusCode::FORBIDDEN);
        }
        let early = ask(PATH, "alice", PASSWORD).await;
        assert_eq!(early.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(early.header("retry-after").is_some());
        let nothing = hub.post(PATH).json(&json!({"note": "x"})).send().await;
        assert_eq!(nothing.status, StatusCode::FORBIDDEN);
        assert_eq!(hub.post(PATH).send().await.status, StatusCode::FORBIDDEN);
    }
}
