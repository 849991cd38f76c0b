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
    let signups = visit.app().store.signups();
    match form.first("decision") {
        Some("approve") => drop(signups.approve(name.clone(), Timestamp::now()).await?),
        Some("decline") => signups.decline(name.clone()).await?,
        _ => {
            let message = "A sign-up is approved or declined.";
            return Err(Instead::error(StatusCode::BAD_REQUEST, message));
        }
    }
    let decision = form.first("decision");
    tracing::info!(user = %name, by = %by.user.name, decision, "sign-up decided");
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
