//! What a check is, and how the tests are made of the list of them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::bench::Bench;
use super::fault::Checked;

/// One behaviour of a spawner.
///
/// ```
/// use spawner_core::conformance::Check;
///
/// for check in Check::all() {
///     println!("{check}: {} Otherwise, {}", check.rule, check.why);
/// }
/// assert!(Check::all().iter().any(|check| check.to_string() == "reap::looking_changes_nothing"));
/// ```
#[non_exhaustive]
pub struct Check {
    /// What it is about: the module of its test.
    pub topic: &'static str,
    /// The name of its test.
    pub name: &'static str,
    /// The rule that it checks, and where that stands.
    pub rule: &'static str,
    /// What goes wrong where the rule is broken.
    pub why: &'static str,
    pub(super) function: for<'a> fn(&'a Bench) -> Running<'a>,
}

/// A check that is under way. Not `Send`: the compiler cannot prove it of async closures that borrow.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Checked> + 'a>>;

/// How a check went. [`Check::run`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The spawner keeps the rule.
    Passed,
    /// The check does not apply to this backend, for this reason.
    Skipped(String),
    /// The spawner breaks the rule: what it did, the rule, and why it matters.
    Failed(String),
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.topic, self.name)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes one `#[test]` of each check for a [`Backend`](crate::conformance::Backend), in a module for
/// each topic, and the test that is the probe server. Once in a module; several backends of one
/// file have a module each:
///
/// ```text
/// mod simple {
///     spawner_core::conformance_tests!(super::Simple);
/// }
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($backend:ty) => {
        type ConformanceBackend = $backend;
        const CONFORMANCE_PROBE: &str = concat!(module_path!(), "::probe_server");

        #[test]
        #[ignore = "this is the server that the checks start"]
        fn probe_server() {
            $crate::conformance::probe_server();
        }

        $crate::__every_check! { $crate::__conformance_modules }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_modules {
    ($($topic:ident { $($name:ident { $rule:literal, $why:literal })* })*) => {
        $(mod $topic {
            $(#[test]
            fn $name() {
                $crate::conformance::test::<super::ConformanceBackend>(
                    stringify!($topic),
                    stringify!($name),
                    super::CONFORMANCE_PROBE,
                );
            })*
        })*
    };
}
