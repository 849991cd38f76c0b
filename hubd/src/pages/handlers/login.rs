//! `/hub/login`: the form, and what becomes of it.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use spawner_core::{FormData, Secret, ServerId, UserName, error_chain};

use super::super::views::{LoginProvider, LoginView};
use super::form;
use super::instead::{Instead, redirect, sentence};
use super::visit::{Visit, set_cookie};
use crate::auth::authenticator::{Authenticator, Proven};
use crate::auth::local_path::LocalPath;
use crate::auth::login::{Login, LoginError};
use crate::auth::pam::PamError;
use crate::auth::password::PasswordError;
use crate::auth::xsrf::Browser;
use crate::servers::Place;

/// How much of the name of a failed login is written to the log, in bytes.
const LOGGED_MAX: usize = 64;
/// The longest user name that is shown again to be corrected, in bytes.
const SHOWN_MAX: usize = 255;

/// The form, or the way to the provider. Who is logged in already goes on at once.
pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    if let Some(member) = visit.member() {
        let to = visit.next();
        let to = to.unwrap_or_else(|| landing(&visit, &member.user.name));
        return Ok(redirect(StatusCode::FOUND, &to));
    }
    let gate = &visit.app().gate;
    if let Authenticator::Header = gate.authenticator() {
        return by_header(&visit).await;
    }
    visit.page(StatusCode::OK, &empty(&visit, visit.next().as_ref()))
}

/// A login without a form: the proxy in front of us has asked already.
async fn by_header(visit: &Visit) -> Result<Response, Instead> {
    visit.expect_intent()?;
    let client = visit.client();
    let named = client.identity.as_deref();
    let Some(name) = named.and_then(|named| visit.app().directory.name_of(named)) else {
        let named = named.map(shortened);
        tracing::info!(client = %client.ip, named, "no usable name from a trusted proxy");
        let message = "This hub is told who you are by a proxy in front of it, and was not. Open it at \
                       its public address, or ask its administrator.";
        return Err(Instead::error(StatusCode::FORBIDDEN, message));
    };
    let proven = Proven {
        name,
        groups: None,
        identity: None,
    };
    match visit.app().gate.enter(&proven, client.ip).await {
        Ok(login) => Ok(welcome(visit, &login, visit.next())),
        Err(LoginError::Store(error)) => Err(error.into()),
        Err(error) => {
            let user = shortened(proven.name.as_str());
            tracing::info!(user, client = %client.ip, %error, "not logged in");
            let message = sentence(&error.to_string());
            Err(Instead::error(StatusCode::FORBIDDEN, message))
        }
    }
}

/// The form with nothing in it.
fn empty(visit: &Visit, next: Option<&LocalPath>) -> LoginView {
    let gate = &visit.app().gate;
    let (signup, oidc) = (gate.takes_signups(), gate.authenticator().oidc());
    LoginView {
        provider: oidc.map(|oidc| LoginProvider {
            login_service: oidc.service(),
            url: visit.links().oauth_login(next),
        }),
        signup_url: signup.then(|| visit.links().signup()),
        ..LoginView::new(visit.links(), next)
    }
}

/// Name and password.
pub(super) async fn submit(visit: Visit, body: Body) -> Result<Response, Instead> {
    let mut form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    if !visit.app().gate.authenticator().has_form() {
        return Err(Instead::status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let username = take(&mut form, "username");
    let password = Secret::new(take(&mut form, "password"));
    let client = visit.client().ip;
    let next = visit.next();
    let gate = &visit.app().gate;
    match gate.log_in(&username, password, client).await {
        Ok(login) => Ok(welcome(&visit, &login, next)),
        Err(error) => {
            // Only what can be a name is written to the log, and not all of a long one.
            let user = UserName::new(&username).ok();
            let user = user.as_ref().map(|user| shortened(user.as_str()));
            tracing::info!(user, %client, %error, "not logged in");
            refused(&visit, error, username, next.as_ref())
        }
    }
}

/// As much of a name as tells whose it may be.
fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(LOGGED_MAX)]
}

/// The reply to a login: its cookies, and the way on.
pub(super) fn welcome(visit: &Visit, login: &Login, next: Option<LocalPath>) -> Response {
    let (app, secure) = (visit.app(), visit.is_secure());
    let to = next.unwrap_or_else(|| landing(visit, &login.user.name));
    let mut reply = redirect(StatusCode::FOUND, &to);
    let token = app.xsrf.token(&Browser::LoggedIn {
        user: &login.user.name,
        session: &login.session_id,
    });
    for cookie in [
        app.cookies.login(login.cookie.expose(), secure),
        app.cookies.session(&login.session_id, secure),
        app.cookies.xsrf(&token, false, secure),
    ] {
        set_cookie(&mut reply, &cookie);
    }
    reply
}

