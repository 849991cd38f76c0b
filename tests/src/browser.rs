//! A person's browser: it keeps cookies, follows redirects and writes down each hop, fills forms,
//! and says with each request what a browser of today says (`Sec-Fetch-*`, `Origin`).
//!
//! It never leaves the origin that it was made for: a redirect elsewhere fails the test, for that
//! is what an open redirect looks like.

use std::fmt;

use bytes::Bytes;
use cookie_store::{CookieExpiration, CookieStore, RawCookie};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderName, SET_COOKIE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::api::server_path;
use crate::http::{Reply, open, send};
use crate::page::{Form, Hop, Page};
use crate::progress::Events;

/// As many redirects as browsers follow before they give up.
const MAX_HOPS: usize = 20;

/// One person's browser at one hub. A clone is a copy of its cookies: a thief's, say.
#[derive(Debug, Clone)]
pub struct Browser {
    origin: Url,
    jar: CookieStore,
}

/// A cookie without its value; written as `NAME; Path=/hub/; HttpOnly`, flags in this order:
/// HttpOnly, Secure, SameSite, Lasting (it outlives the browser's session).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CookieFacts {
    /// Where it is sent.
    pub path: String,
    /// Its name.
    pub name: String,
    /// The flags that it has.
    pub flags: Vec<String>,
}

impl fmt::Display for CookieFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; Path={}", self.name, self.path)?;
        self.flags.iter().try_for_each(|flag| write!(f, "; {flag}"))
    }
}

/// What makes a request, as far as a server can tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The person, in the address bar.
    Address,
    /// A page of the same site: a link or a form.
    Page,
    /// A script of a page of the same site.
    Script,
}

