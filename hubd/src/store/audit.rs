//! The audit log: who did what to whom.
//!
//! ```text
//! store.noting(entry).users().delete(id)     the row of the entry and the change are one commit
//! store.note(entry)                          a row for what is no change of the books
//! ```
//!
//! - Rows are added and never changed (the triggers of the layout see to that), and only
//!   [`AuditLog::prune`] deletes any: those that are older than what is kept.
//! - It is read from the file and not from memory: it is long and seldom looked at. Every query follows
//!   an index to the page that it shows.
//! - Nothing in a row can grow without bound: names have their limits, and a detail that is too long is
//!   left out.

mod entry;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Row, named_params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spawner_core::UserName;

pub(crate) use self::entry::{Action, Actor, Entry, Means, Object};
use super::error::StoreError;
use super::handle::Store;
use super::ids::UserId;
use super::rows::{Rows, json, micros, statements, time};

/// The longest detail, in bytes of JSON.
const DETAIL_MAX: usize = 4096;
/// The most rows that are read at once.
pub(crate) const PAGE_MAX: usize = 5000;
/// The most rows that one commit deletes, so that nobody waits for long.
const PRUNE_STEP: u32 = 1000;

/// The end of a query: the latest first, from the cursor back to the earliest moment.
macro_rules! page {
    ($select:literal, $where:literal) => {
        concat!(
            $select,
            " FROM audit WHERE ",
            $where,
            " at >= :since AND (at, id) < (:at, :id) ORDER BY at DESC, id DESC LIMIT :limit"
        )
    };
}

/// One of the ways in which an entry can be about a user.
macro_rules! about {
    ($where:literal) => {
        concat!("SELECT id FROM (", page!("SELECT id, at", $where), ")")
    };
}

statements! {
    ADD = "INSERT INTO audit (at, actor, actor_id, actor_name, means, token, source, action,
            object, object_id, object_name, user_id, user_name, outcome, detail)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    LATEST = page!("SELECT *", "");
    LATEST_OF_ACTION = page!("SELECT *", "action = :action AND");
    LATEST_ABOUT = concat!(
        "SELECT * FROM audit WHERE id IN (",
        about!("actor_name = :name AND (:action IS NULL OR action = :action) AND"),
        " UNION ",
        about!("actor = 'user' AND actor_id = :user AND (:action IS NULL OR action = :action) AND"),
        " UNION ",
        about!("user_name = :name AND (:action IS NULL OR action = :action) AND"),
        " UNION ",
        about!("user_id = :user AND (:action IS NULL OR action = :action) AND"),
        ") ORDER BY at DESC, id DESC LIMIT :limit"
    );
    IS_OLDER = "SELECT id FROM audit WHERE at < ?1 LIMIT 1";
    KEEP_SINCE = "INSERT INTO meta (key, value) VALUES ('audit_kept_since', CAST(?1 AS BLOB))
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
        WHERE CAST(CAST(value AS TEXT) AS INTEGER) < CAST(CAST(excluded.value AS TEXT) AS INTEGER)";
    PRUNE = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY at LIMIT ?2) RETURNING id";
}

/// The log of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditLog<'s>(pub(super) &'s Store);

/// Which rows are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuditQuery {
    /// Only what this user, service or account did, or what was done to this user.
    pub(crate) name: Option<String>,
    /// Only what has this word.
    pub(crate) action: Option<String>,
    /// Nothing before this moment.
    pub(crate) since: Option<Timestamp>,
    /// Only what comes after this row in the list, which goes back in time.
    pub(crate) before: Option<Cursor>,
    /// At most that many, and never more than [`PAGE_MAX`].
    pub(crate) limit: usize,
}

/// A place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// In microseconds since the epoch.
    at: i64,
    id: i64,
}

