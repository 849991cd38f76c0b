//! Step 1: a visitor is sent here by a server, and sent back with a code.

use std::sync::Arc;

use jiff::Timestamp;
use spawner_core::ServerId;
use tokio::time::Instant;

use super::codes::{Codes, Grant};
use super::pkce::Challenge;
use crate::auth::caller::Caller;
use crate::auth::directory::Directory;
use crate::scopes::{Scope, ScopeName, Target};
use crate::store::{OauthClient, Owner, Store};

/// The provider, with its codes.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(super) store: Store,
    directory: Arc<Directory>,
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
    /// 403: this visitor may not enter that server.
    Forbidden,
    /// Ask the visitor whether the server of somebody else may know who they are.
    Ask {
        /// Whose server it is.
        server: ServerId,
        /// What it would be told.
        scopes: Vec<String>,
    },
    /// Back to the server, with a code or an error.
    Back(String),
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
            Step::Back(format!("{redirect_uri}?{query}"))
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
        let Some((server, user)) = self.server_of(&client).zip(visitor.user()) else {
            return Step::Invalid("The server of this client is gone.");
        };
        let Some(scopes) = granted(&client, &server, query.scope.as_deref()) else {
            return error("invalid_scope", "The client may not ask for these scopes.");
        };
        if !self.may_enter(visitor, &server) {
            return Step::Forbidden;
        }
        let own = server.user == user.name;
        if !own && consent == Consent::NotAsked && !self.was_granted(visitor, &client, &scopes) {
            return Step::Ask { server, scopes };
        }
        let grant = Grant {
            client_id: client.client_id.clone(),
            server: client.server,
            user: user.id,
            session_id: visitor.session_id().unwrap_or_default().to_owned(),
            scopes,
            redirect_uri: redirect_uri.clone(),
            challenge,
        };
        let code = self.codes.issue(grant, Instant::now());
        back(&[("code", code.expose())])
    }

    /// Which server a client is.
    fn server_of(&self, client: &OauthClient) -> Option<ServerId> {
        let server = self.store.servers().by_id(client.server)?;
        let owner = self.store.users().by_id(server.user)?;
        Some(ServerId::new(owner.name.clone(), server.name.clone()))
    }

    fn may_enter(&self, visitor: &Caller, server: &ServerId) -> bool {
        let groups = self.directory.groups_of(&server.user);
        let target = Target::Server {
            id: server,
            groups: &groups,
        };
        visitor
            .rights
            .allows(ScopeName::AccessServers, target)
            .is_yes()
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
fn granted(client: &OauthClient, server: &ServerId, asked: Option<&str>) -> Option<Vec<String>> {
    let [access, _] = Scope::access_to(server);
    let access = access.to_string();
    let allowed = |scope: &str| scope == access || client.allowed_scopes.iter().any(|s| s == scope);
    let mut scopes = vec![access.clone()];
    match asked {
        None => scopes.extend(client.allowed_scopes.iter().cloned()),
        Some(asked) => {
            // `identify` is what clients before scopes asked for.
            for scope in asked
                .split_whitespace()
                .filter(|scope| *scope != "identify")
            {
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
