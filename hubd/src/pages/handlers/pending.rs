//! `/hub/spawn-pending/USER[/SERVER]`: watches a start, and tells how it went. Starts nothing.

use axum::response::Response;
use http::StatusCode;
use spawner_core::{ProgressEvent, ProgressLog};

use super::super::views::{PendingView, ServerState, WaitingView};
use super::instead::{Instead, redirect};
use super::named::Named;
use super::over::last_outcome;
use super::visit::Visit;
use crate::scopes::ScopeName;
use crate::servers::Place;

pub(super) async fn show(visit: Visit, named: Named) -> Result<Response, Instead> {
    let goal = visit.goal(named, ScopeName::Servers)?;
    let (app, links, server) = (visit.app(), visit.links(), &goal.server);
    let next = visit.next();
    let sight = app.servers.look(server);
    let state = match sight.place {
        Place::Ready => {
            let to = next.unwrap_or_else(|| links.server(server));
            return Ok(redirect(StatusCode::FOUND, &to));
        }
        Place::Stopped => {
            let is_known = app.store.servers().find(server).is_some();
            if !is_known && !server.server.is_default() {
                return Err(Instead::status(StatusCode::NOT_FOUND));
            }
            let outcome = last_outcome(app, server);
            return visit.over(server, outcome.as_ref(), next.as_ref()).await;
        }
        Place::Starting => {
            let (progress, mut messages) = told(sight.progress);
            if let Some(standing) = app.servers.in_line(server).and_then(|spot| spot.standing()) {
                messages.push(format!("Waiting for a place: {standing}"));
            }
            let view = PendingView {
                server: visit.card(server, false, next.as_ref()),
                progress,
                messages,
                progress_url: links.progress(server),
            };
            return visit.page(StatusCode::OK, &view);
        }
        Place::Stopping => {
            // Of a start that failed and cannot be cleared yet the books have the reason.
            if let Some(outcome) = last_outcome(app, server) {
                return visit.over(server, Some(&outcome), next.as_ref()).await;
            }
            ServerState::Stopping
        }
        Place::Checking => ServerState::Checking,
    };
    let view = WaitingView {
        server: visit.card(server, false, next.as_ref()),
        state,
    };
    visit.page(StatusCode::OK, &view)
}

/// How far a start is, and what it said so far.
fn told(progress: Option<ProgressLog>) -> (u8, Vec<String>) {
    let events = progress.map(|log| log.events()).unwrap_or_default();
    let mut reached = 0;
    let steps = events.into_iter().filter_map(|event| match event {
        ProgressEvent::Step { percent, message } => {
            reached = percent;
            Some(message)
        }
        // The phase says it as well, and this page is about to be another one.
        ProgressEvent::Ready | ProgressEvent::Failed { .. } => None,
    });
    let messages = steps.collect();
    (reached, messages)
}

#[cfg(test)]
mod tests {
    use spawner_core::ExitStatus;

    use super::super::super::testing::{Act, Site, id};
    use super::*;