/// One row. The words are those of the file: a later version may have written others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: i64,
    pub(crate) at: Timestamp,
    /// `user`, `service`, `command`, `hub` or `nobody`.
    pub(crate) actor: String,
    /// The number of a user or of an account of this host.
    pub(crate) actor_id: Option<i64>,
    /// As it was then.
    pub(crate) actor_name: String,
    pub(crate) means: String,
    /// The name of the token, if it was one of the books.
    pub(crate) token: Option<String>,
    /// The address that it came from.
    pub(crate) source: Option<String>,
    pub(crate) action: String,
    /// The kind of what it was done to.
    pub(crate) object: String,
    pub(crate) object_id: Option<i64>,
    pub(crate) object_name: String,
    /// Whom it concerns.
    pub(crate) user_id: Option<i64>,
    pub(crate) user_name: Option<String>,
    pub(crate) outcome: String,
    pub(crate) detail: Map<String, Value>,
}

impl Store {
    /// This store for one change, which is written down as `entry` in the same commit: both are there
    /// or neither is.
    pub(crate) fn noting(&self, entry: Entry) -> Self {
        self.with_entry(entry)
    }

    /// Writes down what is no change of the books.
    pub(crate) async fn note(&self, entry: Entry) -> Result<(), StoreError> {
        self.with_entry(entry).write(|_| Ok(())).await
    }

    /// The audit log.
    pub(crate) fn audit(&self) -> AuditLog<'_> {
        AuditLog(self)
    }
}

impl AuditLog<'_> {
    /// The rows that `query` asks for, the latest first.
    pub(crate) async fn list(self, query: AuditQuery) -> Result<Vec<Record>, StoreError> {
        let named = query.name.as_deref().and_then(|name| name.parse().ok());
        let user = named.and_then(|name: UserName| self.0.users().by_name(&name));
        let user = user.map(|user| user.id);
        self.0.write(move |rows| query.run(rows, user)).await
    }

    /// Deletes what is older than `since`; says how much that was. From then on nothing protects such
    /// rows, and everything protects the others.
    pub(crate) async fn prune(self, since: Timestamp) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let step = self.0.write(move |rows| {
                let since = micros(since);
                if !rows.any(IS_OLDER, [since])? {
                    return Ok(Vec::new());
                }
                rows.all(KEEP_SINCE, [since.to_string()], |_| Ok(()))?;
                rows.all(PRUNE, (since, PRUNE_STEP), |_| Ok(()))
            });
            let gone = step.await?.len();
            all += gone;
            if gone < PRUNE_STEP as usize {
                return Ok(all);
            }
        }
    }
}

impl AuditQuery {
    fn run(&self, rows: &Rows<'_>, user: Option<UserId>) -> Result<Vec<Record>, StoreError> {
        let limit = i64::try_from(self.limit.min(PAGE_MAX)).unwrap_or(i64::MAX);
        let since = self.since.map_or(i64::MIN, micros);
        let end = Cursor {
            at: i64::MAX,
            id: i64::MAX,
        };
        let Cursor { at, id } = self.before.unwrap_or(end);
        let page = named_params! {":since": since, ":at": at, ":id": id, ":limit": limit};
        let (name, action) = (&self.name, &self.action);
        let named = named_params! {":name": name, ":user": user, ":action": action};
        match (name, action) {
            (None, None) => rows.all(LATEST, page, Record::from_row),
            (None, Some(_)) => {
                let values = [&named[2..], page].concat();
                rows.all(LATEST_OF_ACTION, &*values, Record::from_row)
            }
            (Some(_), _) => {
                let values = [named, page].concat();
                rows.all(LATEST_ABOUT, &*values, Record::from_row)
            }
        }
    }
}

impl Record {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            at: time(row, "at")?,
            actor: row.get("actor")?,
            actor_id: row.get("actor_id")?,
            actor_name: row.get("actor_name")?,
            means: row.get("means")?,
            token: row.get("token")?,
            source: row.get("source")?,
            action: row.get("action")?,
            object: row.get("object")?,
            object_id: row.get("object_id")?,
            object_name: row.get("object_name")?,
            user_id: row.get("user_id")?,
            user_name: row.get("user_name")?,
            outcome: row.get("outcome")?,
            detail: json(row, "detail")?,
        })
    }

    /// Who did it, for people: a user by name, anybody else with what they are.
    pub(crate) fn who(&self) -> String {
        match self.actor.as_str() {
            "user" => self.actor_name.clone(),
            "nobody" => String::new(),
            kind => format!("{kind} {}", self.actor_name),
        }
    }

    /// What it was done to, for people.
    pub(crate) fn what(&self) -> String {
        if self.object == self.object_name {
            return self.object.clone();
        }
        match &self.user_name {
            Some(user) if self.object == "token" => format!("token {} of {user}", self.object_name),
            _ => format!("{} {}", self.object, self.object_name),
        }
    }

    /// What more there is to say, as JSON; empty for nothing.
    pub(crate) fn details(&self) -> String {
        if self.detail.is_empty() {
            return String::new();
        }
        serde_json::to_string(&self.detail).unwrap_or_default()
    }

    /// Its place in the list.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            at: micros(self.at),
            id: self.id,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    /// It was never one.
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // A time before the epoch has a sign of its own.
        let (at, id) = text.rsplit_once('-').ok_or(())?;
        let number = |text: &str| text.parse().map_err(drop);
        Ok(Self {
            at: number(at)?,
            id: number(id)?,
        })
    }
}

