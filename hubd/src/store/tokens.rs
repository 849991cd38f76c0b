//! Tokens: the right of a program to act for a user or a service.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Params, Row};

use super::audit::Object;
use super::digest::Digest;
use super::error::StoreError;
use super::handle::Store;
use super::ids::{ServerRowId, TokenId, UserId};
use super::mirror::Change;
use super::rows::{
    Rows, Statement, json, maybe_time, micros, spelled, statements, time, to_json, word,
};

statements! {
    ALL = "SELECT * FROM tokens";
    CREATE = "INSERT INTO tokens
        (hash, kind, user, service, server, client_id, scopes, note, created, expires_at, session_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING *";
    REVOKE = "DELETE FROM tokens WHERE id = ?1 RETURNING id";
    REVOKE_SESSION = "DELETE FROM tokens WHERE user = ?1 AND session_id = ?2 RETURNING id";
    REVOKE_CLIENT_OF = "DELETE FROM tokens WHERE user = ?1 AND client_id = ?2 RETURNING id";
    DELETE_OF_CLIENT = "DELETE FROM tokens WHERE client_id = ?1 RETURNING id";
    REVOKE_BUT_SERVERS = "DELETE FROM tokens WHERE user = ?1 AND kind <> 'server' RETURNING id";
    LIVES = "SELECT id FROM sessions WHERE user = ?1 AND session_id = ?2";
    PURGE = "DELETE FROM tokens WHERE expires_at <= ?1 RETURNING id";
    SHORTEN = "UPDATE tokens SET expires_at = created + ?1
        WHERE kind = 'api' AND (expires_at IS NULL OR expires_at > created + ?1) RETURNING *";
    REVOKE_OF_SERVICE = "DELETE FROM tokens WHERE service = ?1 RETURNING id";
    OF_SERVICES = "SELECT id, service FROM tokens WHERE service IS NOT NULL";
    DELETE_OF_SERVER = "DELETE FROM tokens
        WHERE server = ?1 OR client_id IN (SELECT client_id FROM oauth_clients WHERE server = ?1) RETURNING id";
    DELETE_OF_USER = "DELETE FROM tokens
        WHERE user = ?1 OR client_id IN
            (SELECT client_id FROM oauth_clients JOIN servers ON servers.id = server WHERE servers.user = ?1)
        RETURNING id";
}

/// A token. Its text is known only to whoever holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) id: TokenId,
    pub(crate) hash: Digest,
    pub(crate) kind: TokenKind,
    pub(crate) owner: Owner,
    /// The server that was given it, for [`TokenKind::Server`].
    pub(crate) server: Option<ServerRowId>,
    /// The client that asked for it, for [`TokenKind::Oauth`].
    pub(crate) client_id: Option<String>,
    /// As granted, not expanded.
    pub(crate) scopes: Vec<String>,
    pub(crate) note: String,
    pub(crate) created: Timestamp,
    pub(crate) last_activity: Option<Timestamp>,
    /// From this instant on it is no token any more.
    pub(crate) expires_at: Option<Timestamp>,
    /// The browser session it was granted in; it ends with that session's logout.
    pub(crate) session_id: Option<String>,
}

/// Where a token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Somebody asked for it.
    Api,
    /// Made for one run of a server.
    Server,
    /// Issued to an OAuth client for its visitor.
    Oauth,
}

const KINDS: &[(&str, TokenKind)] = &[
    ("api", TokenKind::Api),
    ("server", TokenKind::Server),
    ("oauth", TokenKind::Oauth),
];

impl TokenKind {
    /// The word for it, as in the file.
    pub(crate) fn as_str(self) -> &'static str {
        spelled(&self, KINDS)
    }
}

/// Whom a token acts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    User(UserId),
    /// A service, by its name.
    Service(String),
}

/// A token to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewToken {
    pub(crate) hash: Digest,
    pub(crate) kind: TokenKind,
    pub(crate) owner: Owner,
    pub(crate) server: Option<ServerRowId>,
    pub(crate) client_id: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) note: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) session_id: Option<String>,
}

