//! Whom to believe: the addresses of the proxies in front of us, as an administrator lists them.

use std::net::IpAddr;
use std::str::FromStr;

/// Addresses whose `X-Forwarded-*` headers are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies(Vec<IpRange>);

/// An address, or a block of them: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpRange {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no address and no block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IpRangeError {
    /// The part before the slash.
    #[error("{0:?} is not an IP address; write 10.0.0.1, or a block such as 10.0.0.0/8")]
    Address(String),
    /// The part behind the slash.
    #[error("{found:?} is not a prefix length; an address of this kind has 0 to {max} bits")]
    Prefix {
        /// What stands there.
        found: String,
        /// 32 or 128.
        max: u8,
    },
    /// Bits are set that the block does not fix.
    #[error("{0} is not the first address of its block; did you mean {1}?")]
    NotFirst(String, String),
}

impl TrustedProxies {
    /// The ranges as an administrator lists them.
    pub(crate) fn new(ranges: Vec<IpRange>) -> Self {
        Self(ranges)
    }

    #[cfg(test)]
    pub(super) fn of(list: &[&str]) -> Self {
        Self::new(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(ip))
    }
}

impl IpRange {
    /// Whether every address of its kind is in it.
    pub(crate) fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }

    /// The first address of the block of `prefix` bits around `ip`.
    fn first_of(ip: IpAddr, prefix: u8) -> IpAddr {
        match ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & mask).into())
            }
        }
    }
}

impl FromStr for IpRange {
    type Err = IpRangeError;

    fn from_str(text: &str) -> Result<Self, IpRangeError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address
            .parse()
            .map_err(|_| IpRangeError::Address(address.to_owned()))?;
        let max = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => max,
            Some(found) => found
                .parse()
                .ok()
                .filter(|bits| *bits <= max)
                .ok_or_else(|| IpRangeError::Prefix {
                    found: found.to_owned(),
                    max,
                })?,
        };
        let start = Self::first_of(first, prefix);
        if start != first {
            let meant = format!("{start}/{prefix}");
            return Err(IpRangeError::NotFirst(text.to_owned(), meant));
        }
        Ok(Self { first, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_with_an_answer_to_every_mistake() {
        for (text, error) in [
            ("10.0.0.1", None),
            ("10.0.0.0/8", None),
            ("0.0.0.0/0", None),
            ("::/0", None),
            ("fd00::/8", None),
            (
                "nginx",
                Some(
                    "\"nginx\" is not an IP address; write 10.0.0.1, or a block such as 10.0.0.0/8",
                ),
            ),
            (
                "10.0.0.0/33",
                Some("\"33\" is not a prefix length; an address of this kind has 0 to 32 bits"),
            ),
            (
                "fd00::/-1",
                Some("\"-1\" is not a prefix length; an address of this kind has 0 to 128 bits"),
            ),
            (
                "10.0.0.1/8",
                Some("10.0.0.1/8 is not the first address of its block; did you mean 10.0.0.0/8?"),
            ),
        ] {
            let got = text.parse::<IpRange>().err().map(|error| error.to_string());
            assert_eq!(got.as_deref(), error, "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_addresses() {
        for (range, ip, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            let got = TrustedProxies::of(&[range]).contains(ip.parse().unwrap());
            assert_eq!(got, expected, "{ip} in {range}");
        }
    }
}
