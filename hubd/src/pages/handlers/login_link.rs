//! `/hub/login-link/SECRET`: logs in once, without a form. `hubd quickstart` prints it.

use axum::response::Response;
use http::StatusCode;

use super::instead::{Instead, redirect};
use super::login::{refused, welcome};
use super::visit::Visit;
use crate::auth::login::LoginError;

/// Opening it uses it up, so a preview or a prefetch of it must not.
pub(super) async fn open(visit: Visit) -> Result<Response, Instead> {
    visit.expect_intent()?;
    let path = visit.parts.uri.path();
    let secret = path.strip_prefix("/login-link/").unwrap_or_default();
    let home = visit.links().home();
    let ip = visit.client().ip;
    match visit.app().gate.log_in_by_link(secret, ip).await {
        Ok(login) => Ok(welcome(&visit, &login, Some(home))),
        // Opened a second time where it worked before.
        Err(LoginError::Link) if visit.member().is_some() => Ok(redirect(StatusCode::FOUND, &home)),
        Err(error) => refused(&visit, error, String::new(), None),
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::UserName;

    use super::super::super::testing::Site;

    fn issue(site: &Site) -> String {
        let user = UserName::new("zoe").unwrap();
        let secret = site.app.gate.issue_link(user);
        format!("/hub/login-link/{}", secret.expose())
    }

    #[tokio::test]
    async fn the_link_logs_in_once() {
        let site = Site::new().await;
        let link = issue(&site);
        let mut browser = site.browser();
        let reply = browser.get(&link).await;
        assert_eq!(reply.leads(), (302, "/hub/home"));
        let names: Vec<&String> = browser.jar.keys().collect();
        assert_eq!(
            names,
            ["_xsrf", "jupyterhub-hub-login", "jupyterhub-session-id"]
        );
        let home = browser.get("/hub/home").await;
        assert_eq!(home.texts(".button.primary"), ["Start My Server"]);
        assert_eq!(home.texts(".who .name"), ["zoe"]);

        let again = browser.get(&link).await;
        assert_eq!(
            (again.leads(), again.cookies().len()),
            ((302, "/hub/home"), 0)
        );
        let mut other = site.browser();
        let reply = other.get(&link).await;
        assert_eq!((reply.status, reply.heading().as_str()), (403, "Sign in"));
        let alert = "This link was used already or is too old. Restart hubd to get a new one.";
        assert_eq!(reply.texts("[role=alert]"), [alert]);
        assert!(!other.jar.contains_key("jupyterhub-hub-login"));
    }

    #[tokio::test]
    async fn a_preview_does_not_use_it_up() {
        let site = Site::new().await;
        let link = issue(&site);
        let browser = site.browser();
        for request in [
            browser.request("HEAD", &link),
            browser
                .request("GET", &link)
                .header("sec-purpose", "prefetch"),
            browser
                .request("GET", &link)
                .header("sec-purpose", "prefetch;prerender"),
        ] {
            let reply = site.send(request, "").await;
            assert_eq!((reply.status, reply.cookies().len()), (403, 0));
        }
        assert_eq!(site.browser().get(&link).await.status, 302);
    }

    #[tokio::test]
    async fn a_wrong_secret_is_no_key() {
        let site = Site::new().await;
        let link = issue(&site);
        for wrong in ["x", "%ff", "%00", "..", &"x".repeat(3000), &link[16..40]] {
            let reply = site
                .browser()
                .get(&format!("/hub/login-link/{wrong}"))
                .await;
            assert_eq!(reply.status, 403, "{wrong}");
        }
        assert_eq!(site.browser().get("/hub/login-link/").await.status, 404);
        assert_eq!(site.browser().get(&link).await.status, 302);
    }
}
