//! The body of a request for a new token, and the row that it becomes.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use spawner_core::Secret;

use super::error::{ApiError, sentence};
use crate::app::App;
use crate::auth::caller::Identity;
use crate::random::new_token;
use crate::scopes::{self, Issuer, Scope, ScopeSet};
use crate::store::{Digest, NewToken, Owner, TokenKind, User};

/// The longest note, in characters.
const NOTE_MAX: usize = 1000;

/// What somebody wants of a new token.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    note: Option<String>,
    /// In seconds; without it the token never expires.
    expires_in: Option<i64>,
    scopes: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    /// Who asks, instead of a token or a login.
    pub(super) auth: Option<Password>,
}

/// A name and a password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    pub(super) username: String,
    pub(super) password: Secret,
}

impl Wish {
    /// The row of a token of `user`, who holds `held`, and its text. `by` is who asks for it.
    pub(super) fn into_row(
        self,
        app: &App,
        user: &User,
        held: &ScopeSet,
        by: &Identity,
        now: Timestamp,
    ) -> Result<(NewToken, Secret), ApiError> {
        let scopes = self.scopes(app)?;
        let owner = scopes::Owner::User(user.name.clone());
        let is_member = |user: &_, group: &_| app.directory.is_member(user, group);
        scopes::check_asked(&scopes, &owner, &Issuer::Hub, held, &is_member)
            .map_err(|error| ApiError::bad_request(sentence(&error)))?;
        let expires_at = match self.expires_in {
            None => None,
            Some(seconds) if seconds > 0 => {
                let end = now.saturating_add(SignedDuration::from_secs(seconds));
                Some(end.unwrap_or(Timestamp::MAX))
            }
            Some(_) => {
                let message = "expires_in must be more than 0 seconds.";
                return Err(ApiError::bad_request(message));
            }
        };
        let note = self.note.filter(|note| !note.is_empty());
        let note = note.unwrap_or_else(|| match by {
            Identity::User(own) if own.id == user.id => "Requested via api".to_owned(),
            Identity::User(other) => format!("Requested via api by user {}", other.name),
            Identity::Service(name) => format!("Requested via api by service {name}"),
        });
        if note.chars().count() > NOTE_MAX {
            let message = format!("note has more than {NOTE_MAX} characters.");
            return Err(ApiError::bad_request(message));
        }
        let text = new_token();
        let row = NewToken {
            hash: Digest::of(text.expose()),
            kind: TokenKind::Api,
            owner: Owner::User(user.id),
            server: None,
            client_id: None,
            scopes: scopes.into_iter().map(String::from).collect(),
            note,
            expires_at,
            session_id: None,
        };
        Ok((row, text))
    }

    /// The scopes that are asked for, of which roles are a short form.
    fn scopes(&self, app: &App) -> Result<Vec<Scope>, ApiError> {
        let known = app.directory.roles();
        let roles = self.roles.as_deref().unwrap_or_default();
        match &self.scopes {
            Some(scopes) if !scopes.is_empty() && !roles.is_empty() => Err(ApiError::bad_request(
                "A token has scopes or roles; ask for one of the two.",
            )),
            None if roles.is_empty() => Ok(known.default_token_scopes().to_vec()),
            Some(scopes) if roles.is_empty() => Scope::parse_all(scopes.iter().map(String::as_str))
                .map_err(|error| ApiError::bad_request(sentence(&error))),
            _ => {
                let mut scopes = Vec::new();
                for name in roles {
                    let role = known.scopes_of(name).ok_or_else(|| {
                        ApiError::bad_request(format!("There is no role called {name:?}."))
                    })?;
                    scopes.extend_from_slice(role);
                }
                Ok(scopes)
            }
        }
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
            json!({"scopes": vec!["self"; 10_000]}),
        ] {
            let reply = hub.post(PATH).user("alice").json(&wish).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        }
    }
}
