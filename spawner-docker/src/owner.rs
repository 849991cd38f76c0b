//! Whose a new volume is.
//!
//! The engine makes a volume with the owner of the directory of the image that it covers. Where the
//! image has none, it is root's, and a server that is not root cannot write into it. So before a new
//! container starts, a named volume that is root's is given to the container's user. Directories of
//! the host keep their owner: they were there before.
//!
//! The engine reads and changes owners by itself, through archives of a container that does not run
//! yet: the first header of an archive of a directory says whose it is, and unpacking a header makes
//! it so.

use std::time::Duration;

use futures_util::StreamExt as _;
use spawner_core::{SpawnError, error_chain};
use tokio::time::timeout;

use crate::client::Engine;
use crate::container::ContainerId;
use crate::error::EngineError;
use crate::tar::{BLOCK, Entry};

/// The accounts of an image.
const ACCOUNTS: &str = "/etc/passwd";
/// The longest list of accounts that is read.
const ACCOUNTS_MAX: usize = 1 << 20;

/// How long the engine has to give as much of an archive as is read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    uid: u64,
    gid: u64,
}

/// Gives the volumes at `places` to `user` (a user as an image names it) where they are root's.
pub(crate) async fn give_volumes(
    engine: &Engine,
    id: &ContainerId,
    user: &str,
    places: &[String],
) -> Result<(), SpawnError> {
    let doing = |error: EngineError| error.doing("say whose the volumes are");
    if places.is_empty() || user.is_empty() {
        return Ok(());
    }
    let mut owner = Owner::numbers(user);
    if owner.is_none() {
        let accounts = engine
            .read(id, ACCOUNTS, ACCOUNTS_MAX)
            .await
            .map_err(doing)?;
        let accounts = accounts.get(BLOCK..).unwrap_or_default();
        owner = Owner::named(user, &String::from_utf8_lossy(accounts));
    }
    let Some(owner) = owner else { return Ok(()) };
    if owner.uid == 0 {
        return Ok(());
    }
    for place in places {
        let header = engine.read(id, place, BLOCK).await.map_err(doing)?;
        let Some(found) = Entry::read(&header) else {
            continue;
        };
        let (Some((parent, name)), 0) = (place.trim_end_matches('/').rsplit_once('/'), found.uid)
        else {
            continue;
        };
        let parent = if parent.is_empty() { "/" } else { parent };
        let given = Entry {
            uid: owner.uid,
            gid: owner.gid,
            ..found
        };
        let archive = given.directory(&format!("{name}/"));
        if let Err(error) = engine.unpack(id, parent, archive).await {
            // The server may do without; its own words are clearer than ours would be.
            let error = error_chain(&error);
            tracing::warn!(
                container = id.short(),
                place,
                error,
                "a volume stays root's"
            );
        } else {
            tracing::info!(
                container = id.short(),
                place,
                uid = owner.uid,
                "gave a volume away"
            );
        }
    }
    Ok(())
}

impl Owner {
    /// `1000` or `1000:100`.
    fn numbers(user: &str) -> Option<Self> {
        let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }

    /// A name among accounts; a group beside it is passed over.
    fn named(user: &str, accounts: &str) -> Option<Self> {
        let name = user.split(':').next()?;
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let mut fields = fields.skip(1);
            Some(Self {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        })
    }
}

impl Engine {
    /// The beginning of the archive of one path of a container, at most `most` bytes.
    async fn read(
        &self,
        id: &ContainerId,
        path: &str,
        most: usize,
    ) -> Result<Vec<u8>, EngineError> {
        let read = async {
            let mut pieces = self.archive(id, path).await?;
            let mut read = Vec::new();
            while read.len() < most
                && let Some(piece) = pieces.next().await
            {
                read.extend_from_slice(&piece?);
            }
            read.truncate(most);
            Ok(read)
        };
        timeout(PATIENCE, read)
            .await
            .unwrap_or(Err(EngineError::Timeout(PATIENCE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_images() {
        let owner = |uid, gid| Some(Owner { uid, gid });
        assert_eq!(Owner::numbers("1000"), owner(1000, 0));
        assert_eq!(Owner::numbers("1000:100"), owner(1000, 100));
        assert_eq!(Owner::numbers("jovyan"), None);
        let accounts = "root:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n";
        assert_eq!(Owner::named("jovyan", accounts), owner(1000, 100));
        assert_eq!(Owner::named("jovyan:users", accounts), owner(1000, 100));
        assert_eq!(Owner::named("jov", accounts), None);
    }
}