/// The tokens of a [`Store`]. Expired ones are never returned, purged or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    tokens: BTreeMap<TokenId, Arc<Token>>,
    by_hash: HashMap<Digest, TokenId>,
    by_owner: HashMap<Owner, BTreeSet<TokenId>>,
}

impl Tokens<'_> {
    /// The token of that text's digest: the look-up behind every request with a token.
    pub(crate) fn find(self, hash: &Digest, now: Timestamp) -> Option<Arc<Token>> {
        self.0.read(|mirror| {
            let id = *mirror.tokens.by_hash.get(hash)?;
            mirror.tokens.live(id, now)
        })
    }

    /// The token of that number.
    pub(crate) fn by_id(self, id: TokenId, now: Timestamp) -> Option<Arc<Token>> {
        self.0.read(|mirror| mirror.tokens.live(id, now))
    }

    /// All tokens of an owner, oldest first.
    pub(crate) fn of(self, owner: &Owner, now: Timestamp) -> Vec<Arc<Token>> {
        self.0.read(|mirror| {
            let ids = mirror.tokens.by_owner.get(owner).into_iter().flatten();
            ids.filter_map(|id| mirror.tokens.live(*id, now)).collect()
        })
    }

    /// Stores a token.
    pub(crate) async fn create(
        self,
        token: NewToken,
        now: Timestamp,
    ) -> Result<Arc<Token>, StoreError> {
        self.0.write(move |rows| create(rows, &token, now)).await
    }

    /// Stores a token that was granted in a browser session, if that has not ended meanwhile: a code is
    /// exchanged a moment after it was issued, and a logout or a new password may come in between.
    pub(crate) async fn create_granted(
        self,
        token: NewToken,
        now: Timestamp,
    ) -> Result<Arc<Token>, StoreError> {
        self.0
            .write(move |rows| {
                if let (Owner::User(user), Some(session)) = (&token.owner, &token.session_id)
                    && !rows.any(LIVES, (user, session))?
                {
                    return Err(StoreError::Conflict("the login has ended meanwhile"));
                }
                create(rows, &token, now)
            })
            .await
    }

    /// Revokes one; says whether it was there.
    pub(crate) async fn revoke(self, id: TokenId) -> Result<bool, StoreError> {
        let gone = self.0.write(move |rows| delete(rows, REVOKE, [id])).await?;
        Ok(gone > 0)
    }

    /// Revokes all that a client was issued for one user; says how many.
    pub(crate) async fn revoke_client_of(
        self,
        user: UserId,
        client_id: &str,
    ) -> Result<usize, StoreError> {
        let client_id = client_id.to_owned();
        self.0
            .write(move |rows| delete(rows, REVOKE_CLIENT_OF, (user, client_id)))
            .await
    }

    /// Every token there is, oldest first.
    pub(crate) fn all(self, now: Timestamp) -> Vec<Arc<Token>> {
        self.0.read(|mirror| {
            let ids = mirror.tokens.tokens.keys();
            ids.filter_map(|id| mirror.tokens.live(*id, now)).collect()
        })
    }

    /// Lets no token that somebody asked for live longer than `max` from when it was made; says how
    /// many had been longer.
    pub(crate) async fn shorten(self, max: SignedDuration) -> Result<usize, StoreError> {
        self.0
            .write(move |rows| {
                let max = i64::try_from(max.as_micros()).unwrap_or(i64::MAX / 2);
                let shorter = rows.all(SHORTEN, [max], Token::from_row)?;
                let count = shorter.len();
                for token in shorter {
                    rows.changed(Change::Token(Arc::new(token)));
                }
                Ok(count)
            })
            .await
    }

    /// Deletes the tokens of services that are none any more, so that a later one of that name
    /// inherits nothing; says how many.
    pub(crate) async fn keep_services(self, known: BTreeSet<String>) -> Result<usize, StoreError> {
        self.0
            .write(move |rows| {
                let of_services: Vec<(TokenId, String)> = rows.all(OF_SERVICES, (), |row| {
                    Ok((row.get("id")?, row.get("service")?))
                })?;
                let mut count = 0;
                for (id, service) in of_services {
                    if !known.contains(&service) {
                        count += delete(rows, REVOKE, [id])?;
                    }
                }
                Ok(count)
            })
            .await
    }

    /// Deletes the rows of expired tokens; says how many.
    pub(crate) async fn purge_expired(self, now: Timestamp) -> Result<usize, StoreError> {
        self.0
            .write(move |rows| delete(rows, PURGE, [micros(now)]))
            .await
    }
}

