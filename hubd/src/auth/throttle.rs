//! Slows down whoever guesses passwords.
//!
//! ```text
//! each attempt charges   the account: 5 free, one forgiven every 3 min      a success clears it
//!                        the client:  50 free, one forgiven every 6 s       a success takes its own charge back
//! beyond the free ones   1, 2, 4, 8, 16, 30, 30 ... s from one attempt to the next
//! ```
//!
//! An attempt is charged when it begins, before the password is looked at, and not when it has
//! failed: a thousand guesses at once are a thousand charges, and a caller who hangs up has paid.
//! Refused attempts are not charged, so nobody is locked out for longer than the delay.
//!
//! A client is one IPv4 address or one IPv6 /64. It has more room than an account, because a whole
//! school can stand behind one address; a success does not clear it, or a guesser would log in to
//! an account of their own between guesses.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spawner_core::UserName;
use tokio::time::Instant;

/// The longest delay between two attempts.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// The most accounts, and the most clients, that are remembered.
const REMEMBERED_MAX: usize = 10_000;

const PER_ACCOUNT: Limit = Limit {
    free: 5,
    forgive: Duration::from_mins(3),
};
const PER_CLIENT: Limit = Limit {
    free: 50,
    forgive: Duration::from_secs(6),
};

/// The attempts to log in that are remembered.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle(Mutex<Charges>);

/// One attempt that may go ahead. Dropped, it counts as a failure.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt {
    account: Option<UserName>,
    client: IpAddr,
}

/// The attempt comes too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to log in: try again in {} s", self.seconds())]
pub(crate) struct TooEarly(pub(crate) Duration);

#[derive(Debug, Default)]
struct Charges {
    accounts: HashMap<UserName, Charge>,
    clients: HashMap<IpAddr, Charge>,
}

/// How many failures are free, and how fast they are forgiven.
#[derive(Debug)]
struct Limit {
    free: u32,
    forgive: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Charge {
    /// Attempts not yet forgiven, as of `last`.
    failures: u32,
    /// When the last of them began.
    last: Instant,
}

impl LoginThrottle {
    /// Nothing remembered.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins an attempt to log in as `account` from `ip`, or says how long to wait. `None` stands
    /// for a name that no account can have; those are told apart by client only.
    pub(crate) fn begin(
        &self,
        account: Option<&UserName>,
        ip: IpAddr,
        now: Instant,
    ) -> Result<Attempt, TooEarly> {
        let client = client_network(ip);
        let mut charges = self.lock();
        let of_account = account.and_then(|account| charges.accounts.get(account));
        let wait = PER_ACCOUNT.wait(of_account, now);
        let wait = wait.max(PER_CLIENT.wait(charges.clients.get(&client), now));
        if !wait.is_zero() {
            return Err(TooEarly(wait));
        }
        PER_CLIENT.charge(&mut charges.clients, &client, now);
        if let Some(account) = account {
            PER_ACCOUNT.charge(&mut charges.accounts, account, now);
        }
        let account = account.cloned();
        Ok(Attempt { account, client })
    }

    /// The password was right: clears the account, and takes back what the client was charged.
    pub(crate) fn succeeded(&self, attempt: Attempt) {
        let mut charges = self.lock();
        if let Some(account) = attempt.account {
            charges.accounts.remove(&account);
        }
        if let Some(charge) = charges.clients.get_mut(&attempt.client) {
            charge.failures = charge.failures.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Charges> {
        // Each change is whole in itself, so a panic elsewhere has not spoilt it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TooEarly {
    /// The delay for a `Retry-After` header, in whole seconds, never too short.
    pub(crate) fn seconds(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0)
    }
}

impl Limit {
    /// How long the next attempt has to wait.
    fn wait(&self, charge: Option<&Charge>, now: Instant) -> Duration {
        let Some(charge) = charge else {
            return Duration::ZERO;
        };
        let delay = match self.remaining(charge, now).checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => DELAY_MAX.min(Duration::from_secs(1 << beyond.min(5))),
        };
        (charge.last + delay).saturating_duration_since(now)
    }

    /// The failures that are not forgiven yet.
    fn remaining(&self, charge: &Charge, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(charge.last).as_secs();
        let forgiven = passed / self.forgive.as_secs();
        charge
            .failures
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn charge<K: Hash + Eq + Clone>(&self, of: &mut HashMap<K, Charge>, key: &K, now: Instant) {
        if of.len() >= REMEMBERED_MAX && !of.contains_key(key) {
            self.make_room(of, now);
        }
        let charge = of.entry(key.clone()).or_insert(Charge {
            failures: 0,
            last: now,
        });
        let failures = self.remaining(charge, now) + 1;
        // Failures beyond the longest delay would only make forgiving take longer.
        charge.failures = failures.min(self.free + 6);
        charge.last = now;
    }

    /// Drops what is forgiven, or else the one that was quiet for longest.
    fn make_room<K: Hash + Eq + Clone>(&self, of: &mut HashMap<K, Charge>, now: Instant) {
        of.retain(|_, charge| self.remaining(charge, now) > 0);
        if of.len() >= REMEMBERED_MAX {
            let oldest = of.iter().min_by_key(|(_, charge)| charge.last);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                of.remove(&key);
            }
        }
    }
}

/// What stands for one client: an IPv4 address, or the /64 of an IPv6 address, as every customer
/// has at least one of those.
pub(super) fn client_network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// Fails to log in as alice until that is refused, waiting as told; the delays in seconds.
    fn delays(throttle: &LoginThrottle, now: &mut Instant, attempts: usize) -> Vec<u64> {
        let alice = name("alice");
        let mut waited = Vec::new();
        for _ in 0..attempts {
            let wait = match throttle.begin(Some(&alice), HOME, *now) {
                Ok(_) => {
                    waited.push(0);
                    continue;
                }
                Err(TooEarly(wait)) => wait,
            };
            waited.push(wait.as_secs());
            *now += wait;
            let _ = throttle.begin(Some(&alice), HOME, *now).unwrap();
        }
        waited
    }

