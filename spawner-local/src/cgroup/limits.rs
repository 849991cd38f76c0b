//! What a server may use, and what that is called in the files of a group.

use spawner_core::{SpawnError, SpawnErrorKind, SpawnerConfig};

/// The period of `cpu.max`, in microseconds: the kernel's own default.
const PERIOD: f64 = 100_000.0;
/// The smallest share that the kernel takes, a quota of 1 ms.
const LEAST_CPU: f64 = 0.01;

/// The limits of the servers of one factory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Limits {
    memory: Option<u64>,
    memory_guarantee: Option<u64>,
    cpu: Option<f64>,
    cpu_guarantee: Option<f64>,
    pids: Option<u64>,
}

/// A limit that is configured and would not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` cannot be enforced: {reason}")]
pub(crate) struct Unenforceable {
    /// As an admin writes it.
    pub(crate) key: &'static str,
    pub(crate) reason: String,
}

/// One value to be written into a file of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) file: &'static str,
    pub(super) value: String,
    /// Whether the file may be missing, because the kernel was built without that feature.
    pub(super) optional: bool,
}

impl Limits {
    /// What is configured: four limits that all spawners share, and `pids_limit`, which is ours.
    pub(crate) fn new(config: &SpawnerConfig, pids_limit: Option<u64>) -> Self {
        Self {
            memory: config.mem_limit,
            memory_guarantee: config.mem_guarantee,
            cpu: config.cpu_limit,
            cpu_guarantee: config.cpu_guarantee,
            pids: pids_limit,
        }
    }

    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses values that no kernel could enforce.
    pub(super) fn check(&self) -> Result<(), Unenforceable> {
        let refuse = |key, reason: &str| {
            let reason = reason.to_owned();
            Err(Unenforceable { key, reason })
        };
        if self.memory == Some(0) {
            return refuse("mem_limit", "nothing runs without memory.");
        }
        if let (Some(limit), Some(guarantee)) = (self.memory, self.memory_guarantee)
            && guarantee > limit
        {
            return refuse("mem_guarantee", "it is larger than `mem_limit`.");
        }
        if self
            .cpu
            .is_some_and(|cores| !(LEAST_CPU..=1e6).contains(&cores))
        {
            return refuse("cpu_limit", "it is a number of cores, at least 0.01.");
        }
        if self.cpu_guarantee.is_some() {
            // Weights share what is left over; how much that is depends on who else is there.
            let reason = "the processor is shared out by weight, which promises nobody a number of \
                          cores. Limit the others with `cpu_limit` instead.";
            return refuse("cpu_guarantee", reason);
        }
        if self.pids == Some(0) {
            return refuse("pids_limit", "no server runs without a process.");
        }
        Ok(())
    }

    /// The controllers that are needed, each with the setting that needs it.
    pub(super) fn controllers(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            ("mem_limit", "memory", self.memory.is_some()),
            ("mem_guarantee", "memory", self.memory_guarantee.is_some()),
            ("cpu_limit", "cpu", self.cpu.is_some()),
            ("pids_limit", "pids", self.pids.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, controller, set)| set.then_some((key, controller)))
    }

    /// The memory that a server can count on.
    pub(super) fn memory_guarantee(&self) -> Option<u64> {
        self.memory_guarantee
    }

    /// What is written into a new group, in this order.
    pub(super) fn writes(&self) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut write = |file, value: String, optional| {
            writes.push(Write {
                file,
                value,
                optional,
            });
        };
        if let Some(bytes) = self.memory {
            write("memory.max", bytes.to_string(), false);
            // Or the limit would only push what is over it to disk. The file is missing where swap is
            // not accounted for, or not built in.
            write("memory.swap.max", "0".into(), true);
        }
        if let Some(bytes) = self.memory_guarantee {
            write("memory.low", bytes.to_string(), false);
        }
        if let Some(cores) = self.cpu {
            write("cpu.max", format!("{:.0} {PERIOD}", cores * PERIOD), false);
        }
        if let Some(count) = self.pids {
            write("pids.max", count.to_string(), false);
        }
        writes
    }
}

impl From<Unenforceable> for SpawnError {
    fn from(error: Unenforceable) -> Self {
        Self::new(SpawnErrorKind::Refused, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_meant_are_refused_by_name() {
        let config = SpawnerConfig::default;
        for (config, pids, key) in [
            (
                SpawnerConfig {
                    mem_limit: Some(0),
                    ..config()
                },
                None,
                "mem_limit",
            ),
            (
                SpawnerConfig {
                    mem_limit: Some(1),
                    mem_guarantee: Some(2),
                    ..config()
                },
                None,
                "mem_guarantee",
            ),
            (
                SpawnerConfig {
                    cpu_limit: Some(0.0),
                    ..config()
                },
                None,
                "cpu_limit",
            ),
            (
                SpawnerConfig {
                    cpu_limit: Some(-1.0),
                    ..config()
                },
                None,
                "cpu_limit",
            ),
            (
                SpawnerConfig {
                    cpu_limit: Some(f64::NAN),
                    ..config()
                },
                None,
                "cpu_limit",
            ),
            (
                SpawnerConfig {
                    cpu_guarantee: Some(1.0),
                    ..config()
                },
                None,
                "cpu_guarantee",
            ),
            (config(), Some(0), "pids_limit"),
        ] {
            let refused = Limits::new(&config, pids).check().unwrap_err();
            assert_eq!(refused.key, key);
            assert!(refused.to_string().starts_with(&format!("`{key}` cannot")));
        }
        assert!(Limits::new(&config(), None).is_empty());
        Limits::new(&config(), Some(1)).check().unwrap();
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let config = SpawnerConfig {
            mem_limit: Some(2 << 30),
            mem_guarantee: Some(1 << 20),
            cpu_limit: Some(0.5),
            ..SpawnerConfig::default()
        };
        let limits = Limits::new(&config, Some(512));
        let written: Vec<_> = (limits.writes().into_iter())
            .map(|write| (write.file, write.value))
            .collect();
        let expected = [
            ("memory.max", "2147483648"),
            ("memory.swap.max", "0"),
            ("memory.low", "1048576"),
            ("cpu.max", "50000 100000"),
            ("pids.max", "512"),
        ];
        assert_eq!(
            written,
            expected.map(|(file, value)| (file, value.to_owned()))
        );
        assert_eq!(
            limits.controllers().collect::<Vec<_>>(),
            [
                ("mem_limit", "memory"),
                ("mem_guarantee", "memory"),
                ("cpu_limit", "cpu"),
                ("pids_limit", "pids")
            ]
        );
    }
}
