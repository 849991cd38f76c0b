//! `/hub/`: home, or the login page.

use axum::response::Response;
use http::StatusCode;

use super::instead::{Instead, redirect};
use super::visit::Visit;

pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    let links = visit.links();
    let to = match visit.member() {
        Some(_) => links.home(),
        None => links.login(visit.next().as_ref()),
    };
    Ok(redirect(StatusCode::FOUND, &to))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Site;

    #[tokio::test]
    async fn the_front_door_leads_home() {
        let site = Site::new().await;
        let reply = site.browser().get("/hub/").await;
        assert_eq!(reply.leads(), (302, "/hub/login"));
        let reply = site.browser().get("/hub/?next=/hub/spawn").await;
        assert_eq!(reply.leads(), (302, "/hub/login?next=%2Fhub%2Fspawn"));
        let mut alice = site.logged_in("alice").await;
        assert_eq!(alice.get("/hub/").await.leads(), (302, "/hub/home"));
    }

    #[tokio::test]
    async fn everything_is_below_the_base_url() {
        let site = Site::at("/jhub/").await;
        let reply = site.browser().get("/jhub/hub/").await;
        assert_eq!(reply.leads(), (302, "/jhub/hub/login"));
        let reply = site.browser().get("/jhub/hub/login").await;
        assert_eq!(reply.attributes("form", "action"), ["/jhub/hub/login"]);
        assert!(reply.cookies()[0].contains("; Path=/jhub/hub/;"));
        let reply = site.browser().get("/jhub/hub/user/alice/lab?x=1").await;
        let login = "/jhub/hub/login?next=%2Fjhub%2Fhub%2Fuser%2Falice%2Flab%3Fx%3D1";
        assert_eq!(reply.leads(), (302, login));
    }
}
