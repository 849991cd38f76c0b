//! `POST {api}/oauth2/token`: a server exchanges a code for its visitor's token.
//!
//! The one door that speaks RFC 6749 instead of the API's own errors. Who asks is in the form; an
//! `Authorization` header is passed over.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, PRAGMA};
use serde::Serialize;
use spawner_core::Secret;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::body;
use super::error::ApiError;
use super::openapi::{Sent, Unsure};
use crate::app::AppState;
use crate::oauth::{ExchangeError, TokenForm, TokenReply};
use crate::store::StoreError;

/// What is exchanged. Other parameters are passed over; none may stand twice.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `read` reads")]
struct Exchange {
    /// `authorization_code`.
    grant_type: String,
    client_id: String,
    client_secret: String,
    code: String,
    /// As it was in the request for the code.
    #[schema(nullable = false)]
    redirect_uri: Option<String>,
    /// The text whose challenge was in the request for the code.
    #[schema(nullable = false)]
    code_verifier: Option<String>,
}

/// A token of a visitor.
#[derive(Serialize, ToSchema)]
struct Exchanged<'a> {
    access_token: &'a str,
    /// In seconds.
    expires_in: i64,
    /// `Bearer`.
    token_type: &'static str,
    /// Scopes with spaces between them.
    scope: String,
}

/// Why a code was not exchanged (RFC 6749, section 5.2).
#[derive(Serialize, ToSchema)]
struct Refused<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// Exchanges a code for the token of a visitor
///
/// Who asks is in the form; an `Authorization` header is passed over.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "oauth", operation_id = "exchange_code", security(()),
    request_body(content = Exchange, content_type = "application/x-www-form-urlencoded"),
    responses(
        Sent, Unsure,
        (
            status = 200, description = "The token.", body = Exchanged<'static>,
            headers(("Cache-Control" = String, description = "`no-store`"))
        ),
        (status = 400, description = "The code is not exchanged.", body = Refused<'static>),
        (status = 401, description = "The client is unknown, or its secret is wrong.", body = Refused<'static>),
    ),
)]
pub(super) async fn post(State(app): State<AppState>, request: Request) -> Response {
    let answer = match read(request).await {
        Ok(Ok(form)) => match app.oauth.exchange(form).await {
            Ok(reply) => issued(&reply),
            Err(error) => refused(error),
        },
        Ok(Err(error)) => refused(error),
        Err(error) => error.into_response(),
    };
    ([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], answer).into_response()
}

async fn read(request: Request) -> Result<Result<TokenForm, ExchangeError>, ApiError> {
    let body = body::read(request).await?;
    let mut form = TokenForm::default();
    for (name, value) in form_urlencoded::parse(&body) {
        let value = value.into_owned();
        let twice = match &*name {
            "grant_type" => form.grant_type.replace(value).is_some(),
            "client_id" => form.client_id.replace(value).is_some(),
            "client_secret" => form.client_secret.replace(Secret::new(value)).is_some(),
            "code" => form.code.replace(Secret::new(value)).is_some(),
            "redirect_uri" => form.redirect_uri.replace(value).is_some(),
            "code_verifier" => form.code_verifier.replace(Secret::new(value)).is_some(),
            // Unknown parameters are to be ignored.
            _ => false,
        };
        if twice {
            return Ok(Err(ExchangeError::Bad {
                error: "invalid_request",
                description: "A parameter is there twice.",
            }));
        }
    }
    Ok(Ok(form))
}

fn issued(reply: &TokenReply) -> Response {
    Json(Exchanged {
        access_token: reply.access_token.expose(),
        expires_in: reply.expires_in,
        token_type: "Bearer",
        scope: reply.scopes.join(" "),
    })
    .into_response()
}

