//! Who makes a request, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use jiff::Timestamp;
use spawner_core::ServerId;

use super::cookies::{self, CookieError};
use super::directory::Directory;
use super::sightings::Sightings;
use super::token::{TokenError, presented_token};
use super::xsrf::need::Credential;
use crate::scopes::{Issuer, Owner as ScopeOwner, Scope, ScopeSet};
use crate::store::audit::{Actor, Means};
use crate::store::{ClientOf, Digest, Owner, Session, Store, Token, TokenKind, User};

/// Somebody who has shown who they are.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) proof: Proof,
    /// Expanded and concrete; for a token, narrowed to what its owner holds now.
    pub(crate) rights: ScopeSet,
}

/// A person or a program.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    User(Arc<User>),
    Service(String),
}

/// How they showed it.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// The login cookie of a browser.
    Session(Arc<Session>),
    /// A token of the books.
    Token(Arc<Token>),
    /// The token of a service, from the configuration.
    ServiceToken,
}

/// Credentials that are no good. The answer is the same 403 as without any; the sentence helps
/// whoever wrote the client. While the hub cannot tell it is a 503: a client that is told 403 gives
/// up, and single-user servers log their visitor out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCredentials {
    #[error(transparent)]
    Header(#[from] TokenError),
    #[error("this token is unknown, expired or revoked")]
    Unknown,
    #[error("the hub cannot tell at the moment who you are: try again later")]
    InDoubt,
    #[error(transparent)]
    Cookies(#[from] CookieError),
}

impl BadCredentials {
    /// Whether the same credentials may be good in a moment.
    pub(crate) fn may_pass(self) -> bool {
        self == Self::InDoubt
    }
}

/// Tells callers apart.
#[derive(Debug, Clone)]
pub(crate) struct Callers {
    store: Store,
    directory: Arc<Directory>,
    sightings: Sightings,
}

impl Callers {
    pub(crate) fn new(store: Store, directory: Arc<Directory>, sightings: Sightings) -> Self {
        Self {
            store,
            directory,
            sightings,
        }
    }

    /// Who makes a request with these headers: by its token if it presents one, else by the login
    /// cookie; `None` without either. A token that is no good does not fall back to the cookie.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Option<Caller>, BadCredentials> {
        let now = Timestamp::now();
        match presented_token(headers)? {
            Some(token) => self.by_token(token, now).map(Some),
            None => self.by_cookie(headers, now),
        }
    }

    /// Who makes a request by the login cookie alone, which is what pages ask for.
    pub(crate) fn by_cookie(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Caller>, BadCredentials> {
        // Another site of the domain can add cookies of that name, but none that proves anything.
        let cookies = cookies::values(headers, cookies::HUB_LOGIN)?;
        let session = cookies
            .iter()
            .find_map(|value| self.store.sessions().find(&Digest::of(value), now));
        let Some(session) = session else {
            return match self.unknown() {
                BadCredentials::InDoubt if !cookies.is_empty() => Err(BadCredentials::InDoubt),
                _ => Ok(None),
            };
        };
        let Some(user) = self.store.users().by_id(session.user) else {
            return Ok(None);
        };
        if self.directory.is_blocked(&user) {
            return Ok(None);
        }
        self.sightings.user(&user, now);
        let rights = self.directory.rights_of_user(&user);
        Ok(Some(Caller {
            identity: Identity::User(user),
            proof: Proof::Session(session),
            rights,
        }))
    }

    /// What it means that credentials are not in the books.
    fn unknown(&self) -> BadCredentials {
        if self.store.is_in_doubt() {
            BadCredentials::InDoubt
        } else {
            BadCredentials::Unknown
        }
    }

    fn by_token(&self, text: &str, now: Timestamp) -> Result<Caller, BadCredentials> {
        let digest = Digest::of(text);
        let services = self.directory.services();
        if let Some(service) = services.by_token(&digest) {
            let service = services.find(&service).ok_or_else(|| self.unknown())?;
            return Ok(Caller {
                rights: self.directory.rights_of_service(&service),
                identity: Identity::Service(service.name),
                proof: Proof::ServiceToken,
            });
        }
        let token = self
            .store
            .tokens()
            .find(&digest, now)
            .ok_or_else(|| self.unknown())?;
        let (identity, owner, held) = match &token.owner {
            Owner::User(id) => {
                let user = self
                    .store
                    .users()
                    .by_id(*id)
                    .ok_or_else(|| self.unknown())?;
                if self.directory.is_blocked(&user) {
                    return Err(BadCredentials::Unknown);
                }
                let held = self.directory.rights_of_user(&user);
                let owner = ScopeOwner::User(user.name.clone());
                (Identity::User(user), owner, held)
            }
            Owner::Service(name) => {
                // A service that is no longer there has no rights left.
                let service = services.find(name).ok_or(BadCredentials::Unknown)?;
                let held = self.directory.rights_of_service(&service);
                (
                    Identity::Service(name.clone()),
                    ScopeOwner::Service(name.clone()),
                    held,
                )
            }
        };
        // What a server does by itself is not the user being active.
        if let (Identity::User(user), false) = (&identity, token.kind == TokenKind::Server) {
            self.sightings.user(user, now);
        }
        self.sightings.token(&token, now);
        let rights = self.rights_of_token(&token, &owner, &held);
        Ok(Caller {
            identity,
            proof: Proof::Token(token),
            rights,
        })
    }

    /// What a token may do in the hands of its owner, who holds `held`.
    pub(crate) fn rights_of_token(
        &self,
        token: &Token,
        owner: &ScopeOwner,
        held: &ScopeSet,
    ) -> ScopeSet {
        // Scopes of the books that are not understood any more give no rights.
        let written: Vec<Scope> = token
            .scopes
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect();
        self.directory
            .token_rights(&written, owner, &self.issuer(token), held)
    }

    /// Through whom a token came: its server, or the server or service whose client it was issued to.
    fn issuer(&self, token: &Token) -> Issuer {
        if let Some(ClientOf::Service(service)) = self.client_of(token) {
            return Issuer::Service(service);
        }
        self.server_of(token).map_or(Issuer::Hub, Issuer::Server)
    }

    /// Through which server a token came: its own, or the one whose client it was issued to.
    pub(crate) fn server_of(&self, token: &Token) -> Option<ServerId> {
        let by_client = || match self.client_of(token)? {
            ClientOf::Server(server) => Some(server),
            ClientOf::Service(_) => None,
        };
        let server = token.server.or_else(by_client);
        let server = self.store.servers().by_id(server?)?;
        let user = self.store.users().by_id(server.user)?;
        Some(ServerId::new(user.name.clone(), server.name.clone()))
    }

    /// Whose client a token was issued to, if to one.
    pub(crate) fn client_of(&self, token: &Token) -> Option<ClientOf> {
        let client = self.store.clients().find(token.client_id.as_deref()?)?;
        Some(client.of.clone())
    }
}

impl Caller {
    /// The person; `None` for a service.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        match &self.identity {
            Identity::User(user) => Some(user),
            Identity::Service(_) => None,
        }
    }

    /// Whether they carry the admin flag, which no scope stands for.
    pub(crate) fn is_admin(&self, directory: &Directory) -> bool {
        match &self.identity {
            Identity::User(user) => directory.is_admin(user),
            Identity::Service(name) => {
                let service = directory.services().find(name);
                service.is_some_and(|service| service.admin)
            }
        }
    }

    /// The browser session that the request belongs to.
    pub(crate) fn session_id(&self) -> Option<&str> {
        match &self.proof {
            Proof::Session(session) => Some(&session.session_id),
            Proof::Token(token) => token.session_id.as_deref(),
            Proof::ServiceToken => None,
        }
    }

    /// The kind of proof, for the XSRF rules.
    pub(crate) fn credential(&self) -> Credential {
        match self.proof {
            Proof::Session(_) => Credential::Cookie,
            Proof::Token(_) | Proof::ServiceToken => Credential::Token,
        }
    }

    /// How the audit log names them, who ask from `source`.
    pub(crate) fn actor(&self, source: IpAddr) -> Actor {
        let means = match &self.proof {
            Proof::Session(_) => Means::Session,
            Proof::Token(_) => Means::Token,
            Proof::ServiceToken => Means::ServiceToken,
        };
        let actor = match &self.identity {
            Identity::User(user) => Actor::user(user, means, source),
            Identity::Service(name) => Actor::service(name, means, source),
        };
        match &self.proof {
            Proof::Token(token) => actor.with_token(token.id),
            Proof::Session(_) | Proof::ServiceToken => actor,
        }
    }
}
