//! What happens in each round, drawn from a seed before anything runs.

use std::env;

/// The environment variable that gives the seed.
pub(crate) const SEED: &str = "HUBD_CHAOS_SEED";
/// The environment variable that gives the number of kills of the long run.
pub(crate) const KILLS: &str = "HUBD_CHAOS_KILLS";

/// A thousandth of a beat: the time that one start or stop takes on this machine, now. So a plan
/// meets the same moments on a slow machine as on a fast one.
pub(crate) type Moment = u32;

/// What happens between two kills.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// What is asked for.
    pub(crate) requests: Vec<Request>,
    /// When a stranger appears, whose pid is near to those of the servers.
    pub(crate) stranger_at: Moment,
    /// When the hub is killed.
    pub(crate) kill_at: Moment,
    /// Whose server ends while there is no hub, and what follows.
    pub(crate) ends: Option<End>,
    /// How long a hub lives that is started next and killed as well, most often before it serves.
    pub(crate) boot: Option<Moment>,
}

/// Something that is asked of the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) at: Moment,
    pub(crate) user: usize,
    pub(crate) wish: Wish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Start,
    Stop,
}

/// A server that ends while there is no hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) user: usize,
    /// Whether a stranger gets the very pid that the books name.
    pub(crate) pid_reused: bool,
}

/// Numbers that look random and follow from a seed, on every machine and for ever (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).expect("less than an u32")
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("an index")
    }
}

/// The plan of `kills` rounds for so many users.
pub(crate) fn draw(seed: u64, kills: usize, users: usize) -> Vec<Round> {
    let mut dice = Dice(seed);
    (0..kills).map(|_| round(&mut dice, users)).collect()
}

fn round(dice: &mut Dice, users: usize) -> Round {
    let mut requests: Vec<_> = (0..=dice.index(users))
        .map(|_| Request {
            at: dice.below(800),
            user: dice.index(users),
            wish: if dice.chance(55) {
                Wish::Start
            } else {
                Wish::Stop
            },
        })
        .collect();
    requests.sort_by_key(|request| request.at);
    Round {
        requests,
        stranger_at: dice.below(800),
        kill_at: dice.below(1_500),
        ends: dice.chance(25).then(|| End {
            user: dice.index(users),
            pid_reused: dice.chance(50),
        }),
        boot: dice.chance(25).then(|| dice.below(500)),
    }
}

/// The seed that was given, or `fixed`.
pub(crate) fn seed(fixed: u64) -> u64 {
    number(SEED).unwrap_or(fixed)
}

/// A number from the environment.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}