/// Where somebody goes who wants to go nowhere in particular: their server if it runs, else home.
fn landing(visit: &Visit, user: &UserName) -> LocalPath {
    let server = ServerId::default_of(user.clone());
    match visit.app().servers.look(&server).place {
        Place::Ready => visit.links().server(&server),
        _ => visit.links().home(),
    }
}

/// The form again, with what was wrong.
pub(super) fn refused(
    visit: &Visit,
    error: LoginError,
    username: String,
    next: Option<&LocalPath>,
) -> Result<Response, Instead> {
    let view = LoginView {
        username: Some(username)
            .filter(|name| name.len() <= SHOWN_MAX)
            .unwrap_or_default(),
        ..empty(visit, next)
    };
    match error {
        LoginError::TooEarly(early) => {
            let seconds = early.seconds();
            let wait_seconds = Some(seconds);
            let view = LoginView {
                wait_seconds,
                ..view
            };
            let page = visit.page(StatusCode::TOO_MANY_REQUESTS, &view)?;
            Ok(([(RETRY_AFTER, seconds.to_string())], page).into_response())
        }
        LoginError::Password(PasswordError::Busy(busy)) | LoginError::Pam(PamError::Busy(busy)) => {
            let message = sentence(&busy.to_string());
            Err(Instead::busy(StatusCode::SERVICE_UNAVAILABLE, message, 5))
        }
        LoginError::Pam(error) => {
            tracing::error!(error = error_chain(&error), "PAM has not answered");
            let message = "Passwords cannot be checked at the moment. Try again in a minute.";
            Err(Instead::busy(StatusCode::SERVICE_UNAVAILABLE, message, 60))
        }
        LoginError::Password(error) => Err(Instead::fault(&error)),
        LoginError::Store(error) => Err(error.into()),
        error => {
            let error = Some(sentence(&error.to_string()));
            visit.page(StatusCode::FORBIDDEN, &LoginView { error, ..view })
        }
    }
}

