//! How a request presents a token.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The longest token that is looked at, in bytes. Those made here have 64; services may bring
/// their own.
pub(crate) const TOKEN_MAX: usize = 128;

/// Why an `Authorization` header is no use. All of them are answered 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// More than one header: which one counts would be a guess.
    #[error("a request can carry only one Authorization header")]
    Twice,
    /// No token after the scheme, or something that cannot be one.
    #[error("the Authorization header must be `token` or `Bearer`, a space and one token")]
    Malformed,
    /// Longer than any token.
    #[error("a token has at most {TOKEN_MAX} characters")]
    TooLong,
}

/// The token that a request presents as `Authorization: token X` or `Bearer X`, the word in any
/// case; `None` without one. Other schemes are not ours (a password asked for by a proxy in front,
/// say) and count as none.
///
/// A token that is there but no use is an error and not `None`: such a request must not fall back
/// to the browser's cookies.
pub(crate) fn presented_token(headers: &HeaderMap) -> Result<Option<&str>, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(TokenError::Twice);
    }
    let text = value.to_str().map_err(|_| TokenError::Malformed)?;
    let text = text.trim();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !["token", "bearer"]
        .iter()
        .any(|ours| scheme.eq_ignore_ascii_case(ours))
    {
        return Ok(None);
    }
    let token = token.trim_start();
    if token.is_empty() || token.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(TokenError::Malformed);
    }
    if token.len() > TOKEN_MAX {
        return Err(TokenError::TooLong);
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn presented(values: &[&[u8]]) -> Result<Option<String>, TokenError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        presented_token(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        for value in [
            "token abc",
            "Token abc",
            "TOKEN abc",
            "bearer abc",
            "Bearer  abc",
            "BEARER abc ",
        ] {
            assert_eq!(
                presented(&[value.as_bytes()]),
                Ok(Some("abc".into())),
                "{value}"
            );
        }
        assert_eq!(presented(&[]), Ok(None));
        for other in ["Basic YTpi", "", "abc", "tokenabc", "token=abc"] {
            assert_eq!(presented(&[other.as_bytes()]), Ok(None), "{other}");
        }
    }

    #[test]
    fn hostile_headers_are_refused() {
        let longest = format!("token {}", "x".repeat(TOKEN_MAX));
        assert!(presented(&[longest.as_bytes()]).is_ok());
        let longer = format!("token {}", "x".repeat(TOKEN_MAX + 1));
        let huge = format!("token {}", "x".repeat(65_536));
        for (values, error) in [
            (vec!["token a", "token a"], TokenError::Twice),
            (vec!["token a", "Basic YTpi"], TokenError::Twice),
            (vec!["token"], TokenError::Malformed),
            (vec!["token "], TokenError::Malformed),
            (vec!["token a b"], TokenError::Malformed),
            (vec!["token a, token b"], TokenError::Malformed),
            (vec!["token a\tb"], TokenError::Malformed),
            (vec!["token ä"], TokenError::Malformed),
            (vec![longer.as_str()], TokenError::TooLong),
            (vec![huge.as_str()], TokenError::TooLong),
        ] {
            let bytes: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(presented(&bytes), Err(error), "{values:.40?}");
        }
    }
}