    #[tokio::test]
    async fn a_start_under_way_is_shown_as_far_as_it_is() {
        let site = Site::new().await;
        site.direct(|script| script.act = Act::Hang);
        let mut alice = site.logged_in("alice").await;
        let watch = "/hub/spawn-pending/alice?next=%2Fuser%2Falice%2Flab";
        assert_eq!(alice.get("/hub/spawn").await.status, 302);
        let page = alice.get(watch).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.heading(), "Your server is starting up");
        let log = page.texts("#progress_log li");
        assert_eq!(log.first().unwrap(), "Server requested");
        assert_eq!(log.last().unwrap(), "Looking for <b>room</b>");
        assert_eq!(page.attributes("progress", "value"), ["30"]);
        let next = page.attributes("#pending", "data-next-url");
        assert_eq!(next, ["/user/alice/lab"]);
        let stream = page.attributes("#pending", "data-progress-url");
        let token = &alice.jar["_xsrf"];
        let expected = format!("/hub/api/users/alice/server/progress?_xsrf={token}");
        assert_eq!(stream, [expected]);
    }

    #[tokio::test]
    async fn watching_starts_nothing() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let page = alice.get("/hub/spawn-pending/alice").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.heading(), "Your server is not running");
        assert_eq!(alice.get("/hub/spawn-pending/alice/proj").await.status, 404);
        assert!(site.started().is_empty());
    }

    #[tokio::test]
    async fn a_stop_under_way_is_waited_for() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        site.direct(|script| script.stuck = true);
        alice.post("/hub/stop/alice", &[]).await;
        let page = alice.get("/hub/spawn-pending/alice").await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (200, "Your server is stopping")
        );
    }

    #[tokio::test]
    async fn a_failed_start_tells_phase_exit_and_what_was_printed() {
        let site = Site::new().await;
        site.direct(|script| {
            script.act = Act::Exit(ExitStatus::Code(1));
            script.log = vec![
                "Traceback".into(),
                "\x1b[31mNo module <b>jupyterhub</b></pre>".into(),
            ];
        });
        let mut alice = site.logged_in("alice").await;
        alice.get("/hub/spawn").await;
        for _ in ["now", "and as often as it is looked at"] {
            let page = alice
                .get("/hub/spawn-pending/alice?next=%2Fhub%2Fhome")
                .await;
            assert_eq!(page.status, 500);
            assert_eq!(page.heading(), "Your server did not start");
            let cause = "The server ended before it answered: exit code 1.";
            assert_eq!(page.texts("[role=alert]"), [cause]);
            let facts = page.texts(".facts dd");
            assert!(
                facts[0].starts_with("After the program was started"),
                "{facts:?}"
            );
            assert_eq!(facts[1], "exit code 1");
            let log = page.texts("pre.log");
            assert_eq!(log, ["Traceback No module <b>jupyterhub</b></pre>"]);
            assert!(
                page.body
                    .contains("&lt;b&gt;jupyterhub&lt;/b&gt;&lt;/pre&gt;")
            );
            let again = page.attributes("main form", "action");
            assert_eq!(again, ["/hub/spawn/alice?next=%2Fhub%2Fhome"]);
        }
        let home = alice.get("/hub/home").await;
        assert_eq!(
            home.attributes(".note a", "href"),
            ["/hub/spawn-pending/alice"]
        );
        // Another start is another story.
        site.direct(|script| script.act = Act::Run);
        alice.post("/hub/spawn/alice", &[]).await;
        assert_eq!(site.leaves("alice", Place::Starting).await, Place::Ready);
        assert_eq!(alice.get("/hub/spawn-pending/alice").await.status, 302);
    }

    #[tokio::test]
    async fn a_failure_outlives_the_hub() {
        let site = Site::new().await;
        site.direct(|script| script.act = Act::Exit(ExitStatus::Signal(9)));
        let mut alice = site.logged_in("alice").await;
        alice.get("/hub/spawn").await;
        // As after a restart: only the books are left.
        site.app.servers.forget(&id("alice", ""));
        let page = alice.get("/hub/spawn-pending/alice").await;
        assert_eq!(
            (page.status, &*page.texts(".facts dd")[1]),
            (500, "signal 9 (SIGKILL)")
        );
    }

    #[tokio::test]
    async fn a_server_that_ended_by_itself_is_no_error_of_the_page() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        site.direct(|script| script.log = vec!["Killed".into()]);
        site.end(ExitStatus::OutOfMemory);
        site.leaves("alice", Place::Ready).await;
        site.leaves("alice", Place::Stopping).await;
        let page = alice.get("/hub/spawn-pending/alice").await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (200, "Your server ended by itself")
        );
        assert_eq!(page.texts("pre.log"), ["Killed"]);
    }

    #[test]
    fn progress_is_what_was_reported() {
        assert_eq!(told(None), (0, Vec::new()));
        let log = ProgressLog::new();
        log.report(10, "a");
        log.report(40, "b");
        log.failed("no");
        assert_eq!(told(Some(log)), (40, vec!["a".to_owned(), "b".to_owned()]));
    }
}
