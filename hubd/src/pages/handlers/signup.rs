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

#[cfg(test)]
mod tests {
    use super::super::super::testing::{PASSWORD, Site};

    const WAITS: &str = "Your account has not been approved yet. Ask the administrator.";

    fn typed<'a>(name: &'a str, password: &'a str, again: &'a str) -> [(&'static str, &'a str); 3] {
        [("username", name), ("password", password), ("again", again)]
    }

    #[tokio::test]
    async fn somebody_asks_and_waits() {
        let site = Site::with_passwords().await;
        let mut browser = site.browser();
        let login = browser.get("/hub/login").await;
        assert!(
            login
                .attributes("a", "href")
                .contains(&"/hub/signup".to_owned())
        );
        let page = browser.get("/hub/signup").await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (200, "Ask for an account")
        );
        assert_eq!(page.attributes("form", "action"), ["/hub/signup"]);
        for (name, password, again, words) in [
            ("new", PASSWORD, "other", "The two passwords differ."),
            ("new", "short", "short", "at least 8 characters"),
            ("../new", PASSWORD, PASSWORD, "A name here has letters"),
            ("", PASSWORD, PASSWORD, "A name here has letters"),
        ] {
            let reply = browser
                .post("/hub/signup", &typed(name, password, again))
                .await;
            assert_eq!(reply.status, 400, "{words}");
            let alert = reply.texts("[role=alert]").join(" ");
            assert!(alert.contains(words), "{alert}");
            assert_eq!(reply.attributes("#username_input", "value"), [name]);
        }
        let asked = browser
            .post("/hub/signup", &typed(" New", PASSWORD, PASSWORD))
            .await;
        assert_eq!(asked.status, 202);
        // A stranger does not learn whether a name was free.
        let fields = typed("root", PASSWORD, PASSWORD);
        let taken = browser.post("/hub/signup", &fields).await;
        let words = asked.texts("main p").join(" ").replace("New", "root");
        assert_eq!(
            (taken.status, taken.texts("main p").join(" ")),
            (202, words)
        );
        let waiting = site.app.store.signups().list();
        assert_eq!(
            waiting
                .iter()
                .map(|one| one.name.as_str())
                .collect::<Vec<_>>(),
            ["new"]
        );
        let early = browser.log_in("new", PASSWORD).await;
        assert_eq!(
            (early.status, early.texts("[role=alert]")),
            (403, vec![WAITS.to_owned()])
        );
        assert_eq!(site.audit("new").await, [""; 0], "it is nobody's yet");
    }

    #[tokio::test]
    async fn only_our_own_form_asks_and_only_where_it_is_offered() {
        let site = Site::with_passwords().await;
        let foreign = site
            .browser()
            .post("/hub/signup", &typed("new", PASSWORD, PASSWORD))
            .await;
        assert_eq!(foreign.status, 403);
        assert!(site.app.store.signups().list().is_empty());
        let elsewhere = Site::new().await;
        let mut browser = elsewhere.browser();
        assert_eq!(browser.get("/hub/signup").await.status, 404);
        let asked = browser
            .post("/hub/signup", &typed("new", PASSWORD, PASSWORD))
            .await;
        assert_eq!(asked.status, 404);
    }
}
