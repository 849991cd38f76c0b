//! `rlimits` in the settings: what each process of a server may use, as `setrlimit` has it.

use std::collections::BTreeMap;

use serde_json::Value;
use spawner_core::SetupError;

/// The resources by the names that `limits.conf` and Docker know them by.
const RESOURCES: [(&str, Resource); 15] = [
    ("as", libc::RLIMIT_AS),
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("locks", libc::RLIMIT_LOCKS),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("rttime", libc::RLIMIT_RTTIME),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack", libc::RLIMIT_STACK),
];

/// The C library's number of a resource, whose type is not the same in all of them.
#[cfg(target_env = "gnu")]
pub(crate) type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub(crate) type Resource = libc::c_int;

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rlimit {
    resource: Resource,
    soft: libc::rlim_t,
    hard: libc::rlim_t,
}

impl Rlimit {
    /// Reads `{ nofile = 4096, core = 0, nproc = [500, "unlimited"] }`.
    pub(crate) fn read(table: &BTreeMap<String, Value>) -> Result<Vec<Self>, SetupError> {
        let limits = table.iter().map(|(name, value)| {
            let key = format!("rlimits.{name}");
            let known = RESOURCES.iter().find(|(known, _)| known == name);
            let Some(&(_, resource)) = known else {
                let names: Vec<_> = RESOURCES.iter().map(|&(name, _)| name).collect();
                let message = format!("`{key}` is none of {}", names.join(", "));
                return Err(SetupError::key(&key, message));
            };
            let limits = match value {
                Value::Array(pair) => match pair.as_slice() {
                    [soft, hard] => bound(soft).zip(bound(hard)),
                    _ => None,
                },
                both => bound(both).map(|both| (both, both)),
            };
            match limits {
                Some((soft, hard)) if soft <= hard => Ok(Self {
                    resource,
                    soft,
                    hard,
                }),
                Some(_) => {
                    let message = format!("`{key}` has a soft limit above its hard one");
                    Err(SetupError::key(&key, message))
                }
                None => {
                    let message = format!(
                        "`{key}` is a number, \"unlimited\", or a pair of these: [soft, hard]"
                    );
                    Err(SetupError::key(&key, message))
                }
            }
        });
        limits.collect()
    }

    pub(crate) fn resource(&self) -> Resource {
        self.resource
    }

    pub(crate) fn value(&self) -> libc::rlimit {
        libc::rlimit {
            rlim_cur: self.soft,
            rlim_max: self.hard,
        }
    }
}

fn bound(value: &Value) -> Option<libc::rlim_t> {
    match value {
        // The largest number there is means no limit, too.
        Value::String(word) if word == "unlimited" => Some(libc::RLIM_INFINITY),
        number => number.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(table: Value) -> Result<Vec<Rlimit>, SetupError> {
        Rlimit::read(&serde_json::from_value(table).unwrap())
    }

    #[test]
    fn numbers_words_and_pairs() {
        let limits = read(json!({"core": 0, "nofile": [100, "unlimited"], "nproc": "unlimited"}));
        let infinity = libc::RLIM_INFINITY;
        let limit = |resource, soft, hard| Rlimit {
            resource,
            soft,
            hard,
        };
        assert_eq!(
            limits.unwrap(),
            [
                limit(libc::RLIMIT_CORE, 0, 0),
                limit(libc::RLIMIT_NOFILE, 100, infinity),
                limit(libc::RLIMIT_NPROC, infinity, infinity),
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_key() {
        for (table, key) in [
            (json!({"nofiles": 1}), "rlimits.nofiles"),
            (json!({"nofile": -1}), "rlimits.nofile"),
            (json!({"nofile": "many"}), "rlimits.nofile"),
            (json!({"nofile": 1.5}), "rlimits.nofile"),
            (json!({"nofile": [1]}), "rlimits.nofile"),
            (json!({"nofile": [2, 1]}), "rlimits.nofile"),
            (json!({"nofile": ["unlimited", 1]}), "rlimits.nofile"),
        ] {
            let error = read(table).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{error}");
        }
    }
}
