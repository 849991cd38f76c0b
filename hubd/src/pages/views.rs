//! What each page shows, as plain data: a handler fills one of these, `templates/NAME.html` lays it
//! out.
//!
//! In a template the fields of the page and those of [`Chrome`] stand side by side, as in
//! JupyterHub's templates: `{{ server.open_url }}`, `{{ user.name }}`, `{{ xsrf }}`.

pub(crate) mod admin;
pub(crate) mod audit;

use std::fmt;

use http::StatusCode;
use serde::Serialize;
use spawner_core::{ServerId, UserName};

use super::failure::Failure;
use super::links::Links;
use crate::auth::local_path::LocalPath;
use crate::servers::Place;

/// One kind of page.
pub(crate) trait View: Serialize {
    /// The template that lays it out.
    const TEMPLATE: &'static str;
}

/// What every page has around its content.
#[derive(Clone, Serialize)]
pub(crate) struct Chrome {
    pub(crate) base_url: LocalPath,
    pub(crate) hub_prefix: LocalPath,
    pub(crate) home_url: LocalPath,
    pub(crate) token_url: LocalPath,
    pub(crate) login_url: LocalPath,
    pub(crate) logout_url: LocalPath,
    /// Where the viewer changes their password, if the hub has it.
    pub(crate) password_url: Option<LocalPath>,
    /// Where an admin decides about sign-ups, if there are any to come.
    pub(crate) signups_url: Option<LocalPath>,
    pub(crate) admin_url: LocalPath,
    /// Who is logged in.
    pub(crate) user: Option<Viewer>,
    /// The token that every form sends back; empty only on pages without forms.
    pub(crate) xsrf: String,
    pub(crate) version: &'static str,
}

/// The person in front of the page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Viewer {
    pub(crate) name: String,
    pub(crate) admin: bool,
    /// Whether the admin page is theirs.
    pub(crate) manages: bool,
}

/// A server, for the pages that start, stop or open it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerCard {
    /// It at the beginning of a sentence: `Your server`, `The server "proj" of alice`.
    pub(crate) label: String,
    /// Whether it is the viewer's own.
    pub(crate) mine: bool,
    pub(crate) open_url: LocalPath,
    /// Starts it, by `POST`; shows the options form, by `GET`.
    pub(crate) start_url: LocalPath,
    /// Whether there is an options form to fill before a start.
    pub(crate) has_form: bool,
    /// Stops it or ends its start, by `POST`.
    pub(crate) stop_url: LocalPath,
    /// Shows the start under way, or why the last one failed.
    pub(crate) pending_url: LocalPath,
    /// Where the visitor goes once it is ready.
    pub(crate) next_url: LocalPath,
}

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServerState {
    Stopped,
    Starting,
    Running,
    Stopping,
    /// After a restart of the hub: not known yet whether it is still there.
    Checking,
}

/// The login form.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoginView {
    /// Where the form goes: the login page with its `next`.
    pub(crate) action: LocalPath,
    /// What was typed before, to correct it.
    pub(crate) username: String,
    pub(crate) error: Option<String>,
    /// Seconds until the next attempt is looked at, after too many that failed.
    pub(crate) wait_seconds: Option<u64>,
    /// Where people ask for an account, if they may.
    pub(crate) signup_url: Option<LocalPath>,
    /// The provider where people sign in, if that is not here: there is a button instead of a form.
    pub(crate) provider: Option<LoginProvider>,
}

/// Where people sign in elsewhere.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoginProvider {
    pub(crate) login_service: String,
    /// The way there, which leads on to `next`.
    pub(crate) url: LocalPath,
}

/// The form of somebody who asks for an account, and what comes after it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignupView {
    pub(crate) action: LocalPath,
    /// What was typed before, to correct it; afterwards, who has asked.
    pub(crate) username: String,
    pub(crate) error: Option<String>,
    /// How many characters a password has at least.
    pub(crate) minimum_length: usize,
    /// The request was noted.
    pub(crate) done: bool,
}

