//! Services that were made through the API.
//!
//! A service is known by its name, as those of the configuration are. So everything that it was given
//! or issued ends in the commit in which it does, and a later one of that name begins with nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::Row;
use serde_json::{Map, Value};

use super::clients::{self, NewClient};
use super::digest::Digest;
use super::error::StoreError;
use super::grants;
use super::handle::Store;
use super::mirror::Change;
use super::rows::{json, statements, to_json};
use super::tokens;

/// The most of them. Each is looked at whenever all are listed or routed to.
const SERVICES_MAX: i64 = 1000;

statements! {
    ALL = "SELECT * FROM services";
    COUNT = "SELECT count(*) AS count FROM services";
    NAMED = "SELECT name FROM services WHERE name = ?1";
    HOLDS_TOKEN = "SELECT token_hash FROM services WHERE token_hash = ?1
        UNION ALL SELECT hash FROM tokens WHERE hash = ?1";
    HAS_CLIENT = "SELECT client_id FROM services WHERE client_id = ?1
        UNION ALL SELECT client_id FROM oauth_clients WHERE client_id = ?1";
    CREATE = "INSERT INTO services
        (name, token_hash, admin, roles, url, client_id, redirect_uri, no_confirm, display, info)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING *";
    DELETE = "DELETE FROM services WHERE name = ?1 RETURNING name";
}

/// A service that was made through the API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// The token that it was made with, which is the secret of its OAuth client too.
    pub(crate) token: Digest,
    /// Whether it may do everything.
    pub(crate) admin: bool,
    /// The names of the roles that it was given.
    pub(crate) roles: Vec<String>,
    /// Where it listens, if people open it through the hub.
    pub(crate) url: Option<String>,
    /// Its name as an OAuth client, used or not.
    pub(crate) client_id: String,
    /// Where its visitors are sent back to, if that is not below its own address.
    pub(crate) redirect_uri: Option<String>,
    /// Whether its visitors are not asked whether it may know who they are.
    pub(crate) no_confirm: bool,
    /// Whether people are shown a link to it.
    pub(crate) display: bool,
    /// Whatever its maker wants to be shown with it.
    pub(crate) info: Map<String, Value>,
}

/// The services of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Services<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    by_name: BTreeMap<String, Arc<Service>>,
    by_token: HashMap<Digest, String>,
}

impl Services<'_> {
    /// Every service, by name.
    pub(crate) fn all(self) -> Vec<Arc<Service>> {
        self.0
            .read(|mirror| mirror.services.by_name.values().cloned().collect())
    }

    /// The service of that name.
    pub(crate) fn find(self, name: &str) -> Option<Arc<Service>> {
        self.0
            .read(|mirror| mirror.services.by_name.get(name).cloned())
    }

    /// The name of the service with this token.
    pub(crate) fn by_token(self, token: &Digest) -> Option<String> {
        self.0
            .read(|mirror| mirror.services.by_token.get(token).cloned())
    }

    /// Makes a service, and its client if people can sign in to it. Its name, its token and its
    /// client id must be nobody else's in the books.
    pub(crate) async fn create(
        self,
        service: Service,
        client: Option<NewClient>,
    ) -> Result<Arc<Service>, StoreError> {
        self.0
            .write(move |rows| {
                if rows.any(NAMED, [&service.name])? {
                    return Err(StoreError::Conflict("there is a service of that name"));
                }
                if rows.any(HOLDS_TOKEN, [service.token])? {
                    return Err(StoreError::Conflict("the token is somebody else's"));
                }
                if rows.any(HAS_CLIENT, [&service.client_id])? {
                    return Err(StoreError::Conflict("another service has that client id"));
                }
                let count: i64 = rows.the(COUNT, (), |row| row.get("count"))?;
                if count >= SERVICES_MAX {
                    return Err(StoreError::Conflict("there are too many services"));
                }
                let values = (
                    &service.name,
                    service.token,
                    service.admin,
                    to_json("the list of roles", &service.roles)?,
                    &service.url,
                    &service.client_id,
                    &service.redirect_uri,
                    service.no_confirm,
                    service.display,
                    to_json("info", &service.info)?,
                );
                let made = Arc::new(rows.the(CREATE, values, Service::from_row)?);
                rows.changed(Change::Service(Arc::clone(&made)));
                if let Some(client) = client {
                    clients::put_of_service(rows, &made.name, &client)?;
                }
                Ok(made)
            })
            .await
    }

    /// Deletes a service with its tokens, its client and what that was issued, and what tokens of
    /// others could do to it.
    pub(crate) async fn delete(self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.0
            .write(move |rows| {
                if !rows.any(DELETE, [&name])? {
                    return Err(StoreError::NotFound("service"));
                }
                clients::delete_of_service(rows, &name)?;
                tokens::delete_of_service(rows, &name)?;
                grants::forget_service(rows, &name)?;
                rows.changed(Change::ServiceGone(name));
                Ok(())
            })
            .await
    }
}

