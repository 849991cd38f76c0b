//! Runs one check and says how it went.

use std::any::Any;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::backend::Backend;
use super::bench::Bench;
use super::check::{Check, Verdict};
use super::fault::Stop;
use super::probe::{self, Probe};

impl Check {
    /// Runs it against a backend that was set up for it, and tears that down. `conformance_tests!`
    /// does it for a test; by hand it is for those who test a kit of their own:
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// use spawner_core::conformance::{Backend, Check, Probe, Verdict};
    ///
    /// # async fn all(backend: impl Fn() -> Arc<dyn Backend>) {
    /// for check in Check::all() {
    ///     let probe = Probe::new(["/usr/local/bin/probe".to_owned()]);
    ///     if let Verdict::Failed(why) = check.run(backend(), probe).await {
    ///         println!("{check}: {why}");
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn run(&self, backend: Arc<dyn Backend>, probe: Probe) -> Verdict {
        let bench = Bench::new(Arc::clone(&backend), probe);
        let ended = AssertUnwindSafe((self.function)(&bench))
            .catch_unwind()
            .await;
        if !matches!(ended, Ok(Ok(()))) {
            bench.clear().await;
        }
        backend.tear_down().await;
        match ended {
            Ok(Ok(())) => Verdict::Passed,
            Ok(Err(Stop::Skip(reason))) => Verdict::Skipped(reason),
            Ok(Err(Stop::Fault(what))) => self.failed(&what),
            Err(panic) => self.failed(&format!("the spawner panicked: {}", said(&*panic))),
        }
    }

    fn failed(&self, what: &str) -> Verdict {
        let Self { rule, why, .. } = self;
        Verdict::Failed(format!("{what}\n  rule: {rule}\n  because {why}"))
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

/// The body of the tests that `conformance_tests!` makes.
pub fn test<B: Backend>(topic: &str, name: &str, probe: &str) {
    let check = Check::all()
        .iter()
        .find(|check| (check.topic, check.name) == (topic, name))
        .expect("tests are made from the list of checks");
    // Like a daemon's runtime; with more threads than one, what blocks is only slow.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let verdict = runtime.block_on(async {
        let backend = Arc::new(B::set_up().await);
        check.run(backend, Probe::this_binary(probe)).await
    });
    // A call that hangs has failed its check already.
    runtime.shutdown_background();
    match verdict {
        Verdict::Passed => {}
        Verdict::Skipped(reason) => {
            let module = probe.strip_suffix("probe_server").unwrap_or_default();
            // Written past the test harness, which would keep it to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED {module}{check}: {reason}");
        }
        Verdict::Failed(what) => panic!("{what}\n"),
    }
}

/// The body of the test that is the probe server.
pub fn probe_server() {
    probe::main();
}
