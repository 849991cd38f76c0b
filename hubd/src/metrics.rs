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
    spawns: Family<StatusLabels, Histogram>,
    stops: Family<StatusLabels, Histogram>,
    logins_took: Family<StatusLabels, Histogram>,
    startup: Histogram,
    init_spawners: Histogram,
    active_users: Family<PeriodLabels, Gauge>,
    /// Servers that answer.
    pub(crate) running_servers: Gauge,
    /// Users in the books; set by whoever is about to encode.
    pub(crate) total_users: Gauge,
    /// Starts in line; set by whoever is about to encode.
    pub(crate) waiting_starts: Gauge,
    /// Ends that nobody asked for.
    pub(crate) unexpected_ends: Counter,
    /// Servers of an earlier process of the hub that were found again.
    pub(crate) adopted_servers: Counter,
    /// Runs that an earlier process of the hub left, and that are in no books.
    pub(crate) reaped_servers: Counter,
    /// Logins, by whether they succeeded.
    logins: Family<LoginLabels, Counter>,
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

/// How something went, in JupyterHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Status {
    #[allow(non_camel_case_types, reason = "the value of the label")]
    success,
    #[allow(non_camel_case_types, reason = "the value of the label")]
    failure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    success: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeriodLabels {
    period: &'static str,
}

/// The spans that active users are counted in, with JupyterHub's names for them.
pub(crate) const PERIODS: [(&str, Duration); 3] = [
    ("24h", Duration::from_secs(24 * 3600)),
    ("7d", Duration::from_secs(7 * 24 * 3600)),
    ("30d", Duration::from_secs(30 * 24 * 3600)),
];

fn histograms(buckets: fn() -> Histogram) -> Family<StatusLabels, Histogram> {
    Family::new_with_constructor(buckets)
}

/// For what takes as long as a server takes to start.
fn of_starts() -> Histogram {
    Histogram::new([
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0,
    ])
}

/// For what takes as long as a step of the hub.
fn of_steps() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ])
}

impl Metrics {
    /// All at zero, but for those of the store, which has begun before.
    pub(crate) fn new(store: &StoreCounters) -> Self {
        let (spawns, stops) = (histograms(of_starts), histograms(of_steps));
        let logins_took = histograms(of_steps);
        let (startup, init_spawners) = (of_steps(), of_steps());
        let (running_servers, total_users) = (Gauge::default(), Gauge::default());
        let active_users = Family::<PeriodLabels, Gauge>::default();
        let waiting_starts = Gauge::default();
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
        jupyterhub.register(
            "server_stop_seconds",
            "Time from the request to stop a server to its end",
            stops.clone(),
        );
        jupyterhub.register(
            "login_duration_seconds",
            "Time to check a name and a password",
            logins_took.clone(),
        );
        jupyterhub.register(
            "hub_startup_duration_seconds",
            "Time from the start of the hub to its first answer",
            startup.clone(),
        );
        jupyterhub.register(
            "init_spawners_duration_seconds",
            "Time that the start waited for servers of earlier times",
            init_spawners.clone(),
        );
        jupyterhub.register(
            "active_users",
            "Users who were active in the period",
            active_users.clone(),
        );
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
        hubd.register(
            "waiting_starts",
            "Starts that wait in line for a place",
            waiting_starts.clone(),
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
            stops,
            logins_took,
            startup,
            init_spawners,
            active_users,
            running_servers,
            total_users,
            waiting_starts,
            unexpected_ends,
            adopted_servers,
            reaped_servers,
            logins,
        }
    }

    /// Counts a start and how long it took.
    pub(crate) fn spawned(&self, status: Status, took: Duration) {
        observe(&self.spawns, status, took);
    }

    /// Counts a stop and how long it took.
    pub(crate) fn stopped(&self, status: Status, took: Duration) {
        observe(&self.stops, status, took);
    }

    /// Counts an attempt to log in and how long it took.
    pub(crate) fn logged_in(&self, status: Status, took: Duration) {
        observe(&self.logins_took, status, took);
        let success = status == Status::success;
        self.logins.get_or_create(&LoginLabels { success }).inc();
    }

    /// Keeps how long the start of the hub took, and how long of it went to servers of earlier times.
    pub(crate) fn booted(&self, took: Duration, recovering: Duration) {
        self.startup.observe(took.as_secs_f64());
        self.init_spawners.observe(recovering.as_secs_f64());
    }

