//! One request of a page: who asks, where they want to go, and how their page is made.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::response::{Html, IntoResponse, Response};
use cookie::Cookie;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use spawner_core::FormData;
use url::form_urlencoded;

use super::super::links::Links;
use super::super::state::PagesState;
use super::super::views::{Chrome, View, Viewer};
use super::instead::Instead;
use crate::app::{App, AppState, client_of};
use crate::auth::caller::{Caller, Proof};
use crate::auth::cookies;
use crate::auth::local_path::LocalPath;
use crate::auth::xsrf::need::{Door, Fetch};
use crate::people::By;
use crate::proxy::{ClientInfo, Scheme};
use crate::scopes::{ScopeName, Target};
use crate::store::User;
use crate::store::audit::{Action, Actor, Entry};

/// A request of a page.
pub(super) struct Visit {
    state: PagesState,
    pub(super) parts: Parts,
    caller: Option<Caller>,
}

/// Somebody who is logged in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'v> {
    pub(super) caller: &'v Caller,
    pub(super) user: &'v Arc<User>,
}

/// By the login cookie alone: a page is something that a person looks at.
impl FromRequestParts<PagesState> for Visit {
    type Rejection = Instead;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &PagesState,
    ) -> Result<Self, Self::Rejection> {
        let caller = state.app.visitor(&parts.headers)?;
        let caller = state.app.as_the_proxy_says(caller, parts);
        Ok(Self::new(state.clone(), parts.clone(), caller))
    }
}

impl Visit {
    /// A visit of whoever was found to make the request.
    pub(super) fn new(state: PagesState, parts: Parts, caller: Option<Caller>) -> Self {
        Self {
            state,
            parts,
            caller,
        }
    }

    pub(super) fn app(&self) -> &App {
        &self.state.app
    }

    /// What the audit log is to say of something that a member does here.
    pub(super) fn entry(&self, member: Member<'_>, action: Action) -> Entry {
        Entry::new(self.actor(member), action)
    }

