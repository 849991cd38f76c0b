//! What every page tells the browser beside its content.

/// The content security policy of the hub's pages.
///
/// Nothing inline, nothing from elsewhere, no frames: a user's server shares this origin, so a page
/// that could be framed could be clicked by another user's notebook.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// The headers of every page, as an array that axum takes as a part of a reply.
///
/// Pages hold a token of the session, so no cache keeps them.
pub(crate) const SECURITY_HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn headers_are_a_part_of_a_reply() {
        let reply = (SECURITY_HEADERS, "page").into_response();
        for (name, value) in SECURITY_HEADERS {
            assert_eq!(reply.headers()[name], value);
        }
    }

    #[test]
    fn nothing_inline_is_allowed() {
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
        assert!(!CONTENT_SECURITY_POLICY.contains("  "));
        assert!(CONTENT_SECURITY_POLICY.contains("default-src 'none';"));
        assert!(CONTENT_SECURITY_POLICY.ends_with("frame-ancestors 'none'"));
    }
}
