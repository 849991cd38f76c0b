//! Who sends visitors here: a server that runs, or a service that is configured.

use spawner_core::ServerId;

use super::authorize::Provider;
use crate::auth::caller::Caller;
use crate::scopes::{Scope, ScopeName, Target};
use crate::store::{ClientOf, OauthClient};

/// What wants to know who its visitor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody's server.
    Server(ServerId),
    /// A service of the hub, by its name.
    Service(String),
}

impl Asker {
    /// The scope that opens it, which each of its visitors' tokens has.
    pub(crate) fn access(&self) -> Scope {
        let [access, _] = match self {
            Self::Server(server) => Scope::access_to(server),
            Self::Service(service) => Scope::access_to_service(service),
        };
        access
    }
}

impl Provider {
    /// What a client is; nothing if that is gone.
    pub(super) fn asker(&self, client: &OauthClient) -> Option<Asker> {
        match &client.of {
            ClientOf::Server(row) => {
                let server = self.store.servers().by_id(*row)?;
                let owner = self.store.users().by_id(server.user)?;
                let id = ServerId::new(owner.name.clone(), server.name.clone());
                Some(Asker::Server(id))
            }
            ClientOf::Service(name) => {
                self.directory.services().find(name)?;
                Some(Asker::Service(name.clone()))
            }
        }
    }

    /// The server that the client of this name is, if it is one.
    pub(crate) fn server_called(&self, client_id: &str) -> Option<ServerId> {
        match self.asker(self.store.clients().find(client_id)?.as_ref())? {
            Asker::Server(server) => Some(server),
            Asker::Service(_) => None,
        }
    }

    /// Whether a visitor may open it at all.
    pub(super) fn may_enter(&self, visitor: &Caller, asker: &Asker) -> bool {
        let allows = |scope, target| visitor.rights.allows(scope, target).is_yes();
        match asker {
            Asker::Server(id) => {
                let groups = self.directory.groups_of(&id.user);
                let groups = groups.as_slice();
                allows(ScopeName::AccessServers, Target::Server { id, groups })
            }
            Asker::Service(name) => allows(ScopeName::AccessServices, Target::Service(name)),
        }
    }

    /// Whether nobody needs to ask this visitor: it is their own, or the people who run the hub
    /// vouch for it.
    pub(super) fn is_trusted(&self, visitor: &Caller, asker: &Asker) -> bool {
        match asker {
            Asker::Server(id) => visitor.user().is_some_and(|user| user.name == id.user),
            Asker::Service(name) => {
                let service = self.directory.services().find(name);
                service.is_some_and(|service| service.no_confirm)
            }
        }
    }
}
