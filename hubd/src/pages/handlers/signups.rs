//! `/hub/signups`: an admin sees who asks for an account, and decides.

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use spawner_core::UserName;

use super::super::views::{SignupRow, SignupsView};
use super::form;
use super::instead::{Instead, redirect};
use super::visit::Visit;
use crate::store::audit::{Action, Object};

pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    visit.expect_member()?;
    expect_admin(&visit)?;
    let waiting = visit.app().store.signups().list();
    let rows = waiting.iter().map(|signup| SignupRow {
        name: signup.name.to_string(),
        since: signup.created.strftime("%Y-%m-%d %H:%M").to_string(),
        action: visit.links().signups().join(signup.name.as_str()),
    });
    let rows = rows.collect();
    visit.page(StatusCode::OK, &SignupsView { rows })
}

pub(super) async fn decide(
    visit: Visit,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let by = visit.expect_member()?;
    expect_admin(&visit)?;
    let name = UserName::new(&name).map_err(|_| Instead::status(StatusCode::NOT_FOUND))?;
    let store = &visit.app().store;
    match form.first("decision") {
        Some("approve") => {
            let store = store.noting(visit.entry(by, Action::SignupApprove));
            let approved = store.signups().approve(name, Timestamp::now());
            approved.await?;
        }
        Some("decline") => {
            let entry = visit.entry(by, Action::SignupDecline);
            let store = store.noting(entry.on(Object::name(name.as_str())));
            store.signups().decline(name).await?;
        }
        _ => {
            let message = "A sign-up is approved or declined.";
            return Err(Instead::error(StatusCode::BAD_REQUEST, message));
        }
    }
    Ok(redirect(StatusCode::SEE_OTHER, &visit.links().signups()))
}

/// To everybody else there is no such page.
fn expect_admin(visit: &Visit) -> Result<(), Instead> {
    let app = visit.app();
    let admin = visit
        .member()
        .is_some_and(|member| app.directory.is_admin(member.user));
    if admin && app.gate.has_passwords() {
        Ok(())
    } else {
        Err(Instead::status(StatusCode::NOT_FOUND))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Browser, PASSWORD, Site};

    async fn ask(browser: &mut Browser<'_>, name: &str) {
        browser.get("/hub/signup").await;
        let fields = [
            ("username", name),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ];
        assert_eq!(browser.post("/hub/signup", &fields).await.status, 202);
    }

    #[tokio::test]
    async fn an_admin_decides() {
        let site = Site::with_passwords().await;
        let mut stranger = site.browser();
        for name in ["new", "other"] {
            ask(&mut stranger, name).await;
        }
        let mut root = site.logged_in("root").await;
        let page = root.get("/hub/signups").await;
        assert_eq!(page.texts("form strong"), ["new", "other"]);
        let actions = page.attributes("form.signup", "action");
        assert_eq!(actions, ["/hub/signups/new", "/hub/signups/other"]);
        let odd = root
            .post("/hub/signups/new", &[("decision", "perhaps")])
            .await;
        assert_eq!(odd.status, 400);
        let yes = root
            .post("/hub/signups/new", &[("decision", "approve")])
            .await;
        assert_eq!(yes.leads(), (303, "/hub/signups"));
        let no = root
            .post("/hub/signups/other", &[("decision", "decline")])
            .await;
        assert_eq!(no.leads(), (303, "/hub/signups"));
        let page = root.get("/hub/signups").await;
        assert_eq!(page.texts(".lead"), ["Nobody asks for an account."]);
        let late = root
            .post("/hub/signups/other", &[("decision", "approve")])
            .await;
        assert_eq!(late.status, 404);
        assert_eq!(
            stranger.log_in("new", PASSWORD).await.leads(),
            (302, "/hub/home")
        );
        assert_eq!(site.browser().log_in("other", PASSWORD).await.status, 403);
        let log = site.audit("root").await;
        let decided = [
            "root signup.decline name other done",
            "root signup.approve user new done",
        ];
        assert_eq!(log[..2], decided);
    }

    #[tokio::test]
    async fn to_others_there_is_no_such_page() {
        let site = Site::with_passwords().await;
        let mut stranger = site.browser();
        ask(&mut stranger, "new").await;
        let login = "/hub/login?next=%2Fhub%2Fsignups";
        assert_eq!(stranger.get("/hub/signups").await.leads(), (302, login));
        let decision = [("decision", "approve")];
        assert_eq!(
            stranger.post("/hub/signups/new", &decision).await.status,
            403
        );
        let mut root = site.logged_in("root").await;
        root.post("/hub/signups/new", &decision).await;
        let mut new = site.logged_in("new").await;
        ask(&mut stranger, "other").await;
        assert_eq!(new.get("/hub/signups").await.status, 404);
        assert_eq!(new.post("/hub/signups/other", &decision).await.status, 404);
        assert_eq!(site.app.store.signups().list().len(), 1);
    }
}
