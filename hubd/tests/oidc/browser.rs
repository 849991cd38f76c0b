//! A browser for the tests: it keeps cookies and follows nothing by itself.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::provider::Provider;
use serde_json::Value;

/// One browser at one hub.
#[derive(Clone)]
pub(crate) struct Browser {
    address: String,
    pub(crate) jar: BTreeMap<String, String>,
}

/// One answer of the hub.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            jar: BTreeMap::new(),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Page {
        let cookies: Vec<String> = (self.jar.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (address, cookies) = (&self.address, cookies.join("; "));
        let mut stream = TcpStream::connect(address).expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let page = Page {
            status: status.expect("a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        };
        for cookie in page.headers("set-cookie") {
            let (name, value) = cookie.split_once('=').expect("a cookie");
            let value = value.split(';').next().unwrap_or_default();
            if cookie.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }

    /// Goes to the provider and signs in there; where the way leads back to.
    pub(crate) fn sign_in(&mut self, provider: &Provider, person: Value) -> String {
        let away = self.get("/hub/oauth_login");
        assert_eq!(away.status, 302, "{away:?}");
        provider.sign_in(&away.location(), person)
    }

    /// The whole way.
    pub(crate) fn log_in(&mut self, provider: &Provider, person: Value) -> Page {
        let back = self.sign_in(provider, person);
        self.get(&back)
    }

    pub(crate) fn is_logged_in(&self) -> bool {
        self.jar.contains_key("jupyterhub-hub-login")
    }
}

impl Page {
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(line, _)| line.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.to_owned()).collect()
    }

    pub(crate) fn location(&self) -> String {
        let mut locations = self.headers("location");
        assert_eq!(locations.len(), 1, "{self:?}");
        locations.remove(0)
    }
}
