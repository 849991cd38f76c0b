//! The shared limits as the engine takes them.
//!
//! | knob | the engine's word | enforced |
//! |---|---|---|
//! | `mem_limit` | memory, with no swap beside it | by the kernel: who takes more is killed |
//! | `mem_guarantee` | memory reservation | memory below it is taken back last |
//! | `cpu_limit` | processor quota | by the kernel |
//! | `cpu_guarantee` | processor shares | when processors are contended |
//!
//! An engine takes a limit that its kernel cannot keep and says nothing, so it is asked first.

use bollard::models::SystemInfo;
use spawner_core::{SpawnError, SpawnErrorKind, SpawnerConfig};

/// The period of the processor quota, in microseconds: the kernel's default.
pub(crate) const CPU_PERIOD: i64 = 100_000;
/// The least memory that an engine takes.
const LEAST_MEMORY: u64 = 6 << 20;
/// What a number of processors can be.
const PROCESSORS: std::ops::RangeInclusive<f64> = 0.01..=4096.0;
/// What one processor is in shares: the weight that a container has by default.
const SHARES: i64 = 1024;

/// How much of the machine a container gets; `None` says nothing to the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory: Option<i64>,
    pub(crate) reservation: Option<i64>,
    /// Microseconds of each [`CPU_PERIOD`].
    pub(crate) quota: Option<i64>,
    pub(crate) shares: Option<i64>,
}

/// What the engine's kernel can enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Able {
    memory: bool,
    swap: bool,
    quota: bool,
    shares: bool,
    pids: bool,
}

impl Limits {
    /// The shared knobs, if an engine can be given them at all.
    pub(crate) fn of(config: &SpawnerConfig) -> Result<Self, SpawnError> {
        Ok(Self {
            memory: memory("mem_limit", config.mem_limit)?,
            reservation: memory("mem_guarantee", config.mem_guarantee)?,
            quota: processors("cpu_limit", config.cpu_limit)?.map(|n| scaled(n, CPU_PERIOD)),
            // The kernel's least weight is 2.
            shares: processors("cpu_guarantee", config.cpu_guarantee)?
                .map(|n| scaled(n, SHARES).max(2)),
        })
        .and_then(Self::consistent)
    }

    fn consistent(self) -> Result<Self, SpawnError> {
        let above = |guarantee: Option<i64>, limit: Option<i64>| {
            guarantee
                .zip(limit)
                .is_some_and(|(least, most)| least > most)
        };
        if above(self.reservation, self.memory) {
            return Err(refused("`mem_guarantee` is more than `mem_limit`."));
        }
        Ok(self)
    }
}

impl Able {
    pub(crate) fn of(info: &SystemInfo) -> Self {
        // An engine that does not say is taken at its default.
        let yes = |flag: Option<bool>| flag != Some(false);
        Self {
            memory: yes(info.memory_limit),
            swap: yes(info.swap_limit),
            quota: yes(info.cpu_cfs_quota),
            shares: yes(info.cpu_shares),
            pids: yes(info.pids_limit),
        }
    }

    /// Refuses what the engine would accept and not keep.
    pub(crate) fn check(self, limits: Limits, pids: bool) -> Result<(), SpawnError> {
        for (wanted, able, key) in [
            (limits.memory.is_some(), self.memory, "mem_limit"),
            (limits.reservation.is_some(), self.memory, "mem_guarantee"),
            (limits.quota.is_some(), self.quota, "cpu_limit"),
            (limits.shares.is_some(), self.shares, "cpu_guarantee"),
            (pids, self.pids, "pids_limit"),
        ] {
            if wanted && !able {
                let message = format!(
                    "This Docker Engine cannot enforce `{key}`: the kernel's control group for it \
                     is missing. Enable that, or take the limit out of the configuration."
                );
                return Err(refused(&message));
            }
        }
        Ok(())
    }

    /// Whether a memory limit holds for memory and swap together.
    pub(crate) fn limits_swap(self) -> bool {
        self.swap
    }
}

fn memory(key: &str, bytes: Option<u64>) -> Result<Option<i64>, SpawnError> {
    let Some(bytes) = bytes else { return Ok(None) };
    match i64::try_from(bytes) {
        Ok(taken) if bytes >= LEAST_MEMORY => Ok(Some(taken)),
        _ => Err(refused(&format!(
            "`{key}` is {bytes} bytes; a Docker Engine takes 6M and more."
        ))),
    }
}

fn processors(key: &str, number: Option<f64>) -> Result<Option<f64>, SpawnError> {
    match number {
        Some(number) if !PROCESSORS.contains(&number) => Err(refused(&format!(
            "`{key}` is {number}; write a number of processors from {} to {}.",
            PROCESSORS.start(),
            PROCESSORS.end()
        ))),
        number => Ok(number),
    }
}

/// So many processors, where one is `unit`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range of processors keeps it between 10 and a few hundred million"
)]
fn scaled(number: f64, unit: i64) -> i64 {
    (number * unit as f64).round() as i64
}

fn refused(message: &str) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut SpawnerConfig)) -> SpawnerConfig {
        let mut config = SpawnerConfig::default();
        change(&mut config);
        config
    }

    #[test]
    fn knobs_become_the_engines() {
        assert_eq!(
            Limits::of(&SpawnerConfig::default()).unwrap(),
            Limits::default()
        );
        let all = Limits::of(&config(|config| {
            config.mem_limit = Some(1 << 30);
            config.mem_guarantee = Some(1 << 29);
            config.cpu_limit = Some(0.5);
            config.cpu_guarantee = Some(0.25);
        }));
        let expected = Limits {
            memory: Some(1 << 30),
            reservation: Some(1 << 29),
            quota: Some(50_000),
            shares: Some(256),
        };
        assert_eq!(all.unwrap(), expected);
    }

    #[test]
    fn what_no_engine_takes_is_refused_by_name() {
        type Change = fn(&mut SpawnerConfig);
        let changes: [(&str, Change); 7] = [
            ("mem_limit", |c| c.mem_limit = Some((6 << 20) - 1)),
            ("mem_limit", |c| c.mem_limit = Some(u64::MAX)),
            ("mem_guarantee", |c| c.mem_guarantee = Some(0)),
            ("cpu_limit", |c| c.cpu_limit = Some(0.0)),
            ("cpu_limit", |c| c.cpu_limit = Some(f64::NAN)),
            ("cpu_guarantee", |c| c.cpu_guarantee = Some(-1.0)),
            ("mem_guarantee", |c| {
                (c.mem_limit, c.mem_guarantee) = (Some(7 << 20), Some(8 << 20));
            }),
        ];
        for (key, change) in changes {
            let error = Limits::of(&config(change)).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn what_the_kernel_cannot_keep_is_refused() {
        let able = Able::of(&SystemInfo {
            memory_limit: Some(false),
            ..SystemInfo::default()
        });
        assert!(able.check(Limits::default(), true).is_ok());
        let limits = Limits {
            memory: Some(1 << 30),
            ..Limits::default()
        };
        let error = able.check(limits, true).unwrap_err();
        assert!(error.to_string().contains("`mem_limit`"), "{error}");
    }
}
