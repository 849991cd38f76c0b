//! How a check ends when it does not simply pass.

/// Why a check came to no good end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The spawner breaks the rule; this is what it did.
    Fault(String),
    /// The check does not apply to this backend; this is why.
    Skip(String),
}

/// What the parts of a check return.
pub(super) type Checked<T = ()> = Result<T, Stop>;

impl Stop {
    /// Says where it happened; a reason to skip is left as it is.
    pub(super) fn within(self, place: &str) -> Self {
        match self {
            Self::Fault(message) => Self::Fault(format!("{place}: {message}")),
            Self::Skip(reason) => Self::Skip(reason),
        }
    }
}

/// A fault with a formatted message.
macro_rules! fault {
    ($($message:tt)+) => {
        $crate::conformance::fault::Stop::Fault(format!($($message)+))
    };
}

/// Ends the check with a fault unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err($crate::conformance::fault::fault!($($message)+));
        }
    };
}

pub(super) use {ensure, fault};
