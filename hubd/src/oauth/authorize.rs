//! Step 1: a visitor is sent here by a server or service, and sent back with a code.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::client::Asker;
use super::codes::{Codes, Grant};
use super::pkce::Challenge;
use crate::auth::caller::Caller;
use crate::auth::directory::Directory;
use crate::store::{OauthClient, Owner, Store};

/// The provider, with its codes.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(super) store: Store,
    pub(super) directory: Arc<Directory>,
    pub(super) codes: Codes,
}

/// The parameters of an authorize request.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(crate) struct AuthorizeQuery {
    pub(crate) client_id: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) response_type: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
}

/// What to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// 400, and no redirect: who asks cannot be trusted with one.
    Invalid(&'static str),
    /// 403: this visitor may not open that server or service.
    Forbidden(Asker),
    /// Ask the visitor whether somebody else's server, or a service, may know who they are.
    Ask {
        /// What it is.
        asker: Asker,
        /// What it would be told.
        scopes: Vec<String>,
    },
    /// Back to the server or service, with a code or an error.
    Back(String),
    /// The same for a service that is not reached through the hub: to another host, as the
    /// configuration has it.
    Away(String),
}

/// What a visitor has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// They were not asked yet.
    NotAsked,
    /// They said yes.
    Given,
}

impl Provider {
    pub(crate) fn new(store: Store, directory: Arc<Directory>) -> Self {
        Self {
            store,
            directory,
            codes: Codes::default(),
        }
    }

    /// Decides an authorize request of a visitor who is logged in.
    pub(crate) fn authorize(
        &self,
        query: &AuthorizeQuery,
        visitor: &Caller,
        consent: Consent,
    ) -> Step {
        let Some(client) = query
            .client_id
            .as_deref()
            .and_then(|id| self.store.clients().find(id))
        else {
            return Step::Invalid("Unknown client: the server may have been stopped meanwhile.");
        };
        let redirect_uri = query.redirect_uri.as_ref().unwrap_or(&client.redirect_uri);
        if *redirect_uri != client.redirect_uri {
            return Step::Invalid("The redirect address is not the registered one.");
        }
        let back = |parameters: &[(&str, &str)]| {
            let state = query.state.as_deref().map(|state| ("state", state));
            let pairs = parameters.iter().copied().chain(state);
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            let to = format!("{redirect_uri}?{query}");
            if redirect_uri.starts_with('/') {
                Step::Back(to)
            } else {
                Step::Away(to)
            }
        };
        let error =
            |error, description| back(&[("error", error), ("error_description", description)]);
        match query.response_type.as_deref() {
            Some("code") => {}
            None => return error("invalid_request", "Missing response_type parameter."),
            Some(_) => return error("unsupported_response_type", "Only code is supported."),
        }
        let method = query.code_challenge_method.as_deref();
        let challenge = match Challenge::new(query.code_challenge.clone(), method) {
            Ok(challenge) => challenge,
            Err(description) => return error("invalid_request", description),
        };
        let Some((asker, user)) = self.asker(&client).zip(visitor.user()) else {
            return Step::Invalid("The server of this client is gone.");
        };
        let Some(scopes) = granted(&client, &asker, query.scope.as_deref()) else {
            return error("invalid_scope", "The client may not ask for these scopes.");
        };
        if !self.may_enter(visitor, &asker) {
            return Step::Forbidden(asker);
        }
        let settled = consent == Consent::Given || self.is_trusted(visitor, &asker);
        if !settled && !self.was_granted(visitor, &client, &scopes) {
            return Step::Ask { asker, scopes };
        }
        let grant = Grant {
            client_id: client.client_id.clone(),
            of: client.of.clone(),
            user: user.id,
            session_id: visitor.session_id().unwrap_or_default().to_owned(),
            scopes,
            redirect_uri: redirect_uri.clone(),
            challenge,
        };
        let code = self.codes.issue(grant, Instant::now());
        back(&[("code", code.expose())])
    }

    /// Whether a token that the client holds for this visitor has all of `scopes` already.
    fn was_granted(&self, visitor: &Caller, client: &OauthClient, scopes: &[String]) -> bool {
        let Some(user) = visitor.user() else {
            return false;
        };
        let tokens = self
            .store
            .tokens()
            .of(&Owner::User(user.id), Timestamp::now());
        tokens.iter().any(|token| {
            token.client_id.as_ref() == Some(&client.client_id)
                && scopes.iter().all(|scope| token.scopes.contains(scope))
        })
    }
}

/// What a client gets: what it is allowed to ask for as far as it asks, access to itself, and the
/// visitor's name and groups. `None` when it asks for more.
fn granted(client: &OauthClient, asker: &Asker, wish: Option<&str>) -> Option<Vec<String>> {
    let access = asker.access().to_string();
    let allowed = |scope: &str| scope == access || client.allowed_scopes.iter().any(|s| s == scope);
    let mut scopes = vec![access.clone()];
    match wish {
        None => scopes.extend(client.allowed_scopes.iter().cloned()),
        Some(wish) => {
            // `identify` is what clients before scopes asked for.
            for scope in wish.split_whitespace().filter(|scope| *scope != "identify") {
                if !allowed(scope) {
                    return None;
                }
                if !scopes.iter().any(|have| have == scope) {
                    scopes.push(scope.to_owned());
                }
            }
        }
    }
    scopes.extend(["read:users:name!user", "read:users:groups!user"].map(str::to_owned));
    Some(scopes)
}
