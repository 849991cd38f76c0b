//! The body of a request for a new token.

use serde::Deserialize;
use spawner_core::Secret;
use utoipa::ToSchema;

use super::error::{ApiError, sentence};
use crate::auth::tokens::{TokenRefused, TokenWish};

/// What somebody wants of a new token.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenWish)]
pub(super) struct Wish {
    /// One line of text.
    #[schema(max_length = 1000)]
    note: Option<String>,
    /// In seconds; without it the token lives as long as any may.
    #[schema(minimum = 1)]
    expires_in: Option<i64>,
    /// None that the owner lacks; without them and without roles, all that the owner may do.
    scopes: Option<Vec<String>>,
    /// A short form of scopes; a token is asked for with one of the two.
    roles: Option<Vec<String>>,
    /// Who asks, instead of a token or a login.
    pub(super) auth: Option<Password>,
}

/// A name and a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    pub(super) username: String,
    #[schema(value_type = String)]
    pub(super) password: Secret,
}

impl From<Wish> for TokenWish {
    fn from(wish: Wish) -> Self {
        let Wish {
            note,
            expires_in,
            scopes,
            roles,
            auth: _,
        } = wish;
        Self {
            note,
            expires_in,
            scopes,
            roles,
        }
    }
}

/// The answer to a wish that is not granted.
pub(super) fn refused(error: TokenRefused) -> ApiError {
    match error {
        TokenRefused::Store(error) => error.into(),
        error => ApiError::bad_request(sentence(&error)),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Hub;

    const PATH: &str = "/users/alice/tokens";

    #[tokio::test]
    async fn wishes() {
        let hub = Hub::new().await;
        let asked = async |wish: Value| {
            let reply = hub.post(PATH).user("alice").json(&wish).send().await;
            assert_eq!(
                reply.status,
                StatusCode::CREATED,
                "{wish}: {}",
                reply.message()
            );
            reply.json
        };
        let plain = asked(json!({})).await;
        assert_eq!(plain["note"], "Requested via api");
        assert_eq!(plain["expires_at"], json!(null));
        let all = hub.get("/user").user("alice").send().await;
        assert_eq!(plain["scopes"], all.json["scopes"]);
        let bare = asked(json!({"scopes": [], "note": ""})).await;
        assert_eq!(
            bare["scopes"],
            json!(["read:users:groups!user=alice", "read:users:name!user=alice"])
        );
        asked(json!({"expires_in": null, "note": null, "scopes": null})).await;
        let forever = asked(json!({"expires_in": i64::MAX})).await;
        assert!(forever["expires_at"].as_str().unwrap().starts_with("9999-"));
        let role = asked(json!({"roles": ["user"], "scopes": []})).await;
        assert_eq!(role["scopes"], all.json["scopes"]);
        let by_admin = hub.post(PATH).admin().send().await;
        assert_eq!(by_admin.json["note"], "Requested via api by user admin");
        assert_eq!(by_admin.json["scopes"], all.json["scopes"], "its owner's");

        for (wish, words) in [
            (r#"{"expires_in": 0}"#, "expires_in"),
            (r#"{"expires_in": -1}"#, "expires_in"),
            (r#"{"expires_in": "60"}"#, "expires_in"),
            (r#"{"expires_in": true}"#, "expires_in"),
            (r#"{"expires_in": 1e99}"#, "expires_in"),
            (r#"{"expires_in": 1.5}"#, "expires_in"),
            (r#"{"expires_in": 99999999999999999999}"#, "expires_in"),
            (r#"{"expires_in": NaN}"#, "not JSON"),
            (r#"{"scopes": "self"}"#, "scopes"),
            (r#"{"scopes": ["admin:users"]}"#, "does not hold"),
            (r#"{"scopes": ["read:users"]}"#, "does not hold"),
            (r#"{"scopes": ["servers!user=bob"]}"#, "does not hold"),
            (r#"{"scopes": ["read:user"]}"#, "did you mean read:users?"),
            (r#"{"scopes": ["admin:*"]}"#, "no scope called"),
            (r#"{"scopes": ["read:users!user="]}"#, "no possible target"),
            (
                r#"{"scopes": ["read:users!user=a!user=b"]}"#,
                "no possible target",
            ),
            (r#"{"roles": ["admin"]}"#, "does not hold"),
            (r#"{"roles": ["nothing"]}"#, "no role called"),
            (
                r#"{"roles": ["user"], "scopes": ["self"]}"#,
                "one of the two",
            ),
            (r#"{"note": 5}"#, "note"),
            (r#"{"notes": "x"}"#, "unknown field `notes`"),
            (
                r#"{"auth": {"username": "alice", "password": "x"}}"#,
                "leave it out",
            ),
            (
                r#"{"auth": {"username": "alice"}}"#,
                "missing field `password`",
            ),
        ] {
            let reply = hub
                .post(PATH)
                .user("alice")
                .body(wish.as_bytes())
                .send()
                .await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wish}");
            assert!(
                reply.message().contains(words),
                "{wish}: {}",
                reply.message()
            );
        }
        for wish in [
            json!({"note": "x".repeat(1001)}),
            json!({"note": "two\nlines"}),
            json!({"scopes": vec!["self"; 10_000]}),
        ] {
            let reply = hub.post(PATH).user("alice").json(&wish).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        }
    }
}
