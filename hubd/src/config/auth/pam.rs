//! `[auth.pam]`: accounts of the system.

use std::path::PathBuf;
use std::time::Duration;

use super::super::reader::TableReader;
use super::super::seconds::timeout;
use super::super::spec::{KeySpec, TableSpec};
use super::super::value::{Fault, count, flag, quote, some_text};

/// The most logins that are asked about at once.
const WORKERS_MAX: u32 = 64;

/// `[auth.pam]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PamTable {
    /// The file with the rules.
    pub(crate) service: String,
    /// The folder with such files; none is the system's own.
    pub(crate) config_dir: Option<PathBuf>,
    /// Whether the account must be usable, too: not locked, not expired, allowed at this hour.
    pub(crate) check_account: bool,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// How many answers are worked out at once.
    pub(crate) workers: usize,
}

impl Default for PamTable {
    fn default() -> Self {
        Self {
            service: "login".to_owned(),
            config_dir: None,
            check_account: true,
            timeout: Duration::from_secs(30),
            workers: 4,
        }
    }
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth.pam",
    repeated: false,
    about: "For kind = \"pam\". Each login is checked in a process of its own, so a module that hangs or\n\
            crashes holds up nobody else. No PAM session is opened.",
    keys: &[
        KeySpec::new(
            "service",
            "\"login\"",
            "The PAM service: a file in /etc/pam.d.",
        ),
        KeySpec::unset(
            "config_dir",
            "\"/etc/hubd/pam.d\"",
            "Another folder to find that file in. Needs Linux-PAM 1.4 or later.",
        ),
        KeySpec::new(
            "check_account",
            "true",
            "Whether the account must be usable beside the right password: not locked, not expired.",
        ),
        KeySpec::new(
            "timeout",
            "30",
            "How long a login may take until it counts as failed. Raise it for a second factor.",
        ),
        KeySpec::new("workers", "4", "How many logins are checked at once."),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> PamTable {
    let default = PamTable::default();
    let read = PamTable {
        service: table.get("service", service).unwrap_or(default.service),
        config_dir: table.path("config_dir", some_text),
        check_account: table
            .get("check_account", flag)
            .unwrap_or(default.check_account),
        timeout: table.get("timeout", timeout).unwrap_or(default.timeout),
        workers: table
            .get("workers", |value| match count(value)? {
                workers @ 1..=WORKERS_MAX => Ok(workers as usize),
                _ => Err(Fault::new(format!(
                    "expected a whole number from 1 to {WORKERS_MAX}"
                ))),
            })
            .unwrap_or(default.workers),
    };
    table.finish();
    read
}

/// The name of a file, and never a path.
fn service(value: &toml::de::DeValue<'_>) -> Result<String, Fault> {
    let name = some_text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(fits) || name.starts_with('.') || name.len() > 255 {
        return Err(
            Fault::new(format!("{} is not the name of a PAM service", quote(&name)))
                .help("write the name of a file in /etc/pam.d, without the folder"),
        );
    }
    Ok(name)
}