    #[test]
    fn after_five_failures_the_delay_doubles() {
        let (throttle, mut now) = (LoginThrottle::new(), Instant::now());
        assert_eq!(
            delays(&throttle, &mut now, 13),
            [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
        );
    }

    #[test]
    fn a_success_clears_the_account() {
        let (throttle, now, alice) = (LoginThrottle::new(), Instant::now(), name("alice"));
        for _ in 0..4 {
            let _ = throttle.begin(Some(&alice), HOME, now).unwrap();
        }
        let fifth = throttle.begin(Some(&alice), HOME, now).unwrap();
        assert_eq!(
            throttle.begin(Some(&alice), HOME, now).unwrap_err(),
            TooEarly(seconds(1))
        );
        throttle.succeeded(fifth);
        assert_eq!(delays(&throttle, &mut now.clone(), 6), [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn failures_are_forgiven_in_time() {
        let (throttle, mut now) = (LoginThrottle::new(), Instant::now());
        delays(&throttle, &mut now, 40);
        now += PER_ACCOUNT.forgive * 11;
        assert_eq!(delays(&throttle, &mut now, 6), [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn another_account_is_not_slowed_down_until_the_client_is() {
        let (throttle, now) = (LoginThrottle::new(), Instant::now());
        for guess in 0..50 {
            let account = name(&format!("user{guess}"));
            let _ = throttle.begin(Some(&account), HOME, now).unwrap();
        }
        let bob = name("bob");
        assert!(throttle.begin(Some(&bob), HOME, now).is_err());
        assert!(throttle.begin(None, HOME, now).is_err());
        assert!(
            throttle
                .begin(Some(&bob), "10.0.0.1".parse().unwrap(), now)
                .is_ok()
        );
    }

    #[test]
    fn a_success_takes_back_only_its_own_charge() {
        let (throttle, now) = (LoginThrottle::new(), Instant::now());
        for guess in 0..49 {
            let _ = throttle
                .begin(Some(&name(&format!("user{guess}"))), HOME, now)
                .unwrap();
        }
        for _ in 0..100 {
            let own = throttle.begin(Some(&name("mallory")), HOME, now).unwrap();
            throttle.succeeded(own);
        }
        let _ = throttle.begin(Some(&name("bob")), HOME, now).unwrap();
        assert!(throttle.begin(Some(&name("bob")), HOME, now).is_err());
    }

    #[test]
    fn attempts_at_once_are_all_charged() {
        let (throttle, now, alice) = (LoginThrottle::new(), Instant::now(), name("alice"));
        let running: Vec<_> = (0..100)
            .map(|_| throttle.begin(Some(&alice), HOME, now))
            .collect();
        assert_eq!(running.iter().filter(|attempt| attempt.is_ok()).count(), 5);
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let net = |text: &str| client_network(text.parse().unwrap()).to_string();
        assert_eq!(net("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(net("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(net("10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_busy() {
        let (throttle, start, alice) = (LoginThrottle::new(), Instant::now(), name("alice"));
        for step in 0..u32::try_from(REMEMBERED_MAX).unwrap() + 10 {
            let now = start + Duration::from_micros(step.into());
            let ip = IpAddr::from((0x0a00_0000 | step).to_be_bytes());
            let account = name(&format!("user{step}"));
            let _ = throttle.begin(Some(&account), ip, now).unwrap();
            if step % 2000 == 0 {
                let _ = throttle.begin(Some(&alice), ip, now);
            }
        }
        let charges = throttle.lock();
        assert_eq!(charges.accounts.len(), REMEMBERED_MAX);
        assert_eq!(charges.clients.len(), REMEMBERED_MAX);
        assert!(charges.accounts.contains_key(&alice));
    }

    #[test]
    fn the_delay_is_told_in_whole_seconds() {
        let early = TooEarly(Duration::from_millis(1001));
        assert_eq!(early.seconds(), 2);
        assert_eq!(
            early.to_string(),
            "too many attempts to log in: try again in 2 s"
        );
    }
}
