//! Whether a server is to be ended: a pure function of how long it has been idle and there.

use std::fmt;
use std::time::Duration;

use super::span::span;

/// What is allowed; zero sets no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Without use.
    pub(super) timeout: Duration,
    /// At all.
    pub(super) max_age: Duration,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// For how long nobody has used it.
    pub(super) idle: Duration,
    /// How long it has been there.
    pub(super) age: Duration,
    /// Whether its user is among those whose servers are let be.
    pub(super) is_spared: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No limit holds for it.
    Spare,
    /// Not yet; in this time.
    Keep {
        /// When nobody uses it until then.
        left: Duration,
        /// Whether using it puts that off.
        can_extend: bool,
    },
    /// Now.
    Cull(Reason),
}

/// Why a server is ended; shown to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Nobody has used it for this long.
    Idle(Duration),
    /// It has been there for this long.
    Old(Duration),
}

/// What is to be done with a server.
pub(super) fn decide(limits: Limits, facts: Facts) -> Verdict {
    if facts.is_spared {
        return Verdict::Spare;
    }
    let left = |limit: Duration, taken| (!limit.is_zero()).then(|| limit.saturating_sub(taken));
    let by_age = left(limits.max_age, facts.age);
    let by_use = left(limits.timeout, facts.idle);
    if by_use == Some(Duration::ZERO) {
        return Verdict::Cull(Reason::Idle(facts.idle));
    }
    if by_age == Some(Duration::ZERO) {
        return Verdict::Cull(Reason::Old(facts.age));
    }
    let can_extend = by_age.is_none() || by_use.is_some_and(|by_use| Some(by_use) < by_age);
    match by_age.into_iter().chain(by_use).min() {
        Some(left) => Verdict::Keep { left, can_extend },
        None => Verdict::Spare,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(idle) => write!(f, "culled: idle for {}", span(*idle)),
            Self::Old(age) => write!(f, "culled: it had been running for {}", span(*age)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_for_itself_and_both_together() {
        use Reason::{Idle, Old};
        use Verdict::{Cull, Keep, Spare};
        let s = Duration::from_secs;
        let keep = |left, can_extend| Keep {
            left: s(left),
            can_extend,
        };
        // (timeout, max_age), (idle, age)
        for ((timeout, max_age), (idle, age), expected) in [
            ((0, 0), (9999, 9999), Spare),
            ((10, 0), (0, 0), keep(10, true)),
            ((10, 0), (9, 9999), keep(1, true)),
            ((10, 0), (10, 10), Cull(Idle(s(10)))),
            ((10, 0), (9999, 9999), Cull(Idle(s(9999)))),
            ((0, 10), (0, 9), keep(1, false)),
            ((0, 10), (0, 10), Cull(Old(s(10)))),
            ((10, 100), (0, 89), keep(10, true)),
            ((10, 100), (0, 90), keep(10, false)),
            ((10, 100), (0, 95), keep(5, false)),
            ((10, 100), (8, 95), keep(2, true)),
            ((10, 100), (0, 100), Cull(Old(s(100)))),
            ((10, 100), (10, 100), Cull(Idle(s(10)))),
        ] {
            let limits = Limits {
                timeout: s(timeout),
                max_age: s(max_age),
            };
            let facts = |is_spared| Facts {
                idle: s(idle),
                age: s(age),
                is_spared,
            };
            let case = format!("{timeout} {max_age} {idle} {age}");
            assert_eq!(decide(limits, facts(false)), expected, "{case}");
            assert_eq!(decide(limits, facts(true)), Spare, "{case}");
        }
    }

    #[test]
    fn a_reason_is_a_phrase() {
        let hour = Duration::from_hours(1);
        assert_eq!(
            Reason::Idle(hour).to_string(),
            "culled: idle for 60 minutes"
        );
        assert_eq!(
            Reason::Old(hour * 72).to_string(),
            "culled: it had been running for 3 days"
        );
    }
}
