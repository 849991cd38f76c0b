//! Who a server runs as.
//!
//! Everything that may block or allocate (the name service, making a home) is done here, before the
//! fork and on a blocking thread: a slow directory server then delays one start and nothing else.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, getgrouplist};
use spawner_core::{BoxError, ServerId, SpawnError, SpawnErrorKind, UserName, expand};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long the name service has to answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// The look-ups that are under way. A pool of blocking threads has hundreds, and the rest of the hub
/// shares it.
static LOOKUPS: Semaphore = Semaphore::const_new(32);

/// Whose rights a server gets: what tells the two kinds of spawner apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// The system user of the same name.
    SystemUser {
        /// Whether that may be root.
        allow_root: bool,
    },
    /// The account that runs the hub.
    HubUser {
        /// The users' homes: an absolute path with `{username}`, `%U` or `{object_name}` in it.
        homes: String,
    },
}

/// The account of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Becomes `USER`.
    pub(crate) name: String,
    /// Becomes `HOME`, and the directory the server starts in.
    pub(crate) home: PathBuf,
    /// Becomes `SHELL`.
    pub(crate) shell: PathBuf,
    /// What the child has to change to, unless it runs as the hub does.
    pub(crate) credentials: Option<Credentials>,
}

/// The ids of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// All its groups, sorted and each once, which is how the kernel gives them back.
    pub(crate) groups: Vec<u32>,
}

impl RunAs {
    /// The account that the server of `server` gets.
    pub(crate) async fn account(&self, server: &ServerId) -> Result<Account, SpawnError> {
        let (run_as, user, server) = (self.clone(), server.user.clone(), server.clone());
        looked_up(&LOOKUPS, &user, move || match run_as {
            Self::SystemUser { allow_root } => system_user(&server.user, allow_root),
            Self::HubUser { homes } => hub_user(&homes, &server),
        })
        .await
    }
}

/// Asks the name service about `user` by `look`, on a thread where that may block, among no more
/// others than `room` has.
///
/// One that does not answer keeps its thread, and its place, until it does: it can take all places of
/// look-ups, but no thread that other work of the hub waits for.
async fn looked_up<T: Send + 'static>(
    room: &'static Semaphore,
    user: &UserName,
    look: impl FnOnce() -> Result<T, SpawnError> + Send + 'static,
) -> Result<T, SpawnError> {
    let failed = |source: BoxError| {
        SpawnError::other("The account could not be looked up.").with_source(source)
    };
    let work = async {
        let place = room.acquire().await.map_err(|error| failed(error.into()))?;
        let work = spawn_blocking(move || {
            let found = look();
            drop(place);
            found
        });
        work.await.map_err(|panicked| failed(panicked.into()))?
    };
    timeout(LOOKUP_TIMEOUT, work)
        .await
        .unwrap_or_else(|elapsed| {
            let message = format!(
                "The account of \"{user}\" could not be looked up within {} seconds.",
                LOOKUP_TIMEOUT.as_secs()
            );
            Err(SpawnError::new(SpawnErrorKind::Unavailable, message).with_source(elapsed))
        })
}

fn system_user(name: &UserName, allow_root: bool) -> Result<Account, SpawnError> {
    let failed = |source: nix::Error| {
        let message = format!("The account of \"{name}\" could not be looked up.");
        SpawnError::new(SpawnErrorKind::Unavailable, message).with_source(source)
    };
    let user = User::from_name(name.as_str()).map_err(failed)?;
    let hub = Uid::effective();
    let switch = may_switch(name, user.as_ref().map(|user| user.uid), hub, allow_root)?;
    let user = user.ok_or_else(|| not_found(name))?;
    let credentials = if switch {
        let c_name = CString::new(user.name.as_str()).map_err(|_| not_found(name))?;
        let mut groups: Vec<u32> = getgrouplist(&c_name, user.gid)
            .map_err(failed)?
            .into_iter()
            .map(Gid::as_raw)
            .collect();
        groups.sort_unstable();
        groups.dedup();
        Some(Credentials {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups,
        })
    } else {
        None
    };
    let shell = if user.shell.as_os_str().is_empty() {
        PathBuf::from("/bin/sh")
    } else {
        user.shell
    };
    Ok(Account {
        name: user.name,
        home: user.dir,
        shell,
        credentials,
    })
}

/// Whether a server of `name`, whose account has the id `uid`, has to change its ids; an error when
/// a hub that runs as `hub` cannot or must not start it.
fn may_switch(
    name: &UserName,
    uid: Option<Uid>,
    hub: Uid,
    allow_root: bool,
) -> Result<bool, SpawnError> {
    let refused = |message: String| Err(SpawnError::new(SpawnErrorKind::Refused, message));
    match uid {
        Some(uid) if !hub.is_root() && uid == hub => Ok(false),
        _ if !hub.is_root() => refused(format!(
            "The hub does not run as root, so it can start servers only for the account it runs \
             as, and not for \"{name}\". Run the hub as root, or set `kind = \"simple\"` in \
             [spawner] to run all servers under one account."
        )),
        None => Err(not_found(name)),
        Some(uid) if uid.is_root() && !allow_root => refused(format!(
            "\"{name}\" is an account with all rights, and servers are not run as such. Set \
             `allow_root = true` in [spawner.local] if you mean it."
        )),
        Some(_) => Ok(true),
    }
}

