//! What the hub counts, in Prometheus' text format. Names are JupyterHub's where the meaning is
//! the same, so that its dashboards work.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the hub. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: std::sync::Arc<Registry>,
    spawns: Family<SpawnLabels, Histogram>,
    /// Servers that answer.
    pub(crate) running_servers: Gauge,
    /// Users in the books; set by whoever is about to encode.
    pub(crate) total_users: Gauge,
    /// Ends that nobody asked for.
    pub(crate) unexpected_ends: Counter,
    /// Servers of an earlier process of the hub that were found again.
    pub(crate) adopted_servers: Counter,
    /// Runs that an earlier process of the hub left, and that are in no books.
    pub(crate) reaped_servers: Counter,
    /// Logins, by whether they succeeded.
    pub(crate) logins: Family<LoginLabels, Counter>,
}

/// What the writer of the store did since it was started. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreCounters {
    /// Transactions that reached the disk.
    pub(crate) commits: Counter,
    /// Changes in them.
    pub(crate) changes: Counter,
    /// Transactions that could not be committed.
    pub(crate) failures: Counter,
}

/// How a start went, in JupyterHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum SpawnStatus {
    #[allow(non_camel_case_types, reason = "the value of the label")]
    success,
    #[allow(non_camel_case_types, reason = "the value of the label")]
    failure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpawnLabels {
    status: SpawnStatus,
}

/// The labels of [`Metrics::logins`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LoginLabels {
    /// Whether the person got in.
    pub(crate) success: bool,
}

impl Metrics {
    /// All at zero, but for those of the store, which has begun before.
    pub(crate) fn new(store: &StoreCounters) -> Self {
        let spawns = Family::<SpawnLabels, Histogram>::new_with_constructor(|| {
            Histogram::new([
                0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0,
            ])
        });
        let (running_servers, total_users) = (Gauge::default(), Gauge::default());
        let (unexpected_ends, adopted_servers) = (Counter::default(), Counter::default());
        let reaped_servers = Counter::default();
        let logins = Family::<LoginLabels, Counter>::default();

        let mut registry = Registry::default();
        let jupyterhub = registry.sub_registry_with_prefix("jupyterhub");
        jupyterhub.register(
            "server_spawn_duration_seconds",
            "Time from the request to the answering server",
            spawns.clone(),
        );
        jupyterhub.register(
            "running_servers",
            "Servers that answer",
            running_servers.clone(),
        );
        jupyterhub.register("total_users", "Users in the books", total_users.clone());
        let hubd = registry.sub_registry_with_prefix("hubd");
        hubd.register(
            "unexpected_server_ends",
            "Servers that ended without being asked to",
            unexpected_ends.clone(),
        );
        hubd.register(
            "adopted_servers",
            "Servers found again after a restart of the hub",
            adopted_servers.clone(),
        );
        hubd.register(
            "reaped_servers",
            "Runs that an earlier process of the hub left and that were ended",
            reaped_servers.clone(),
        );
        hubd.register("logins", "Attempts to log in", logins.clone());
        hubd.register(
            "store_commits",
            "Transactions that reached the disk",
            store.commits.clone(),
        );
        hubd.register(
            "store_changes",
            "Changes saved by these transactions",
            store.changes.clone(),
        );
        hubd.register(
            "store_failures",
            "Transactions that could not be saved",
            store.failures.clone(),
        );

        let registry = std::sync::Arc::new(registry);
        Self {
            registry,
            spawns,
            running_servers,
            total_users,
            unexpected_ends,
            adopted_servers,
            reaped_servers,
            logins,
        }
    }

    /// Counts a start and how long it took.
    pub(crate) fn spawned(&self, status: SpawnStatus, took: Duration) {
        self.spawns
            .get_or_create(&SpawnLabels { status })
            .observe(took.as_secs_f64());
    }

    /// Everything, as text in [`CONTENT_TYPE`].
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_jupyterhubs() {
        let store = StoreCounters::default();
        let metrics = Metrics::new(&store);
        store.commits.inc();
        metrics.spawned(SpawnStatus::success, Duration::from_millis(300));
        metrics.running_servers.set(2);
        metrics
            .logins
            .get_or_create(&LoginLabels { success: false })
            .inc();
        let text = metrics.encode().unwrap();
        for line in [
            "jupyterhub_server_spawn_duration_seconds_count{status=\"success\"} 1",
            "jupyterhub_running_servers 2",
            "hubd_logins_total{success=\"false\"} 1",
            "hubd_store_commits_total 1",
            "hubd_store_failures_total 0",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
