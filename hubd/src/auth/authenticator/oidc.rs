//! People of an OpenID Connect provider.

use jiff::Timestamp;
use url::Url;

use crate::auth::oidc::{Attempt, Attempts, CALLBACK, OidcError, Person, Provider, shown};
use crate::config::Config;
use crate::store::Store;

/// The provider, and the logins that are under way there.
#[derive(Debug)]
pub(crate) struct Oidc {
    provider: Provider,
    attempts: Attempts,
    /// Scheme, host and port of the hub, where browsers cannot be asked.
    origin: Option<String>,
    /// Behind the origin, where the provider sends people back to.
    callback: String,
}

/// What a browser brings back from the provider, unchecked.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) code: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

impl Oidc {
    /// `None` if the configuration leaves something out.
    pub(crate) fn new(config: &Config, store: &Store) -> Option<Self> {
        let hub = &config.hub;
        let origin = hub.public_url.as_ref();
        Some(Self {
            provider: Provider::new(&config.auth.oidc)?,
            attempts: Attempts::new(store.signing_key().as_bytes()),
            origin: origin.map(|url| url.origin().ascii_serialization()),
            callback: format!("{}{CALLBACK}", hub.base_url.as_str()),
        })
    }

    /// What people sign in with.
    pub(crate) fn service(&self) -> String {
        self.provider.name()
    }

    /// Where the provider sends people back to. `here` is where a browser has found the hub, if it is
    /// not known otherwise.
    pub(crate) fn redirect_uri(&self, here: &str) -> String {
        let origin = self.origin.as_deref().unwrap_or(here);
        format!("{origin}{}", self.callback)
    }

    /// Begins a login that leads on to `next`: what the browser keeps, and where it goes.
    pub(crate) async fn begin(
        &self,
        next: Option<&str>,
        here: &str,
    ) -> Result<(Attempt, Url), OidcError> {
        let attempt = self.attempts.begin(next, Timestamp::now());
        let url = self
            .provider
            .begin(&attempt, self.redirect_uri(here))
            .await?;
        Ok((attempt, url))
    }

    /// The login that a browser has begun which has these cookies and comes back with this state.
    pub(crate) fn resume(&self, cookies: &[&str], state: &str) -> Result<Attempt, OidcError> {
        let attempt = self.attempts.resume(cookies, state, Timestamp::now());
        attempt.ok_or(OidcError::NotBegun)
    }

    /// Who has signed in at the provider; once for each login.
    pub(crate) async fn finish(
        &self,
        attempt: &Attempt,
        answer: Answer,
        here: &str,
    ) -> Result<Person, OidcError> {
        if let Some(error) = answer.error {
            let more = answer.error_description.filter(|more| !more.is_empty());
            let text = more.map_or_else(|| error.clone(), |more| format!("{error}: {more}"));
            return Err(OidcError::Refused(shown(&text)));
        }
        let code = answer.code.ok_or(OidcError::NotBegun)?;
        let redirect_uri = self.redirect_uri(here);
        let person = self.provider.finish(attempt, code, redirect_uri).await?;
        if !self.attempts.use_up(attempt, Timestamp::now()) {
            return Err(OidcError::Used);
        }
        Ok(person)
    }
}
