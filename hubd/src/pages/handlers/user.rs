//! `/hub/user/NAME/...`: where a visitor of a server lands while it has no route.
//!
//! ```text
//! browser   --> it runs: back there      it is on its way, or its start failed: see how it goes
//!           \-> it is stopped: 424 with a button
//! program   --> 424 and JSON, which JupyterLab takes for a server that can be started again
//! ```
//!
//! The only page that takes a token too: notebooks and scripts come here as well as people.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use spawner_core::ServerId;

use super::super::state::PagesState;
use super::super::views::NotRunningView;
use super::accept::prefers_json;
use super::aim::{Aim, aim};
use super::instead::{Instead, redirect};
use super::options::has_form;
use super::over::{last_outcome, start_failed};
use super::visit::Visit;
use crate::auth::caller::BadCredentials;
use crate::auth::xsrf::need::Door;
use crate::servers::Place;

/// How often a visitor is sent to a server that sends them back, before that is called a loop.
const ROUNDS: u32 = 4;
/// The longest pause before another round.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(super) async fn show(
    State(state): State<PagesState>,
    parts: Parts,
) -> Result<Response, Instead> {
    let caller = match state.app.callers.identify(&parts.headers) {
        Ok(caller) => caller,
        // A token that is no good counts as none.
        Err(BadCredentials::Header(_) | BadCredentials::Unknown) => None,
        Err(bad @ (BadCredentials::Cookies(_) | BadCredentials::InDoubt)) => return Err(bad.into()),
    };
    let visit = Visit::new(state, parts, caller);
    if visit.caller().is_none() {
        return Err(visit.log_in_first());
    }
    let aim = aim(&visit)?;
    let (app, server) = (visit.app(), &aim.server);
    let place = app.servers.look(server).place;
    if place == Place::Ready {
        return back_to_server(&visit, &aim).await;
    }
    if aim.rest.split('/').any(|segment| segment == "api") || prefers_json(&visit.parts.headers) {
        return Ok(not_running(&visit, server));
    }
    let next = aim.target(&visit, None);
    let failed = start_failed(last_outcome(app, server).as_ref());
    if place != Place::Stopped || failed {
        let to = visit.links().spawn_pending(server, next.as_ref());
        return Ok(redirect(StatusCode::SEE_OTHER, &to));
    }
    let has_form = has_form(app, server).await;
    let view = NotRunningView {
        server: visit.card(server, has_form, next.as_ref()),
    };
    visit.page(StatusCode::FAILED_DEPENDENCY, &view)
}

/// A change that was meant for a server: it cannot be sent on, so it fails as a program expects.
pub(super) async fn refuse(
    State(state): State<PagesState>,
    parts: Parts,
) -> Result<Response, Instead> {
    let caller = state.app.admit(&parts, Door::Page, None)?;
    let visit = Visit::new(state, parts, caller);
    if visit.caller().is_none() {
        return Err(visit.log_in_first());
    }
    let aim = aim(&visit)?;
    Ok(not_running(&visit, &aim.server))
}

