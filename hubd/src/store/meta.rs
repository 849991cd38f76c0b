//! Two values about the hub itself, by key.
//!
//! They are made with the file and never change: the instance id, by which containers and processes
//! are known as this hub's, and the key under cookies and XSRF tokens.

use std::fmt;

use rusqlite::Connection;

use super::rows::statements;

const INSTANCE_ID: &str = "instance_id";
const SIGNING_KEY: &str = "signing_key";

statements! {
    FOUND = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
    GET = "SELECT value FROM meta WHERE key = ?1";
}

/// 32 random bytes that only this hub knows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningKey([u8; 32]);

impl SigningKey {
    /// The key itself.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// Makes the instance id and the signing key if they are not there, and reads them.
pub(super) fn found(conn: &Connection) -> rusqlite::Result<(String, SigningKey)> {
    let id = format!("{:032x}", rand::random::<u128>());
    let transaction = conn.unchecked_transaction()?;
    transaction.execute(FOUND.0, (INSTANCE_ID, id.as_bytes()))?;
    transaction.execute(FOUND.0, (SIGNING_KEY, rand::random::<[u8; 32]>()))?;
    let id: Vec<u8> = transaction.query_row(GET.0, [INSTANCE_ID], |row| row.get(0))?;
    let key = transaction.query_row(GET.0, [SIGNING_KEY], |row| row.get(0))?;
    transaction.commit()?;
    Ok((String::from_utf8_lossy(&id).into_owned(), SigningKey(key)))
}
