//! `[culler]`: ends servers that nobody uses.

use std::time::Duration;

use spawner_core::UserName;
use toml::de::DeValue;

use super::names::{name, user};
use super::reader::TableReader;
use super::seconds::{interval, seconds};
use super::spec::{KeySpec, TableSpec};
use super::value::{Fault, flag};

/// `[culler]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CullerTable {
    /// Whether it does anything.
    pub(crate) enabled: bool,
    /// After how long without use a server is ended; zero: never for that.
    pub(crate) timeout: Duration,
    /// After how long a server is ended that is in use; zero: never for that.
    pub(crate) max_age: Duration,
    /// How often it is looked.
    pub(crate) every: Duration,
    /// How long before the end its user is told.
    pub(crate) warning: Duration,
    /// Whether a named server that was ended is removed.
    pub(crate) remove_named_servers: bool,
    /// Users whose servers are let be.
    pub(crate) except_users: Vec<UserName>,
    /// Groups whose users' servers are let be.
    pub(crate) except_groups: Vec<String>,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "culler",
    repeated: false,
    about: "Ends servers that nobody uses. What counts is what goes through the hub's proxy and what the\n\
            servers themselves report, by a clock that cannot be set; after a restart of the hub all\n\
            servers count as just used and just started.",
    keys: &[
        KeySpec::new("enabled", "false", "Whether it does anything."),
        KeySpec::new(
            "timeout",
            "3600",
            "After how long without use a server is ended. 0 never does.",
        ),
        KeySpec::new(
            "max_age",
            "0",
            "After how long a server is ended although it is used. 0 never does.",
        ),
        KeySpec::new("every", "300", "How often it is looked."),
        KeySpec::new(
            "warning",
            "600",
            "How long before the end its user is told on the home page, where a button puts it off.",
        ),
        KeySpec::new(
            "remove_named_servers",
            "false",
            "Whether a named server that was ended is removed from its user's list.",
        ),
        KeySpec::new(
            "except_users",
            "[]",
            "Names of users whose servers are let be.",
        ),
        KeySpec::new(
            "except_groups",
            "[]",
            "Names of groups whose users' servers are let be.",
        ),
    ],
};

impl Default for CullerTable {
    fn default() -> Self {
        Self {
            enabled: false,
            timeout: Duration::from_hours(1),
            max_age: Duration::ZERO,
            every: Duration::from_mins(5),
            warning: Duration::from_mins(10),
            remove_named_servers: false,
            except_users: Vec::new(),
            except_groups: Vec::new(),
        }
    }
}

pub(super) fn read(mut table: TableReader<'_, '_>) -> CullerTable {
    let default = CullerTable::default();
    let mut time = |name, default| table.get(name, interval).unwrap_or(default);
    let idle = time("timeout", default.timeout);
    let max_age = time("max_age", default.max_age);
    let read = CullerTable {
        timeout: idle,
        max_age,
        every: table.get("every", pause).unwrap_or(default.every),
        warning: table.get("warning", seconds).unwrap_or(default.warning),
        enabled: table.get("enabled", flag).unwrap_or_default(),
        remove_named_servers: table.get("remove_named_servers", flag).unwrap_or_default(),
        except_users: table.list("except_users", user).unwrap_or_default(),
        except_groups: table.list("except_groups", name).unwrap_or_default(),
    };
    table.finish();
    read
}

/// A time between two looks.
fn pause(value: &DeValue<'_>) -> Result<Duration, Fault> {
    let pause = seconds(value)?;
    if pause.is_zero() {
        let fault = Fault::new("it cannot look all the time");
        return Err(fault.help("write how many seconds are between two looks"));
    }
    Ok(pause)
}
