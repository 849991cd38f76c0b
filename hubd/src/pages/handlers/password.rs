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

#[cfg(test)]
mod tests {
    use super::super::super::testing::{PASSWORD, Site};

    const NEW: &str = "another sesame";

    fn typed<'a>(old: &'a str, new: &'a str, again: &'a str) -> [(&'static str, &'a str); 3] {
        [("password", old), ("new", new), ("again", again)]
    }

    #[tokio::test]
    async fn a_new_password_ends_every_other_login() {
        let site = Site::with_passwords().await;
        let mut here = site.logged_in("root").await;
        let mut there = site.logged_in("root").await;
        let page = here.get("/hub/password").await;
        assert_eq!(
            (page.status, page.attributes("form", "action")),
            (200, vec!["/hub/password".to_owned()])
        );
        for (old, new, again, status, words) in [
            (PASSWORD, NEW, "other", 400, "The two new passwords differ."),
            (PASSWORD, "short", "short", 400, "at least 8 characters"),
            (
                "wrong",
                NEW,
                NEW,
                403,
                "The old password is not the right one.",
            ),
        ] {
            let reply = here.post("/hub/password", &typed(old, new, again)).await;
            let alert = reply.texts("[role=alert]").join(" ");
            assert_eq!(reply.status, status, "{alert}");
            assert!(alert.contains(words), "{alert}");
        }
        assert_eq!(there.get("/hub/home").await.status, 200);
        let changed = here.post("/hub/password", &typed(PASSWORD, NEW, NEW)).await;
        assert_eq!(changed.leads(), (302, "/hub/home"));
        assert_eq!(
            here.get("/hub/home").await.status,
            200,
            "this browser has a new login"
        );
        assert_eq!(
            there.get("/hub/home").await.status,
            302,
            "the other has none"
        );
        assert_eq!(there.log_in("root", PASSWORD).await.status, 403);
        assert_eq!(there.log_in("root", NEW).await.status, 302);
        let log = site.audit("root").await;
        for entry in [
            "root user.password user root done",
            "root user.password user root refused",
        ] {
            assert!(log.iter().any(|known| known == entry), "{log:?}");
        }
    }

    #[tokio::test]
    async fn nobody_else_changes_it() {
        let site = Site::with_passwords().await;
        let mut stranger = site.browser();
        let login = "/hub/login?next=%2Fhub%2Fpassword";
        assert_eq!(stranger.get("/hub/password").await.leads(), (302, login));
        stranger.get("/hub/login").await;
        let fields = typed(PASSWORD, NEW, NEW);
        assert_eq!(stranger.post("/hub/password", &fields).await.status, 403);
        let mut root = site.logged_in("root").await;
        root.jar.remove("_xsrf");
        assert_eq!(root.post("/hub/password", &fields).await.status, 403);
        assert_eq!(site.browser().log_in("root", PASSWORD).await.status, 302);
        let elsewhere = Site::new().await;
        let mut alice = elsewhere.logged_in("alice").await;
        assert_eq!(alice.get("/hub/password").await.status, 404);
        assert_eq!(alice.post("/hub/password", &fields).await.status, 404);
    }

    #[tokio::test]
    async fn guessing_the_old_one_is_slowed_down() {
        let site = Site::with_passwords().await;
        let mut root = site.logged_in("root").await;
        root.get("/hub/password").await;
        let mut statuses = Vec::new();
        for _ in 0..6 {
            let reply = root.post("/hub/password", &typed("guess", NEW, NEW)).await;
            statuses.push(reply.status);
        }
        assert_eq!(statuses, [403, 403, 403, 403, 403, 429]);
    }
}
