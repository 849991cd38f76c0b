//! The handle that the rest of the hub holds.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::audit::{self, Entry};
use super::clients::Clients;
use super::database::Database;
use super::error::{OpenError, StoreError, Trouble};
use super::groups::Groups;
use super::identities::Identities;
use super::meta::{self, SigningKey};
use super::mirror::Mirror;
use super::rows::Rows;
use super::servers::Servers;
use super::services::Services;
use super::sessions::Sessions;
use super::signups::Signups;
use super::state_dir::{StateDir, database_in, failed};
use super::tokens::Tokens;
use super::users::Users;
use super::visits::Visits;
use super::writer::{Job, Write, Writer};
use crate::metrics::StoreCounters;

/// The most jobs that wait. A disk that is this far behind is better reported than queued for.
const QUEUE: usize = 1024;

/// How long a job waits for a place in a full queue.
const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// The hub's memory. Cheap to clone; all clones are one store.
///
/// Reading is a look into memory and never waits for the disk. Writing is `async` and answers when
/// the change is on disk; once queued it happens even if the caller's future is dropped.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    /// What the audit log is to say of each change that is made through this handle.
    entry: Option<Box<Entry>>,
}

struct Shared {
    mirror: Arc<RwLock<Mirror>>,
    /// `None` after [`Store::close`]. Dropping the last sender is what ends the thread.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    counters: StoreCounters,
    /// Set by the writer while nobody knows whether the mirror is what is on disk.
    in_doubt: Arc<AtomicBool>,
    instance_id: String,
    signing_key: SigningKey,
}

impl Store {
    /// Opens the state in `state_dir`, made if there is none, and claims it for this process.
    ///
    /// Reads and checks the whole file, so it takes some milliseconds; meant for the start of the hub.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, OpenError> {
        Self::start(Database::open(StateDir::claim(state_dir)?)?)
    }

    /// Whether there are books in `state_dir`. An error means that it cannot be told.
    pub(crate) fn is_in(state_dir: &Path) -> std::io::Result<bool> {
        database_in(state_dir).try_exists()
    }

    /// An empty store that is gone when it is dropped.
    #[cfg(test)]
    pub(crate) fn open_in_memory() -> Result<Self, OpenError> {
        Self::start(Database::in_memory()?)
    }

    fn start(database: Database) -> Result<Self, OpenError> {
        let path = database.path();
        let conn = database.connection().expect("just opened");
        let sorted = |e| OpenError::from_sqlite(path.clone(), e);
        let (instance_id, signing_key) = meta::found(conn).map_err(sorted)?;
        let mirror = Arc::new(RwLock::new(Mirror::load(conn, &path)?));
        let counters = StoreCounters::default();
        let (queue, jobs) = mpsc::channel(QUEUE);
        let in_doubt = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(
            database,
            Arc::clone(&mirror),
            counters.clone(),
            Arc::clone(&in_doubt),
        );
        let thread = thread::Builder::new()
            .name("hubd-store".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(failed("start the thread that writes", &path))?;
        Ok(Self {
            entry: None,
            shared: Arc::new(Shared {
                mirror,
                queue: Mutex::new(Some(queue)),
                thread: Mutex::new(Some(thread)),
                counters,
                in_doubt,
                instance_id,
                signing_key,
            }),
        })
    }

    /// Finishes what is queued, folds the log into the file and closes it. Later writes are refused
    /// with [`Trouble::Closed`]; reading still works.
    ///
    /// A store that is dropped instead does the same, but nobody hears of it.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let queue = self.shared.queue.lock().expect("the queue's lock").take();
        drop(queue);
        let thread = self.shared.thread.lock().expect("the thread's lock").take();
        let Some(thread) = thread else { return Ok(()) };
        tokio::task::spawn_blocking(|| thread.join())
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(StoreError::Internal("its thread panicked".to_owned())))
    }

    /// The users.
    pub(crate) fn users(&self) -> Users<'_> {
        Users(self)
    }

    /// Groups that were made through the API.
    pub(crate) fn groups(&self) -> Groups<'_> {
        Groups(self)
    }

    /// The servers.
    pub(crate) fn servers(&self) -> Servers<'_> {
        Servers(self)
    }

    /// API, server and OAuth tokens.
    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens(self)
    }

    /// Logins.
    pub(crate) fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }

    /// People who ask for an account.
    pub(crate) fn signups(&self) -> Signups<'_> {
        Signups(self)
    }

    /// Who users are at an OpenID Connect provider.
    pub(crate) fn identities(&self) -> Identities<'_> {
        Identities(self)
    }

    /// The servers and services as OAuth clients.
    pub(crate) fn clients(&self) -> Clients<'_> {
        Clients(self)
    }

    /// Services that were made through the API.
    pub(crate) fn services(&self) -> Services<'_> {
        Services(self)
    }

    /// Who opened servers that are not theirs.
    pub(crate) fn visits(&self) -> Visits<'_> {
        Visits(self)
    }

    /// 32 hex digits that tell this hub from any other, made with its file. Containers and processes
    /// carry it.
    pub(crate) fn instance_id(&self) -> &str {
        &self.shared.instance_id
    }

    /// The key under cookies and XSRF tokens, made with the file.
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.shared.signing_key
    }

    /// Whether a disk error has left open what is on disk: a row that is not found may be there.
    /// Reading goes on, but "there is no such token" is then no answer to give.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.shared.in_doubt.load(Ordering::Acquire)
    }

    /// As after a disk error, until the next write or until the doubt is taken back.
    #[cfg(test)]
    pub(crate) fn doubt(&self, doubt: bool) {
        self.shared.in_doubt.store(doubt, Ordering::Release);
    }

    /// What the writer did so far.
    pub(crate) fn counters(&self) -> &StoreCounters {
        &self.shared.counters
    }

    /// This store, with every change through it written down as `entry`.
    pub(super) fn with_entry(&self, entry: Entry) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            entry: Some(Box::new(entry)),
        }
    }

    /// Looks into the mirror. `look` must not call the store: the lock is held meanwhile.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Mirror) -> T) -> T {
        look(&self.shared.mirror.read().expect("the mirror's lock"))
    }

    /// Has the writer thread run `job` in a transaction; answers after its commit. What the audit log
    /// is to say goes into the same one.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Rows<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let Some(entry) = self.entry.clone() else {
            return self.commit(job).await;
        };
        let (value, noted) = self
            .commit(move |rows| {
                let value = job(rows)?;
                let made = rows.take_made();
                let noted = audit::add(rows, &entry, made, Timestamp::now())?;
                Ok((value, noted))
            })
            .await?;
        noted.iter().for_each(Entry::log);
        Ok(value)
    }

    async fn commit<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Rows<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let closed = || StoreError::unavailable(Trouble::Closed);
        let queue = self.shared.queue.lock().expect("the queue's lock").clone();
        let queue = queue.ok_or_else(closed)?;
        let (caller, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Write::new(job, caller));
        queue
            .send_timeout(job, QUEUE_WAIT)
            .await
            .map_err(|refused| match refused {
                mpsc::error::SendTimeoutError::Timeout(_) => StoreError::unavailable(Trouble::Busy),
                mpsc::error::SendTimeoutError::Closed(_) => closed(),
            })?;
        // Held any longer it would keep the thread from ending.
        drop(queue);
        answer.await.map_err(|_| closed())?
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("instance_id", &self.shared.instance_id)
            .finish_non_exhaustive()
    }
}
