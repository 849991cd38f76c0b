//! How many refused logins the audit log tells of one by one.
//!
//! Whoever guesses passwords must not be able to fill the log. In each span of time so many have a row
//! of their own, of one client and of all; the others are counted, and have one row together when the
//! span is over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::throttle::client_network;

/// The most rows of one client in a span.
const PER_CLIENT: u32 = 10;
/// The most rows of all clients in a span.
const IN_ALL: u32 = 100;

/// The refused logins of this span.
#[derive(Debug, Default)]
pub(super) struct RefusedLogins(Mutex<Span>);

#[derive(Debug, Default)]
struct Span {
    /// Rows, by client: never more clients than rows.
    rows: HashMap<IpAddr, u32>,
    others: u64,
}

impl RefusedLogins {
    /// Whether one more from `ip` has a row of its own; if not, it is counted.
    pub(super) fn has_room_for(&self, ip: IpAddr) -> bool {
        let client = client_network(ip);
        let mut span = self.lock();
        let of_client = span.rows.get(&client).copied().unwrap_or_default();
        if of_client >= PER_CLIENT || span.rows.values().sum::<u32>() >= IN_ALL {
            span.others += 1;
            return false;
        }
        span.rows.insert(client, of_client + 1);
        true
    }

    /// Ends the span; says how many had no row, if any had none.
    pub(super) fn begin_anew(&self) -> Option<u64> {
        let span = std::mem::take(&mut *self.lock());
        Some(span.others).filter(|others| *others > 0)
    }

    fn lock(&self) -> MutexGuard<'_, Span> {
        // Each change is whole in itself, so a panic elsewhere has not spoilt it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u16) -> IpAddr {
        let [a, b] = number.to_be_bytes();
        IpAddr::from([10, 0, a, b])
    }

    #[test]
    fn a_flood_has_few_rows_and_a_number() {
        let refused = RefusedLogins::default();
        let rows = |ips: &mut dyn Iterator<Item = IpAddr>| {
            ips.filter(|ip| refused.has_room_for(*ip)).count() as u64
        };
        let one = rows(&mut std::iter::repeat_n(client(0), 1000));
        assert_eq!(one, u64::from(PER_CLIENT));
        let all = one + rows(&mut (1..10_000).map(client));
        assert_eq!(all, u64::from(IN_ALL));
        assert!(refused.lock().rows.len() <= IN_ALL as usize);
        assert_eq!(refused.begin_anew(), Some(10_999 - all));
        assert_eq!(refused.begin_anew(), None);
        assert!(refused.has_room_for(client(0)));
    }
}
