//! Services of the configuration and services that were made through the API, as one.
//!
//! No two share a name or a token: who makes one is refused, and when the hub starts, those of the books
//! end that the configuration leaves no room for (`services::Services::register`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use spawner_core::Secret;

use crate::config::ServiceTable;
use crate::store::{self, Digest, Store};

/// All services.
#[derive(Debug)]
pub(crate) struct Services {
    configured: BTreeMap<String, Service>,
    /// Of those of the configuration. Those that the hub starts can be given a new one each time.
    tokens: RwLock<HashMap<Digest, String>>,
    store: Store,
}

/// A program that calls the API with a token of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Whether it may do everything.
    pub(crate) admin: bool,
    /// Whether its visitors are not asked whether it may know who they are.
    pub(crate) no_confirm: bool,
    /// The roles that it was given when it was made. The configuration gives its own by `[[role]]`.
    pub(crate) roles: Vec<String>,
}

impl Services {
    pub(super) fn new(tables: &[ServiceTable], store: Store) -> Self {
        let tokens = tables.iter().filter_map(|service| {
            let token = service.api_token.as_ref().map(Secret::expose)?;
            Some((Digest::of(token), service.name.clone()))
        });
        let configured = tables.iter().map(|service| {
            let known = Service {
                name: service.name.clone(),
                admin: service.admin,
                no_confirm: service.oauth_no_confirm || service.admin,
                roles: Vec::new(),
            };
            (service.name.clone(), known)
        });
        Self {
            configured: configured.collect(),
            tokens: RwLock::new(tokens.collect()),
            store,
        }
    }

    /// Every service, by name.
    pub(crate) fn all(&self) -> Vec<Service> {
        let stored = self.store.services().all().into_iter();
        let stored = stored.map(|service| known(&service));
        let mut all: Vec<_> = self.configured.values().cloned().chain(stored).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The names of all services.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.all().into_iter().map(|service| service.name).collect()
    }

    /// The service of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Service> {
        match self.configured.get(name) {
            Some(service) => Some(service.clone()),
            None => Some(known(&*self.store.services().find(name)?)),
        }
    }

    /// Whether it is the configuration's.
    pub(crate) fn is_configured(&self, name: &str) -> bool {
        self.configured.contains_key(name)
    }

    /// The service with this token.
    pub(crate) fn by_token(&self, token: &Digest) -> Option<String> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let configured = tokens.get(token).cloned();
        drop(tokens);
        configured.or_else(|| self.store.services().by_token(token))
    }

    /// Makes this the one token of a service of the configuration.
    pub(crate) fn set_token(&self, service: &str, token: Digest) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, owner| owner != service);
        tokens.insert(token, service.to_owned());
    }
}

fn known(service: &store::Service) -> Service {
    Service {
        name: service.name.clone(),
        admin: service.admin,
        no_confirm: service.no_confirm || service.admin,
        roles: service.roles.clone(),
    }
}
