//! Proof key for code exchange (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What a client commits to with `code_challenge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    method: Method,
    challenge: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    S256,
    Plain,
}

impl Challenge {
    /// Takes the two parameters of an authorize request. An absent method means `plain`; an error
    /// is the description of an `invalid_request`.
    pub(super) fn new(
        challenge: Option<String>,
        method: Option<&str>,
    ) -> Result<Option<Self>, &'static str> {
        let method = match method {
            None | Some("plain") => Method::Plain,
            Some("S256") => Method::S256,
            Some(_) => return Err("Transform algorithm not supported."),
        };
        match challenge {
            None => Ok(None),
            Some(challenge) if (43..=128).contains(&challenge.len()) => {
                Ok(Some(Self { method, challenge }))
            }
            Some(_) => Err("Code challenge must have 43 to 128 characters."),
        }
    }

    /// Whether `verifier` is what the client committed to.
    pub(super) fn is_met_by(&self, verifier: &str) -> bool {
        let made = match self.method {
            Method::Plain => verifier.to_owned(),
            Method::S256 => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
        };
        made.as_bytes().ct_eq(self.challenge.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn the_rfcs_example() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned();
        let challenge = Challenge::new(Some(challenge), Some("S256"))
            .unwrap()
            .unwrap();
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXj"));
    }

    #[test]
    fn methods_and_lengths() {
        let long = "x".repeat(43);
        let plain = Challenge::new(Some(long.clone()), None).unwrap().unwrap();
        assert!(plain.is_met_by(&long));
        assert!(Challenge::new(Some(long), Some("S512")).is_err());
        assert!(Challenge::new(Some("short".into()), None).is_err());
        assert_eq!(Challenge::new(None, None), Ok(None));
    }
}