/// The form for a new password.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PasswordView {
    pub(crate) action: LocalPath,
    pub(crate) error: Option<String>,
    pub(crate) minimum_length: usize,
}

/// Who asks for an account.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignupsView {
    pub(crate) rows: Vec<SignupRow>,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignupRow {
    pub(crate) name: String,
    /// When they asked, in UTC.
    pub(crate) since: String,
    /// Where the decision goes.
    pub(crate) action: LocalPath,
}

/// The home page: one server and its main action.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HomeView {
    pub(crate) server: ServerCard,
    pub(crate) state: ServerState,
    /// Why it is not running, when that was not asked for.
    pub(crate) failure: Option<Failure>,
    /// Why the hub has ended it.
    pub(crate) stop_reason: Option<String>,
    /// When the hub is about to end it.
    pub(crate) countdown: Option<CountdownView>,
    /// The services that the visitor may use.
    pub(crate) services: Vec<ServiceLink>,
    /// Who else opened it, the latest first.
    pub(crate) visits: Vec<VisitRow>,
    /// The states of all servers on the page, in their order.
    pub(crate) watch: String,
    /// Whether one of them is on its way.
    pub(crate) waits: bool,
    /// In how many seconds a countdown begins, unless the server is used.
    pub(crate) warns_in: Option<u64>,
    pub(crate) named: Vec<NamedServer>,
    /// The form for another named server, where there may be some.
    pub(crate) new_server: Option<NewServerForm>,
}

/// A server that is about to be ended because nobody uses it, or for its age.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CountdownView {
    /// As a person says it: `9 minutes`.
    pub(crate) words: String,
    /// For the script, which counts on.
    pub(crate) seconds: u64,
    /// Puts it off, by `POST`; none where that is not possible.
    pub(crate) extend_url: Option<LocalPath>,
}

/// A way to a service.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServiceLink {
    pub(crate) name: String,
    pub(crate) url: LocalPath,
}

/// Somebody else who opened a server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VisitRow {
    pub(crate) visitor: String,
    pub(crate) at: String,
}

/// A named server of the visitor's own.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NamedServer {
    pub(crate) server: ServerCard,
    /// As its user calls it.
    pub(crate) title: String,
    /// Tells the parts of this server from those of another on the page.
    pub(crate) name: String,
    pub(crate) state: ServerState,
    pub(crate) words: &'static str,
    pub(crate) failure: Option<Failure>,
    /// When the hub is about to end it.
    pub(crate) countdown: Option<CountdownView>,
    pub(crate) visits: Vec<VisitRow>,
    pub(crate) remove_url: LocalPath,
}

/// The form for another named server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NewServerForm {
    pub(crate) url: LocalPath,
    /// How many there are, and how many there may be.
    pub(crate) count: usize,
    pub(crate) limit: usize,
}

/// The options form before a start.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SpawnView {
    pub(crate) server: ServerCard,
    /// The inside of the form: HTML, written and escaped by the spawner. It reaches the page as it
    /// is, so nothing that a visitor wrote may be put here. The page's policy still holds in it:
    /// inline scripts and styles do nothing.
    pub(crate) options_form: String,
    /// What a server is to be called that does not exist yet.
    pub(crate) display_name: Option<String>,
    /// Why the options that were sent are refused.
    pub(crate) error: Option<String>,
    /// The fields that were sent, as JSON, for the script to put back.
    pub(crate) typed: Option<String>,
}

/// The page in the place of a server that is not running (status 424).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NotRunningView {
    pub(crate) server: ServerCard,
}

/// A start under way.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PendingView {
    pub(crate) server: ServerCard,
    /// Percent, 0 to 100.
    pub(crate) progress: u8,
    /// What was reported so far, oldest first; the live stream repeats it and goes on.
    pub(crate) messages: Vec<String>,
    /// The progress stream, [`Links::progress`].
    pub(crate) progress_url: LocalPath,
}

/// A server that is being stopped or looked for; the page goes on by itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitingView {
    pub(crate) server: ServerCard,
    /// [`ServerState::Stopping`] or [`ServerState::Checking`].
    pub(crate) state: ServerState,
}

