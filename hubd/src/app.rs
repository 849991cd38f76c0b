//! What the edges work with: one of everything that lives as long as the hub.

mod shutdown;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, header};
use jiff::Timestamp;
use spawner_core::UserName;

use crate::auth::caller::{BadCredentials, Caller, Callers, Proof};
use crate::auth::cookies::{self, HubCookies};
use crate::auth::directory::Directory;
use crate::auth::login::Gate;
use crate::auth::tokens::TokenDesk;
use crate::auth::xsrf::need::{Credential, Door, Fetch, needs_check};
use crate::auth::xsrf::{Browser, Xsrf, XsrfError, presented};
use crate::metrics::Metrics;
use crate::oauth::Provider;
use crate::proxy::{ClientInfo, Scheme};
use crate::servers::Servers;
use crate::services::{Culler, Services};
use crate::store::Store;

pub(crate) use self::shutdown::{Shutdown, ShutdownWish};

/// The version that the hub reports: JupyterHub's, whose contract it keeps, and its own. Clients
/// parse it by PEP 440.
pub(crate) const VERSION: &str = concat!("6.1.1+hubd.", env!("CARGO_PKG_VERSION"));

/// Everything that handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) directory: Arc<Directory>,
    pub(crate) callers: Callers,
    pub(crate) gate: Gate,
    pub(crate) tokens: TokenDesk,
    pub(crate) xsrf: Xsrf,
    pub(crate) cookies: HubCookies,
    pub(crate) servers: Servers,
    pub(crate) services: Services,
    pub(crate) culler: Culler,
    pub(crate) oauth: Provider,
    pub(crate) metrics: Metrics,
    /// The public prefix, `/` or `/some/path/`.
    pub(crate) base_url: String,
    /// How long a request waits for a start, and for a stop, before it says "pending".
    pub(crate) slow_spawn_timeout: Duration,
    pub(crate) slow_stop_timeout: Duration,
    pub(crate) about: About,
    pub(crate) shutdown: Shutdown,
}

/// Which of its parts the hub was put together from, as the configuration names them.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) spawner: String,
    pub(crate) authenticator: String,
}

/// The app as the state of a handler.
pub(crate) type AppState = Arc<App>;

/// Why a request is not looked at: a 403, unless it [may pass](NotAdmitted::may_pass) later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error(transparent)]
    Credentials(#[from] BadCredentials),
    #[error(transparent)]
    Xsrf(#[from] XsrfError),
}

impl NotAdmitted {
    /// Whether the same request may be fine in a moment: a 503.
    pub(crate) fn may_pass(self) -> bool {
        matches!(self, Self::Credentials(bad) if bad.may_pass())
    }
}

impl App {
    /// Who makes an API request, by token or cookie, after the XSRF rules of `door`; `None` without
    /// any credential. `field` is what a form or the query says for `_xsrf`.
    pub(crate) fn admit(
        &self,
        parts: &Parts,
        door: Door,
        field: Option<&str>,
    ) -> Result<Option<Caller>, NotAdmitted> {
        let caller = self.callers.identify(&parts.headers)?;
        let caller = self.as_the_proxy_says(caller, parts);
        self.check_xsrf(parts, door, caller.as_ref(), field)?;
        Ok(caller)
    }

    /// Whether an account of that name is not there yet and would hold more by its name than everybody
    /// does: made by anybody but an admin, it would not be theirs whom the configuration means.
    pub(crate) fn is_for_admins_to_make(&self, name: &UserName) -> bool {
        self.directory.gives_rights_to(name) && self.store.users().by_name(name).is_none()
    }

    /// Who looks at a page, by cookie alone.
    pub(crate) fn visitor(&self, headers: &HeaderMap) -> Result<Option<Caller>, BadCredentials> {
        self.callers.by_cookie(headers, Timestamp::now())
    }

    /// Forgets a login in whose place a trusted proxy names somebody else, who has logged in there
    /// meanwhile with the same browser.
    pub(crate) fn as_the_proxy_says(
        &self,
        caller: Option<Caller>,
        parts: &Parts,
    ) -> Option<Caller> {
        let named = parts.extensions.get::<ClientInfo>();
        let Some(named) = named.and_then(|info| info.identity.as_deref()) else {
            return caller;
        };
        let named = self.directory.name_of(named);
        caller.filter(|caller| match (&caller.proof, caller.user()) {
            (Proof::Session(_), Some(user)) => named.as_ref() == Some(&user.name),
            _ => true,
        })
    }

    /// Checks that a request comes from one of the hub's own pages, where the rules ask for it.
    pub(crate) fn check_xsrf(
        &self,
        parts: &Parts,
        door: Door,
        caller: Option<&Caller>,
        field: Option<&str>,
    ) -> Result<(), NotAdmitted> {
        let headers = &parts.headers;
        let credential = caller.map_or(Credential::Nothing, Caller::credential);
        if !needs_check(&parts.method, door, credential, Fetch::of(headers)) {
            return Ok(());
        }
        let cookies = cookies::values(headers, cookies::XSRF).map_err(BadCredentials::from)?;
        let field = field.map(str::to_owned).or_else(|| xsrf_of_query(parts));
        let presented = presented(field.as_deref(), headers);
        self.xsrf
            .check(&browser(caller, parts), &cookies, presented)?;
        Ok(())
    }

    /// The token that pages for this browser carry.
    pub(crate) fn xsrf_token(&self, parts: &Parts, caller: Option<&Caller>) -> String {
        self.xsrf.token(&browser(caller, parts))
    }
}

/// What the proxy found out about who is asking. Every request comes through it; were one not to,
/// it would count as one of this machine.
pub(crate) fn client_of(parts: &Parts) -> ClientInfo {
    parts.extensions.get().cloned().unwrap_or_else(|| {
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        ClientInfo {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            scheme: Scheme::Http,
            host: host.unwrap_or_default().to_owned(),
            identity: None,
        }
    })
}

fn browser<'a>(caller: Option<&'a Caller>, parts: &'a Parts) -> Browser<'a> {
    let login = caller.and_then(|caller| caller.user().zip(caller.session_id()));
    if let Some((user, session)) = login {
        let user = &user.name;
        return Browser::LoggedIn { user, session };
    }
    let user_agent = parts.headers.get(header::USER_AGENT);
    Browser::Anonymous {
        ip: client_of(parts).ip,
        user_agent: user_agent
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default(),
    }
}

fn xsrf_of_query(parts: &Parts) -> Option<String> {
    let query = parts.uri.query()?;
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    fields
        .find(|(name, _)| name == "_xsrf")
        .map(|(_, value)| value.into_owned())
}
