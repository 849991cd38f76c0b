//! What shares a commit, what survives a failure, and who is told.

use std::sync::mpsc;
use std::time::Duration;

use rusqlite::{Connection, ffi};
use tokio::task::JoinSet;

use super::super::{StoreError, Trouble};
use super::*;

/// Keeps the writer busy until the returned sender is used, so that what is written meanwhile waits
/// together.
fn hold(store: &Store, tasks: &mut JoinSet<()>) -> mpsc::Sender<()> {
    let (release, gate) = mpsc::channel();
    let store = store.clone();
    let (entered, inside) = mpsc::channel();
    tasks.spawn(async move {
        let held = store.write(move |_| {
            entered.send(()).unwrap();
            gate.recv().unwrap();
            Ok(())
        });
        held.await.unwrap();
    });
    tokio::task::block_in_place(|| inside.recv().unwrap());
    release
}

fn commits(store: &Store) -> u64 {
    store.counters().commits.get()
}

fn named(names: &[&str]) -> Vec<spawner_core::UserName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_wait_share_a_commit_and_not_a_failure() {
    let store = store();
    let mut tasks = JoinSet::new();
    let release = hold(&store, &mut tasks);
    let before = commits(&store);
    let users = store.users();
    let (first, failed, panicked, last, ()) = tokio::join!(
        users.create(named(&["ann"]), false, at(1)),
        store.write(|rows| {
            rows.connection().execute_batch("DELETE FROM users")?;
            Err::<(), _>(StoreError::Conflict("on purpose"))
        }),
        store.write(|rows| -> Result<(), StoreError> {
            rows.connection().execute_batch("DELETE FROM users")?;
            panic!("on purpose")
        }),
        users.create(named(&["ann", "bob"]), false, at(1)),
        async { release.send(()).unwrap() },
    );
    assert_eq!(first.unwrap().len(), 1);
    assert!(matches!(failed, Err(StoreError::Conflict("on purpose"))));
    assert!(matches!(panicked, Err(StoreError::Internal(_))));
    assert_eq!(last.unwrap().len(), 1, "it saw the job before it");
    // One for the job that held the writer, one for all the others.
    assert_eq!(commits(&store), before + 2);
    assert_eq!(users.count(), 2);
    assert_mirror_equals_rows(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_is_everybodys_failure() {
    let store = store();
    user(&store, "ann").await;
    let mut tasks = JoinSet::new();
    let release = hold(&store, &mut tasks);
    let users = store.users();
    let (good, bad, refused, ()) = tokio::join!(
        users.create(named(&["bob"]), false, at(1)),
        store.write(|rows| {
            // Found out by COMMIT only.
            let conn = rows.connection();
            conn.execute_batch("PRAGMA defer_foreign_keys = ON")?;
            conn.execute_batch(
                "INSERT INTO servers (user, name, display_name, stage) VALUES (99, '', '', 'stopped')",
            )?;
            Ok(())
        }),
        store.write(|_| Err::<(), _>(StoreError::Conflict("because of bob"))),
        async { release.send(()).unwrap() },
    );
    for outcome in [good.map(drop), bad, refused] {
        let refused = Trouble::Refused;
        assert!(
            matches!(outcome, Err(StoreError::Unavailable { trouble, .. }) if trouble == refused),
            "{outcome:?}"
        );
    }
    assert_eq!(users.count(), 1);
    assert_mirror_equals_rows(&store).await;
    user(&store, "bob").await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    user(&store, "ann").await;
    execute(&store, "PRAGMA max_page_count = 1").await;
    let many: Vec<_> = (0..5000)
        .map(|n| format!("user{n}").parse().unwrap())
        .collect();
    for _ in 0..3 {
        let full = store.users().create(many.clone(), false, at(1)).await;
        let expected = Trouble::DiskFull;
        assert!(
            matches!(full, Err(StoreError::Unavailable { trouble, .. }) if trouble == expected),
            "{full:?}"
        );
        assert_eq!(store.users().count(), 1);
        assert_mirror_equals_rows(&store).await;
    }
    execute(&store, "PRAGMA max_page_count = 1000000").await;
    let made = store.users().create(many, false, at(1)).await.unwrap();
    assert_eq!(made.len(), 5000);
    assert_mirror_equals_rows(&store).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn another_programs_lock_refuses_and_passes() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let patience = store.write(|rows| Ok(rows.connection().busy_timeout(Duration::ZERO)?));
    patience.await.unwrap();
    let other = Connection::open(home.path().join("hubd.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = store.users().create(named(&["ann"]), false, at(1)).await;
    let expected = Trouble::Locked;
    assert!(
        matches!(locked, Err(StoreError::Unavailable { trouble, .. }) if trouble == expected),
        "{locked:?}"
    );
    assert_eq!(store.users().count(), 0);
    other.execute_batch("COMMIT").unwrap();
    user(&store, "ann").await;
    assert_mirror_equals_rows(&store).await;
}

fn disk_error() -> StoreError {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None).into()
}

#[tokio::test]
async fn after_a_disk_error_the_file_is_opened_again() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    user(&store, "ann").await;
    // A mark of this connection, and a row behind the mirror's back.
    execute(&store, "CREATE TEMP TABLE mark (x)").await;
    execute(
        &store,
        "INSERT INTO users (name, admin, created) VALUES ('bob', 0, 0)",
    )
    .await;
    let failed = store.write(|rows| {
        rows.connection().execute_batch("DELETE FROM users")?;
        Err::<(), _>(disk_error())
    });
    let failed = failed.await.unwrap_err();
    assert!(failed.is_suspect());
    assert!(failed.to_string().contains("the disk failed"), "{failed}");
    assert!(!store.is_in_doubt(), "it could be read again at once");
    assert_eq!(store.users().count(), 2, "the rows as they are");
    let marks = store.write(|rows| {
        let sql = "SELECT count(*) FROM temp.sqlite_schema";
        Ok(rows
            .connection()
            .query_row(sql, (), |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(marks.await.unwrap(), 0, "a new connection");
    user(&store, "cyd").await;
    assert_mirror_equals_rows(&store).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_fails_its_check_is_not_written() {
    let home = home();
    let path = home.path().join("hubd.sqlite");
    let store = Store::open(home.path()).unwrap();
    user(&store, "ann").await;
    let (file, wal) = (path.clone(), home.path().join("hubd.sqlite-wal"));
    let damaged = store.write(move |_| {
        let saved = (std::fs::read(&file).unwrap(), std::fs::read(&wal).unwrap());
        let mut bytes = saved.0.clone();
        bytes[..16].fill(b'x');
        std::fs::write(&file, bytes).unwrap();
        std::fs::write(&wal, b"").unwrap();
        Ok::<_, StoreError>(saved)
    });
    let (sound, log) = damaged.await.unwrap();
    for _ in 0..2 {
        let refused = store.write(|_| Err::<(), _>(disk_error())).await;
        assert!(refused.unwrap_err().is_suspect());
        let refused = store.users().create(named(&["bob"]), false, at(1)).await;
        assert!(refused.unwrap_err().is_suspect());
        assert_eq!(store.users().count(), 1, "reading goes on");
        assert!(store.is_in_doubt());
    }
    assert!(std::fs::read(&path).unwrap().starts_with(b"xxxx"), "kept");
    std::fs::write(&path, sound).unwrap();
    std::fs::write(home.path().join("hubd.sqlite-wal"), log).unwrap();
    user(&store, "bob").await;
    assert!(!store.is_in_doubt());
    assert_mirror_equals_rows(&store).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_outlives_its_caller() {
    let store = store();
    let mut tasks = JoinSet::new();
    let release = hold(&store, &mut tasks);
    {
        let users = store.users();
        let mut change = std::pin::pin!(users.create(named(&["ann"]), false, at(1)));
        let queued = futures_util::poll!(&mut change);
        assert!(queued.is_pending());
    }
    release.send(()).unwrap();
    // Jobs run in order, so after this one that one has.
    execute(&store, "").await;
    assert_eq!(store.users().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_waits_and_refuses_the_rest() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let mut tasks = JoinSet::new();
    let release = hold(&store, &mut tasks);
    let users = store.users();
    let (waiting, closed, late, ()) = tokio::join!(
        users.create(named(&["ann"]), false, at(1)),
        store.close(),
        users.create(named(&["bob"]), false, at(1)),
        async { release.send(()).unwrap() },
    );
    waiting.unwrap();
    closed.unwrap();
    assert!(matches!(
        late,
        Err(StoreError::Unavailable {
            trouble: Trouble::Closed,
            ..
        })
    ));
    assert_eq!(users.count(), 1);
    store.close().await.unwrap();
    assert!(!home.path().join("hubd.sqlite-wal").exists());
    let store = Store::open(home.path()).unwrap();
    assert_eq!(store.users().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_tasks_were_told_is_on_disk() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            let name = format!("user{task}");
            let ann = user(&store, &name).await;
            for step in 0..8 {
                let text = format!("{name}-{step}");
                let new = token(Owner::User(ann.id), &text);
                let made = store.tokens().create(new, at(1)).await.unwrap();
                // The answer comes after the mirror.
                assert_eq!(store.tokens().find(&made.hash, at(2)), Some(made.clone()));
                store.users().touch(ann.id, at(step)).await.unwrap();
            }
            let server = launched(&store, &name, "").await;
            server.id
        });
    }
    let servers = tasks.join_all().await;
    assert_eq!(servers.len(), 64);
    assert!(commits(&store) < 64 * 18, "some shared a commit");
    assert_mirror_equals_rows(&store).await;

    // As a crash leaves it: the file and its log, without a goodbye.
    let crashed = super::home();
    for file in ["hubd.sqlite", "hubd.sqlite-wal"] {
        std::fs::copy(home.path().join(file), crashed.path().join(file)).unwrap();
    }
    let found = Store::open(crashed.path()).unwrap();
    found.read(|found| store.read(|told| assert_eq!(found, told)));
    found.close().await.unwrap();
    store.close().await.unwrap();
}
