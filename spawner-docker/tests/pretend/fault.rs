//! How a call goes wrong.

/// What happens to calls of a verb, instead of or to their answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status with this message, as engines word it.
    Status(u16, &'static str),
    /// The request is taken, and never answered.
    Hangs,
    /// The connection is closed where the answer should begin.
    Resets,
    /// The answer is no JSON.
    Garbage,
    /// Half of the answer comes, and then nothing any more.
    Stalls,
    /// Half of the answer comes, and then the connection is closed.
    Breaks,
    /// The answer comes in pieces of a few bytes.
    Trickles,
    /// The answer ends, as if all was said, with the first piece of it.
    Ends,
    /// The call happens twice, as if the same had been asked for before, and the second answer comes.
    Twice,
}