impl Service {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get("name")?,
            token: row.get("token_hash")?,
            admin: row.get("admin")?,
            roles: json(row, "roles")?,
            url: row.get("url")?,
            client_id: row.get("client_id")?,
            redirect_uri: row.get("redirect_uri")?,
            no_confirm: row.get("no_confirm")?,
            display: row.get("display")?,
            info: json(row, "info")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, service: Arc<Service>) {
        self.by_token.insert(service.token, service.name.clone());
        self.by_name.insert(service.name.clone(), service);
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(service) = self.by_name.remove(name) {
            self.by_token.remove(&service.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_mirror_equals_rows, at, service, store, token, user};
    use super::super::{NewToken, Owner};
    use super::*;

    async fn made(store: &Store, name: &str) -> Arc<Service> {
        let (service, client) = service(name, &format!("token-of-{name}"));
        store
            .services()
            .create(service, Some(client))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn made_once_and_found_by_name_and_token() {
        let store = store();
        let services = store.services();
        let grader = made(&store, "grader").await;
        assert_eq!(*grader, service("grader", "token-of-grader").0);
        assert_eq!(services.find("grader"), Some(Arc::clone(&grader)));
        assert_eq!(services.by_token(&grader.token), Some("grader".to_owned()));
        assert!(store.clients().find("service-grader").is_some());

        let owner = Owner::User(user(&store, "ann").await.id);
        let anns = token(owner, "anns");
        store.tokens().create(anns, at(1)).await.unwrap();
        let other = |change: fn(&mut Service)| {
            let (mut service, client) = service("other", "token-of-other");
            change(&mut service);
            services.create(service, Some(client))
        };
        for (refused, why) in [
            (other(|s| s.name = "grader".into()).await, "of that name"),
            (other(|s| s.token = Digest::of("anns")).await, "token"),
            (
                other(|s| s.token = Digest::of("token-of-grader")).await,
                "token",
            ),
            (
                other(|s| s.client_id = "service-grader".into()).await,
                "client id",
            ),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
            assert!(refused.to_string().contains(why), "{refused}");
        }
        assert_eq!(services.all(), [grader]);
        assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn nothing_outlives_it() {
        let store = store();
        let ann = Owner::User(user(&store, "ann").await.id);
        let (services, tokens) = (store.services(), store.tokens());
        for name in ["grader", "other"] {
            made(&store, name).await;
            let own = token(Owner::Service(name.to_owned()), &format!("own {name}"));
            let visitors = NewToken {
                client_id: Some(format!("service-{name}")),
                ..token(ann.clone(), &format!("visitor of {name}"))
            };
            for new in [own, visitors] {
                tokens.create(new, at(1)).await.unwrap();
            }
        }
        let scopes = [
            "access:services!service=grader",
            "access:services!service=other",
            "read:groups!group=grader",
        ];
        let anns = NewToken {
            scopes: scopes.map(str::to_owned).to_vec(),
            ..token(ann, "anns")
        };
        tokens.create(anns, at(1)).await.unwrap();

        services.delete("grader").await.unwrap();
        let find = |text: &str| tokens.find(&Digest::of(text), at(2));
        assert!(find("own grader").is_none() && find("visitor of grader").is_none());
        assert!(find("own other").is_some() && find("visitor of other").is_some());
        assert_eq!(find("anns").unwrap().scopes, scopes[1..]);
        assert_eq!(store.clients().find("service-grader"), None);
        assert_eq!(services.by_token(&Digest::of("token-of-grader")), None);
        let again = services.delete("grader").await;
        assert!(matches!(again, Err(StoreError::NotFound("service"))));
        assert_mirror_equals_rows(&store).await;
        made(&store, "grader").await;
        assert_eq!(services.all().len(), 2);
    }

    #[tokio::test]
    async fn there_is_a_limit() {
        let store = store();
        for n in 0..SERVICES_MAX {
            made(&store, &format!("s{n}")).await;
        }
        let (service, client) = service("one-more", "token-of-one-more");
        let refused = store.services().create(service, Some(client)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("too many"), "{refused}");
    }
}