/// The first value of a field, or nothing.
pub(super) fn take(form: &mut FormData, field: &str) -> String {
    let values = form.remove(field).unwrap_or_default();
    values.into_iter().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::super::super::testing::{PASSWORD, Site, client};
    use crate::proxy::Scheme;

    const URLENCODED: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn a_login_sets_three_cookies_and_goes_on() {
        let site = Site::new().await;
        let mut browser = site.browser();
        let page = browser
            .get("/hub/login?next=%2Fhub%2Fuser%2Falice%2F")
            .await;
        assert_eq!((page.status, page.heading().as_str()), (200, "Sign in"));
        let token = browser.jar["_xsrf"].clone();
        let anonymous = format!("_xsrf={token}; SameSite=Lax; Path=/hub/; Max-Age=3600");
        assert_eq!(page.cookies(), [anonymous]);
        assert_eq!(page.attributes("input[name=_xsrf]", "value")[0], token);
        let action = page.attributes("form", "action").remove(0);

        let fields = [("username", " Alice "), ("password", PASSWORD)];
        let reply = browser.post(&action, &fields).await;
        assert_eq!(reply.leads(), (302, "/hub/user/alice/"));
        let value = |name: &str| &browser.jar[name];
        let (login, session) = (
            value("jupyterhub-hub-login"),
            value("jupyterhub-session-id"),
        );
        let xsrf = value("_xsrf");
        assert_eq!(
            reply.cookies(),
            [
                format!(
                    "jupyterhub-hub-login={login}; HttpOnly; SameSite=Lax; Path=/hub/; Max-Age=2592000"
                ),
                format!("jupyterhub-session-id={session}; HttpOnly; SameSite=Lax; Path=/"),
                format!("_xsrf={xsrf}; SameSite=Lax; Path=/hub/"),
            ]
        );
        assert_ne!(*xsrf, token, "the token is of the new session");
        let home = browser.get("/hub/home").await;
        assert_eq!((home.status, home.cookies().len()), (200, 0));
    }

    #[tokio::test]
    async fn behind_https_all_cookies_are_secure() {
        let site = Site::new().await;
        let mut browser = site.browser();
        browser.get("/hub/login").await;
        let body = format!(
            "username=alice&password=open+sesame&_xsrf={}",
            browser.jar["_xsrf"]
        );
        let request = browser
            .request("POST", "/hub/login")
            .header(CONTENT_TYPE, URLENCODED)
            .extension(client(Scheme::Https));
        let reply = site.send(request, body).await;
        assert_eq!(reply.cookies().len(), 3);
        for cookie in reply.cookies() {
            assert!(cookie.contains("; Secure;"), "{cookie}");
        }
    }

    #[tokio::test]
    async fn who_is_not_let_in_sees_the_form_again() {
        let site = Site::new().await;
        let hostile = "\"><img src=x>\x1b[31m\r\n";
        let long = "x".repeat(300);
        for (user, password, error, shown) in [
            ("alice", "wrong", "Invalid username or password.", "alice"),
            (hostile, PASSWORD, "Invalid username or password.", hostile),
            ("", PASSWORD, "Invalid username or password.", ""),
            (
                "../bob",
                PASSWORD,
                "Invalid username or password.",
                "../bob",
            ),
            (&long, PASSWORD, "Invalid username or password.", ""),
            (
                "mallory",
                PASSWORD,
                "You are not allowed to use this hub. Ask its administrator.",
                "mallory",
            ),
        ] {
            let mut browser = site.browser();
            let reply = browser.log_in(user, password).await;
            assert_eq!(reply.status, 403, "{user:?}");
            assert_eq!(reply.texts("[role=alert]"), [error]);
            let username = reply.attributes("#username_input", "value");
            // A browser's parser makes one line end of two.
            assert_eq!(username, [shown.replace("\r\n", "\n")], "{user:?}");
            assert!(!reply.body.contains("<img src=x>"));
            let names: Vec<&String> = browser.jar.keys().collect();
            assert_eq!(names, ["_xsrf"], "{user:?}");
        }
        assert_eq!(site.app.store.users().count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_is_slowed_down() {
        let site = Site::new().await;
        let mut browser = site.browser();
        for _ in 0..5 {
            assert_eq!(browser.log_in("alice", "guess").await.status, 403);
        }
        let reply = browser.log_in("alice", PASSWORD).await;
        assert_eq!(reply.status, 429);
        assert_eq!(reply.headers["retry-after"], "1");
        let alert = "Too many attempts failed. Wait 1 second, then try again.";
        assert_eq!(reply.texts("[role=alert]"), [alert]);
        assert_eq!(browser.jar.len(), 1);
        // Nobody else is kept waiting.
        assert_eq!(browser.log_in("bob", "guess").await.status, 403);
    }

    #[tokio::test]
    async fn who_is_logged_in_goes_on_at_once() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let mut leads = async |path| {
            let reply = alice.get(path).await;
            assert_eq!(reply.status, 302);
            reply.location().to_owned()
        };
        assert_eq!(leads("/hub/login").await, "/hub/home");
        assert_eq!(leads("/hub/login?next=%2Fhub%2Fspawn").await, "/hub/spawn");
        site.start("alice", "").await;
        assert_eq!(leads("/hub/login").await, "/user/alice/");
        let mut other = site.browser();
        let reply = other.log_in("alice", PASSWORD).await;
        assert_eq!(reply.leads(), (302, "/user/alice/"));
    }

    #[tokio::test]
    async fn a_login_that_cannot_be_saved_is_no_login() {
        let site = Site::new().await;
        site.app.store.close().await.unwrap();
        let mut browser = site.browser();
        let reply = browser.log_in("alice", PASSWORD).await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers["retry-after"], "5");
        assert_eq!(reply.heading(), "Not available just now");
        assert_eq!(browser.jar.len(), 1);
    }

    #[tokio::test]
    async fn forms_that_are_none_are_refused() {
        let site = Site::new().await;
        let mut browser = site.browser();
        browser.get("/hub/login").await;
        for (kind, body, status) in [
            (
                URLENCODED,
                format!("username={}", "x".repeat(10_000_000)),
                413,
            ),
            (URLENCODED, "username=%zz".into(), 400),
            (URLENCODED, "username=%ff".into(), 400),
            ("application/json", "{}".into(), 415),
            ("text/plain", "username=alice".into(), 415),
            ("multipart/form-data", "x".into(), 415),
            (URLENCODED, String::new(), 403),
        ] {
            let request = browser.request("POST", "/hub/login");
            let reply = site.send(request.header(CONTENT_TYPE, kind), body).await;
            assert_eq!(reply.status, status, "{kind}");
            assert_eq!(reply.texts(".lead").len(), 1, "{kind}: no page");
        }
    }
}