impl Browser {
    /// A fresh browser for the site at `origin`.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin
                .parse()
                .expect("an origin like http://127.0.0.1:8000"),
            jar: CookieStore::default(),
        }
    }

    /// Types an address and follows it to where it leads. `path` may have a query.
    pub async fn get(&mut self, path: &str) -> Page {
        self.navigate(Method::GET, self.url(path), None, Asked::Address, MAX_HOPS)
            .await
    }

    /// Types an address and stops at the first answer.
    pub async fn look(&mut self, path: &str) -> Page {
        self.navigate(Method::GET, self.url(path), None, Asked::Address, 0)
            .await
    }

    /// Clicks a link of a page.
    pub async fn follow(&mut self, link: &Url) -> Page {
        self.navigate(Method::GET, link.clone(), None, Asked::Page, MAX_HOPS)
            .await
    }

    /// Sends a form of a page with some fields filled in.
    pub async fn submit(&mut self, form: &Form, filled: &[(&str, &str)]) -> Page {
        let mut fields = form.fields.clone();
        for (name, value) in filled {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => (*value).clone_into(old),
                None => fields.push(((*name).to_owned(), (*value).to_owned())),
            }
        }
        let encoded = Serializer::new(String::new()).extend_pairs(fields).finish();
        if form.method == "POST" {
            let url = form.action.clone();
            return self
                .navigate(Method::POST, url, Some(encoded), Asked::Page, MAX_HOPS)
                .await;
        }
        let mut url = form.action.clone();
        url.set_query(Some(&encoded));
        self.navigate(Method::GET, url, None, Asked::Page, MAX_HOPS)
            .await
    }

    /// Sends exactly these fields as a form, and stops at the first answer. Nothing is added: this
    /// is how a forged form arrives.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let encoded = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.navigate(Method::POST, self.url(path), Some(encoded), Asked::Page, 0)
            .await
    }

    /// Logs in at the form that `path` leads to (`/hub/login`, or any page that needs a login).
    pub async fn log_in(&mut self, path: &str, user: &str, password: &str) -> Page {
        let page = self.get(path).await;
        let form = page
            .forms()
            .into_iter()
            .find(|form| form.fields.iter().any(|(name, _)| name == "password"));
        let form = form.unwrap_or_else(|| panic!("no login form at {path}: {}", page.reply.text()));
        self.submit(&form, &[("username", user), ("password", password)])
            .await
    }

    /// A script's `fetch`: it sends JSON and the `_xsrf` cookie it can read, and follows nothing.
    pub async fn fetch(&mut self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let url = self.url(path);
        let mut request = Request::builder()
            .method(method)
            .header(ACCEPT, "application/json");
        if let Some(token) = self.readable_cookie("_xsrf", url.path()) {
            request = request.header("x-xsrftoken", token);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        self.exchange(request, &url, body, Asked::Script).await
    }

    /// Listens to the progress of a user's server as the hub's pages do. An event source cannot send
    /// headers of its own, so the token is in the query.
    pub async fn progress(&self, user: &str, server: &str) -> Events {
        let token = self.readable_cookie("_xsrf", "/hub/").unwrap_or_default();
        let mut url = self.url(&format!("/hub/api{}/progress", server_path(user, server)));
        url.query_pairs_mut().append_pair("_xsrf", &token);
        let mut request = Request::get(url.as_str()).header(ACCEPT, "text/event-stream");
        for (name, value) in self.script_headers(url.path()) {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::default())
            .expect("parts that are all valid");
        Events::read(
            open(request)
                .await
                .unwrap_or_else(|error| panic!("{error}")),
        )
        .await
    }

    /// The headers of a script's request, for what reads a stream or upgrades.
    pub fn script_headers(&self, path: &str) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Self::fetch_metadata(Asked::Script);
        if let Some(cookies) = self.cookie_header(path) {
            headers.push((
                COOKIE,
                cookies.parse().expect("cookies came as header values"),
            ));
        }
        headers
    }

    /// The site, without a slash at the end.
    pub fn origin(&self) -> &str {
        self.origin.as_str().trim_end_matches('/')
    }

    /// What the jar holds, sorted by path and name, as [`CookieFacts`] writes it.
    pub fn cookies(&self) -> Vec<String> {
        let mut facts: Vec<_> = self.jar.iter_unexpired().map(facts).collect();
        facts.sort();
        facts.iter().map(CookieFacts::to_string).collect()
    }

    /// The value of one cookie.
    pub fn cookie(&self, name: &str, path: &str) -> Option<String> {
        let host = self.origin.host_str().unwrap_or_default();
        Some(self.jar.get(host, path, name)?.value().to_owned())
    }

    /// Puts a cookie into the jar, in place of one of the same name and path.
    pub fn set_cookie(&mut self, name: &str, path: &str, value: &str) {
        let cookie = RawCookie::parse(format!("{name}={value}; Path={path}"))
            .expect("a cookie that can be written");
        self.jar
            .insert_raw(&cookie, &self.url(path))
            .expect("the jar takes the cookie");
    }

    /// Removes a cookie.
    pub fn forget(&mut self, name: &str, path: &str) {
        let host = self.origin.host_str().unwrap_or_default();
        self.jar.remove(host, path, name);
    }

    /// The address of a path of this site, with `..` resolved as browsers do it. For a path that
    /// no browser would send there is [`crate::http::raw`].
    pub fn url(&self, path: &str) -> Url {
        self.origin
            .join(path)
            .unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    /// The `Cookie` header for a path, the most exact paths first as browsers send them.
    pub fn cookie_header(&self, path: &str) -> Option<String> {
        let mut cookies = self.jar.matches(&self.url(path));
        cookies.sort_by_key(|cookie| {
            let path: &str = cookie.path.as_ref();
            (usize::MAX - path.len(), cookie.name().to_owned())
        });
        let pairs: Vec<_> = cookies
            .iter()
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The value of a cookie that scripts may read, as `document.cookie` would give it.
    fn readable_cookie(&self, name: &str, path: &str) -> Option<String> {
        let cookies = self.jar.matches(&self.url(path));
        let readable = cookies
            .iter()
            .find(|cookie| cookie.name() == name && !cookie.http_only().unwrap_or_default());
        readable.map(|cookie| cookie.value().to_owned())
    }

    async fn navigate(
        &mut self,
        method: Method,
        url: Url,
        form: Option<String>,
        asked: Asked,
        max_hops: usize,
    ) -> Page {
        let (mut method, mut url, mut form, mut hops) = (method, url, form, Vec::new());
        loop {
            let mut request = Request::builder()
                .method(method.clone())
                .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
            if form.is_some() {
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            }
            let body = form.clone().unwrap_or_default();
            let reply = self.exchange(request, &url, body, asked).await;
            let location = reply.location().map(str::to_owned);
            let page = Page {
                url: url.clone(),
                reply,
                hops: Vec::new(),
            };
            hops.push(Hop {
                method: method.to_string(),
                target: page.target(),
                status: page.reply.status,
                location: location.clone(),
            });
            let redirect = page
                .reply
                .status
                .is_redirection()
                .then_some(location)
                .flatten();
            let Some(location) = redirect.filter(|_| max_hops > 0) else {
                return Page { hops, ..page };
            };
            assert!(hops.len() <= max_hops, "too many redirects: {hops:#?}");
            url = url
                .join(&location)
                .unwrap_or_else(|error| panic!("{location:?}: {error}"));
            assert!(
                url.origin() == self.origin.origin(),
                "led off the site: {hops:#?}"
            );
            let keeps = [
                StatusCode::TEMPORARY_REDIRECT,
                StatusCode::PERMANENT_REDIRECT,
            ];
            if !keeps.contains(&page.reply.status) {
                (method, form) = (Method::GET, None);
            }
        }
    }

    /// Sends one request with the jar's cookies and keeps those of the answer.
    async fn exchange(
        &mut self,
        request: http::request::Builder,
        url: &Url,
        body: String,
        asked: Asked,
    ) -> Reply {
        let mut request = request.uri(url.as_str());
        for (name, value) in Self::fetch_metadata(asked) {
            request = request.header(name, value);
        }
        if let Some(cookies) = self.cookie_header(url.path()) {
            request = request.header(COOKIE, cookies);
        }
        let mut request = request
            .body(Full::new(Bytes::from(body)))
            .unwrap_or_else(|error| panic!("{url}: {error}"));
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let origin = self.origin().parse().expect("an origin is a header value");
            request.headers_mut().insert("origin", origin);
        }
        let reply = send(request).await;
        let set = reply
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        // One at a time, because a cookie that the jar refuses must not take the others with it.
        for cookie in set.filter_map(|text| RawCookie::parse(text.to_owned()).ok()) {
            let _ = self.jar.insert_raw(&cookie, url);
        }
        reply
    }

    fn fetch_metadata(asked: Asked) -> Vec<(HeaderName, HeaderValue)> {
        let pairs: &[(&str, &str)] = match asked {
            Asked::Address | Asked::Page => &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-fetch-user", "?1"),
            ],
            Asked::Script => &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        };
        let site = if asked == Asked::Address {
            "none"
        } else {
            "same-origin"
        };
        let agent = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) hub-tests");
        let all = pairs
            .iter()
            .copied()
            .chain([("sec-fetch-site", site), agent]);
        all.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("plain text"),
            )
        })
        .collect()
    }
}

fn facts(cookie: &cookie_store::Cookie<'_>) -> CookieFacts {
    let mut flags = Vec::new();
    if cookie.http_only().unwrap_or_default() {
        flags.push("HttpOnly".to_owned());
    }
    if cookie.secure().unwrap_or_default() {
        flags.push("Secure".to_owned());
    }
    if let Some(same_site) = cookie.same_site() {
        flags.push(format!("SameSite={same_site}"));
    }
    if matches!(cookie.expires, CookieExpiration::AtUtc(_)) {
        flags.push("Lasting".to_owned());
    }
    CookieFacts {
        path: AsRef::<str>::as_ref(&cookie.path).to_owned(),
        name: cookie.name().to_owned(),
        flags,
    }
}
