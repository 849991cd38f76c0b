//! Which port to serve at.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// What is tried one after the other. None is in the range from which connections take theirs, so
/// the one that is found is likely to be free at the next start too.
const USUAL: Range<u16> = 8000..8100;

/// The port that was asked for; else that of the last time, which servers know; else the first of
/// the usual ones that is free. 0 stands for whichever the system gives.
pub(super) fn choose(asked: Option<u16>, last: Option<u16>) -> u16 {
    choose_from(asked, last, is_free)
}

fn choose_from(asked: Option<u16>, last: Option<u16>, is_free: impl Fn(u16) -> bool) -> u16 {
    asked.unwrap_or_else(|| {
        let mut tried = last.into_iter().chain(USUAL);
        tried.find(|port| is_free(*port)).unwrap_or(0)
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_then_last_then_usual_then_any() {
        let all = |_| true;
        let none = |_| false;
        assert_eq!(
            choose_from(Some(80), Some(8005), none),
            80,
            "asked for is asked for"
        );
        assert_eq!(choose_from(Some(0), Some(8005), all), 0);
        assert_eq!(choose_from(None, Some(8005), all), 8005);
        assert_eq!(choose_from(None, Some(8005), |port| port != 8005), 8000);
        assert_eq!(choose_from(None, None, |port| port > 8002), 8003);
        assert_eq!(choose_from(None, None, none), 0);
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
