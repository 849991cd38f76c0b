//! A headless Chromium of a test's own, and what a person does in it.
//!
//! ```text
//!   Chromium --WebDriver--> chromedriver --DevTools--> chromium --> the hub
//! ```
//!
//! Both programs come from the distribution. Without them each test says so in one line and passes,
//! except where `CI` is set. Screenshots of all pages are left in `target/pages`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hub_tests::processes::{self, SERVER_MARK};
use hub_tests::programs;
use hub_tests::setup::PASSWORD;
use hub_tests::wait::{until, within};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// The most times that Tab is pressed on the way to an element.
const TABS_MAX: usize = 80;

/// A browser window.
pub(crate) struct Chromium {
    client: Client,
    origin: String,
    driver: Child,
    // Everything that the browser writes; the last to go.
    folder: TempDir,
}

impl Chromium {
    /// A fresh browser for the hub at `origin`, if there is one on this machine.
    pub(crate) async fn open(origin: &str) -> Option<Self> {
        let (driver, chromium) = find()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env(SERVER_MARK, folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver");
        let stdout = driver.stdout.take().expect("a pipe was asked for");
        let port = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let mut ports = lines.filter_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            });
            ports.next()
        });
        let port = within("chromedriver to listen", port).await;
        let port = port.expect("a thread").expect("the port of chromedriver");
        let driver_url = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&chromium, folder.path()));
        let client = within("chromium to start", builder.connect(&driver_url)).await;
        Some(Self {
            client: client.expect("a session"),
            origin: origin.to_owned(),
            driver,
            folder,
        })
    }

    /// Ends the browser in order; what is not ended by then is ended by the drop.
    pub(crate) async fn close(self) {
        let _ = within("chromium to end", self.client.clone().close()).await;
    }

    /// Opens a page of the hub.
    pub(crate) async fn goto(&self, path: &str) {
        let url = format!("{}{path}", self.origin);
        within("a page", self.client.goto(&url)).await.expect(path);
    }

    /// Logs in by the form, with the keyboard alone.
    pub(crate) async fn log_in(&self, user: &str) {
        self.goto("/hub/login?next=/hub/home").await;
        self.type_text(user).await;
        self.tab_to("#password_input").await;
        self.type_text(PASSWORD).await;
        self.tab_to("#login_submit").await;
        self.press(Key::Enter).await;
        self.until_at("/hub/home").await;
    }

    /// The path and query of the page.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url[url::Position::BeforePath..].to_owned()
    }

    /// Waits until the browser is at a page.
    pub(crate) async fn until_at(&self, path: &str) {
        until(path, async || {
            let at = self.path().await;
            if at == path { Ok(()) } else { Err(at) }
        })
        .await;
    }

    /// Waits until the first element that `selector` finds says `text`.
    pub(crate) async fn until_says(&self, selector: &str, text: &str) {
        until(&format!("{selector} to say {text:?}"), async || {
            let script = "return document.querySelector(arguments[0])?.textContent.trim() ?? ''";
            let said = self.ask(script, &[selector]).await;
            let said = said.as_str().unwrap_or_default().to_owned();
            if said.contains(text) {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }

    /// Clicks an element as a person does.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        element.click().await.expect(selector);
    }

    /// What a script in the page returns.
    pub(crate) async fn ask(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|argument| json!(argument)).collect();
        let answer = self.client.execute(script, arguments);
        // Between two pages there is none that could answer.
        within("an answer of the page", answer)
            .await
            .unwrap_or_default()
    }

    /// Goes with Tab to the element that `selector` finds. Wherever that leads on the way, it can be
    /// seen where one is.
    pub(crate) async fn tab_to(&self, selector: &str) {
        let mut passed = Vec::new();
        for _ in 0..TABS_MAX {
            let here = self
                .ask(
                    "const at = document.activeElement;
                     const style = getComputedStyle(at);
                     const box = at.getBoundingClientRect();
                     return {
                         found: at.matches(arguments[0]),
                         body: at === document.body,
                         what: at.outerHTML.slice(0, 120),
                         seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
                             && box.width > 0 && box.bottom > 0 && box.right > 0,
                     }",
                    &[selector],
                )
                .await;
            let what = here["what"].as_str().unwrap_or_default().to_owned();
            let is_body = here["body"].as_bool().unwrap_or(true);
            if here["found"] == true {
                return;
            }
            // The heading of a failure is focused by the page, to be read and not to be pressed.
            assert!(
                passed.is_empty() || is_body || here["seen"] == true,
                "the focus cannot be seen on {what}"
            );
            passed.push(what);
            self.press(Key::Tab).await;
        }
        panic!("Tab does not lead to {selector}: {passed:#?}");
    }

    /// Presses a key wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        self.type_text(&char::from(key).to_string()).await;
    }

    /// Types where the focus is.
    pub(crate) async fn type_text(&self, text: &str) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = text.chars().fold(keys, |keys, value| {
            keys.then(KeyAction::Down { value })
                .then(KeyAction::Up { value })
        });
        let typed = self.client.perform_actions(keys);
        within("keys to be pressed", typed).await.expect(text);
    }

    /// What the browser has to complain about since it was asked last. That a page came with the
    /// status of an error is no complaint, nor that the pretend server has no icon.
    pub(crate) async fn console(&self) -> Vec<Value> {
        let entries = self.issue("se/log", json!({ "type": "browser" })).await;
        let mut entries = entries.as_array().cloned().unwrap_or_default();
        entries.retain(|entry| {
            let message = entry["message"].as_str().unwrap_or_default();
            let parts = ["/hub/static/", "/hub/api/", "/hub/admin/events"];
            let is_expected = !parts.iter().any(|part| message.contains(part));
            !(entry["source"] == "network" && is_expected)
        });
        entries
    }

    /// Leaves a screenshot.
    pub(crate) async fn keep(&self, name: &str) {
        let folder = programs::target_dir().join("pages");
        fs::create_dir_all(&folder).expect("target/pages");
        let image = within("a screenshot", self.client.screenshot()).await;
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, image.expect(name)).expect("target/pages");
    }

    async fn find(&self, selector: &str) -> Element {
        let wait = self.client.wait();
        let found = within(selector, wait.for_element(Locator::Css(selector))).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Tells the browser something in its own protocol.
    pub(crate) async fn tell(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.issue("goog/cdp/execute", body).await
    }

    async fn issue(&self, path: &'static str, body: Value) -> Value {
        let answer = self.client.issue_cmd(OfChromium { path, body });
        within(path, answer).await.expect(path)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        processes::end_all(self.folder.path());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command that only Chromium has.
#[derive(Debug)]
struct OfChromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for OfChromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(chromium: &Path, folder: &Path) -> Capabilities {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let options = json!({
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": {
            "binary": chromium,
            // The sandbox cannot be had by root, as which the tests run in containers.
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--window-size=1100,900", "--force-device-scale-factor=1", "--no-first-run",
                "--disable-background-networking", "--password-store=basic", profile,
            ],
        },
    });
    match options {
        Value::Object(options) => options,
        _ => unreachable!("an object is written above"),
    }
}

/// The driver and its browser.
fn find() -> Option<(PathBuf, PathBuf)> {
    static ONCE: Once = Once::new();

    let look = |name: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut places = env::split_paths(&path).map(|folder| folder.join(name));
        places.find(|place| place.is_file())
    };
    if let Some(found) = look("chromedriver").zip(look("chromium")) {
        return Some(found);
    }
    let missing = "no chromium and chromedriver in PATH; `tests/run` installs them on Debian";
    let ci = env::var_os("CI");
    assert!(ci.as_deref().is_none_or(OsStr::is_empty), "{missing}");
    // Written past the test runner, which hides what a passing test prints.
    ONCE.call_once(|| {
        let _ = writeln!(stderr(), "\nSKIPPED the tests of the pages: {missing}\n");
    });
    None
}
