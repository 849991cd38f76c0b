//! What the hub opens, and what it refuses to open.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use rusqlite::Connection;

use super::super::{Active, OpenError};
use super::*;

/// A closed state directory with ann in it, and the path of its file.
async fn closed() -> (tempfile::TempDir, PathBuf) {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    user(&store, "ann").await;
    launched(&store, "ann", "").await;
    store.close().await.unwrap();
    let path = fs::canonicalize(home.path()).unwrap().join("hubd.sqlite");
    (home, path)
}

fn refusal(home: &tempfile::TempDir) -> String {
    Store::open(home.path()).unwrap_err().to_string()
}

#[tokio::test]
async fn opening_again_finds_everything() {
    let home = home();
    let first = Store::open(&home.path().join("state")).unwrap();
    user(&first, "ann").await;
    launched(&first, "ann", "proj").await;
    first.close().await.unwrap();
    let second = Store::open(&home.path().join("state")).unwrap();
    second.read(|found| first.read(|left| assert_eq!(found, left)));
    assert_eq!(second.instance_id(), first.instance_id());
    assert_eq!(second.instance_id().len(), 32);
    assert_eq!(second.signing_key(), first.signing_key());
    assert_ne!(second.signing_key(), store().signing_key());
}

#[tokio::test]
async fn files_are_private() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    user(&store, "ann").await;
    for entry in fs::read_dir(home.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    assert!(home.path().join("hubd.sqlite-wal").exists());
}

#[tokio::test]
async fn a_second_hub_is_refused_until_the_first_is_gone() {
    let home = home();
    let first = Store::open(home.path()).unwrap();
    let sentence = refusal(&home);
    let pid = std::process::id();
    let expected = format!("another hubd (pid {pid}) is using this state directory");
    assert!(sentence.starts_with(&expected), "{sentence}");
    first.close().await.unwrap();
    Store::open(home.path()).unwrap();
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused() {
    let (home, path) = closed().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let sentence = refusal(&home);
    let remedy = format!("run: chmod 600 {}", path.display());
    assert!(sentence.ends_with(&remedy), "{sentence}");
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_kept() {
    let (home, path) = closed().await;
    let sound = fs::read(&path).unwrap();
    let refused = |content: &[u8], words: &str| {
        fs::write(&path, content).unwrap();
        let sentence = refusal(&home);
        assert!(sentence.contains(words), "{sentence}");
        assert_eq!(fs::read(&path).unwrap(), content, "{words}");
    };
    refused(b"", "is empty");
    refused(b"once upon a time", "is not a database of hubd");
    refused(&vec![7; 8192], "is not a database of hubd");
    // Cut after any page, it is shorter than its own header says.
    for pages in 1..sound.len() / 4096 {
        refused(&sound[..pages * 4096], "is damaged");
    }
    fs::write(&path, &sound).unwrap();
    Store::open(home.path()).unwrap();
}

#[tokio::test]
async fn a_file_of_another_program_is_refused() {
    let home = home();
    let path = home.path().join("hubd.sqlite");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE users (x)").unwrap();
    drop(other);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let error = Store::open(home.path()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let (home, path) = closed().await;
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 9).unwrap();
    drop(conn);
    let sentence = refusal(&home);
    assert!(
        sentence.contains("was written by a newer hubd (layout 9"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_log_without_its_file_is_refused() {
    let (home, path) = closed().await;
    fs::remove_file(&path).unwrap();
    fs::write(home.path().join("hubd.sqlite-wal"), b"x").unwrap();
    assert!(refusal(&home).contains("is missing, but its log"));
    assert!(!path.exists());
}

#[tokio::test]
async fn an_interrupted_first_start_is_no_obstacle() {
    let home = home();
    fs::write(home.path().join("hubd.sqlite.new"), b"half of it").unwrap();
    let store = Store::open(home.path()).unwrap();
    user(&store, "ann").await;
    assert!(!home.path().join("hubd.sqlite.new").exists());
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_named() {
    let (home, path) = closed().await;
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("UPDATE users SET name = '../evil'")
        .unwrap();
    drop(conn);
    assert!(refusal(&home).contains("a row in table users that cannot be read"));
}

#[tokio::test]
async fn rows_that_point_nowhere_are_damage() {
    let (home, path) = closed().await;
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM users")
        .unwrap();
    drop(conn);
    assert!(refusal(&home).contains("a row points to one that is not there"));
}

/// Wherever a byte flips, the hub refuses or finds its user; it never begins afresh.
#[tokio::test]
async fn a_flipped_byte_never_makes_an_empty_hub() {
    let (home, path) = closed().await;
    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    for offset in (0..sound.len()).step_by(512) {
        let mut bytes = sound.clone();
        bytes[offset] ^= 0xff;
        fs::write(&path, &bytes).unwrap();
        match Store::open(home.path()) {
            Err(_) => refused += 1,
            Ok(store) => {
                assert_eq!(store.users().count(), 1, "byte {offset}");
                store.close().await.unwrap();
            }
        }
        for log in ["hubd.sqlite-wal", "hubd.sqlite-shm"] {
            let _ = fs::remove_file(home.path().join(log));
        }
    }
    assert!(refused > 5, "{refused}");
}

#[tokio::test]
async fn garbage_in_one_server_does_not_stop_the_hub() {
    let (home, path) = closed().await;
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("UPDATE servers SET state = '{\"pid\": '")
        .unwrap();
    drop(conn);
    let store = Store::open(home.path()).unwrap();
    let (id, server) = store.servers().not_stopped().remove(0);
    assert_eq!(id.to_string(), "ann");
    assert_eq!(server.damage[0].column, "state");
    assert!(server.launch_id.is_some());
    // Other changes leave the text as it is, so that somebody can look at it.
    let touched = store.touch_many(vec![(Active::Server(server.id), at(50))]);
    touched.await.unwrap();
    assert_mirror_equals_rows(&store).await;
    let stopped = store.servers().mark_stopped(server.id, None, at(60));
    assert!(stopped.await.unwrap().damage.is_empty());
}
