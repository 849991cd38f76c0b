//! `/hub/extend/USER[/SERVER]`: a server is kept although nobody seems to use it.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

use super::form;
use super::instead::{Instead, redirect};
use super::named::Named;
use super::visit::Visit;
use crate::scopes::ScopeName;
use crate::store::audit::{Action, Object};

pub(super) async fn submit(visit: Visit, named: Named, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let goal = visit.goal(named, ScopeName::AccessServers)?;
    let entry = visit.entry(goal.member, Action::ServerKeep);
    let entry = entry.on(Object::server(None, &goal.server));
    let app = visit.app();
    app.store.note(entry.concerning(&goal.owner)).await?;
    app.culler.extend(&goal.server);
    Ok(redirect(StatusCode::SEE_OTHER, &visit.links().home()))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Site, id};

    #[tokio::test]
    async fn whoever_may_open_a_server_can_keep_it() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        let last = || site.app.servers.last_use(&id("alice", ""));
        assert_eq!(
            site.browser().post("/hub/extend/alice", &[]).await.status,
            403
        );
        let mut bob = site.logged_in("bob").await;
        assert_eq!(bob.post("/hub/extend/alice", &[]).await.status, 404);
        assert_eq!(alice.get("/hub/extend/alice").await.status, 405);
        assert_eq!(last(), None);
        let reply = alice.post("/hub/extend/alice", &[]).await;
        assert_eq!(reply.leads(), (303, "/hub/home"));
        assert!(last().is_some());
        let mut guest = site.logged_in("guest").await;
        assert_eq!(guest.post("/hub/extend/alice", &[]).await.status, 303);
    }
}