impl Token {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let user: Option<UserId> = row.get("user")?;
        Ok(Self {
            id: row.get("id")?,
            hash: row.get("hash")?,
            kind: word(row, "kind", KINDS)?,
            owner: match user {
                Some(user) => Owner::User(user),
                None => Owner::Service(row.get("service")?),
            },
            server: row.get("server")?,
            client_id: row.get("client_id")?,
            scopes: json(row, "scopes")?,
            note: row.get("note")?,
            created: time(row, "created")?,
            last_activity: maybe_time(row, "last_activity")?,
            expires_at: maybe_time(row, "expires_at")?,
            session_id: row.get("session_id")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, token: Arc<Token>) {
        self.by_hash.insert(token.hash, token.id);
        let of_owner = self.by_owner.entry(token.owner.clone()).or_default();
        of_owner.insert(token.id);
        self.tokens.insert(token.id, token);
    }

    pub(super) fn remove(&mut self, id: TokenId) {
        let Some(token) = self.tokens.remove(&id) else {
            return;
        };
        self.by_hash.remove(&token.hash);
        if let Some(of_owner) = self.by_owner.get_mut(&token.owner) {
            of_owner.remove(&id);
            if of_owner.is_empty() {
                self.by_owner.remove(&token.owner);
            }
        }
    }

    pub(super) fn seen(&mut self, id: TokenId, at: Timestamp) {
        if let Some(token) = self.tokens.get_mut(&id) {
            Arc::make_mut(token).last_activity = Some(at);
        }
    }

    fn live(&self, id: TokenId, now: Timestamp) -> Option<Arc<Token>> {
        let token = self.tokens.get(&id)?;
        let live = token.expires_at.is_none_or(|end| now < end);
        live.then(|| Arc::clone(token))
    }
}

/// Stores a token, as part of a job.
pub(super) fn create(
    rows: &mut Rows<'_>,
    token: &NewToken,
    now: Timestamp,
) -> Result<Arc<Token>, StoreError> {
    let (user, service) = match &token.owner {
        Owner::User(user) => (Some(user), None),
        Owner::Service(name) => (None, Some(name)),
    };
    let values = (
        token.hash,
        spelled(&token.kind, KINDS),
        user,
        service,
        token.server,
        &token.client_id,
        to_json("the list of scopes", &token.scopes)?,
        &token.note,
        micros(now),
        token.expires_at.map(micros),
        &token.session_id,
    );
    let token = rows.the(CREATE, values, Token::from_row)?;
    rows.made(Object::token(token.id));
    Ok(changed(rows, token))
}

/// Reports a token's row, as part of a job.
pub(super) fn changed(rows: &mut Rows<'_>, token: Token) -> Arc<Token> {
    let token = Arc::new(token);
    rows.changed(Change::Token(Arc::clone(&token)));
    token
}

/// Deletes the token of a server and those that its client was issued, as part of a job.
pub(super) fn delete_of_server(
    rows: &mut Rows<'_>,
    server: ServerRowId,
) -> Result<usize, StoreError> {
    delete(rows, DELETE_OF_SERVER, [server])
}

/// Deletes what a client was issued, as part of a job.
pub(super) fn delete_of_client(rows: &mut Rows<'_>, client: &str) -> Result<usize, StoreError> {
    delete(rows, DELETE_OF_CLIENT, [client])
}

/// Deletes the tokens of a service, as part of a job.
pub(super) fn delete_of_service(rows: &mut Rows<'_>, service: &str) -> Result<usize, StoreError> {
    delete(rows, REVOKE_OF_SERVICE, [service])
}

/// Deletes the tokens of a user and those that the clients of their servers were issued for
/// others, as part of a job.
pub(super) fn delete_of_user(rows: &mut Rows<'_>, user: UserId) -> Result<usize, StoreError> {
    delete(rows, DELETE_OF_USER, [user])
}

/// Deletes what a user has made or granted, as part of a job: all but the tokens of their servers.
pub(super) fn delete_but_servers(rows: &mut Rows<'_>, user: UserId) -> Result<usize, StoreError> {
    delete(rows, REVOKE_BUT_SERVERS, [user])
}

/// Deletes what a user was granted in one browser session, as part of a job.
pub(super) fn delete_of_session(
    rows: &mut Rows<'_>,
    user: UserId,
    session_id: &str,
) -> Result<usize, StoreError> {
    delete(rows, REVOKE_SESSION, (user, session_id))
}

fn delete(rows: &mut Rows<'_>, sql: Statement, params: impl Params) -> Result<usize, StoreError> {
    let gone = rows.all(sql, params, |row| row.get("id"))?;
    let count = gone.len();
    for id in gone {
        rows.changed(Change::TokenGone(id));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, launched, store, token, user};
    use super::*;

    #[tokio::test]
    async fn found_by_text_until_it_expires() {
        let store = store();
        let ann = user(&store, "ann").await;
        let new = NewToken {
            expires_at: Some(at(10)),
            ..token(Owner::User(ann.id), "secret")
        };
        let made = store.tokens().create(new, at(1)).await.unwrap();
        assert_eq!((made.kind, made.created), (TokenKind::Api, at(1)));
        let hash = Digest::of("secret");
        let tokens = store.tokens();
        assert_eq!(tokens.find(&hash, at(9)), Some(Arc::clone(&made)));
        assert_eq!(tokens.by_id(made.id, at(9)), Some(Arc::clone(&made)));
        assert_eq!(tokens.of(&made.owner, at(9)), vec![Arc::clone(&made)]);
        for now in [at(10), at(11)] {
            assert_eq!(tokens.find(&hash, now), None);
            assert_eq!(tokens.by_id(made.id, now), None);
            assert_eq!(tokens.of(&made.owner, now), []);
        }
        assert_eq!(tokens.purge_expired(at(9)).await.unwrap(), 0);
        assert_eq!(tokens.purge_expired(at(10)).await.unwrap(), 1);
        assert_eq!(tokens.find(&hash, at(1)), None);
    }

    #[tokio::test]
    async fn revoked_one_by_one_and_together() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let bob = user(&store, "bob").await.id;
        let server = launched(&store, "ann", "").await;
        let client = format!("client-{}", server.id.0);
        let tokens = store.tokens();
        for (text, owner, client_id) in [
            ("1", ann, None),
            ("2", ann, Some(&client)),
            ("3", ann, Some(&client)),
            ("4", bob, Some(&client)),
        ] {
            let new = NewToken {
                client_id: client_id.cloned(),
                ..token(Owner::User(owner), text)
            };
            tokens.create(new, at(1)).await.unwrap();
        }
        let left = || {
            let found = |text: &&str| tokens.find(&Digest::of(text), at(2)).is_some();
            ["1", "2", "3", "4"]
                .into_iter()
                .filter(found)
                .collect::<String>()
        };
        assert_eq!(tokens.revoke_client_of(ann, &client).await.unwrap(), 2);
        assert_eq!(left(), "14");
        let id = tokens.find(&Digest::of("4"), at(2)).unwrap().id;
        assert!(tokens.revoke(id).await.unwrap());
        assert!(!tokens.revoke(id).await.unwrap());
        assert_eq!(left(), "1");
    }