/// The server is ready, so the visitor should not be here: its route is very new, or they are sent
/// around in circles. The count of rounds travels along.
async fn back_to_server(visit: &Visit, aim: &Aim<'_>) -> Result<Response, Instead> {
    let server = &aim.server;
    let rounds = visit.query("redirects");
    let rounds = rounds.and_then(|rounds| rounds.parse::<u32>().ok());
    if let Some(rounds @ 1..) = rounds {
        tracing::warn!(%server, rounds, "a visitor was sent back by a server that is ready");
        if rounds >= ROUNDS {
            let message = "This server is ready, but its address leads back here. Stop it and start \
                           it again; if it stays like this, tell the people who run this hub.";
            return Err(Instead::error(StatusCode::INTERNAL_SERVER_ERROR, message));
        }
        let pause = Duration::from_secs(1 << rounds);
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
    let round = rounds.unwrap_or_default() + 1;
    let to = aim
        .target(visit, Some(round))
        .ok_or_else(|| Instead::status(StatusCode::BAD_REQUEST))?;
    Ok(redirect(StatusCode::FOUND, &to))
}

fn not_running(visit: &Visit, server: &ServerId) -> Response {
    let status = StatusCode::FAILED_DEPENDENCY;
    let start = visit.links().spawn(server, None);
    let message = format!("The server of {server} is not running. Start it at {start}.");
    let body = serde_json::json!({"status": status.as_u16(), "message": message});
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderValue;
    use http::header::{ACCEPT, AUTHORIZATION};
    use spawner_core::{ExitStatus, SpawnError};

    use super::super::super::testing::{Act, Browser, Reply, Site, id};
    use super::*;
    use crate::random::new_token;
    use crate::store::{Digest, NewToken, Owner, TokenKind};

    async fn api_token(site: &Site, user: &str, scope: &str) -> String {
        let name = id(user, "").user;
        let owner = site.app.gate.ensure_user(&name).await.unwrap();
        let token = new_token();
        let row = NewToken {
            hash: Digest::of(token.expose()),
            kind: TokenKind::Api,
            owner: Owner::User(owner.id),
            server: None,
            client_id: None,
            scopes: vec![scope.to_owned()],
            note: String::new(),
            expires_at: None,
            session_id: None,
        };
        let now = jiff::Timestamp::now();
        site.app.store.tokens().create(row, now).await.unwrap();
        format!("token {}", token.expose())
    }

    async fn by_token(site: &Site, method: &str, path: &str, token: &str) -> Reply {
        let request = site.browser().request(method, path);
        site.send(request.header(AUTHORIZATION, token), "").await
    }

    #[tokio::test]
    async fn a_stopped_server_is_a_page_with_a_button() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        for (path, next) in [
            ("/hub/user/alice/", "%2Fuser%2Falice%2F"),
            ("/hub/user/alice", "%2Fuser%2Falice%2F"),
            (
                "/hub/user/Alice/lab?a=1&redirects=2",
                "%2Fuser%2Falice%2Flab%3Fa%3D1",
            ),
            ("/hub/user/alice/proj/lab", "%2Fuser%2Falice%2Fproj%2Flab"),
            ("/hub/user/alice//evil", "%2Fuser%2Falice%2F%2Fevil"),
        ] {
            let page = alice.get(path).await;
            assert_eq!(page.status, 424, "{path}");
            assert_eq!(page.heading(), "Your server is not running");
            let start = format!("/hub/spawn/alice?next={next}");
            assert_eq!(page.attributes("main form", "action"), [start]);
        }
    }

    #[tokio::test]
    async fn programs_get_json() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let expected = serde_json::json!({
            "status": 424,
            "message": "The server of alice is not running. Start it at /hub/spawn/alice.",
        });
        let expect = |reply: &Reply| {
            assert_eq!(reply.status, 424);
            assert_eq!(reply.headers["content-type"], "application/json");
            let json: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(json, expected);
        };
        expect(&alice.get("/hub/user/alice/api/kernels?x=%ff").await);
        let json = site.browser().request("GET", "/hub/user/alice/lab");
        let token = api_token(&site, "alice", "inherit").await;
        let mut json = json.header(AUTHORIZATION, &token);
        json.headers_mut()
            .unwrap()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        expect(&site.send(json, "").await);
        // Also while it is being started.
        site.direct(|script| script.act = Act::Hang);
        alice.get("/hub/spawn").await;
        expect(&alice.get("/hub/user/alice/api/kernels").await);
        for method in ["POST", "PATCH", "DELETE"] {
            expect(&by_token(&site, method, "/hub/user/alice/lab", &token).await);
        }
        let reply = by_token(&site, "PUT", "/hub/user/alice/lab", &token).await;
        assert_eq!(reply.status, 405);
    }

    #[tokio::test]
    async fn changes_need_a_token_or_the_proof_of_a_page() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let path = "/hub/user/alice/api/kernels";
        for browser in [&alice, &site.browser()] {
            let reply = site.send(browser.request("POST", path), "").await;
            assert_eq!(reply.status, 403);
        }
        let with_header = alice.request("POST", path);
        let with_header = with_header.header("x-xsrftoken", &alice.jar["_xsrf"]);
        assert_eq!(site.send(with_header, "").await.status, 424);
        let query = format!("{path}?_xsrf={}", alice.jar["_xsrf"]);
        assert_eq!(
            site.send(alice.request("DELETE", &query), "").await.status,
            424
        );
        assert_eq!(
            by_token(&site, "POST", path, "token forged").await.status,
            403
        );
        alice.jar.clear();
    }

    #[tokio::test]
    async fn the_token_of_a_page_is_not_set_for_a_program() {
        let site = Site::new().await;
        let token = api_token(&site, "alice", "inherit").await;
        let reply = by_token(&site, "GET", "/hub/user/alice/lab", &token).await;
        assert_eq!((reply.status, reply.cookies().len()), (424, 0));
        for (token, path) in [
            ("token forged", "/hub/user/alice/lab"),
            ("nonsense", "/hub/user/alice/api"),
        ] {
            let reply = by_token(&site, "GET", path, token).await;
            let login = format!("/hub/login?next={}", path.replace('/', "%2F"));
            assert_eq!(reply.leads(), (302, &*login));
        }
    }

    #[tokio::test]
    async fn who_may_not_enter_sees_what_is_not_there() {
        let site = Site::new().await;
        site.logged_in("alice").await;
        let mut bob = site.logged_in("bob").await;
        let missing = bob.get("/hub/user/nobody/lab").await;
        let secret = bob.get("/hub/user/alice/lab").await;
        assert_eq!((missing.status, secret.status), (404, 404));
        assert_eq!(missing.body, secret.body);
        let narrow = api_token(&site, "alice", "read:users!user=alice").await;
        for method in ["GET", "POST"] {
            let reply = by_token(&site, method, "/hub/user/alice/lab", &narrow).await;
            assert_eq!(reply.status, 404);
        }
        for user in ["guest", "root"] {
            let page = site.logged_in(user).await.get("/hub/user/alice/lab").await;
            assert_eq!(page.status, 424);
            assert_eq!(page.heading(), "The server of alice is not running");
        }
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_watched() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let watch = "/hub/spawn-pending/alice?next=%2Fuser%2Falice%2Flab%3Fa";
        let path = "/hub/user/alice/lab?a";
        // The last start failed.
        let error = || SpawnError::other("No.");
        site.direct(|script| script.act = Act::Fail(Arc::new(error)));
        alice.get("/hub/spawn").await;
        assert_eq!(alice.get(path).await.leads(), (303, watch));
        // One is under way.
        site.direct(|script| script.act = Act::Hang);
        alice.get("/hub/spawn").await;
        assert_eq!(alice.get(path).await.leads(), (303, watch));
        // The server ended by itself: that is over.
        alice.post("/hub/stop/alice", &[]).await;
        site.direct(|script| script.act = Act::Run);
        site.start("alice", "").await;
        site.end(ExitStatus::Code(1));
        site.leaves("alice", Place::Ready).await;
        site.leaves("alice", Place::Stopping).await;
        assert_eq!(alice.get(path).await.status, 424);
    }

    async fn leads(browser: &mut Browser<'_>, path: &str) -> String {
        let reply = browser.get(path).await;
        assert_eq!(reply.status, 302, "{path}");
        reply.location().to_owned()
    }

    #[tokio::test]
    async fn a_server_that_is_ready_is_where_they_go() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        site.start("alice", "proj").await;
        for (path, to) in [
            ("/hub/user/alice/lab", "/user/alice/lab?redirects=1"),
            (
                "/hub/user/alice/a%2Fb%20c?x=%3D&redirects=0",
                "/user/alice/a%2Fb%20c?x=%3D&redirects=1",
            ),
            (
                "/hub/user/alice/proj/lab?x",
                "/user/alice/proj/lab?x&redirects=1",
            ),
            (
                "/hub/user/alice/projx/lab",
                "/user/alice/projx/lab?redirects=1",
            ),
            (
                "/hub/user/alice/api/kernels",
                "/user/alice/api/kernels?redirects=1",
            ),
            ("/hub/user/alice//evil/", "/user/alice//evil/?redirects=1"),
        ] {
            assert_eq!(leads(&mut alice, path).await, to);
        }
        for path in ["/hub/user/alice/../bob/", "/hub/user/alice/%2e%2e/bob/"] {
            assert_eq!(alice.get(path).await.leads(), (400, ""), "{path}");
        }
    }

    #[tokio::test]
    async fn nobody_goes_around_in_circles_for_ever() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        tokio::time::pause();
        for (round, pause) in [(1, 2), (2, 4), (3, 8)] {
            let before = tokio::time::Instant::now();
            let to = leads(
                &mut alice,
                &format!("/hub/user/alice/lab?redirects={round}"),
            )
            .await;
            assert_eq!(to, format!("/user/alice/lab?redirects={}", round + 1));
            assert_eq!(before.elapsed().as_secs(), pause);
        }
        for round in ["4", "4000000000"] {
            let reply = alice
                .get(&format!("/hub/user/alice/lab?redirects={round}"))
                .await;
            assert_eq!(reply.leads(), (500, ""));
        }
        let to = leads(&mut alice, "/hub/user/alice/lab?redirects=many").await;
        assert_eq!(to, "/user/alice/lab?redirects=1");
    }
}
