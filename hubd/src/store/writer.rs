//! The one thread that writes: it takes the jobs that wait and commits them together.
//!
//! ```text
//! wait for a job -> take all that wait -> BEGIN -> for each job: SAVEPOINT, run, RELEASE or ROLLBACK TO
//!               -> COMMIT -> apply the changes to the mirror -> answer every caller
//! ```
//!
//! While one commit waits for the disk the next jobs gather, so the number of fsyncs follows the
//! disk's speed and not the number of changes. Every answer waits for the commit, refusals too: a
//! job may have been refused because of another one whose commit then failed.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::database::Database;
use super::error::{StoreError, Trouble};
use super::mirror::{Change, Mirror};
use super::rows::{Rows, Statement, statements};
use crate::metrics::StoreCounters;

/// The most jobs in one commit; it bounds how long the first of them waits.
const GROUP: usize = 256;

statements! {
    BEGIN = "BEGIN IMMEDIATE";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    SAVEPOINT = "SAVEPOINT job";
    RELEASE = "RELEASE job";
    ROLLBACK_TO = "ROLLBACK TO job";
}

/// A change that waits for the writer.
pub(super) trait Job: Send {
    /// Makes the change; called at most once.
    fn run(&mut self, rows: &mut Rows<'_>) -> Result<(), StoreError>;
    /// Tells the caller, if they still wait.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A job made of a closure.
pub(super) struct Write<F, T> {
    job: Option<F>,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Write<F, T>
where
    F: FnOnce(&mut Rows<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    pub(super) fn new(job: F, caller: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self {
            job: Some(job),
            value: None,
            caller,
        }
    }
}

impl<F, T> Job for Write<F, T>
where
    F: FnOnce(&mut Rows<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        if let Some(job) = self.job.take() {
            self.value = Some(job(rows)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let missing = || StoreError::Internal("a job has no result".to_owned());
        let Self { value, caller, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or_else(missing));
        // Nobody listens when the caller's future was dropped; the change stands all the same.
        let _ = caller.send(answer);
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    database: Database,
    mirror: Arc<RwLock<Mirror>>,
    counters: StoreCounters,
    /// A disk error was seen, and the file has not been opened and checked since. Readers see it.
    suspect: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn new(
        database: Database,
        mirror: Arc<RwLock<Mirror>>,
        counters: StoreCounters,
        suspect: Arc<AtomicBool>,
    ) -> Self {
        Self {
            database,
            mirror,
            counters,
            suspect,
        }
    }

    /// Serves jobs until every sender is gone, then closes the file.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) -> Result<(), StoreError> {
        let mut waiting = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut waiting, GROUP) > 0 {
            self.serve(&mut waiting);
        }
        self.database.close().inspect_err(|error| {
            error!(
                error = error as &dyn Error,
                "the database could not be closed in order; its log is read at the next start"
            );
        })
    }

    fn serve(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        match self.mend().and_then(|()| self.commit(jobs)) {
            Ok(outcomes) => {
                for (job, outcome) in jobs.drain(..).zip(outcomes) {
                    job.answer(outcome);
                }
            }
            Err(error) => {
                self.counters.failures.inc();
                error!(
                    error = &error as &dyn Error,
                    changes = jobs.len(),
                    "changes could not be saved"
                );
                if error.is_suspect() {
                    self.suspect.store(true, Ordering::Release);
                    // Before the answers, if it can be done: whether the commit took effect is not
                    // known, and whoever is told of the failure looks into the mirror next.
                    let _ = self.mend();
                }
                for job in jobs.drain(..) {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// One transaction for all jobs. `Err` means that nothing of it was saved; `Ok` holds the
    /// outcome of each job.
    fn commit(&self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let transaction = Transaction::begin(&self.database)?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut changes = Vec::new();
        for job in jobs {
            outcomes.push(
                transaction
                    .job(job.as_mut())?
                    .map(|made| changes.extend(made)),
            );
        }
        transaction.commit()?;
        self.counters.commits.inc();
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        self.counters.changes.inc_by(made as u64);
        let mut mirror = self.mirror.write().expect("the mirror's lock");
        for change in changes {
            mirror.apply(change);
        }
        Ok(outcomes)
    }

    /// After a disk error: opens the file again, checks it and reads every row.
    fn mend(&mut self) -> Result<(), StoreError> {
        if !self.suspect.load(Ordering::Acquire) {
            return Ok(());
        }
        self.database.reopen()?;
        let rows = Mirror::load(self.database.connection()?, &self.database.path())?;
        *self.mirror.write().expect("the mirror's lock") = rows;
        self.suspect.store(false, Ordering::Release);
        info!("the database was opened again after a disk error and is sound");
        Ok(())
    }
}

/// An open transaction; rolled back when it is dropped before its commit.
struct Transaction<'d> {
    conn: &'d rusqlite::Connection,
}

impl<'d> Transaction<'d> {
    fn begin(database: &'d Database) -> Result<Self, StoreError> {
        let conn = database.connection()?;
        if !conn.is_autocommit() {
            // The last one could not even be rolled back.
            return Err(StoreError::unavailable(Trouble::Disk));
        }
        execute(conn, BEGIN).map_err(StoreError::from_commit)?;
        Ok(Self { conn })
    }

    /// Runs one job in its own savepoint, so that its failure takes nothing of the others along.
    ///
    /// The outer `Err` is the end of the transaction: SQLite itself rolls all of it back on some
    /// errors, and after a disk error nothing of it can be trusted.
    fn job(&self, job: &mut dyn Job) -> Result<Result<Vec<Change>, StoreError>, StoreError> {
        execute(self.conn, SAVEPOINT).map_err(StoreError::from_commit)?;
        let mut rows = Rows::new(self.conn);
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut rows)))
            .unwrap_or_else(|_| Err(StoreError::Internal("a job panicked".to_owned())));
        match outcome {
            Ok(()) => {
                execute(self.conn, RELEASE).map_err(StoreError::from_commit)?;
                Ok(Ok(rows.into_changes()))
            }
            Err(error) if error.is_suspect() || self.conn.is_autocommit() => Err(error),
            Err(error) => {
                execute(self.conn, ROLLBACK_TO).map_err(StoreError::from_commit)?;
                execute(self.conn, RELEASE).map_err(StoreError::from_commit)?;
                Ok(Err(error))
            }
        }
    }

    fn commit(self) -> Result<(), StoreError> {
        execute(self.conn, COMMIT).map_err(StoreError::from_commit)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = execute(self.conn, ROLLBACK)
        {
            error!(%error, "a failed transaction could not be rolled back");
        }
    }
}

fn execute(conn: &rusqlite::Connection, sql: Statement) -> rusqlite::Result<()> {
    conn.prepare_cached(sql.0)?.execute(()).map(drop)
}