    /// Keeps how many users were active in one of the [`PERIODS`].
    pub(crate) fn active(&self, period: &'static str, users: usize) {
        let users = i64::try_from(users).unwrap_or(i64::MAX);
        self.active_users
            .get_or_create(&PeriodLabels { period })
            .set(users);
    }

    /// Everything, as text in [`CONTENT_TYPE`].
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn observe(family: &Family<StatusLabels, Histogram>, status: Status, took: Duration) {
    let labels = StatusLabels { status };
    family.get_or_create(&labels).observe(took.as_secs_f64());
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample: its name, its labels as they stand, its value.
    fn sample(line: &str) -> (&str, &str, f64) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{line}"
        );
        (name, labels, value.parse().unwrap())
    }

    #[test]
    fn the_exposition_can_be_parsed() {
        let metrics = Metrics::new(&StoreCounters::default());
        for status in [Status::success, Status::failure] {
            metrics.spawned(status, Duration::from_secs(4));
            metrics.spawned(status, Duration::from_secs(4000));
            metrics.stopped(status, Duration::from_millis(3));
            metrics.logged_in(status, Duration::from_millis(80));
        }
        metrics.booted(Duration::from_secs(1), Duration::from_millis(9));
        for (period, _) in PERIODS {
            metrics.active(period, 7);
        }
        let text = metrics.encode().unwrap();
        let body = text.strip_suffix("# EOF\n").unwrap();
        let mut families: Vec<(&str, &str)> = Vec::new();
        let mut last_bucket: Option<(String, f64)> = None;
        for line in body.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (keyword, rest) = comment.split_once(' ').unwrap();
                let (name, text) = rest.split_once(' ').unwrap();
                match keyword {
                    "HELP" => assert!(text.ends_with('.'), "{line}"),
                    "TYPE" => {
                        assert!(families.iter().all(|(other, _)| *other != name), "{line}");
                        families.push((name, text));
                    }
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (name, labels, value) = sample(line);
            let (family, kind) = families.last().unwrap();
            let suffix = name.strip_prefix(family).unwrap();
            let suffixes: &[&str] = match *kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                "counter" => &["_total"],
                "gauge" => &[""],
                other => panic!("{other}"),
            };
            assert!(suffixes.contains(&suffix), "{line}");
            if suffix == "_bucket" {
                // They add up, and the last one counts everything.
                let (bound, others) = match labels.split_once("le=\"") {
                    Some((before, bound)) => {
                        let (bound, after) = bound.split_once('"').unwrap();
                        (bound, format!("{name}{before}{after}"))
                    }
                    None => panic!("{line}"),
                };
                let before = last_bucket.filter(|(series, _)| *series == others);
                assert!(before.is_none_or(|(_, count)| count <= value), "{line}");
                last_bucket = (bound != "+Inf").then_some((others, value));
            }
        }
        assert!(last_bucket.is_none(), "a histogram without its end");
        for known in [
            ("jupyterhub_server_spawn_duration_seconds", "histogram"),
            ("jupyterhub_server_stop_seconds", "histogram"),
            ("jupyterhub_login_duration_seconds", "histogram"),
            ("jupyterhub_hub_startup_duration_seconds", "histogram"),
            ("jupyterhub_init_spawners_duration_seconds", "histogram"),
            ("jupyterhub_running_servers", "gauge"),
            ("jupyterhub_total_users", "gauge"),
            ("jupyterhub_active_users", "gauge"),
        ] {
            assert!(families.contains(&known), "{known:?} is not in:\n{text}");
        }
    }

    #[test]
    fn names_are_jupyterhubs() {
        let store = StoreCounters::default();
        let metrics = Metrics::new(&store);
        store.commits.inc();
        metrics.spawned(Status::success, Duration::from_millis(300));
        metrics.running_servers.set(2);
        metrics.logged_in(Status::failure, Duration::from_millis(80));
        let text = metrics.encode().unwrap();
        for line in [
            "jupyterhub_server_spawn_duration_seconds_count{status=\"success\"} 1",
            "jupyterhub_running_servers 2",
            "hubd_logins_total{success=\"false\"} 1",
            "jupyterhub_login_duration_seconds_count{status=\"failure\"} 1",
            "hubd_waiting_starts 0",
            "hubd_store_commits_total 1",
            "hubd_store_failures_total 0",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