fn refused(error: ExchangeError) -> Response {
    let (status, error, description) = match error {
        ExchangeError::Bad { error, description } => (StatusCode::BAD_REQUEST, error, description),
        ExchangeError::Client => (
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The client is unknown, or its secret is wrong.",
        ),
        // The visitor or the server went away in the meantime.
        ExchangeError::Store(StoreError::NotFound(_) | StoreError::Conflict(_)) => (
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            "What the code was for is gone.",
        ),
        ExchangeError::Store(error) => return ApiError::from(error).into_response(),
    };
    let body = Refused {
        error,
        error_description: description,
    };
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;
    use url::Url;

    use crate::api::testing::{Hub, Reply};
    use crate::auth::caller::Caller;
    use crate::oauth::{AuthorizeQuery, Consent, Step};

    const CLIENT: &str = "jupyterhub-user-alice";
    const CALLBACK: &str = "/user/alice/oauth_callback";
    /// A verifier and its S256 challenge (RFC 7636, appendix B).
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// Alice at the door of her own server.
    async fn visitor(hub: &Hub) -> Caller {
        hub.start("alice").await;
        let login = hub.log_in("alice").await;
        let headers = login.headers();
        hub.app.visitor(&headers).unwrap().unwrap()
    }

    fn code(hub: &Hub, visitor: &Caller, challenge: Option<&str>) -> String {
        let query = AuthorizeQuery {
            client_id: Some(CLIENT.to_owned()),
            response_type: Some("code".to_owned()),
            code_challenge: challenge.map(str::to_owned),
            code_challenge_method: challenge.map(|_| "S256".to_owned()),
            ..AuthorizeQuery::default()
        };
        match hub.app.oauth.authorize(&query, visitor, Consent::NotAsked) {
            Step::Back(url) => {
                let url = Url::parse("http://hub.test").unwrap().join(&url).unwrap();
                let mut fields = url.query_pairs();
                let code = fields.find(|(name, _)| name == "code");
                code.unwrap().1.into_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    async fn exchange(hub: &Hub, fields: &[(&str, &str)]) -> Reply {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = hub.post("/oauth2/token").body(form.as_bytes());
        let kind = "application/x-www-form-urlencoded";
        request.header("content-type", kind).send().await
    }

    #[tokio::test]
    async fn a_code_becomes_the_visitors_token() {
        let hub = Hub::new().await;
        let visitor = visitor(&hub).await;
        let secret = hub.world.server_token();
        for pkce in [true, false] {
            let code = code(&hub, &visitor, pkce.then_some(CHALLENGE));
            let reply = exchange(
                &hub,
                &[
                    ("client_id", CLIENT),
                    ("client_secret", &secret),
                    ("grant_type", "authorization_code"),
                    ("code", &code),
                    ("redirect_uri", CALLBACK),
                    ("code_verifier", VERIFIER),
                    ("unknown", "x"),
                ],
            )
            .await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert_eq!(reply.json["token_type"], "Bearer");
            assert_eq!(reply.json["expires_in"], 1_209_600);
            let scope = reply.json["scope"].as_str().unwrap();
            assert!(scope.contains("access:servers!server=alice/"), "{scope}");
            let token = reply.json["access_token"].as_str().unwrap();
            let me = hub.get("/user").token(token).send().await;
            assert_eq!(me.json["name"], "alice");
            assert_eq!(me.json["session_id"], json!(visitor.session_id()));
        }
    }

    #[tokio::test]
    async fn everything_else_is_an_error_of_rfc_6749() {
        let hub = Hub::new().await;
        let visitor = visitor(&hub).await;
        let secret = hub.world.server_token();
        let secret = secret.as_str();
        let used = code(&hub, &visitor, None);
        let grant = ("grant_type", "authorization_code");
        let (id, key) = (("client_id", CLIENT), ("client_secret", secret));
        exchange(&hub, &[grant, id, key, ("code", &used)]).await;
        let (open, kept) = (
            code(&hub, &visitor, None),
            code(&hub, &visitor, Some(CHALLENGE)),
        );
        let (open, kept) = (("code", open.as_str()), ("code", kept.as_str()));
        for (fields, status, error) in [
            (&[][..], 400, "invalid_request"),
            (&[id, key, open], 400, "invalid_request"),
            (
                &[("grant_type", "password"), id, key, open],
                400,
                "unsupported_grant_type",
            ),
            (&[grant, id, open], 401, "invalid_client"),
            (
                &[grant, id, ("client_secret", "wrong"), open],
                401,
                "invalid_client",
            ),
            (
                &[grant, ("client_id", "nobody"), key, open],
                401,
                "invalid_client",
            ),
            (&[grant, key, open], 401, "invalid_client"),
            (&[grant, id, key], 400, "invalid_request"),
            (&[grant, id, key, ("code", &used)], 400, "invalid_grant"),
            (&[grant, id, key, ("code", "unknown")], 400, "invalid_grant"),
            (
                &[grant, id, key, open, ("redirect_uri", "/x")],
                400,
                "invalid_request",
            ),
            (&[grant, id, key, kept], 400, "invalid_request"),
            (
                &[grant, id, key, kept, ("code_verifier", "wrong")],
                400,
                "invalid_grant",
            ),
            (&[grant, id, key, open, open], 400, "invalid_request"),
        ] {
            let reply = exchange(&hub, fields).await;
            assert_eq!(reply.status.as_u16(), status, "{fields:?}: {}", reply.text);
            assert_eq!(reply.json["error"], error, "{fields:?}");
            assert!(reply.json["error_description"].is_string());
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
        // None of these used the codes up.
        let good = exchange(&hub, &[grant, id, key, open]).await;
        assert_eq!(good.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn odd_bodies() {
        let hub = Hub::new().await;
        for body in [&b"\xff=\xff&%zz"[..], b"{\"grant_type\": \"x\"}", b"&&&==="] {
            let reply = hub.post("/oauth2/token").body(body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        }
        let basic = hub
            .post("/oauth2/token")
            .body(b"grant_type=authorization_code");
        let basic = basic.header("authorization", "Basic dTpw").send().await;
        assert_eq!(basic.status, StatusCode::UNAUTHORIZED);
        let long = vec![b'a'; 2 * 1024 * 1024];
        let long = hub.post("/oauth2/token").chunked(&long).send().await;
        assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(long.header("cache-control"), Some("no-store"));
    }
}
