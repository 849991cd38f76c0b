//! Tokens that people and programs ask for: the rules of a new one, and the list.
//!
//! ```text
//! POST {api}/users/NAME/tokens --\
//! the token page ------------------> TokenDesk::issue --> checked wish --> row     (the text is told once)
//! hubd token new -----------------/
//! ```
//!
//! A rule stands here once, whichever way a wish came. Invariants: a token never holds a scope that
//! its owner lacks, and none lives longer than `token_expires_in_max_seconds`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use spawner_core::{Secret, UserName};

use super::caller::Identity;
use super::directory::Directory;
use crate::random::new_token;
use crate::scopes::{self, Issuer, Scope, ScopeError, ScopeSet};
use crate::store::audit::{Action, Actor, Entry, Object};
use crate::store::{Digest, NewToken, Owner, Store, StoreError, Token, TokenId, TokenKind};

/// The longest note, in characters.
const NOTE_MAX: usize = 1000;

/// Makes, lists and revokes tokens.
#[derive(Debug, Clone)]
pub(crate) struct TokenDesk {
    store: Store,
    directory: Arc<Directory>,
}

/// What somebody wants of a new token.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// Empty counts as none.
    pub(crate) note: Option<String>,
    /// In seconds; without it the token lives as long as any may.
    pub(crate) expires_in: Option<i64>,
    /// Without them and without roles: all that its owner may do.
    pub(crate) scopes: Option<Vec<String>>,
    /// A short form of scopes.
    pub(crate) roles: Option<Vec<String>>,
}

/// A token that has just been made, with the only copy of its text.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: Arc<Token>,
    pub(crate) text: Secret,
}