fn not_found(name: &UserName) -> SpawnError {
    let message = format!(
        "There is no account \"{name}\" on this host. Create it, or set `kind = \"simple\"` in \
         [spawner] to do without system accounts."
    );
    SpawnError::new(SpawnErrorKind::NotFound, message)
}

fn hub_user(homes: &str, server: &ServerId) -> Result<Account, SpawnError> {
    let home = expand(homes, server.user.as_str()).replace("{object_name}", &server.object_name());
    let home = PathBuf::from(home);
    private_directory(&home).map_err(|source| {
        let message = format!("The home {} cannot be used: {source}.", home.display());
        SpawnError::other(message).with_source(source)
    })?;
    Ok(Account {
        name: server.user.to_string(),
        home,
        shell: PathBuf::from("/bin/bash"),
        credentials: None,
    })
}

/// Makes a directory, and those above it, that only we can enter. One that is there already must be
/// ours: below `/tmp` anybody could have put something under that name.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = path.symlink_metadata()?;
    if !found.is_dir() {
        return Err(io::Error::other("it is not a directory"));
    }
    if found.uid() != Uid::effective().as_raw() {
        return Err(io::Error::other("it belongs to another account"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const ROOT: Uid = Uid::from_raw(0);
    const ALICE: Uid = Uid::from_raw(1000);
    const BOB: Uid = Uid::from_raw(1001);

    #[test]
    fn who_may_be_started_as_whom() {
        let name = UserName::new("tee").unwrap();
        let ask = |uid, hub, allow_root| {
            may_switch(&name, uid, hub, allow_root).map_err(|error| error.to_string())
        };
        assert_eq!(ask(Some(ALICE), ROOT, false), Ok(true));
        assert_eq!(ask(Some(ROOT), ROOT, true), Ok(true));
        assert_eq!(ask(Some(ALICE), ALICE, false), Ok(false));
        for (uid, hub, hint) in [
            (Some(ROOT), ROOT, "allow_root"),
            (None, ROOT, "no account \"tee\""),
            (Some(BOB), ALICE, "kind = \"simple\""),
            (Some(ROOT), ALICE, "kind = \"simple\""),
            (None, ALICE, "kind = \"simple\""),
        ] {
            let message = ask(uid, hub, false).unwrap_err();
            assert!(message.contains(hint), "{message}");
        }
    }

    #[tokio::test]
    async fn a_name_service_that_hangs_delays_nobody_else() {
        static ROOM: Semaphore = Semaphore::const_new(1);
        let tee = UserName::new("tee").unwrap();
        let (answer, hangs) = mpsc::channel::<()>();
        tokio::time::pause();
        let stalled = looked_up(&ROOM, &tee, move || {
            let _ = hangs.recv();
            Ok(())
        });
        let impatient = async {
            // The clock stands still while a thread is busy: let it start, then move it by hand.
            while ROOM.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            // Whoever else wants to know waits for the place, and not on a thread.
            let second = looked_up(&ROOM, &tee, || -> Result<(), _> {
                panic!("it has no place")
            });
            let late = async {
                tokio::task::yield_now().await;
                tokio::time::advance(LOOKUP_TIMEOUT * 2).await;
            };
            let (second, ()) = tokio::join!(second, late);
            second
        };
        let (first, second) = tokio::join!(stalled, impatient);
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert_eq!(error.kind(), SpawnErrorKind::Unavailable);
            assert!(error.to_string().contains("\"tee\""), "{error}");
        }
        // The place is free again when the service has answered after all.
        tokio::time::resume();
        answer.send(()).unwrap();
        looked_up(&ROOM, &tee, || Ok(())).await.unwrap();
        let error = looked_up::<()>(&ROOM, &tee, || panic!("on purpose")).await;
        assert_eq!(error.unwrap_err().kind(), SpawnErrorKind::Other);
        looked_up(&ROOM, &tee, || Ok(())).await.unwrap();
    }

    #[test]
    fn a_home_is_private_and_never_somebody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("homes/tee");
        private_directory(&home).unwrap();
        private_directory(&home).unwrap();
        for path in [home.as_path(), home.parent().unwrap()] {
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&home, &link).unwrap();
        assert!(private_directory(&link).is_err());
        if Uid::effective().is_root() {
            let theirs = dir.path().join("theirs");
            std::fs::create_dir(&theirs).unwrap();
            std::os::unix::fs::chown(&theirs, Some(1), None).unwrap();
            let error = private_directory(&theirs).unwrap_err();
            assert!(error.to_string().contains("another account"), "{error}");
        }
    }

    #[test]
    fn a_home_carries_the_users_name() {
        let dir = tempfile::tempdir().unwrap();
        let server = ServerId::new(
            UserName::new("a.b").unwrap(),
            spawner_core::ServerName::new("x").unwrap(),
        );
        for (template, expected) in [
            ("{username}", "a.b"),
            ("%U", "a.b"),
            ("{object_name}", "a-2eb--x"),
        ] {
            let homes = format!("{}/{template}", dir.path().display());
            let account = hub_user(&homes, &server).unwrap();
            assert_eq!(account.home, dir.path().join(expected));
            assert_eq!(account.name, "a.b");
        }
    }
}