    /// Who changes something that the rules of `people` are about.
    pub(super) fn by<'v>(&self, member: Member<'v>) -> By<'v> {
        By {
            caller: member.caller,
            actor: self.actor(member),
        }
    }

    /// How the audit log names a member who asks.
    pub(super) fn actor(&self, member: Member<'_>) -> Actor {
        member.caller.actor(self.client().ip)
    }

    /// The app, for what outlives the request.
    pub(super) fn shared_app(&self) -> AppState {
        AppState::clone(&self.state.app)
    }

    pub(super) fn links(&self) -> &Links {
        &self.state.links
    }

    /// Who asks, person or program.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Who is logged in, if anybody.
    pub(super) fn member(&self) -> Option<Member<'_>> {
        let caller = self.caller.as_ref()?;
        let user = caller.user()?;
        Some(Member { caller, user })
    }

    /// Who is logged in; anybody else logs in first and comes back here.
    pub(super) fn expect_member(&self) -> Result<Member<'_>, Instead> {
        self.member().ok_or_else(|| self.log_in_first())
    }

    /// The way to the login page and back. What was posted cannot come back, so that is refused.
    pub(super) fn log_in_first(&self) -> Instead {
        if self.parts.method.is_safe() {
            Instead::LogIn(self.links().login(self.here().as_ref()))
        } else {
            Instead::error(StatusCode::FORBIDDEN, "Sign in first, then try again.")
        }
    }

    /// Refuses a GET with consequences to those who do not mean it: a `HEAD`, and a browser that
    /// loads what might be visited next.
    pub(super) fn expect_intent(&self) -> Result<(), Instead> {
        let purpose = self.parts.headers.get_all("sec-purpose").iter();
        let ahead = purpose.into_iter().any(|purpose| {
            let purpose = purpose.to_str().unwrap_or_default();
            purpose.to_ascii_lowercase().contains("prefetch")
        });
        if ahead || self.parts.method == Method::HEAD {
            let message = "This page does something when it is opened, so it is not opened ahead.";
            return Err(Instead::error(StatusCode::FORBIDDEN, message));
        }
        Ok(())
    }

    /// Checks that a form comes from one of our pages.
    pub(super) fn check_xsrf(&self, form: &FormData) -> Result<(), Instead> {
        let (app, caller) = (self.app(), self.caller());
        app.check_xsrf(&self.parts, Door::Page, caller, form.first("_xsrf"))?;
        Ok(())
    }

    /// Who makes the request, as the proxy found out.
    pub(super) fn client(&self) -> ClientInfo {
        client_of(&self.parts)
    }

    /// The first value of a field of the query.
    pub(super) fn query(&self, field: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let mut fields = form_urlencoded::parse(query.as_bytes());
        fields
            .find(|(name, _)| name == field)
            .map(|(_, value)| value.into_owned())
    }

    /// Where the visitor wants to go in the end (`next`), if that is somewhere here.
    pub(super) fn next(&self) -> Option<LocalPath> {
        self.local(&self.query("next")?)
    }

    /// The address of this request, with its query.
    pub(super) fn here(&self) -> Option<LocalPath> {
        let original = self.parts.extensions.get::<OriginalUri>();
        let uri = original.map_or(&self.parts.uri, |original| &original.0);
        self.local(uri.path_and_query()?.as_str())
    }

    /// A path that came from outside, if it is one of this hub.
    pub(super) fn local(&self, path: &str) -> Option<LocalPath> {
        match LocalPath::parse(path, &self.client().host, &self.app().base_url) {
            Ok(path) => Some(path),
            Err(reason) => {
                tracing::debug!(%reason, "a path is not followed");
                None
            }
        }
    }

    /// Renders a page, with the token for its forms.
    pub(super) fn page<V: View>(&self, status: StatusCode, view: &V) -> Result<Response, Instead> {
        let token = self.app().xsrf_token(&self.parts, self.caller());
        let viewer = self.member().map(|member| Viewer {
            name: member.user.name.to_string(),
            admin: self.app().directory.is_admin(member.user),
            manages: manages(member.caller),
        });
        let gate = &self.app().gate;
        let admin = viewer.as_ref().is_some_and(|viewer| viewer.admin);
        let own_password = viewer.is_some() && gate.has_passwords();
        let chrome = Chrome {
            password_url: own_password.then(|| self.links().password()),
            signups_url: (admin && gate.takes_signups()).then(|| self.links().signups()),
            ..Chrome::new(self.links(), viewer, token.as_str())
        };
        let html = self.state.templates.render(&chrome, view)?;
        let reply = (status, Html(html)).into_response();
        Ok(self.with_cookies(reply, Some(&token)))
    }

    /// Adds the cookies that the browser should have by now: the one of its session, and the XSRF
    /// token of the page that it gets.
    ///
    /// Only where somebody goes to a page. What a script fetches sets no cookie, or a tab that was
    /// left open would bring back what logging out has just cleared.
    pub(super) fn with_cookies(&self, mut reply: Response, token: Option<&str>) -> Response {
        let by_token = self
            .caller()
            .is_some_and(|caller| !matches!(caller.proof, Proof::Session(_)));
        if by_token || !Fetch::of(&self.parts.headers).is_navigation() {
            return reply;
        }
        let (cookies, secure) = (&self.app().cookies, self.is_secure());
        if let Some(id) = self.caller().and_then(Caller::session_id)
            && !self.has_cookie(cookies::SESSION_ID, id)
        {
            set_cookie(&mut reply, &cookies.session(id, secure));
        }
        if let Some(token) = token {
            // One for nobody in particular lasts an hour from the last page on.
            let anonymous = self.caller().is_none();
            if anonymous || !self.has_cookie(cookies::XSRF, token) {
                set_cookie(&mut reply, &cookies.xsrf(token, anonymous, secure));
            }
        }
        reply
    }

    /// Whether the browser came by https.
    pub(super) fn is_secure(&self) -> bool {
        self.client().scheme == Scheme::Https
    }

    fn has_cookie(&self, name: &str, value: &str) -> bool {
        cookies::values(&self.parts.headers, name).is_ok_and(|values| values.contains(&value))
    }
}

/// Whether the admin page is theirs.
pub(super) fn manages(caller: &Caller) -> bool {
    let ui = caller.rights.allows(ScopeName::AdminUi, Target::Everything);
    ui.is_yes()
}

/// Adds a cookie to a reply.
pub(super) fn set_cookie(reply: &mut Response, cookie: &Cookie<'_>) {
    // Ours are digits and letters of one alphabet or another.
    let value = HeaderValue::from_str(&cookie.to_string()).expect("a cookie is printable ASCII");
    reply.headers_mut().append(SET_COOKIE, value);
}
