//! `/hub/user-redirect/PATH`: a link for everybody, which leads each to their own server.

use axum::response::Response;
use http::StatusCode;
use http::uri::PathAndQuery;
use spawner_core::ServerId;

use super::instead::{Instead, redirect};
use super::visit::Visit;

/// Goes by way of the start page, which goes on at once where the server runs.
pub(super) async fn go(visit: Visit) -> Result<Response, Instead> {
    let member = visit.expect_member()?;
    let server = ServerId::default_of(member.user.name.clone());
    let asked = visit.parts.uri.path_and_query().map(PathAndQuery::as_str);
    let rest = asked.and_then(|path| path.strip_prefix("/user-redirect/"));
    let to = format!(
        "{}{}",
        visit.links().server(&server),
        rest.unwrap_or_default()
    );
    let next = visit
        .local(&to)
        .ok_or_else(|| Instead::status(StatusCode::BAD_REQUEST))?;
    let to = visit.links().spawn(&server, Some(&next));
    Ok(redirect(StatusCode::FOUND, &to))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Site;

    #[tokio::test]
    async fn a_link_for_everybody_leads_each_to_their_own() {
        let site = Site::new().await;
        let reply = site.browser().get("/hub/user-redirect/lab/x?a=1").await;
        let login = "/hub/login?next=%2Fhub%2Fuser-redirect%2Flab%2Fx%3Fa%3D1";
        assert_eq!(reply.leads(), (302, login));
        let mut alice = site.logged_in("alice").await;
        for (path, next) in [
            (
                "lab/x?a=1&b=%20",
                "%2Fuser%2Falice%2Flab%2Fx%3Fa%3D1%26b%3D%2520",
            ),
            (
                "git-pull?repo=https%3A%2F%2Fx.test",
                "%2Fuser%2Falice%2Fgit-pull%3Frepo%3Dhttps%253A%252F%252Fx.test",
            ),
            ("", "%2Fuser%2Falice%2F"),
            ("/evil", "%2Fuser%2Falice%2F%2Fevil"),
            ("https://evil/", "%2Fuser%2Falice%2Fhttps%3A%2F%2Fevil%2F"),
        ] {
            let reply = alice.get(&format!("/hub/user-redirect/{path}")).await;
            let to = format!("/hub/spawn/alice?next={next}");
            assert_eq!(reply.leads(), (302, &*to));
        }
        for path in [
            "../x",
            "%2e%2e/x",
            "a/%2e%2e/%2e%2e/%2e%2e/hub/logout",
            &"x".repeat(5000),
        ] {
            let reply = alice.get(&format!("/hub/user-redirect/{path}")).await;
            assert_eq!(reply.leads(), (400, ""), "{path:.20}");
        }
    }
}
