//! Where to listen, and under which addresses others reach the hub.

use std::net::{IpAddr, SocketAddr};

use toml::de::DeValue;
use url::Url;

use super::base_path::BasePath;
use super::value::{Fault, expected, integer, quote, text};
use crate::proxy::{IpRange, IpRangeError};

/// An address and port to listen on; port 0 means a free one.
pub(super) fn bind(value: &DeValue<'_>) -> Result<SocketAddr, Fault> {
    let Some(raw) = value.as_str() else {
        let fault = expected("a text \"ADDRESS:PORT\"", value);
        let port = value.as_integer().and_then(integer);
        return Err(match port.and_then(|port| u16::try_from(port).ok()) {
            Some(port) => fault.help(format!("write \"127.0.0.1:{port}\"")),
            None => fault,
        });
    };
    let wrong = || Fault::new(format!("expected \"ADDRESS:PORT\", found {}", quote(raw)));
    if let Ok(address) = raw.parse() {
        return Ok(address);
    }
    if raw.contains("://") {
        let help = "leave out the scheme; a path goes into `base_url`";
        return Err(wrong().help(help));
    }
    if let Ok(ip) = raw.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = SocketAddr::new(ip, 8000);
        return Err(wrong().help(format!("add a port, as in \"{address}\"")));
    }
    let (host, port) = raw.rsplit_once(':').unwrap_or(("", raw));
    Err(match (host, port.parse::<u16>()) {
        ("", Ok(port)) => wrong().help(format!(
            "write \"127.0.0.1:{port}\" for this machine only, \"0.0.0.0:{port}\" for every \
             interface"
        )),
        ("*", Ok(port)) => wrong().help(format!("write \"0.0.0.0:{port}\" for every interface")),
        ("localhost", Ok(port)) => wrong().help(format!("write \"127.0.0.1:{port}\"")),
        (_, Ok(_)) => wrong().help("the address must be an IP address, not a name"),
        (_, Err(_)) => wrong().help("the port is a whole number from 0 to 65535"),
    })
}

/// The address that a server is told to listen on: empty for every interface.
pub(super) fn listen_ip(value: &DeValue<'_>) -> Result<String, Fault> {
    let raw = text(value)?;
    if raw.is_empty() || raw.parse::<IpAddr>().is_ok() {
        return Ok(raw);
    }
    let fault = Fault::new(format!("{} is not an IP address", quote(&raw)));
    let bare = raw.trim_matches(['[', ']']);
    Err(if bare != raw && bare.parse::<IpAddr>().is_ok() {
        fault.help(format!("write \"{bare}\""))
    } else if raw == "*" {
        fault.help("write \"\" for every interface")
    } else if raw == "localhost" {
        fault.help("write \"127.0.0.1\"")
    } else {
        fault
    })
}

/// A range of addresses.
pub(super) fn network(value: &DeValue<'_>) -> Result<IpRange, Fault> {
    text(value)?.parse().map_err(|error| match error {
        IpRangeError::NotFirst(written, meant) => {
            let message = format!("{written} is not the first address of its block");
            Fault::new(message).help(format!("write \"{meant}\""))
        }
        error => Fault::new(error.to_string()),
    })
}

/// The path below which the hub lives.
pub(super) fn base_path(value: &DeValue<'_>) -> Result<BasePath, Fault> {
    let raw = text(value)?;
    if raw.contains("://") {
        let help = "write the path only; the whole address goes into `public_url`";
        return Err(Fault::new("expected a path, found an address").help(help));
    }
    BasePath::new(&raw).map_err(|(message, meant)| {
        let fault = Fault::new(message);
        match meant {
            Some(meant) => fault.help(format!("write \"{meant}\"")),
            None => fault,
        }
    })
}

/// Scheme, host and port at which the hub is reached. A path may be given only if it is the base
/// path, and is dropped: `url.join(base_path)` puts it back.
pub(super) fn origin(base_path: &BasePath) -> impl Fn(&DeValue<'_>) -> Result<Url, Fault> {
    move |value| {
        let raw = text(value)?;
        // Without a scheme, the name in "localhost:8000" is taken for one.
        let help = if raw.contains("://") {
            "it looks like \"https://hub.example.org\"".to_owned()
        } else {
            format!("write {:?}", format!("http://{raw}"))
        };
        let mut url = match Url::parse(&raw) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => {
                let message = "the address must begin with http:// or https://";
                return Err(Fault::new(message).help(help));
            }
            Err(error) => {
                // The text is not repeated: it may hold a password.
                return Err(Fault::new(format!("this is not an address: {error}")).help(help));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::new(
                "the address cannot hold a user name or password",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Fault::new("the address cannot hold `?` or `#`"));
        }
        let base = base_path.as_str();
        let path = url.path();
        if path != "/" && path.trim_end_matches('/') != base.trim_end_matches('/') {
            return Err(Fault::new(format!(
                "the path is {} and `base_url` is \"{base}\"",
                quote(path)
            ))
            .help("leave the path out here; it is always that of `base_url`"));
        }
        url.set_path("/");
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T>(read: impl Fn(&DeValue<'_>) -> Result<T, Fault>, text: &str) -> Option<String> {
        read(&DeValue::String(text.into())).err().unwrap().help
    }

    #[test]
    fn a_bind_says_what_it_misses() {
        for (raw, part) in [
            (":8000", "0.0.0.0:8000"),
            ("8000", "127.0.0.1:8000"),
            ("*:80", "0.0.0.0:80"),
            ("127.0.0.1", "127.0.0.1:8000"),
            ("::1", "[::1]:8000"),
            ("::1:8000", "[::1:8000]:8000"),
            ("localhost:80", "127.0.0.1:80"),
            ("http://:8000", "base_url"),
            ("hub.example.org:80", "not a name"),
            ("127.0.0.1:70000", "65535"),
            ("127.0.0.1:-1", "65535"),
            ("", "65535"),
        ] {
            let help = help(bind, raw).unwrap();
            assert!(help.contains(part), "{raw:?}: {help}");
        }
        for raw in ["127.0.0.1:0", "[::1]:8000", "0.0.0.0:80"] {
            assert!(bind(&DeValue::String(raw.into())).is_ok(), "{raw:?}");
        }
    }

    #[test]
    fn an_origin_has_no_path_of_its_own() {
        let base = BasePath::new("/jupyter/").unwrap();
        for raw in [
            "https://h",
            "https://h/",
            "https://h/jupyter",
            "https://h/jupyter/",
        ] {
            let url = origin(&base)(&DeValue::String(raw.into())).ok().unwrap();
            assert_eq!(url.as_str(), "https://h/", "{raw:?}");
        }
        for raw in [
            "",
            "h",
            "//h",
            "ftp://h",
            "https://",
            "https://u:p@h",
            "https://h/?a",
            "https://h/#a",
            "https://h/other/",
            "javascript:alert(1)",
            "https://h:99999",
        ] {
            let url = origin(&base)(&DeValue::String(raw.into()));
            assert!(url.is_err(), "{raw:?} was accepted");
        }
    }

    #[test]
    fn a_server_listens_on_an_address() {
        for raw in ["", "0.0.0.0", "::", "127.0.0.1"] {
            assert!(listen_ip(&DeValue::String(raw.into())).is_ok(), "{raw:?}");
        }
        assert_eq!(help(listen_ip, "[::1]").unwrap(), "write \"::1\"");
        assert_eq!(help(listen_ip, "eth0"), None);
    }
}
