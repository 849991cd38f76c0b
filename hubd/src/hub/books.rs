//! What the hub itself does to the audit log: it says when it starts and stops, and lets old entries
//! go.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::app::AppState;
use crate::config::{AuditTable, Config};
use crate::store::audit::{Action, Actor, AuditQuery, Entry, Object};
use crate::store::{Store, StoreError};

/// How often entries are looked for that are too old.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How long refused logins are counted before they are told of together.
const REFUSED_SPAN: Duration = Duration::from_mins(10);

/// Says that a hub starts at `url`, who is an admin by its configuration, and whether the
/// configuration gives other rights than it did at the last start.
pub(super) async fn started(store: &Store, config: &Config, url: &str) -> Result<(), StoreError> {
    let rights = rights(config);
    let last = AuditQuery {
        action: Some(Action::HubStart.as_str().to_owned()),
        limit: 1,
        ..AuditQuery::default()
    };
    let last = store.audit().list(last).await?;
    let before = last.first().and_then(|start| start.detail.get("rights"));
    let changed = before.is_some_and(|before| *before != rights.as_str());
    let entry = Entry::new(hub(), Action::HubStart)
        .on(Object::hub())
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("url", url)
        .with("rights", &rights)
        .with("rights_changed", changed)
        .with_names(
            "admin_users",
            config.auth.admin_users.iter().map(ToString::to_string),
        );
    store.note(entry).await
}

/// Says that the hub stops, with its servers or without.
pub(super) async fn stopping(app: &AppState, with_servers: bool) {
    app.gate.tell_refused().await;
    let entry = Entry::new(hub(), Action::HubStop).on(Object::hub());
    let noted = app.store.note(entry.with("servers", with_servers)).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "cannot record that the hub stops");
    }
}

/// Deletes what is too old, now and then.
pub(super) async fn prune(store: Store, table: AuditTable) {
    let mut every = tokio::time::interval(PRUNE_EVERY);
    loop {
        every.tick().await;
        let Some(since) = table.keep_since(Timestamp::now()) else {
            return;
        };
        if let Err(error) = prune_once(&store, since).await {
            tracing::warn!(%error, "cannot delete old entries of the audit log");
        }
    }
}

async fn prune_once(store: &Store, since: Timestamp) -> Result<(), StoreError> {
    let count = store.audit().prune(since).await?;
    if count > 0 {
        let entry = Entry::new(hub(), Action::AuditPrune).on(Object::hub());
        let entry = entry.with("count", count).with("before", since);
        store.note(entry).await?;
    }
    Ok(())
}

/// Tells of refused logins that have no entry of their own, now and then.
pub(super) async fn tell_refused(app: AppState) {
    let mut every = tokio::time::interval(REFUSED_SPAN);
    loop {
        every.tick().await;
        app.gate.tell_refused().await;
    }
}

fn hub() -> Actor {
    Actor::hub("hub")
}

/// What stands for everything that the configuration gives to somebody or takes from them: another
/// one whenever something of it is.
fn rights(config: &Config) -> String {
    let auth = &config.auth;
    let services = config.services.iter();
    let roles = config.roles.iter();
    let groups = config.groups.iter();
    let all = json!({
        "allow_all": auth.allow_all,
        "admin_users": auth.admin_users,
        "allowed_users": auth.allowed_users,
        "allowed_groups": auth.allowed_groups,
        "blocked_users": auth.blocked_users,
        "admin_services": services.filter(|service| service.admin).map(|service| &service.name).collect::<Vec<_>>(),
        "roles": roles.map(|role| (&role.name, &role.scopes, &role.users, &role.groups, &role.services)).collect::<Vec<_>>(),
        "groups": groups.map(|group| (&group.name, &group.users)).collect::<Vec<_>>(),
    });
    let digest = Sha256::digest(all.to_string());
    let hex = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    hex.collect()
}
