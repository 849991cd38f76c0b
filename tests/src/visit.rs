//! The way of a person from an address to their running server, one step at a time.
//!
//! Each step asserts what the hub must answer on the way (the wire contract's list of hops), so a
//! story that only needs a running server still walks over all of it.

use crate::browser::Browser;
use crate::page::Page;
use crate::progress::Event;
use crate::setup::PASSWORD;

/// A person at a hub.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Their browser.
    pub browser: Browser,
    /// Their name, which needs no escaping.
    pub name: String,
}

impl Visitor {
    /// A person with a fresh browser.
    pub fn new(browser: Browser, name: &str) -> Self {
        Self {
            browser,
            name: name.to_owned(),
        }
    }

    /// Where their default server is.
    pub fn prefix(&self) -> String {
        format!("/user/{}/", self.name)
    }

    /// Types the address of the server without being logged in, and logs in on the way; arrives at
    /// the page that says the server is not running.
    pub async fn arrive(&mut self) -> Page {
        let name = &self.name;
        let page = self.browser.get(&format!("/user/{name}/")).await;
        let login = format!("/hub/login?next=%2Fhub%2Fuser%2F{name}%2F");
        assert_eq!(
            page.trail(),
            [
                format!("GET /user/{name}/ 302 /hub/user/{name}/"),
                format!("GET /hub/user/{name}/ 302 {login}"),
                format!("GET {login} 200"),
            ]
        );
        let form = page.form("/hub/login").expect("a login form");
        let filled = [("username", name.as_str()), ("password", PASSWORD)];
        let page = self.browser.submit(&form, &filled).await;
        assert_eq!(
            page.trail(),
            [
                format!("POST {login} 302 /hub/user/{name}/"),
                format!("GET /hub/user/{name}/ 424"),
            ],
            "{}",
            page.words()
        );
        page
    }

    /// Presses the button of a page that offers to start the server; arrives at the page that
    /// shows its progress, or at the server if that was quicker.
    pub async fn press_start(&mut self, page: &Page) -> Page {
        if let Some(form) = page.form("/hub/spawn") {
            return self.browser.submit(&form, &[]).await;
        }
        let link = page.link("/hub/spawn");
        let link = link.unwrap_or_else(|| panic!("no way to start: {}", page.reply.text()));
        self.browser.follow(&link).await
    }

    /// Watches the progress to its end, which must be "ready".
    pub async fn watch(&self) -> Vec<Event> {
        let events = self.browser.progress(&self.name, "").await.to_end().await;
        let last = events.last().expect("at least the last event");
        assert!(last.ready, "the server did not start: {events:#?}");
        assert_eq!(last.data["url"], self.prefix());
        events
    }

    /// All the steps: after them the server runs, and the browser is at its first page.
    pub async fn start(&mut self) -> Page {
        let offer = self.arrive().await;
        self.press_start(&offer).await;
        self.watch().await;
        self.enter().await
    }

    /// Goes where the page of the progress leads to when the server is ready.
    pub async fn enter(&mut self) -> Page {
        let page = self
            .browser
            .get(&format!("/hub/spawn-pending/{}", self.name))
            .await;
        assert_eq!(page.status(), 200, "{:#?}\n{}", page.trail(), page.words());
        assert!(
            page.url.path().starts_with(&self.prefix()),
            "{:#?}",
            page.trail()
        );
        page
    }
}
