//! What concerns the whole store, and the small worlds that the tests of its parts begin with.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use spawner_core::{LaunchId, ServerName, SpawnerState, UserOptions};

use super::digest::Digest;
use super::mirror::Mirror;
use super::{
    NewClient, NewLaunch, NewSession, NewToken, Owner, Server, ServerRowId, Service, Store,
    TokenKind, User, UserId,
};

mod commits;
mod files;
mod property;
mod statements;

/// A moment: `second` seconds after some midnight.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn store() -> Store {
    Store::open_in_memory().unwrap()
}

/// A private directory for a store on disk.
pub(super) fn home() -> tempfile::TempDir {
    let private = Permissions::from_mode(0o700);
    let home = tempfile::Builder::new().permissions(private).tempdir();
    home.unwrap()
}

pub(super) async fn user(store: &Store, name: &str) -> Arc<User> {
    let name: spawner_core::UserName = name.parse().unwrap();
    let new = store.users().create(vec![name.clone()], false, at(0));
    new.await.unwrap();
    store.users().by_name(&name).unwrap()
}

/// A server in stage `Starting`. Its token's text is "token of USER/SERVER".
pub(super) async fn launched(store: &Store, user: &str, server: &str) -> Arc<Server> {
    let owner = store.users().by_name(&user.parse().unwrap()).unwrap();
    let name: ServerName = server.parse().unwrap();
    let row = store.servers().ensure(owner.id, name, None).await.unwrap();
    let launch = launch(row.id, &format!("token of {user}/{server}"));
    let begun = store.servers().begin_launch(row.id, launch, at(5));
    begun.await.unwrap()
}

/// A run whose token has the text `token`; its client is "client-N" for row N.
pub(super) fn launch(server: ServerRowId, token: &str) -> NewLaunch {
    let mut options = UserOptions::default();
    options.0.insert("n".to_owned(), json!(1));
    NewLaunch {
        launch_id: LaunchId::random(),
        token: Digest::of(token),
        token_scopes: vec!["access:servers!server=x/".to_owned()],
        token_note: "for a server".to_owned(),
        client: NewClient {
            client_id: format!("client-{}", server.0),
            secret: Digest::of(token),
            redirect_uri: "/user/x/oauth_callback".to_owned(),
            allowed_scopes: vec!["access:servers!server=x/".to_owned()],
        },
        options,
    }
}

pub(super) fn state(pid: i32) -> SpawnerState {
    SpawnerState::pack(1, &json!({ "pid": pid }))
}

/// An API token of that text, for ever.
pub(super) fn token(owner: Owner, text: &str) -> NewToken {
    NewToken {
        hash: Digest::of(text),
        kind: TokenKind::Api,
        owner,
        server: None,
        client_id: None,
        scopes: vec!["self".to_owned()],
        note: String::new(),
        expires_at: None,
        session_id: None,
    }
}

/// A service and its client, which is named after it.
pub(super) fn service(name: &str, token: &str) -> (Service, NewClient) {
    let service = Service {
        name: name.to_owned(),
        token: Digest::of(token),
        admin: false,
        roles: vec!["grading".to_owned()],
        url: Some("http://127.0.0.1:1".to_owned()),
        client_id: format!("service-{name}"),
        redirect_uri: None,
        no_confirm: false,
        display: true,
        info: serde_json::Map::new(),
    };
    let client = NewClient {
        client_id: service.client_id.clone(),
        secret: service.token,
        redirect_uri: format!("/services/{name}/oauth_callback"),
        allowed_scopes: Vec::new(),
    };
    (service, client)
}

pub(super) fn session(user: UserId, cookie: &str, id: &str, end: Timestamp) -> NewSession {
    NewSession {
        hash: Digest::of(cookie),
        user,
        password_hash: None,
        session_id: id.to_owned(),
        expires_at: end,
    }
}

/// Runs SQL in a transaction, behind the mirror's back.
pub(super) async fn execute(store: &Store, sql: &str) {
    let sql = sql.to_owned();
    let done = store.write(move |rows| Ok(rows.connection().execute_batch(&sql)?));
    done.await.unwrap();
}

/// The rows as they are now.
pub(super) async fn reload(store: &Store) -> Mirror {
    let rows = store.write(|rows| Ok(Mirror::load(rows.connection(), Path::new("test"))?));
    rows.await.unwrap()
}

/// The rule that everything else rests on.
pub(super) async fn assert_mirror_equals_rows(store: &Store) {
    let rows = reload(store).await;
    store.read(|mirror| assert_eq!(*mirror, rows));
}