    #[tokio::test]
    async fn of_services_too() {
        let store = store();
        let owner = Owner::Service("culler".to_owned());
        let made = store.tokens().create(token(owner.clone(), "x"), at(1));
        assert_eq!(made.await.unwrap().owner, owner);
        assert_eq!(store.tokens().of(&owner, at(2)).len(), 1);
    }

    #[tokio::test]
    async fn a_maximum_shortens_what_somebody_asked_for() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let server = launched(&store, "ann", "").await;
        let tokens = store.tokens();
        for (text, expires_at) in [
            ("never", None),
            ("late", Some(at(1000))),
            ("soon", Some(at(50))),
        ] {
            let new = NewToken {
                expires_at,
                ..token(Owner::User(ann), text)
            };
            tokens.create(new, at(1)).await.unwrap();
        }
        let shortened = tokens.shorten(SignedDuration::from_secs(60)).await;
        assert_eq!(shortened.unwrap(), 2);
        for (text, end) in [("never", at(61)), ("late", at(61)), ("soon", at(50))] {
            let found = tokens.find(&Digest::of(text), at(2)).unwrap();
            assert_eq!(found.expires_at, Some(end), "{text}");
        }
        let of_server = tokens.of(&Owner::User(ann), at(2));
        let of_server = of_server.iter().find(|t| t.server == Some(server.id));
        assert_eq!(
            of_server.unwrap().expires_at,
            None,
            "it ends with its server"
        );
        let again = tokens.shorten(SignedDuration::from_secs(60)).await;
        assert_eq!(again.unwrap(), 0);
        let most = tokens.shorten(SignedDuration::MAX).await;
        assert_eq!(most.unwrap(), 0);
        super::super::tests::assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn a_later_service_of_that_name_inherits_nothing() {
        let store = store();
        let tokens = store.tokens();
        for name in ["culler", "grader"] {
            let new = token(Owner::Service(name.to_owned()), name);
            tokens.create(new, at(1)).await.unwrap();
        }
        let known = BTreeSet::from(["grader".to_owned()]);
        assert_eq!(tokens.keep_services(known.clone()).await.unwrap(), 1);
        assert_eq!(tokens.keep_services(known).await.unwrap(), 0);
        assert_eq!(tokens.find(&Digest::of("culler"), at(2)), None);
        assert!(tokens.find(&Digest::of("grader"), at(2)).is_some());
    }

