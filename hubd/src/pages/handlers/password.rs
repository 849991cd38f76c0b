//! `/hub/password`: somebody changes their own password.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use spawner_core::Secret;

use super::super::views::PasswordView;
use super::form;
use super::instead::{Instead, sentence};
use super::login::{take, welcome};
use super::visit::Visit;
use crate::auth::login::LoginError;
use crate::auth::password::PasswordError;

pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    visit.expect_member()?;
    expect_passwords(&visit)?;
    visit.page(StatusCode::OK, &view(&visit))
}

pub(super) async fn submit(visit: Visit, body: Body) -> Result<Response, Instead> {
    let mut form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let member = visit.expect_member()?;
    expect_passwords(&visit)?;
    let mut field = |name| Secret::new(take(&mut form, name));
    let (old, new, again) = (field("password"), field("new"), field("again"));
    let refused = |status, error: &str| {
        let error = Some(sentence(error));
        visit.page(
            status,
            &PasswordView {
                error,
                ..view(&visit)
            },
        )
    };
    if new != again {
        return refused(StatusCode::BAD_REQUEST, "The two new passwords differ.");
    }
    let (gate, ip) = (&visit.app().gate, visit.client().ip);
    match gate.change_password(member.user, old, new, ip).await {
        Ok(login) => Ok(welcome(&visit, &login, Some(visit.links().home()))),
        Err(LoginError::Wrong) => refused(
            StatusCode::FORBIDDEN,
            "The old password is not the right one.",
        ),
        Err(LoginError::TooEarly(early)) => {
            let error = format!("Too many attempts failed. Wait {} s", early.seconds());
            let page = refused(StatusCode::TOO_MANY_REQUESTS, &error)?;
            Ok(([(RETRY_AFTER, early.seconds().to_string())], page).into_response())
        }
        Err(LoginError::Password(error @ PasswordError::Rule(_))) => {
            refused(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Err(LoginError::Password(PasswordError::Busy(busy))) => {
            let message = sentence(&busy.to_string());
            Err(Instead::busy(StatusCode::SERVICE_UNAVAILABLE, message, 5))
        }
        Err(LoginError::Store(error)) => Err(error.into()),
        Err(error) => Err(Instead::fault(&error)),
    }
}

/// Where others keep the passwords there is no such page.
fn expect_passwords(visit: &Visit) -> Result<(), Instead> {
    if visit.app().gate.has_passwords() {
        Ok(())
    } else {
        Err(Instead::status(StatusCode::NOT_FOUND))
    }
}

fn view(visit: &Visit) -> PasswordView {
    PasswordView {
        action: visit.links().password(),
        error: None,
        minimum_length: visit.app().directory.password_rules().minimum_length,
    }
}