/// A start that failed, or a server that ended by itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FailedView {
    pub(crate) server: ServerCard,
    pub(crate) failure: Failure,
}

/// Anything else that went wrong.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorView {
    pub(crate) status: u16,
    /// The status in the words of HTTP.
    pub(crate) reason: &'static str,
    /// What is wrong and what would be right; the page has its own words without it.
    pub(crate) message: Option<String>,
    /// What the log calls this error, so that an admin finds it.
    pub(crate) reference: Option<String>,
    /// Where trying again makes sense.
    pub(crate) retry_url: Option<LocalPath>,
}

/// The question whether another person's server or a service may know who the visitor is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OAuthView {
    /// Who asks, at the beginning of a sentence: `The server of alice`, `The service grader`.
    pub(crate) client: String,
    /// The page's own address, where the answer goes.
    pub(crate) action: LocalPath,
    pub(crate) scopes: Vec<ScopeRow>,
}

/// The way back to a service on another host.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LeaveView {
    /// An address of the configuration with a query of ours; not a [`LocalPath`], and the only link
    /// that is none.
    pub(crate) to: String,
}

/// One permission that is asked for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScopeRow {
    pub(crate) scope: String,
    pub(crate) description: String,
    /// Whether it cannot be left out.
    pub(crate) required: bool,
}

/// The visitor's tokens, and the form for a new one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TokenView {
    /// Where the form goes: the page itself.
    pub(crate) action: LocalPath,
    /// Where a token is revoked, by `POST`, with its `id`.
    pub(crate) revoke_url: LocalPath,
    pub(crate) lifetimes: Vec<Lifetime>,
    /// What was typed before, to correct it.
    pub(crate) note: String,
    pub(crate) scopes: String,
    /// What the visitor can give to a token.
    pub(crate) held: Vec<ScopeRow>,
    pub(crate) error: Option<String>,
    /// The token that was made just now.
    pub(crate) made: Option<MadeToken>,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) clients: Vec<ClientRow>,
}

/// One answer to how long a new token lives.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lifetime {
    /// Empty for as long as any may.
    pub(crate) seconds: String,
    pub(crate) words: String,
    pub(crate) chosen: bool,
}

/// A new token; no other page has its text.
#[derive(Clone, Serialize)]
pub(crate) struct MadeToken {
    pub(crate) text: String,
}

impl fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MadeToken(..)")
    }
}

/// One token. Times are texts for people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) note: String,
    pub(crate) created: String,
    pub(crate) last_used: Option<String>,
    pub(crate) ends: Option<String>,
    /// Whether it is a server's own, which ends with it and is not revoked here.
    pub(crate) of_server: bool,
    pub(crate) scopes: Vec<String>,
}

/// An application that the visitor let in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClientRow {
    /// One of its tokens; revoked, it takes the others along.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: String,
    pub(crate) last_used: Option<String>,
    pub(crate) scopes: Vec<String>,
}

impl Chrome {
    /// The frame of a page for `user`, with the session's token.
    pub(crate) fn new(links: &Links, user: Option<Viewer>, xsrf: impl Into<String>) -> Self {
        Self {
            base_url: links.base(),
            hub_prefix: links.hub(),
            home_url: links.home(),
            token_url: links.tokens(),
            login_url: links.login(None),
            logout_url: links.logout(),
            password_url: None,
            signups_url: None,
            admin_url: links.admin(),
            user,
            xsrf: xsrf.into(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl ServerCard {
    /// The card of `server` for `viewer` (a program has no name), who goes on to `next` once it is
    /// ready.
    pub(crate) fn new(
        links: &Links,
        server: &ServerId,
        viewer: Option<&UserName>,
        has_form: bool,
        next: Option<&LocalPath>,
    ) -> Self {
        let mine = viewer == Some(&server.user);
        let open_url = links.server(server);
        Self {
            label: label(server, mine),
            mine,
            start_url: links.spawn(server, next),
            has_form,
            stop_url: links.stop(server),
            pending_url: links.spawn_pending(server, next),
            next_url: next.unwrap_or(&open_url).clone(),
            open_url,
        }
    }
}

/// A server at the beginning of a sentence, for somebody whose own it is or not.
pub(crate) fn label(server: &ServerId, mine: bool) -> String {
    match (mine, server.server.is_default()) {
        (true, true) => "Your server".to_owned(),
        (true, false) => format!("Your server “{}”", server.server),
        (false, true) => format!("The server of {}", server.user),
        (false, false) => format!("The server “{}” of {}", server.server, server.user),
    }
}

impl ServerState {
    /// Whether it is on its way somewhere else.
    pub(crate) fn is_passing(self) -> bool {
        !matches!(self, Self::Stopped | Self::Running)
    }

    /// The word for it in templates.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Checking => "checking",
        }
    }

    /// The word for it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Checking => "Checking",
        }
    }
}

