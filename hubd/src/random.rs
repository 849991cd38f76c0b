//! Fresh secrets.
//!
//! A token is 256 random bits, so a fast hash is enough to store it by: nobody can try them all.
//! The text is shown once, to whom it is for; the store and every comparison work with its
//! [`Digest`](crate::store::Digest).

use spawner_core::Secret;

/// A new token: 256 random bits as 64 lower-case hex digits, which need no escaping in a header,
/// an environment variable, a URL, a cookie or a shell.
pub(crate) fn new_token() -> Secret {
    Secret::new(hex(&rand::random::<[u8; 32]>()))
}

/// A new browser session id: 128 random bits as 32 hex digits. Every server the browser visits
/// reads it, so it proves nothing alone.
pub(crate) fn new_session_id() -> String {
    hex(&rand::random::<[u8; 16]>())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_fresh_and_of_their_size() {
        let (a, b) = (new_token(), new_token());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), 64);
        assert_eq!(new_session_id().len(), 32);
        assert!(a.expose().bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
