//! `[limits]`: how much of something at once, and how long a page waits.

use std::time::Duration;

use super::reader::TableReader;
use super::seconds::seconds;
use super::spec::{KeySpec, TableSpec};
use super::value::count;

/// `[limits]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LimitsTable {
    /// How many servers may be starting at once, while others wait in line; 0 is no limit.
    pub(crate) concurrent_spawns: u32,
    /// How many servers may be starting or running at once; 0 is no limit.
    pub(crate) active_servers: u32,
    /// How many servers a user may have beside the default one; 0 is none.
    pub(crate) named_servers_per_user: u32,
    /// How long a request to start a server waits before it answers that the start goes on.
    pub(crate) slow_spawn_timeout: Duration,
    /// How long a request to stop a server waits before it answers that the stop goes on.
    pub(crate) slow_stop_timeout: Duration,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "limits",
    repeated: false,
    about: "How much at once.",
    keys: &[
        KeySpec::new(
            "concurrent_spawns",
            "100",
            "How many servers may be starting at the same time; more wait in line. 0 sets no limit.",
        ),
        KeySpec::new(
            "active_servers",
            "0",
            "How many servers may be starting or running at the same time. 0 sets no limit.",
        ),
        KeySpec::new(
            "named_servers_per_user",
            "0",
            "How many servers a user may have beside the default one. 0 allows none.",
        ),
        KeySpec::new(
            "slow_spawn_timeout",
            "10",
            "How long a request to start a server waits before it answers that the start goes on.",
        ),
        KeySpec::new(
            "slow_stop_timeout",
            "10",
            "The same for a request to stop one.",
        ),
    ],
};

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            concurrent_spawns: 100,
            active_servers: 0,
            named_servers_per_user: 0,
            slow_spawn_timeout: Duration::from_secs(10),
            slow_stop_timeout: Duration::from_secs(10),
        }
    }
}

pub(super) fn read(mut table: TableReader<'_, '_>) -> LimitsTable {
    let default = LimitsTable::default();
    let mut number = |name, default| table.get(name, count).unwrap_or(default);
    let concurrent_spawns = number("concurrent_spawns", default.concurrent_spawns);
    let active_servers = number("active_servers", default.active_servers);
    let named_servers_per_user = number("named_servers_per_user", default.named_servers_per_user);
    let mut time = |name, default| table.get(name, seconds).unwrap_or(default);
    let slow_spawn_timeout = time("slow_spawn_timeout", default.slow_spawn_timeout);
    let slow_stop_timeout = time("slow_stop_timeout", default.slow_stop_timeout);
    table.finish();
    LimitsTable {
        concurrent_spawns,
        active_servers,
        named_servers_per_user,
        slow_spawn_timeout,
        slow_stop_timeout,
    }
}
