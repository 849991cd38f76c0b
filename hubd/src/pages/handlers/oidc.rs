//! `/hub/oauth_login` and `/hub/oauth_callback`: away to a provider, and back with what it says.

use axum::response::{IntoResponse as _, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use spawner_core::{UserName, error_chain};

use super::instead::{Instead, redirect, sentence};
use super::login::welcome;
use super::visit::{Visit, set_cookie};
use crate::auth::authenticator::{Answer, Oidc};
use crate::auth::caller::BadCredentials;
use crate::auth::cookies;
use crate::auth::local_path::LocalPath;
use crate::auth::login::LoginError;
use crate::auth::oidc::OidcError;
use crate::proxy::Scheme;

/// How many seconds a provider that is away is given before somebody tries again.
const RETRY_AFTER: u64 = 10;

/// Away: each time it is opened a new login begins.
pub(super) async fn begin(visit: Visit) -> Result<Response, Instead> {
    let oidc = provider(&visit)?;
    visit.expect_intent()?;
    let (next, here) = (visit.next(), here(&visit));
    let begun = oidc
        .begin(next.as_ref().map(LocalPath::as_str), &here)
        .await;
    let (attempt, url) = begun.map_err(|error| refused(&visit, &error))?;
    let to = HeaderValue::from_str(url.as_str()).map_err(|error| Instead::fault(&error))?;
    let mut reply = (StatusCode::FOUND, [(LOCATION, to)]).into_response();
    let cookies = &visit.app().cookies;
    set_cookie(
        &mut reply,
        &cookies.oidc(attempt.cookie(), visit.is_secure()),
    );
    Ok(reply)
}

/// Back again.
pub(super) async fn come_back(visit: Visit) -> Result<Response, Instead> {
    let oidc = provider(&visit)?;
    visit.expect_intent()?;
    let cookies = cookies::values(&visit.parts.headers, cookies::OIDC);
    let cookies = cookies.map_err(BadCredentials::from)?;
    let state = visit.query("state").unwrap_or_default();
    let attempt = match oidc.resume(&cookies, &state) {
        // Opened a second time where it worked before.
        Err(_) if visit.member().is_some() => {
            return Ok(redirect(StatusCode::FOUND, &visit.links().home()));
        }
        resumed => resumed.map_err(|error| refused(&visit, &error))?,
    };
    let answer = Answer {
        code: visit.query("code"),
        error: visit.query("error"),
        error_description: visit.query("error_description"),
    };
    let finished = oidc.finish(&attempt, answer, &here(&visit)).await;
    let person = finished.map_err(|error| refused(&visit, &error))?;
    // Only what can be a name is written to the log.
    let named = UserName::new(&person.name).ok();
    match visit.app().gate.enter_as(person, visit.client().ip).await {
        Ok(login) => {
            let next = attempt.next().and_then(|next| visit.local(&next));
            let mut reply = welcome(&visit, &login, next);
            let cookies = &visit.app().cookies;
            set_cookie(&mut reply, &cookies.clear_oidc(visit.is_secure()));
            Ok(reply)
        }
        Err(LoginError::Store(error)) => Err(error.into()),
        Err(error) => {
            let (client, user) = (visit.client().ip, named.as_ref().map(UserName::as_str));
            tracing::info!(user, %client, %error, "not logged in");
            let message = sentence(&error.to_string());
            Err(Instead::error(StatusCode::FORBIDDEN, message))
        }
    }
}

/// The provider; on another hub there are no such pages.
fn provider(visit: &Visit) -> Result<&Oidc, Instead> {
    let oidc = visit.app().gate.authenticator().oidc();
    oidc.ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))
}

/// Scheme, host and port under which the browser has found the hub.
fn here(visit: &Visit) -> String {
    let client = visit.client();
    let scheme = match client.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}", client.host)
}

fn refused(visit: &Visit, error: &OidcError) -> Instead {
    if let OidcError::Away(trouble) = error {
        let cause = error_chain(&**trouble);
        tracing::error!(error = cause, "the login provider cannot be used");
    } else {
        let (client, cause) = (visit.client().ip, error_chain(error));
        tracing::info!(%client, error = cause, "not logged in");
    }
    let message = sentence(&error.to_string());
    match error {
        OidcError::Away(_) | OidcError::Busy(_) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let again = visit.links().login(visit.next().as_ref());
            Instead::busy(status, message, RETRY_AFTER).leading_to(again)
        }
        _ => Instead::error(StatusCode::FORBIDDEN, message),
    }
}