/// Whose a token is to be, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OwnerName {
    User(UserName),
    Service(String),
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenLine {
    pub(crate) id: String,
    /// One of the two is there.
    pub(crate) user: Option<UserName>,
    pub(crate) service: Option<String>,
    /// `api`, `server` or `oauth`.
    pub(crate) kind: String,
    pub(crate) note: String,
    /// As granted, not expanded.
    pub(crate) scopes: Vec<String>,
    pub(crate) created: Timestamp,
    pub(crate) last_activity: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a command is told of a token that it had made; the text stands nowhere else.
#[derive(Debug, Deserialize)]
pub(crate) struct NewTokenLine {
    pub(crate) line: TokenLine,
    pub(crate) text: Secret,
}

/// Why there is no new token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenRefused {
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error("there is no role called {0:?}")]
    Role(String),
    #[error("a token has scopes or roles; ask for one of the two")]
    ScopesAndRoles,
    #[error("`expires_in` must be more than 0 seconds")]
    NoTime,
    #[error(
        "`expires_in` must be at most {0} seconds, the `token_expires_in_max_seconds` of this hub"
    )]
    TooLong(i64),
    #[error("`note` has more than {NOTE_MAX} characters")]
    LongNote,
    #[error("`note` must be one line of text, without control characters")]
    Note,
    #[error("there is no user {0}")]
    UnknownUser(UserName),
    #[error("there is no service called {0:?}")]
    UnknownService(String),
    #[error("there is no token {0}")]
    UnknownToken(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenLine {
    /// Whose it is, as `user ann` or `service grader`.
    pub(crate) fn owner(&self) -> String {
        match (&self.user, &self.service) {
            (Some(user), _) => format!("user {user}"),
            (None, Some(service)) => format!("service {service}"),
            (None, None) => "somebody who is gone".to_owned(),
        }
    }
}

impl TokenDesk {
    pub(crate) fn new(store: Store, directory: Arc<Directory>) -> Self {
        Self { store, directory }
    }

    /// Makes a token of `owner` for `by`. `note` is what it is called if the wish does not say.
    pub(crate) async fn issue(
        &self,
        by: Actor,
        owner: &Identity,
        wish: TokenWish,
        note: &str,
    ) -> Result<Issued, TokenRefused> {
        let now = Timestamp::now();
        let (row, text) = self.row(owner, wish, note, now)?;
        let entry = Entry::new(by, Action::TokenCreate).with_names("scopes", &row.scopes);
        let entry = match owner {
            Identity::User(user) => entry.concerning(user),
            Identity::Service(name) => entry.with("service", name),
        };
        let entry = entry.with_some("expires_at", row.expires_at);
        let token = self.store.noting(entry).tokens().create(row, now).await?;
        Ok(Issued { token, text })
    }

    /// The longest that a new token lives; `None` for no limit.
    pub(crate) fn max_age(&self) -> Option<SignedDuration> {
        self.directory.token_max_age()
    }

    /// Who is called that.
    pub(crate) fn owner(&self, name: OwnerName) -> Result<Identity, TokenRefused> {
        match name {
            OwnerName::User(name) => match self.store.users().by_name(&name) {
                Some(user) => Ok(Identity::User(user)),
                None => Err(TokenRefused::UnknownUser(name)),
            },
            OwnerName::Service(name) => match self.directory.services().find(&name) {
                Some(_) => Ok(Identity::Service(name)),
                None => Err(TokenRefused::UnknownService(name)),
            },
        }
    }

    /// The tokens of an owner, or all there are; oldest first.
    pub(crate) fn list(&self, owner: Option<&Identity>) -> Vec<TokenLine> {
        let (tokens, now) = (self.store.tokens(), Timestamp::now());
        let tokens = match owner {
            Some(owner) => tokens.of(&key(owner), now),
            None => tokens.all(now),
        };
        tokens.iter().map(|token| self.line(token)).collect()
    }

    /// As [`TokenDesk::issue`], for a command.
    pub(crate) async fn issue_for(
        &self,
        by: Actor,
        owner: OwnerName,
        wish: TokenWish,
    ) -> Result<NewTokenLine, TokenRefused> {
        let owner = self.owner(owner)?;
        let issued = self.issue(by, &owner, wish, "Made with hubd token").await?;
        Ok(NewTokenLine {
            line: self.line(&issued.token),
            text: issued.text,
        })
    }

    /// As [`TokenDesk::list`], for a command.
    pub(crate) fn list_for(
        &self,
        owner: Option<OwnerName>,
    ) -> Result<Vec<TokenLine>, TokenRefused> {
        let owner = owner.map(|name| self.owner(name)).transpose()?;
        Ok(self.list(owner.as_ref()))
    }

    /// Revokes the token of that name; says which one it was.
    pub(crate) async fn revoke_named(
        &self,
        by: Actor,
        id: &str,
    ) -> Result<TokenLine, TokenRefused> {
        let unknown = || TokenRefused::UnknownToken(id.to_owned());
        let token = self.find(id).ok_or_else(unknown)?;
        let line = self.line(&token);
        self.revoke(by, &token).await?;
        Ok(line)
    }

    /// The live token of that name (`a9`).
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Token>> {
        let id: TokenId = id.parse().ok()?;
        self.store.tokens().by_id(id, Timestamp::now())
    }

    /// Revokes a token. One that a server was issued for its visitor takes the others along that the
    /// server was issued for them: it would get the next one without asking anyway.
    pub(crate) async fn revoke(&self, by: Actor, token: &Token) -> Result<(), StoreError> {
        let entry = Entry::new(by, Action::TokenRevoke).on(Object::token(token.id));
        let entry = match &token.owner {
            Owner::User(id) => match self.store.users().by_id(*id) {
                Some(user) => entry.concerning(&user),
                None => entry,
            },
            Owner::Service(name) => entry.with("service", name),
        };
        let store = self
            .store
            .noting(entry.with_some("client", token.client_id.as_ref()));
        match (&token.client_id, &token.owner) {
            (Some(client), Owner::User(user)) => {
                let tokens = store.tokens();
                tokens.revoke_client_of(*user, client).await.map(drop)
            }
            _ => store.tokens().revoke(token.id).await.map(drop),
        }
    }

    fn row(
        &self,
        owner: &Identity,
        wish: TokenWish,
        note: &str,
        now: Timestamp,
    ) -> Result<(NewToken, Secret), TokenRefused> {
        let scopes = self.scopes(&wish)?;
        let (name, held) = self.name_and_rights(owner);
        let is_member = |user: &_, group: &_| self.directory.is_member(user, group);
        scopes::check_asked(&scopes, &name, &Issuer::Hub, &held, &is_member)?;
        let expires_at = self.end(wish.expires_in, now)?;
        let note = note_of(wish.note, note)?;
        let text = new_token();
        let row = NewToken {
            hash: Digest::of(text.expose()),
            kind: TokenKind::Api,
            owner: key(owner),
            server: None,
            client_id: None,
            scopes: scopes.into_iter().map(String::from).collect(),
            note,
            expires_at,
            session_id: None,
        };
        Ok((row, text))
    }

    /// When a token ends that is made now.
    fn end(
        &self,
        expires_in: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, TokenRefused> {
        let max = self.max_age();
        let span = match (expires_in, max) {
            (None, max) => max,
            (Some(..=0), _) => return Err(TokenRefused::NoTime),
            (Some(seconds), Some(max)) if SignedDuration::from_secs(seconds) > max => {
                return Err(TokenRefused::TooLong(max.as_secs()));
            }
            (Some(seconds), _) => Some(SignedDuration::from_secs(seconds)),
        };
        Ok(span.map(|span| now.saturating_add(span).unwrap_or(Timestamp::MAX)))
    }

    /// The scopes that are asked for, of which roles are a short form.
    fn scopes(&self, wish: &TokenWish) -> Result<Vec<Scope>, TokenRefused> {
        let known = self.directory.roles();
        let roles = wish.roles.as_deref().unwrap_or_default();
        match &wish.scopes {
            Some(scopes) if !scopes.is_empty() && !roles.is_empty() => {
                Err(TokenRefused::ScopesAndRoles)
            }
            None if roles.is_empty() => Ok(known.default_token_scopes().to_vec()),
            Some(scopes) if roles.is_empty() => {
                Ok(Scope::parse_all(scopes.iter().map(String::as_str))?)
            }
            _ => {
                let mut scopes = Vec::new();
                for name in roles {
                    let role = known.scopes_of(name);
                    let role = role.ok_or_else(|| TokenRefused::Role(name.clone()))?;
                    scopes.extend_from_slice(role);
                }
                Ok(scopes)
            }
        }
    }

    fn name_and_rights(&self, owner: &Identity) -> (scopes::Owner, ScopeSet) {
        match owner {
            Identity::User(user) => (
                scopes::Owner::User(user.name.clone()),
                self.directory.rights_of_user(user),
            ),
            Identity::Service(name) => (
                scopes::Owner::Service(name.clone()),
                self.rights_of_service(name),
            ),
        }
    }

    /// Nothing for a service that is gone meanwhile.
    fn rights_of_service(&self, name: &str) -> ScopeSet {
        let service = self.directory.services().find(name);
        service.map_or_else(ScopeSet::default, |service| {
            self.directory.rights_of_service(&service)
        })
    }

    fn line(&self, token: &Token) -> TokenLine {
        let (user, service) = match &token.owner {
            Owner::User(id) => (self.store.users().by_id(*id), None),
            Owner::Service(name) => (None, Some(name.clone())),
        };
        TokenLine {
            id: token.id.to_string(),
            user: user.map(|user| user.name.clone()),
            service,
            kind: token.kind.as_str().to_owned(),
            note: token.note.clone(),
            scopes: token.scopes.clone(),
            created: token.created,
            last_activity: token.last_activity,
            expires_at: token.expires_at,
        }
    }
}

/// An owner as the books name them.
fn key(owner: &Identity) -> Owner {
    match owner {
        Identity::User(user) => Owner::User(user.id),
        Identity::Service(name) => Owner::Service(name.clone()),
    }
}

/// What a token is called.
fn note_of(written: Option<String>, default: &str) -> Result<String, TokenRefused> {
    let Some(note) = written.filter(|note| !note.is_empty()) else {
        return Ok(default.to_owned());
    };
    if note.chars().count() > NOTE_MAX {
        return Err(TokenRefused::LongNote);
    }
    if note.contains(char::is_control) {
        return Err(TokenRefused::Note);
    }
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CONFIG: &str = "[auth]\nkind = 'password'\nallow_all = true\n\
        [[service]]\nname = 'grader'\napi_token = '0123456789abcdef'\n\
        [[role]]\nname = 'grading'\nscopes = ['list:users']\nservices = ['grader']\n";

    async fn desk(max: &str) -> (TokenDesk, Identity) {
        let config = CONFIG.replace("true\n", &format!("true\n{max}\n"));
        let store = Store::open_in_memory().unwrap();
        let config = Config::parse(&config, "hubd.toml").unwrap();
        let directory = Directory::new(&config, store.clone()).unwrap();
        let ann = vec!["ann".parse().unwrap()];
        let made = store.users().create(ann, false, Timestamp::now()).await;
        let ann = Identity::User(Arc::clone(&made.unwrap()[0]));
        (TokenDesk::new(store, Arc::new(directory)), ann)
    }

    /// How long the token would live, in seconds; -1 for ever.
    fn lives(desk: &TokenDesk, expires_in: Option<i64>) -> Result<i64, String> {
        let now = Timestamp::now();
        let end = desk.end(expires_in, now).map_err(|e| e.to_string())?;
        Ok(end.map_or(-1, |end| end.duration_since(now).as_secs()))
    }

    #[tokio::test]
    async fn none_lives_longer_than_the_maximum() {
        let (free, _) = desk("").await;
        let (bound, _) = desk("token_expires_in_max_seconds = 3600").await;
        for (asked, without, with) in [
            (None, Ok(-1), Ok(3600)),
            (Some(1), Ok(1), Ok(1)),
            (Some(3600), Ok(3600), Ok(3600)),
            (Some(3601), Ok(3601), Err("at most 3600 seconds")),
            (Some(i64::MAX), Ok(i64::MAX), Err("at most 3600 seconds")),
            (Some(0), Err("more than 0"), Err("more than 0")),
            (Some(-1), Err("more than 0"), Err("more than 0")),
            (Some(i64::MIN), Err("more than 0"), Err("more than 0")),
        ] {
            for (desk, expected) in [(&free, without), (&bound, with)] {
                match (lives(desk, asked), expected) {
                    (Ok(lives), Ok(i64::MAX)) => assert!(lives > 200 * 365 * 86400),
                    (Ok(lives), Ok(expected)) => assert_eq!(lives, expected, "{asked:?}"),
                    (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
                    (lives, expected) => panic!("{asked:?}: {lives:?}, not {expected:?}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_service_gets_what_it_holds() {
        let (desk, _) = desk("").await;
        let grader = desk.owner(OwnerName::Service("grader".into())).unwrap();
        let ask = |scope: &str| TokenWish {
            scopes: Some(vec![scope.to_owned()]),
            ..TokenWish::default()
        };
        let root = Actor::command(0, "root");
        let made = desk
            .issue(root.clone(), &grader, ask("list:users"), "by hand")
            .await;
        let made = made.unwrap();
        assert_eq!(made.token.owner, Owner::Service("grader".into()));
        let refused = desk
            .issue(root, &grader, ask("shutdown"), "")
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("does not hold"), "{refused}");
        let line = &desk.list(Some(&grader))[0];
        assert_eq!(
            (line.service.as_deref(), &*line.note),
            (Some("grader"), "by hand")
        );
        let nobody = desk.owner(OwnerName::Service("other".into())).unwrap_err();
        assert!(nobody.to_string().contains("no service called"), "{nobody}");
    }

    #[tokio::test]
    async fn notes_are_a_line_of_text() {
        let (desk, ann) = desk("").await;
        for (note, fine) in [
            ("", true),
            ("für die Übung <b>", true),
            ("x\ny", false),
            ("x\0", false),
            ("\u{1b}[31m", false),
            (&"é".repeat(NOTE_MAX), true),
            (&"é".repeat(NOTE_MAX + 1), false),
        ] {
            let wish = TokenWish {
                note: Some(note.to_owned()),
                ..TokenWish::default()
            };
            let made = desk.issue(Actor::hub("test"), &ann, wish, "default").await;
            assert_eq!(made.is_ok(), fine, "{note:?}");
            if let Ok(made) = made {
                let expected = if note.is_empty() { "default" } else { note };
                assert_eq!(made.token.note, expected);
            }
        }
    }
}
