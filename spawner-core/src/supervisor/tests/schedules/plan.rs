//! A schedule: what is done to one server, and when, drawn from a number.

use std::time::Duration;

use crate::{ExitStatus, StopMode};

/// Everything that a schedule does. Nothing is drawn while it runs, so that a plan from which a
/// step was taken away still means the same.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whether the spawner hears an end.
    pub(crate) hears: bool,
    /// Whether the spawner can say where a server is that it found again.
    pub(crate) knows_address: bool,
    /// How often the server is polled; zero: never.
    pub(crate) poll_interval: Duration,
    /// What every call of spawner and journal takes.
    pub(crate) pace: Pause,
    pub(crate) steps: Vec<Step>,
}

/// Something that is done after a while.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) after: Pause,
    pub(crate) op: Op,
}

/// A while.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pause {
    /// So many turns of the scheduler, in which no time passes.
    Turns(u64),
    /// Simulated time.
    Millis(u64),
}

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// Asks for a start.
    Start,
    /// Asks for a stop.
    Stop(StopMode),
    /// Asks for a poll.
    Poll,
    /// Everybody who waits for an answer leaves.
    CallersLeave,
    /// The daemon is killed, and another one finds what its books say.
    Crash,
    /// All handles are dropped. When the owner task has ended, another one takes over.
    DropHandles,
    /// Turns periodic polls on or off.
    Polling(bool),
    /// The server ends by itself.
    Exit(ExitStatus),
    /// What the next start does.
    NextStart(StartScript),
    /// What the next attempt of a stop does.
    NextStop(StopScript),
    /// The next polls cannot tell.
    NextPolls(PollScript),
    /// The backend is away for so many milliseconds.
    Away(u64),
    /// Servers answer over HTTP only so many milliseconds after they began to run.
    Silent(u64),
    /// So many of the next addresses are taken by a stranger.
    AddressTaken(u32),
    /// What goes wrong at the next entry of that kind into the books.
    Journal(Entry, Trouble),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StartScript {
    /// Fails before anything was made.
    FailsEarly,
    /// Fails when the server runs already.
    FailsLate,
    HangsEarly,
    HangsLate,
    /// Hangs, and cleans up when the start is cancelled.
    HangsUntilCancelled,
    /// The server ends as soon as it runs.
    Dies,
    TakesMillis(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StopScript {
    /// Nothing is ended.
    Fails,
    /// The server is ended, but that cannot be told.
    EndsAndFails,
    Hangs,
    TakesMillis(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PollScript {
    Fail(u32),
    /// The next one never answers.
    Hang,
}

/// The calls of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Starting,
    Checkpoint,
    Ready,
    Stopping,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is refused and not written.
    Lost,
    /// It is refused although it was written.
    WrittenAndRefused,
    /// It takes so many milliseconds, and is written before them.
    WrittenThenSlow(u64),
    /// It takes so many milliseconds, and is written after them.
    SlowThenWritten(u64),
}

/// Numbers that look random and follow from a seed, on every machine and for ever (`SplitMix64`).
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of schedule `number` of those that belong to `seed`.
    fn new(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed);
        Self(dice.next() ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.next() % of.len() as u64).expect("an index")]
    }
}

impl Plan {
    /// Schedule `number` of those that belong to `seed`.
    pub(crate) fn draw(seed: u64, number: u64) -> Self {
        let mut dice = Dice::new(seed, number);
        let pace = match dice.below(3) {
            0 => Pause::Turns(0),
            1 => Pause::Turns(1 + dice.below(3)),
            _ => Pause::Millis(1 + dice.below(20)),
        };
        let length = 4 + dice.below(12);
        Self {
            hears: dice.chance(60),
            knows_address: dice.chance(70),
            poll_interval: Duration::from_secs(dice.one_of(&[0, 7, 30])),
            pace,
            steps: (0..length).map(|_| Step::draw(&mut dice)).collect(),
        }
    }

    /// The same plan without one step.
    pub(crate) fn without(&self, step: usize) -> Self {
        let mut plan = self.clone();
        plan.steps.remove(step);
        plan
    }
}

impl Step {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            after: Pause::draw(dice),
            op: Op::draw(dice),
        }
    }
}

impl Pause {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0..=3 => Self::Turns(dice.below(12)),
            4..=6 => Self::Millis(1 + dice.below(60)),
            7..=8 => Self::Millis(1 + dice.below(4_000)),
            _ => Self::Millis(1 + dice.below(60_000)),
        }
    }

    pub(crate) async fn pass(self) {
        match self {
            Self::Turns(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Self::Millis(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
    }
}

impl Op {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..=24 => Self::Start,
            25..=32 => Self::Stop(StopMode::Graceful),
            33..=39 => Self::Stop(StopMode::Now),
            40..=43 => Self::Poll,
            44..=45 => Self::CallersLeave,
            46..=57 => Self::Crash,
            58..=60 => Self::DropHandles,
            61..=62 => Self::Polling(dice.chance(50)),
            63..=71 => Self::Exit(dice.one_of(&[
                ExitStatus::Code(0),
                ExitStatus::Code(3),
                ExitStatus::Signal(9),
                ExitStatus::OutOfMemory,
                ExitStatus::Unknown,
            ])),
            72..=76 => {
                let millis = dice.below(8_000);
                Self::NextStart(dice.one_of(&[
                    StartScript::FailsEarly,
                    StartScript::FailsLate,
                    StartScript::HangsEarly,
                    StartScript::HangsLate,
                    StartScript::HangsUntilCancelled,
                    StartScript::Dies,
                    StartScript::TakesMillis(millis),
                ]))
            }
            77..=81 => {
                let millis = dice.below(90_000);
                Self::NextStop(dice.one_of(&[
                    StopScript::Fails,
                    StopScript::EndsAndFails,
                    StopScript::Hangs,
                    StopScript::TakesMillis(millis),
                ]))
            }
            82..=84 => {
                let times = 1 + u32::try_from(dice.below(4)).expect("a small number");
                Self::NextPolls(dice.one_of(&[PollScript::Fail(times), PollScript::Hang]))
            }
            85..=88 => Self::Away(1 + dice.below(60_000)),
            89..=90 => Self::Silent(dice.one_of(&[0, 200, 2_900, 3_100, 3_600_000])),
            91..=92 => Self::AddressTaken(dice.one_of(&[1, 1, 2, 9])),
            _ => {
                let millis = 1 + dice.below(500);
                let entry = dice.one_of(&[
                    Entry::Starting,
                    Entry::Checkpoint,
                    Entry::Ready,
                    Entry::Stopping,
                    Entry::Stopped,
                ]);
                let trouble = dice.one_of(&[
                    Trouble::Lost,
                    Trouble::WrittenAndRefused,
                    Trouble::WrittenThenSlow(millis),
                    Trouble::SlowThenWritten(millis),
                ]);
                Self::Journal(entry, trouble)
            }
        }
    }
}
