//! When images are pulled, and how long that may take.

use std::str::FromStr;
use std::time::Duration;

/// When an image is pulled. The names are DockerSpawner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// At each start; a start whose pull fails has failed. For tags that move.
    Always,
    /// At a start that finds it missing.
    #[default]
    IfNotPresent,
    /// Never; a start that finds it missing has failed.
    Never,
    /// Never, and it is not looked for either: the engine says so when it makes the container. Only
    /// where the image's own command is needed is it asked for that.
    Skip,
}

/// Why a text is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policies are \"always\", \"ifnotpresent\", \"never\" and \"skip\"")]
pub struct PullPolicyError;

/// The settings of pulling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullSettings {
    /// When. Default [`PullPolicy::IfNotPresent`].
    pub policy: PullPolicy,
    /// How long one may take as a whole. It does not count towards `start_timeout`. Default half an
    /// hour.
    pub timeout: Duration,
    /// How long one may go without any progress. Default two minutes: unpacking a layer onto a slow
    /// disk looks like that, too.
    pub stall_timeout: Duration,
    /// Pull every configured image when the hub starts, in the background. Default false.
    pub pre_pull: bool,
}

impl PullPolicy {
    /// Whether an image can be pulled at all.
    pub fn pulls(self) -> bool {
        matches!(self, Self::Always | Self::IfNotPresent)
    }
}

impl Default for PullSettings {
    fn default() -> Self {
        Self {
            policy: PullPolicy::default(),
            timeout: Duration::from_mins(30),
            stall_timeout: Duration::from_mins(2),
            pre_pull: false,
        }
    }
}

impl FromStr for PullPolicy {
    type Err = PullPolicyError;
    fn from_str(raw: &str) -> Result<Self, PullPolicyError> {
        Ok(match raw.to_ascii_lowercase().as_str() {
            "always" => Self::Always,
            "ifnotpresent" => Self::IfNotPresent,
            "never" => Self::Never,
            "skip" => Self::Skip,
            _ => return Err(PullPolicyError),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        for (raw, policy) in [
            ("always", PullPolicy::Always),
            ("IfNotPresent", PullPolicy::IfNotPresent),
            ("NEVER", PullPolicy::Never),
            ("Skip", PullPolicy::Skip),
        ] {
            assert_eq!(raw.parse(), Ok(policy));
        }
        for raw in ["", "missing", "if-not-present", "always "] {
            assert_eq!(raw.parse::<PullPolicy>(), Err(PullPolicyError), "{raw:?}");
        }
    }
}
