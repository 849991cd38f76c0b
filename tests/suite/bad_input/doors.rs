//! The doors by which a value of one field comes in, and what has to happen at each: a 4xx with a
//! reason, or an exit code with one; no trace; nothing panics; the hub goes on.
//!
//! ```text
//!   value --> Door --> bytes of a request, a configuration file, an argument --> hubd
//!                                                                                  |
//!   World::refuses: status and reason, books and processes as before, log  <-------'
//! ```
//!
//! Requests are written byte by byte, because client libraries refuse to send most of what counts
//! here, and give up where an answer comes before all has been sent.

use http::StatusCode;
use hub_tests::browser::Browser;
use hub_tests::http::raw_reply;
use hub_tests::hub::TestHub;
use hub_tests::page::Page;
use hub_tests::setup::{ADMIN_TOKEN, PASSWORD, Setup};
use hub_tests::trace::Trace;
use serde_json::Value;
use toml::Table;
use url::form_urlencoded::{Serializer, byte_serialize};

/// A value that is longer than this may meet a closed connection in a request's head.
const HEAD_MAX: usize = 8 << 10;
/// The longest argument that the system takes.
const ARGUMENT_MAX: usize = 128 << 10;

/// One way in for a value.
pub(super) enum Door {
    /// The body of a call of the API by the service that may do everything.
    Body(&'static str, &'static str, fn(&str) -> Value),
    /// A part of the path of such a call; `{}` stands for it.
    Path(&'static str, &'static str),
    /// The same of a page, looked at by an admin who is logged in, or (`POST`) of its form with these
    /// fields.
    Page(&'static str, &'static str, &'static str),
    /// A field of a form of an admin: path, the field, the others.
    Form(&'static str, &'static str, &'static str),
    /// The login form.
    Login,
    /// A header of a call of somebody without other credentials.
    Header(&'static str, fn(&str) -> (String, String)),
    /// A configuration, as `hubd check-config` reads it.
    Config(&'static str, fn(Setup, &str) -> Setup),
    /// An argument of a command; `{}` stands for it.
    Line(&'static [&'static str]),
}

/// What a door says.
pub(super) struct Answer {
    status: Result<StatusCode, Option<i32>>,
    reason: String,
}

/// A hub, an admin's browser at it, and what it was like before.
pub(super) struct World {
    pub(super) hub: TestHub,
    boss: Browser,
    before: Trace,
}

impl World {
    /// A hub with the users `boss`, an admin, and `tee`, who has a server called `proj`, and with the
    /// group `class`.
    pub(super) async fn new() -> Self {
        let setup = Setup::new()
            .set("auth.admin_users", vec!["boss"])
            .set("limits.named_servers_per_user", 5);
        let hub = setup.start().await;
        let admin = hub.admin();
        admin.create(&["tee"]).await;
        let made = admin.post("/groups/class", None).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let path = "/users/tee/servers/proj";
        let made = admin.call(http::Method::PUT, path, None).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let mut boss = hub.browser();
        let page = boss.log_in("/hub/home", "boss", PASSWORD).await;
        assert_eq!(page.status(), 200, "{}", page.words());
        let before = hub.trace();
        Self { hub, boss, before }
    }

    /// What there is now is what everything that follows is compared with.
    pub(super) fn begin(&mut self) {
        self.before = self.hub.trace();
    }

    /// Nothing has changed since the world, or the last [`World::begin`], began.
    pub(super) fn assert_no_trace(&self, case: &str) {
        self.hub.assert_no_trace(&self.before, case);
    }

    /// Each of `doors` refuses each of `values`. A door that does not apply to a value is named by
    /// `forgiven`, with the reason beside it where that is decided.
    pub(super) async fn refuses<'v>(
        &self,
        doors: &[Door],
        values: impl IntoIterator<Item = &'v str> + Clone,
        forgiven: impl Fn(&Door, &str) -> bool,
    ) {
        for door in doors {
            for value in values.clone() {
                if forgiven(door, value) {
                    continue;
                }
                let case = format!("{}: {value:.60?} ({} bytes)", door.name(), value.len());
                let Some(answer) = self.knock(door, value).await else {
                    continue;
                };
                let is_refused = match answer.status {
                    Ok(status) => status.is_client_error(),
                    // 101 is a panic.
                    Err(code) => code.is_some_and(|code| code != 0 && code != 101),
                };
                let (status, reason) = (answer.status, answer.reason);
                assert!(is_refused, "{case}: {status:?} {reason:.400}");
                assert!(
                    !reason.trim().is_empty(),
                    "{case}: {status:?} without a reason"
                );
                assert!(!reason.contains("panicked"), "{case}: {reason}");
                self.assert_no_trace(&case);
            }
        }
        let well = self.hub.api(None).get("/health").await;
        assert_eq!(well.status, StatusCode::OK);
    }

    /// What the door says to a value; `None` where the system lets no such value through to it.
    async fn knock(&self, door: &Door, value: &str) -> Option<Answer> {
        let escaped: String = byte_serialize(value.as_bytes()).collect();
        let in_path = escaped.replace('+', "%20").replace('.', "%2E");
        let token = format!("authorization: token {ADMIN_TOKEN}\r\n");
        let json = "content-type: application/json\r\n";
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let (head, body) = match door {
            Door::Body(method, path, body) => (
                format!("{method} /hub/api{path} HTTP/1.1\r\n{token}{json}"),
                body(value).to_string(),
            ),
            Door::Path(method, path) => {
                let path = path.replace("{}", &in_path);
                let head = format!("{method} /hub/api{path} HTTP/1.1\r\n{token}{json}");
                (head, String::new())
            }
            Door::Page(method, path, fields) => {
                let path = path.replace("{}", &in_path);
                let cookies = self.cookies();
                let head = format!("{method} {path} HTTP/1.1\r\n{cookies}{form}");
                (head, format!("{}&{fields}", self.xsrf()))
            }
            Door::Form(path, field, others) => {
                let head = format!("POST {path} HTTP/1.1\r\n{}{form}", self.cookies());
                (head, format!("{}&{others}&{field}={escaped}", self.xsrf()))
            }
            Door::Login => return Some(self.log_in(value).await),
            Door::Header(path, header) => {
                let (name, value) = header(value);
                let head = format!("GET {path} HTTP/1.1\r\n{name}: {value}\r\n");
                (head, String::new())
            }
            Door::Config(_, change) => {
                let ran = change(Setup::new(), value).check_config();
                return Some(Answer {
                    status: Err(ran.code),
                    reason: ran.output,
                });
            }
            Door::Line(words) => {
                if value.len() >= ARGUMENT_MAX {
                    return None;
                }
                let words: Vec<String> = words.iter().map(|w| w.replace("{}", value)).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let ran = self.hub.command(&words, &format!("{PASSWORD}\n"))?;
                return Some(Answer {
                    status: Err(ran.code),
                    reason: ran.output,
                });
            }
        };
        let host = &self.hub.origin()["http://".len()..];
        let request = format!(
            "{head}host: {host}\r\nsec-fetch-site: same-origin\r\nuser-agent: doors\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let text = raw_reply(self.hub.origin(), request.as_bytes()).await;
        if text.is_empty() && head.len() > HEAD_MAX {
            return None;
        }
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.get(9..12).unwrap_or("(closed)");
        let status = status
            .parse()
            .ok()
            .and_then(|code: u16| StatusCode::from_u16(code).ok());
        let status = status.unwrap_or_else(|| panic!("{}: {text:.300}", door.name()));
        // A head that cannot be read is refused before there is anybody to write a page.
        let unreadable = body.is_empty() && [400, 414, 431].contains(&status.as_u16());
        let reason = if unreadable { head } else { body };
        Some(Answer {
            status: Ok(status),
            reason: reason.to_owned(),
        })
    }

    async fn log_in(&self, name: &str) -> Answer {
        let mut browser = self.hub.browser();
        let page: Page = browser.log_in("/hub/login", name, PASSWORD).await;
        let login = browser.cookie("jupyterhub-hub-login", "/hub/");
        assert_eq!(login, None, "{name:.60?} is logged in");
        Answer {
            status: Ok(page.reply.status),
            reason: page.words(),
        }
    }

    fn cookies(&self) -> String {
        let cookies = self.boss.cookie_header("/hub/").expect("cookies");
        format!("cookie: {cookies}\r\n")
    }

    fn xsrf(&self) -> String {
        let token = self.boss.cookie("_xsrf", "/hub/").expect("a token");
        let mut fields = Serializer::new(String::new());
        fields.append_pair("_xsrf", &token).finish()
    }
}

impl Door {
    /// How a failing test calls it.
    fn name(&self) -> String {
        match self {
            Self::Body(method, path, _) | Self::Path(method, path) => {
                format!("API {method} {path}")
            }
            Self::Page(method, path, _) => format!("page {method} {path}"),
            Self::Form(path, field, _) => format!("form {path} {field}"),
            Self::Login => "login form".to_owned(),
            Self::Header(path, _) => format!("header of {path}"),
            Self::Config(key, _) => format!("configuration {key}"),
            Self::Line(words) => format!("hubd {}", words.join(" ")),
        }
    }
}

/// A role with one scope, for nobody.
pub(super) fn role(scope: impl Into<toml::Value>) -> Table {
    let mut role = Table::new();
    role.insert("name".into(), "reader".into());
    role.insert("scopes".into(), vec![scope.into()].into());
    role
}