/// Writes an entry down, as part of its job; `made` is what the job has made. Returns what there is to
/// log.
pub(super) fn add(
    rows: &Rows<'_>,
    entry: &Entry,
    made: Vec<Object>,
    now: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    let entries: Vec<Entry> = match &entry.object {
        Some(_) => vec![entry.clone()],
        None => (made.into_iter())
            .map(|object| entry.clone().on(object))
            .collect(),
    };
    for entry in &entries {
        add_one(rows, entry, now)?;
    }
    Ok(entries)
}

fn add_one(rows: &Rows<'_>, entry: &Entry, now: Timestamp) -> Result<(), StoreError> {
    let Entry { by, object, .. } = entry;
    let object = object.as_ref();
    let object = object.ok_or_else(|| StoreError::Internal("an entry about nothing".to_owned()))?;
    let (user_id, user_name) = match &entry.user {
        Some((id, name)) => (Some(id.0), Some(name.as_str())),
        None if object.kind == "user" => (object.id, Some(object.name.as_str())),
        None => (None, None),
    };
    let values = rusqlite::params![
        micros(now),
        by.kind.as_str(),
        by.id,
        by.name,
        by.means.as_str(),
        by.token.map(|token| token.to_string()),
        by.source.map(|source| source.to_string()),
        entry.action.as_str(),
        object.kind,
        object.id,
        object.name,
        user_id,
        user_name,
        entry.outcome.as_str(),
        detail(entry),
    ];
    rows.all(ADD, values, |_| Ok(()))?;
    Ok(())
}

/// The detail as it is kept.
fn detail(entry: &Entry) -> String {
    let text = serde_json::to_string(&entry.detail).unwrap_or_default();
    if text.len() > DETAIL_MAX || text.is_empty() {
        return format!("{{\"left_out\":{}}}", text.len());
    }
    text
}

