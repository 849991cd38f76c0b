//! Browsers that visit a hub, and what they get.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::request::Builder;
use http::{HeaderMap, Request};
use scraper::{Html, Selector};

use super::{HOST, Site};

/// A browser with its cookies, by name: the hub's own never share one.
pub(crate) struct Browser<'s> {
    pub(crate) site: &'s Site,
    pub(crate) jar: BTreeMap<String, String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser<'_> {
    /// A request with this browser's cookies, as a visit of a page makes it.
    pub(crate) fn request(&self, method: &str, path: &str) -> Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("accept", "text/html,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("user-agent", "Netscape");
        let cookies = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        if cookies.is_empty() {
            request
        } else {
            request.header(COOKIE, cookies)
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        let reply = self.site.send(self.request("GET", path), "").await;
        self.keep(&reply);
        reply
    }

    /// Posts these fields, and `_xsrf` from the jar, as a page does it.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.jar.get("_xsrf").cloned().unwrap_or_default();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("_xsrf", &token)
            .extend_pairs(fields)
            .finish();
        let request = self.request("POST", path);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let reply = self.site.send(request, body).await;
        self.keep(&reply);
        reply
    }

    /// Opens the login page and sends its form.
    pub(crate) async fn log_in(&mut self, user: &str, password: &str) -> Reply {
        self.get("/hub/login").await;
        let fields = [("username", user), ("password", password)];
        self.post("/hub/login", &fields).await
    }

    fn keep(&mut self, reply: &Reply) {
        for cookie in reply.cookies() {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Reply {
    /// The whole `Set-Cookie` headers.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let all = self.headers.get_all(SET_COOKIE).iter();
        all.map(|cookie| cookie.to_str().unwrap()).collect()
    }

    /// Where it leads; empty if it leads nowhere.
    pub(crate) fn location(&self) -> &str {
        let location = self.headers.get(LOCATION);
        location.map_or("", |location| location.to_str().unwrap())
    }

    /// Status and way on, for tables.
    pub(crate) fn leads(&self) -> (u16, &str) {
        (self.status, self.location())
    }

    /// The texts of the elements that `selector` finds.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        let selector = Selector::parse(selector).unwrap();
        let found = page.select(&selector);
        found
            .map(|element| {
                let text = element.text().collect::<String>();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    /// The values of an attribute of the elements that `selector` finds.
    pub(crate) fn attributes(&self, selector: &str, attribute: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        let selector = Selector::parse(selector).unwrap();
        let found = page.select(&selector);
        found
            .filter_map(|element| element.attr(attribute).map(str::to_owned))
            .collect()
    }

    /// The heading, which tells one page from another.
    pub(crate) fn heading(&self) -> String {
        self.texts("h1").join(" ")
    }
}
