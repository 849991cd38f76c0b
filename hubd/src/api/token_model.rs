//! A token as the API shows it.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::openapi::from_json;
use super::time::Time;
use crate::app::App;
use crate::scopes::{Owner, ScopeSet};
use crate::store::{ClientOf, Token, User};

/// A token of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenModel<'a> {
    user: &'a str,
    id: String,
    #[schema(schema_with = api_token_kind)]
    kind: &'static str,
    /// Tokens hold scopes; a role that is asked for is taken apart.
    #[schema(value_type = Vec<String>, max_items = 0)]
    roles: [&'static str; 0],
    /// What it may do now.
    scopes: Vec<String>,
    created: Time,
    #[schema(required)]
    last_activity: Option<Time>,
    #[schema(required)]
    expires_at: Option<Time>,
    note: &'a str,
    /// Of the login in which it was issued, if it was in one.
    #[schema(required)]
    session_id: Option<&'a str>,
    /// The server or service to which it was issued.
    oauth_client: String,
}

/// The one word that `kind` says.
fn api_token_kind() -> RefOr<Schema> {
    from_json(json!({ "type": "string", "enum": ["api_token"] }))
}

/// A new token, with the only copy of its text.
#[derive(Serialize, ToSchema)]
#[schema(as = NewToken)]
pub(super) struct NewTokenModel<'a> {
    #[serde(flatten)]
    pub(super) model: TokenModel<'a>,
    pub(super) token: &'a str,
}

impl<'a> TokenModel<'a> {
    /// The model of a token of `user`, who holds `held`.
    pub(super) fn new(app: &App, user: &'a User, held: &ScopeSet, token: &'a Token) -> Self {
        let owner = Owner::User(user.name.clone());
        Self {
            user: user.name.as_str(),
            id: token.id.to_string(),
            kind: "api_token",
            roles: [],
            scopes: app.callers.rights_of_token(token, &owner, held).texts(),
            created: Time(token.created),
            last_activity: token.last_activity.map(Time),
            expires_at: token.expires_at.map(Time),
            note: &token.note,
            session_id: token.session_id.as_deref(),
            oauth_client: client(app, token).unwrap_or_else(|| "JupyterHub".to_owned()),
        }
    }
}

/// The server or service that a token was issued to, as its client is called.
fn client(app: &App, token: &Token) -> Option<String> {
    if let ClientOf::Service(service) = app.callers.client_of(token)? {
        return Some(format!("JupyterHub service {service}"));
    }
    let id = app.callers.server_of(token)?;
    Some(format!("Server at {}", app.servers.prefix(&id)))
}