impl Entry {
    /// Tells the log about it as well.
    pub(super) fn log(&self) {
        let Some(object) = &self.object else { return };
        let detail = detail(self);
        tracing::info!(
            by = self.by.name,
            means = self.by.means.as_str(),
            source = self.by.source.map(tracing::field::display),
            object = format_args!("{} {}", object.kind, object.name),
            outcome = self.outcome.as_str(),
            detail,
            "{}",
            self.action.as_str()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, execute, home, store, user};
    use super::super::{Owner, UserChange};
    use super::*;

    fn by(name: &str) -> Actor {
        Actor::hub(name)
    }

    async fn all(store: &Store) -> Vec<String> {
        let query = AuditQuery {
            limit: PAGE_MAX,
            ..AuditQuery::default()
        };
        lines(store, query).await
    }

    async fn lines(store: &Store, query: AuditQuery) -> Vec<String> {
        let records = store.audit().list(query).await.unwrap();
        let line = |record: &Record| {
            format!(
                "{} {} {}",
                record.actor_name, record.action, record.object_name
            )
        };
        records.iter().map(line).collect()
    }

    fn query(name: &str, action: &str) -> AuditQuery {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        AuditQuery {
            name: some(name),
            action: some(action),
            limit: 100,
            ..AuditQuery::default()
        }
    }

    #[tokio::test]
    async fn a_change_and_its_entry_are_one() {
        let store = store();
        let names = ["ann", "bob"].map(|name| name.parse().unwrap()).to_vec();
        user(&store, "bob").await;
        let noting = store.noting(Entry::new(by("x"), Action::UserCreate));
        // One row for each thing that was made, and none where nothing was.
        noting
            .users()
            .create(names.clone(), false, at(1))
            .await
            .unwrap();
        noting.users().create(names, false, at(1)).await.unwrap();
        assert_eq!(all(&store).await, ["x user.create ann"]);
        let ann = store.users().by_name(&"ann".parse().unwrap()).unwrap();
        let entry = Entry::new(by("x"), Action::UserDelete).on_user(&ann);
        let noting = store.noting(entry);
        noting.users().delete(ann.id).await.unwrap();
        // What was refused is not said to be done.
        assert!(noting.users().delete(ann.id).await.is_err());
        assert_eq!(
            all(&store).await,
            ["x user.delete ann", "x user.create ann"]
        );
        // An entry that cannot be written leaves nothing of its change behind.
        execute(
            &store,
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .await;
        let noting = store.noting(Entry::new(by("x"), Action::UserCreate));
        let late = noting
            .users()
            .create(vec!["eve".parse().unwrap()], false, at(1));
        assert!(late.await.is_err());
        assert!(store.users().by_name(&"eve".parse().unwrap()).is_none());
    }

    #[tokio::test]
    async fn every_part_of_an_entry_comes_back() {
        let store = store();
        let ann = user(&store, "ann").await;
        let token = super::super::tests::token(Owner::User(ann.id), "t");
        let source = "2001:db8::1".parse().unwrap();
        let token_id = store.tokens().create(token, at(1)).await.unwrap().id;
        let actor = Actor::user(&ann, Means::Token, source).with_token(token_id);
        let entry = Entry::new(actor, Action::TokenRevoke).on(Object::token(token_id));
        let entry = entry.concerning(&ann).refused().with("n", 1);
        let names = (0..30).map(|n| format!("user{n}"));
        store.note(entry.with_names("users", names)).await.unwrap();
        let record = store.audit().list(query("", "")).await.unwrap().remove(0);
        let expected = serde_json::json!({
            "id": 1, "at": record.at, "actor": "user", "actor_id": ann.id.0, "actor_name": "ann",
            "means": "token", "token": token_id.to_string(), "source": "2001:db8::1",
            "action": "token.revoke", "object": "token", "object_id": token_id.0,
            "object_name": token_id.to_string(), "user_id": ann.id.0, "user_name": "ann",
            "outcome": "refused", "detail": record.detail,
        });
        assert_eq!(serde_json::to_value(&record).unwrap(), expected);
        assert_eq!(record.detail["users"].as_array().unwrap().len(), 20);
        assert_eq!(
            (&record.detail["more"], &record.detail["n"]),
            (&10.into(), &1.into())
        );
        assert_eq!(record.what(), format!("token {token_id} of ann"));
        let cursor = record.cursor();
        assert_eq!(cursor.to_string().parse(), Ok(cursor));

        let entry = Entry::new(by("x"), Action::HubStart).on(Object::hub());
        let long = entry.with("long", "x".repeat(DETAIL_MAX));
        store.note(long).await.unwrap();
        let record = store.audit().list(query("", "")).await.unwrap().remove(0);
        assert_eq!(record.details(), r#"{"left_out":4107}"#);
    }

    #[tokio::test]
    async fn rows_are_never_changed_and_go_only_with_age() {
        let store = store();
        for name in ["old", "older", "new"] {
            let entry = Entry::new(by(name), Action::HubStart).on(Object::hub());
            store.note(entry).await.unwrap();
        }
        let now = Timestamp::now();
        let forbidden = [
            "UPDATE audit SET actor_name = 'x'",
            "DELETE FROM audit",
            "DELETE FROM audit WHERE id = 1",
            "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 1",
            "UPDATE OR REPLACE audit SET id = 2 WHERE id = 1",
        ];
        let refuses = async |sql: &'static str| {
            let done = store.write(move |rows| Ok(rows.connection().execute_batch(sql)?));
            let refused = done.await.unwrap_err();
            assert!(
                matches!(refused, StoreError::Internal(_)),
                "{sql}: {refused:?}"
            );
        };
        for sql in forbidden {
            refuses(sql).await;
        }
        assert_eq!(all(&store).await.len(), 3);
        // Nothing is that old.
        let before = store.audit().list(query("new", "")).await.unwrap()[0].at;
        assert_eq!(store.audit().prune(Timestamp::UNIX_EPOCH).await.unwrap(), 0);
        let gone = store.audit().prune(before).await.unwrap();
        assert!(gone <= 2, "those that came in the same microsecond stay");
        assert_eq!(all(&store).await[0], "new hub.start hub");
        for sql in &forbidden[..2] {
            refuses(sql).await;
        }
        // The mark does not go back, so no shorter time brings a row back under protection.
        let later = now
            .saturating_add(jiff::SignedDuration::from_hours(1))
            .unwrap();
        assert_eq!(store.audit().prune(later).await.unwrap(), 3 - gone);
        store.audit().prune(before).await.unwrap();
        assert_eq!(all(&store).await, [""; 0]);
    }

    #[tokio::test]
    async fn it_is_paged_and_filtered() {
        let store = store();
        let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
        let source = "127.0.0.1".parse().unwrap();
        for (who, action, on) in [
            (&ann, Action::Login, &ann),
            (&bob, Action::Login, &bob),
            (&bob, Action::UserBlock, &ann),
            (&ann, Action::Logout, &ann),
        ] {
            let actor = Actor::user(who, Means::Session, source);
            store
                .note(Entry::new(actor, action).on_user(on))
                .await
                .unwrap();
        }
        let (out, block) = ("ann logout ann", "bob user.block ann");
        let (ann_in, bob_in) = ("ann login ann", "bob login bob");
        for (name, action, expected) in [
            ("", "", &[out, block, bob_in, ann_in][..]),
            ("ann", "", &[out, block, ann_in]),
            ("bob", "", &[block, bob_in]),
            ("", "login", &[bob_in, ann_in]),
            ("bob", "login", &[bob_in]),
            ("eve", "", &[]),
            ("", "nothing", &[]),
            ("' OR 1 --", "", &[]),
        ] {
            assert_eq!(
                lines(&store, query(name, action)).await,
                expected,
                "{name} {action}"
            );
            let mut pages = Vec::new();
            let mut page = AuditQuery {
                limit: 1,
                ..query(name, action)
            };
            while let [record] = &store.audit().list(page.clone()).await.unwrap()[..] {
                pages.push(record.id);
                page.before = Some(record.cursor());
            }
            assert_eq!(pages.len(), expected.len(), "{name} {action}: {pages:?}");
        }
        // Who is called otherwise by now is found by both names.
        let change = UserChange {
            name: Some("robert".parse().unwrap()),
            ..UserChange::default()
        };
        store.users().change(bob.id, change).await.unwrap();
        for name in ["bob", "robert"] {
            assert_eq!(lines(&store, query(name, "")).await, [block, bob_in]);
        }
        let late = AuditQuery {
            since: Some(Timestamp::MAX),
            ..query("", "")
        };
        assert_eq!(lines(&store, late).await, [""; 0]);
    }

    /// The log is long, and others wait for the same thread meanwhile.
    #[tokio::test]
    async fn every_look_follows_an_index() {
        let store = store();
        for (name, sql) in STATEMENTS {
            let plan = store.write(move |rows| {
                let explain = format!("EXPLAIN QUERY PLAN {}", sql.0);
                let mut plan = rows.connection().prepare(&explain)?;
                let steps = plan
                    .raw_query()
                    .mapped(|row| row.get::<_, String>("detail"));
                Ok(steps.collect::<Result<Vec<_>, _>>()?)
            });
            let plan = plan.await.unwrap();
            let tables = plan.iter().filter(|step| step.ends_with("audit"));
            assert_eq!(tables.count(), 0, "{name}: {plan:?}");
        }
    }

    #[tokio::test]
    async fn it_outlives_the_hub() {
        let home = home();
        for round in 1..=2 {
            let store = Store::open(home.path()).unwrap();
            let entry = Entry::new(by("x"), Action::HubStart).on(Object::hub());
            store.note(entry).await.unwrap();
            assert_eq!(all(&store).await.len(), round);
            store.close().await.unwrap();
        }
    }
}
