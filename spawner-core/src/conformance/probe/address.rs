//! What `JUPYTERHUB_SERVICE_URL` says.

/// Where to listen.
#[derive(Debug, PartialEq)]
pub(super) enum Address {
    Tcp(String),
    Unix(String),
}

/// Reads the URL; `None` if it is none of the contract's.
pub(super) fn address(url: &str) -> Option<Address> {
    if let Some(rest) = url.strip_prefix("http+unix://") {
        return percent_decode(rest.split('/').next()?).map(Address::Unix);
    }
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    Some(Address::Tcp(match authority.strip_prefix(':') {
        // An empty host means every interface.
        Some(port) => format!("0.0.0.0:{port}"),
        None => authority.to_owned(),
    }))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        if *byte == b'%' {
            let digits = str::from_utf8(after.get(..2)?).ok()?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_contract() {
        for (url, expected) in [
            ("http://127.0.0.1:1/user/a/", "127.0.0.1:1"),
            ("http://:1/user/a/", "0.0.0.0:1"),
            ("http://[::1]:1/", "[::1]:1"),
        ] {
            assert_eq!(address(url), Some(Address::Tcp(expected.into())));
        }
        let socket = address("http+unix://%2Frun%2Fa%20b/user/a/");
        assert_eq!(socket, Some(Address::Unix("/run/a b".into())));
        for url in [
            "",
            "https://127.0.0.1:1/",
            "http+unix://%2/",
            "http+unix://%zz",
        ] {
            assert_eq!(address(url), None, "{url}");
        }
    }
}
