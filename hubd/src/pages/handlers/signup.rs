//! `/hub/signup`: somebody asks for an account. There is such a page only where the configuration
//! says so.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use spawner_core::Secret;

use super::super::views::SignupView;
use super::form;
use super::instead::{Instead, sentence};
use super::login::take;
use super::visit::Visit;
use crate::auth::login::SignupError;
use crate::auth::password::PasswordError;

/// The longest user name that is shown again, in bytes.
const SHOWN_MAX: usize = 255;

pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    expect_offer(&visit)?;
    visit.page(StatusCode::OK, &view(&visit, String::new()))
}

pub(super) async fn submit(visit: Visit, body: Body) -> Result<Response, Instead> {
    expect_offer(&visit)?;
    let mut form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let username = take(&mut form, "username");
    let password = Secret::new(take(&mut form, "password"));
    let again = Secret::new(take(&mut form, "again"));
    let shown = if username.len() <= SHOWN_MAX {
        username.trim().to_owned()
    } else {
        String::new()
    };
    let view = view(&visit, shown);
    let refused = |status, error: String| {
        let error = Some(sentence(&error));
        visit.page(
            status,
            &SignupView {
                error,
                ..view.clone()
            },
        )
    };
    if password != again {
        let error = "The two passwords differ.".to_owned();
        return refused(StatusCode::BAD_REQUEST, error);
    }
    let gate = &visit.app().gate;
    match gate.sign_up(&username, password, visit.client().ip).await {
        Ok(()) => visit.page(StatusCode::ACCEPTED, &SignupView { done: true, ..view }),
        Err(error @ (SignupError::Name | SignupError::Password(PasswordError::Rule(_)))) => {
            refused(StatusCode::BAD_REQUEST, error.to_string())
        }
        Err(SignupError::TooEarly(early)) => {
            let error = format!(
                "Too many sign-ups came from here. Wait {} s",
                early.seconds()
            );
            let page = refused(StatusCode::TOO_MANY_REQUESTS, error)?;
            Ok(([(RETRY_AFTER, early.seconds().to_string())], page).into_response())
        }
        Err(SignupError::Password(PasswordError::Busy(busy))) => {
            let message = sentence(&busy.to_string());
            Err(Instead::busy(StatusCode::SERVICE_UNAVAILABLE, message, 5))
        }
        Err(SignupError::Password(error)) => Err(Instead::fault(&error)),
        Err(SignupError::Store(error)) => Err(error.into()),
        Err(SignupError::NotOffered) => Err(Instead::status(StatusCode::NOT_FOUND)),
    }
}

fn expect_offer(visit: &Visit) -> Result<(), Instead> {
    if visit.app().gate.takes_signups() {
        Ok(())
    } else {
        Err(Instead::status(StatusCode::NOT_FOUND))
    }
}

fn view(visit: &Visit, username: String) -> SignupView {
    SignupView {
        action: visit.links().signup(),
        username,
        error: None,
        minimum_length: visit.app().directory.password_rules().minimum_length,
        done: false,
    }
}
