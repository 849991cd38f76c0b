//! A token as the API shows it.

use serde::Serialize;

use super::time::Time;
use crate::app::App;
use crate::scopes::{Owner, ScopeSet};
use crate::store::{ClientOf, Token, User};

/// The model of a token of a user.
#[derive(Debug, Serialize)]
pub(super) struct TokenModel<'a> {
    user: &'a str,
    id: String,
    kind: &'static str,
    /// Tokens hold scopes; a role that is asked for is taken apart.
    roles: [&'static str; 0],
    /// What it may do now.
    scopes: Vec<String>,
    created: Time,
    last_activity: Option<Time>,
    expires_at: Option<Time>,
    note: &'a str,
    session_id: Option<&'a str>,
    oauth_client: String,
}

/// The same with the text of the token, for the one answer that tells it.
#[derive(Serialize)]
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