impl From<Place> for ServerState {
    fn from(place: Place) -> Self {
        match place {
            Place::Stopped => Self::Stopped,
            Place::Starting => Self::Starting,
            Place::Ready => Self::Running,
            Place::Stopping => Self::Stopping,
            Place::Checking => Self::Checking,
        }
    }
}

impl LoginView {
    /// An empty form that leads on to `next`.
    pub(crate) fn new(links: &Links, next: Option<&LocalPath>) -> Self {
        Self {
            action: links.login(next),
            username: String::new(),
            error: None,
            wait_seconds: None,
            signup_url: None,
            provider: None,
        }
    }
}

impl ErrorView {
    /// The page of a status, in its own words.
    pub(crate) fn new(status: StatusCode) -> Self {
        Self {
            status: status.as_u16(),
            reason: status.canonical_reason().unwrap_or("Error"),
            message: None,
            reference: None,
            retry_url: None,
        }
    }

    /// The page of a status with a sentence of its own.
    pub(crate) fn with_message(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::new(status)
        }
    }
}

/// Which template lays out which view.
macro_rules! views {
    ($($view:ty => $template:literal,)*) => {
        $(impl View for $view {
            const TEMPLATE: &'static str = $template;
        })*
    };
}
views! {
    LoginView => "login.html",
    SignupView => "signup.html",
    PasswordView => "password.html",
    SignupsView => "signups.html",
    HomeView => "home.html",
    SpawnView => "spawn.html",
    NotRunningView => "not_running.html",
    PendingView => "spawn_pending.html",
    WaitingView => "waiting.html",
    FailedView => "failed.html",
    ErrorView => "error.html",
    OAuthView => "oauth.html",
    TokenView => "token.html",
    LeaveView => "leave.html",
}

#[cfg(test)]
mod tests {
    use spawner_core::ServerName;

    use super::super::samples::links;
    use super::*;

    #[test]
    fn a_server_has_a_name_that_a_person_says() {
        let links = links();
        let alice = UserName::new("alice").unwrap();
        for (user, name, label) in [
            ("alice", "", "Your server"),
            ("alice", "proj", "Your server “proj”"),
            ("bob", "", "The server of bob"),
            ("bob", "proj", "The server “proj” of bob"),
        ] {
            let server =
                ServerId::new(UserName::new(user).unwrap(), ServerName::new(name).unwrap());
            let card = ServerCard::new(&links, &server, Some(&alice), false, None);
            assert_eq!(card.label, label);
            assert_eq!(card.next_url, card.open_url);
        }
    }

    #[test]
    fn next_is_kept_all_the_way() {
        let links = links();
        let alice = UserName::new("alice").unwrap();
        let next = LocalPath::root("/user/alice/lab?x=1").unwrap();
        let server = ServerId::default_of(alice.clone());
        let card = ServerCard::new(&links, &server, Some(&alice), true, Some(&next));
        assert_eq!(card.next_url, next);
        for url in [&card.start_url, &card.pending_url] {
            assert!(
                url.as_str()
                    .ends_with("?next=%2Fuser%2Falice%2Flab%3Fx%3D1")
            );
        }
    }
}