    #[tokio::test]
    async fn scopes_that_name_who_is_gone_go_too() {
        let store = store();
        let ann = user(&store, "ann").await;
        let bob = user(&store, "bob").await;
        launched(&store, "ann", "proj").await;
        let servers = store.servers();
        let proj = servers.of(ann.id)[0].id;
        let scopes = [
            "read:users!user=ann",
            "read:users!user=annabel",
            "servers!server=ann/",
            "servers!server=ann/proj",
            "servers!server=annabel/proj",
            "read:users!group=ann",
            "self",
        ];
        let new = NewToken {
            scopes: scopes.map(str::to_owned).to_vec(),
            ..token(Owner::User(bob.id), "bobs")
        };
        store.tokens().create(new, at(1)).await.unwrap();
        let left = || {
            let found = store.tokens().find(&Digest::of("bobs"), at(2));
            found.unwrap().scopes.clone()
        };
        servers.mark_stopped(proj, None, at(2)).await.unwrap();
        assert_eq!(left(), scopes, "it may come back");
        servers.remove(proj).await.unwrap();
        assert_eq!(left().len(), 6);
        assert!(!left().contains(&"servers!server=ann/proj".to_owned()));
        servers
            .ensure(ann.id, "more".parse().unwrap(), None)
            .await
            .unwrap();
        store.users().delete(ann.id).await.unwrap();
        let kept = [
            "read:users!user=annabel",
            "servers!server=annabel/proj",
            "read:users!group=ann",
            "self",
        ];
        assert_eq!(left(), kept);
        super::super::tests::assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn never_for_whom_is_not_there() {
        let store = store();
        let new = token(Owner::User(UserId(7)), "x");
        let refused = store.tokens().create(new, at(1)).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))));
        assert_eq!(store.tokens().find(&Digest::of("x"), at(1)), None);
    }
}
