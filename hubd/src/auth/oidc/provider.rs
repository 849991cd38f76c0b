//! The provider: what is known of it, where it sends people, and what it says of those who come back.
//!
//! What it says of itself (the discovery document, its keys) is fetched when somebody needs it, by one
//! request for all who wait, and kept for an hour. A token that is signed with a key that is not among
//! them makes it be fetched once more. That it cannot be had is remembered for a few seconds, so that
//! a provider in trouble is not asked again by everybody who comes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
    CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRequestTokenError,
    CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    ConfigurationError, CsrfToken, DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse as _,
};
use spawner_core::Secret;
use tokio::time::Instant;
use url::Url;

use super::super::turns::{Busy, Turns};
use super::attempt::Attempt;
use super::claims::{self, ClaimFault, Claims, Person};
use super::web::{Web, WebError};
use crate::config::OidcTable;
use crate::store::Identity;

/// How long what the provider says of itself is kept.
const KEPT: Duration = Duration::from_hours(1);
/// How long it is left alone after it could not be asked.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// How many codes are exchanged at once. Who sends a code has proved nothing yet.
const EXCHANGES: usize = 16;
/// The longest subject, in bytes; the standard has 255.
const SUBJECT_MAX: usize = 1024;
/// The longest text of a provider that is shown or logged, in characters.
const SHOWN_MAX: usize = 200;

/// The signatures that count: those with a key of which the provider has one half for itself. One
/// made with a secret that both sides know, or none, is not looked at.
const SIGNATURES: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A client of the library that knows where to send people and perhaps where to exchange codes.
type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A look at what the provider says of itself, under way or done, and when it was done.
type Look = Shared<BoxFuture<'static, (Result<Arc<Known>, Arc<Trouble>>, Instant)>>;

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    table: OidcTable,
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: Secret,
    web: Arc<Web>,
    last: Mutex<Option<Look>>,
    turns: Turns,
}

/// What a provider says of itself.
type Known = CoreProviderMetadata;

