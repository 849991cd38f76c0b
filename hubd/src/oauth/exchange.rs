//! Step 2: the server exchanges the code for the visitor's token.

use jiff::{SignedDuration, Timestamp};
use spawner_core::Secret;
use tokio::time::Instant;

use super::authorize::Provider;
use super::codes::Presented;
use crate::random::new_token;
use crate::store::{Digest, NewToken, Owner, StoreError, TokenKind};

/// How long a visitor's token lasts, in seconds (JupyterHub's `oauth_token_expires_in`).
const LIFETIME: i64 = 1_209_600;

/// The fields of a token request. The secret is read from here only, never from a header.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct TokenForm {
    pub(crate) grant_type: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) code: Option<Secret>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) code_verifier: Option<Secret>,
}

/// The answer to a good one; the edge writes it as JSON.
#[derive(Debug)]
pub(crate) struct TokenReply {
    pub(crate) access_token: Secret,
    /// In seconds.
    pub(crate) expires_in: i64,
    pub(crate) scopes: Vec<String>,
}

/// The answer to any other, in the words of RFC 6749.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// 400 with a code and a description.
    #[error("{error}: {description}")]
    Bad {
        error: &'static str,
        description: &'static str,
    },
    /// 401.
    #[error("invalid_client")]
    Client,
    /// The grant could not be written down: 503.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Provider {
    /// Exchanges a code for a token.
    pub(crate) async fn exchange(&self, form: TokenForm) -> Result<TokenReply, ExchangeError> {
        let bad = |error, description| ExchangeError::Bad { error, description };
        match form.grant_type.as_deref() {
            Some("authorization_code") => {}
            None => return Err(bad("invalid_request", "Request is missing grant type.")),
            Some(_) => return Err(bad("unsupported_grant_type", "Only authorization_code is.")),
        }
        let client = form
            .client_id
            .as_deref()
            .and_then(|id| self.store.clients().find(id));
        let secret = form.client_secret.as_ref().map_or("", Secret::expose);
        let client = client
            .filter(|c| c.secret.matches(secret))
            .ok_or(ExchangeError::Client)?;
        let code = form
            .code
            .as_ref()
            .ok_or(bad("invalid_request", "Missing code parameter."))?;

        let (code, now) = (code.expose(), Instant::now());
        // What can be repaired by asking again is looked at before the code is used up.
        if let Some(grant) = self.codes.look(code, &client.client_id, now) {
            if form
                .redirect_uri
                .as_ref()
                .is_some_and(|uri| *uri != grant.redirect_uri)
            {
                return Err(bad("invalid_request", "Mismatching redirect URI."));
            }
            if let Some(challenge) = &grant.challenge {
                let verifier = form.code_verifier.as_ref();
                let verifier = verifier.ok_or(bad("invalid_request", "Code verifier required."))?;
                if !challenge.is_met_by(verifier.expose()) {
                    return Err(bad("invalid_grant", "The code verifier is wrong."));
                }
            }
        }
        let grant = match self.codes.present(code, &client.client_id, now) {
            Presented::Fresh(grant) if grant.of == client.of => grant,
            Presented::Fresh(_) => {
                return Err(bad(
                    "invalid_grant",
                    "The code was for an earlier server of this name.",
                ));
            }
            Presented::Again(token) => {
                if let Some(token) = token {
                    tracing::warn!(client = client.client_id, "a code was presented twice");
                    self.store.tokens().revoke(token).await?;
                }
                return Err(bad("invalid_grant", "The code was used already."));
            }
            Presented::Unknown => {
                return Err(bad("invalid_grant", "The code is unknown or too old."));
            }
        };
        let (token, now) = (new_token(), Timestamp::now());
        let expires_at = now.saturating_add(SignedDuration::from_secs(LIFETIME));
        let row = NewToken {
            hash: Digest::of(token.expose()),
            kind: TokenKind::Oauth,
            owner: Owner::User(grant.user),
            server: None,
            client_id: Some(grant.client_id),
            scopes: grant.scopes.clone(),
            note: String::new(),
            expires_at: Some(expires_at.unwrap_or(Timestamp::MAX)),
            session_id: Some(grant.session_id).filter(|id| !id.is_empty()),
        };
        let row = match self.store.tokens().create_granted(row, now).await {
            Err(StoreError::Conflict(_)) => {
                return Err(bad("invalid_grant", "The login has ended meanwhile."));
            }
            row => row?,
        };
        self.codes.exchanged(code, row.id);
        Ok(TokenReply {
            access_token: token,
            expires_in: LIFETIME,
            scopes: grant.scopes,
        })
    }
}