/// Why nobody is logged in. The sentences are for who wanted to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    #[error(transparent)]
    Busy(#[from] Busy),
    /// It may work in a minute.
    #[error(
        "the login page of the provider cannot be reached at the moment: try again in a minute"
    )]
    Away(#[source] Arc<Trouble>),
    #[error("it cannot be told where this hub is: ask the administrator to set `public_url`")]
    Nowhere,
    #[error("this login was not begun in this browser, or too long ago: begin again")]
    NotBegun,
    #[error("this login was used already: begin again")]
    Used,
    #[error("the provider has not let you in: {0}")]
    Refused(String),
    #[error("the provider does not know this login any more: begin again")]
    BadCode(#[source] Box<Trouble>),
    #[error("what the provider says about you cannot be trusted: ask the administrator")]
    NotTrusted(#[from] NotTrusted),
    #[error(transparent)]
    Claims(#[from] ClaimFault),
}

/// What is wrong with what a provider says of somebody, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTrusted {
    #[error("its token is refused")]
    Token(#[from] ClaimsVerificationError),
    #[error("it sent no ID token")]
    NoToken,
    #[error("it gives no usable subject")]
    Subject,
    #[error("it tells about somebody else than its token")]
    SomebodyElse,
}

/// Why a provider cannot be asked, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("what it says of itself cannot be had")]
    Discovery(#[source] DiscoveryError<WebError>),
    #[error("it does not say what its {0} is")]
    Missing(&'static str),
    #[error("its {0} is not reached by https")]
    NotSecure(&'static str),
    #[error("the client is not set up")]
    Client(#[source] ConfigurationError),
    #[error("it has not exchanged a code")]
    Exchange(#[source] CoreRequestTokenError<WebError>),
    #[error("it has refused to exchange a code: {0}")]
    Answer(String),
    #[error("it does not tell about somebody")]
    UserInfo(#[source] WebError),
    #[error("it does not tell about somebody: it answered {0}")]
    UserInfoStatus(StatusCode),
    #[error("what it tells about somebody is not JSON")]
    UserInfoText(#[source] serde_json::Error),
}

impl Provider {
    /// The one of the configuration; `None` if that leaves something out.
    pub(crate) fn new(table: &OidcTable) -> Option<Self> {
        let issuer = IssuerUrl::new(table.issuer.clone()?).ok()?;
        let plain = issuer.url().scheme() == "http";
        Some(Self {
            client_id: ClientId::new(table.client_id.clone()?),
            client_secret: table.client_secret.clone()?,
            web: Arc::new(Web::new(table.timeout, plain)),
            last: Mutex::default(),
            turns: Turns::new(EXCHANGES),
            table: table.clone(),
            issuer,
        })
    }

    /// What people call it.
    pub(crate) fn name(&self) -> String {
        let host = || self.issuer.url().host_str().unwrap_or_default().to_owned();
        self.table.login_service.clone().unwrap_or_else(host)
    }

    /// Whether people can be sent there.
    pub(crate) async fn probe(&self) -> Result<(), Arc<Trouble>> {
        self.known(None).await.map(drop)
    }

    /// Where to send somebody, who comes back to `redirect_uri`.
    pub(crate) async fn begin(
        &self,
        attempt: &Attempt,
        redirect_uri: String,
    ) -> Result<Url, OidcError> {
        let known = self.known(None).await.map_err(OidcError::Away)?;
        let verifier = PkceCodeVerifier::new(attempt.verifier().expose().to_owned());
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let scopes = self.table.scope.iter().filter(|scope| *scope != "openid");
        let client = self.client(&known, redirect_uri)?;
        let asked = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            .add_scopes(scopes.cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        Ok(asked.url().0)
    }

    /// Who has come back from there with this code.
    pub(crate) async fn finish(
        &self,
        attempt: &Attempt,
        code: String,
        redirect_uri: String,
    ) -> Result<Person, OidcError> {
        let _turn = self.turns.take().await?;
        let known = self.known(None).await.map_err(OidcError::Away)?;
        let answer = self.exchange(&known, attempt, code, redirect_uri).await?;
        let token = answer.id_token().ok_or(NotTrusted::NoToken)?;
        let nonce = Nonce::new(attempt.nonce());
        let mut verified = self.verify(&known, token, &nonce);
        if matches!(
            verified,
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey
            ))
        ) {
            // It may have a new one.
            let known = self.known(Some(&known)).await.map_err(OidcError::Away)?;
            verified = self.verify(&known, token, &nonce);
        }
        let subject = verified.map_err(NotTrusted::Token)?;
        if subject.is_empty() || subject.len() > SUBJECT_MAX {
            return Err(NotTrusted::Subject.into());
        }
        let signed = signed_claims(token).ok_or(NotTrusted::NoToken)?;
        let told = if claims::wants_more(&self.table, &signed) {
            self.ask_about(&known, answer.access_token(), &subject)
                .await?
        } else {
            Claims::new()
        };
        let (name, groups) = claims::read(&self.table, &signed, &told)?;
        Ok(Person {
            identity: Identity {
                issuer: self.issuer.as_str().to_owned(),
                subject,
            },
            name,
            groups,
        })
    }

    /// Who is meant by an ID token that is for us, for this attempt, and still good.
    fn verify(
        &self,
        known: &Known,
        token: &CoreIdToken,
        nonce: &Nonce,
    ) -> Result<String, ClaimsVerificationError> {
        let (client, issuer) = (self.client_id.clone(), self.issuer.clone());
        let keys = known.jwks().clone();
        // That of a public client knows no secret, and so no signature that is made with one.
        let verifier = CoreIdTokenVerifier::new_public_client(client, issuer, keys)
            .set_allowed_algs(SIGNATURES);
        let claims = token.claims(&verifier, nonce)?;
        Ok(claims.subject().as_str().to_owned())
    }

    async fn exchange(
        &self,
        known: &Known,
        attempt: &Attempt,
        code: String,
        redirect_uri: String,
    ) -> Result<CoreTokenResponse, OidcError> {
        let away = |trouble| OidcError::Away(Arc::new(trouble));
        let client = self.client(known, redirect_uri)?;
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| away(Trouble::Client(error)))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier().expose().into()));
        let answered = exchange.request_async(&*self.web).await;
        answered.map_err(|error| match error {
            RequestTokenError::ServerResponse(answer) => {
                let trouble = Trouble::Answer(shown(&answer.to_string()));
                match answer.error() {
                    CoreErrorResponseType::InvalidGrant => OidcError::BadCode(Box::new(trouble)),
                    _ => away(trouble),
                }
            }
            error => away(Trouble::Exchange(error)),
        })
    }

    /// What the provider tells about the subject of a token beside what it has signed.
    async fn ask_about(
        &self,
        known: &Known,
        token: &AccessToken,
        subject: &str,
    ) -> Result<Claims, OidcError> {
        let away = |trouble| OidcError::Away(Arc::new(trouble));
        let Some(url) = known.userinfo_endpoint() else {
            return Ok(Claims::new());
        };
        let request = http::Request::get(url.as_str())
            .header(AUTHORIZATION, format!("Bearer {}", token.secret()))
            .header(ACCEPT, "application/json")
            .body(Vec::new());
        // An access token can hold anything.
        let request = request.map_err(|_| NotTrusted::NoToken)?;
        let answer = self.web.ask(request).await;
        let answer = answer.map_err(|error| away(Trouble::UserInfo(error)))?;
        if answer.status() != StatusCode::OK {
            return Err(away(Trouble::UserInfoStatus(answer.status())));
        }
        let told: Claims = serde_json::from_slice(answer.body())
            .map_err(|error| away(Trouble::UserInfoText(error)))?;
        if told.get("sub").and_then(|sub| sub.as_str()) != Some(subject) {
            return Err(NotTrusted::SomebodyElse.into());
        }
        Ok(told)
    }

    fn client(&self, known: &Known, redirect_uri: String) -> Result<Client, OidcError> {
        let redirect_uri = RedirectUrl::new(redirect_uri).map_err(|_| OidcError::Nowhere)?;
        let secret = ClientSecret::new(self.client_secret.expose().to_owned());
        let client =
            CoreClient::from_provider_metadata(known.clone(), self.client_id.clone(), Some(secret));
        Ok(client
            .set_auth_type(auth_type(known))
            .set_redirect_uri(redirect_uri))
    }

    /// What the provider says of itself: `but` something else than this, which was not enough.
    async fn known(&self, but: Option<&Arc<Known>>) -> Result<Arc<Known>, Arc<Trouble>> {
        let (known, _) = self.look(but).await;
        known
    }

    /// The look that is under way or was good, else a new one.
    fn look(&self, but: Option<&Arc<Known>>) -> Look {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let serves = |look: &&Look| match look.peek() {
            None => true,
            Some((Ok(known), done)) => {
                now < *done + KEPT && !but.is_some_and(|but| Arc::ptr_eq(but, known))
            }
            Some((Err(_), done)) => now < *done + LEFT_ALONE,
        };
        if let Some(look) = last.as_ref().filter(serves) {
            return look.clone();
        }
        let (issuer, web) = (self.issuer.clone(), Arc::clone(&self.web));
        let look = async move {
            let known = discover(issuer, &web).await;
            (known.map(Arc::new).map_err(Arc::new), Instant::now())
        };
        let look = look.boxed().shared();
        *last = Some(look.clone());
        look
    }
}

/// Fetches what a provider says of itself.
async fn discover(issuer: IssuerUrl, web: &Web) -> Result<Known, Trouble> {
    let plain = issuer.url().scheme() == "http";
    let known = Known::discover_async(issuer, web).await;
    let known = known.map_err(Trouble::Discovery)?;
    let token = known
        .token_endpoint()
        .ok_or(Trouble::Missing("token endpoint"))?;
    let mut endpoints = vec![
        (
            "authorization endpoint",
            known.authorization_endpoint().url(),
        ),
        ("token endpoint", token.url()),
    ];
    endpoints.extend(
        known
            .userinfo_endpoint()
            .map(|url| ("userinfo endpoint", url.url())),
    );
    for (what, url) in endpoints {
        if url.scheme() != "https" && !(plain && url.scheme() == "http") {
            return Err(Trouble::NotSecure(what));
        }
    }
    Ok(known)
}

/// How the client proves who it is: as the standard has it, unless the provider takes only the other.
fn auth_type(known: &Known) -> AuthType {
    let methods = known.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
    if takes(CoreClientAuthMethod::ClientSecretPost)
        && !takes(CoreClientAuthMethod::ClientSecretBasic)
    {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// What a token says that has been verified.
fn signed_claims(token: &CoreIdToken) -> Option<Claims> {
    let text = token.to_string();
    let payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// A text of somebody else, fit to be shown: not long, and nothing in it that moves a cursor.
pub(crate) fn shown(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = visible.clone().take(SHOWN_MAX).collect();
    if visible.count() > SHOWN_MAX {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// A provider that can be broken, and how often it was asked about itself.
    struct Pretend {
        provider: Provider,
        is_up: Arc<AtomicBool>,
        asked: Arc<AtomicUsize>,
        _serving: JoinSet<()>,
    }

    impl Pretend {
        async fn new() -> Self {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let issuer = format!("http://{}", listener.local_addr().unwrap());
            let (is_up, asked) = (Arc::new(AtomicBool::new(true)), Arc::default());
            let mut serving = JoinSet::new();
            serving.spawn(serve(
                listener,
                issuer.clone(),
                Arc::clone(&is_up),
                Arc::clone(&asked),
            ));
            let table = OidcTable {
                issuer: Some(issuer),
                client_id: Some("hubd".to_owned()),
                client_secret: Some(Secret::new("secret")),
                ..OidcTable::default()
            };
            Self {
                provider: Provider::new(&table).unwrap(),
                is_up,
                asked,
                _serving: serving,
            }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    async fn serve(
        listener: TcpListener,
        issuer: String,
        is_up: Arc<AtomicBool>,
        asked: Arc<AtomicUsize>,
    ) {
        let document = json!({
            "issuer": issuer, "authorization_endpoint": issuer, "token_endpoint": issuer,
            "jwks_uri": format!("{issuer}/keys"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "keys": [],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
        .to_string();
        while let Ok((mut stream, _)) = listener.accept().await {
            // A request comes in one piece.
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap_or_default();
            if request[..length].starts_with(b"GET /.well-known") {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            let status = if is_up.load(Ordering::SeqCst) {
                "200 OK"
            } else {
                "500 No"
            };
            let length = document.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{document}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }

    /// Lets time pass while nothing goes on: the clock that stands still would run ahead of answers.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn all_who_wait_ask_once_and_the_answer_is_kept() {
        let pretend = Pretend::new().await;
        let known = || pretend.provider.known(None);
        let (first, second, third) = tokio::join!(known(), known(), known());
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert_eq!(pretend.asked(), 1);
        pass(KEPT.saturating_sub(Duration::from_secs(10))).await;
        let kept = known().await.unwrap();
        assert_eq!(pretend.asked(), 1);
        // Who has found it wanting gets another one, and the others the same.
        let newer = pretend.provider.known(Some(&kept)).await.unwrap();
        assert!(!Arc::ptr_eq(&newer, &kept) && pretend.asked() == 2);
        let again = pretend.provider.known(Some(&kept)).await.unwrap();
        assert!(Arc::ptr_eq(&newer, &again) && pretend.asked() == 2);
        pass(KEPT).await;
        known().await.unwrap();
        assert_eq!(pretend.asked(), 3);
    }

    #[tokio::test]
    async fn one_in_trouble_is_left_alone_for_a_while() {
        let pretend = Pretend::new().await;
        pretend.is_up.store(false, Ordering::SeqCst);
        for _ in 0..3 {
            let away = pretend.provider.probe().await;
            assert!(matches!(*away.unwrap_err(), Trouble::Discovery(_)));
        }
        assert_eq!(pretend.asked(), 1);
        pretend.is_up.store(true, Ordering::SeqCst);
        assert!(pretend.provider.probe().await.is_err());
        pass(LEFT_ALONE).await;
        pretend.provider.probe().await.unwrap();
        assert_eq!(pretend.asked(), 2);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_spoils_it_for_nobody() {
        let pretend = Pretend::new().await;
        let mut waiting = Box::pin(pretend.provider.known(None));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        pretend.provider.known(None).await.unwrap();
        assert_eq!(pretend.asked(), 1);
    }

    #[test]
    fn texts_of_others_are_short_and_move_no_cursor() {
        assert_eq!(
            shown("access_denied: no\r\n\x1b[31m"),
            "access_denied: no   [31m"
        );
        assert_eq!(shown(&"ö".repeat(500)).chars().count(), SHOWN_MAX + 3);
    }

    #[test]
    fn a_configuration_that_leaves_something_out_is_none() {
        assert!(Provider::new(&OidcTable::default()).is_none());
    }
}
