//! `GET .../server/progress`: a start, watched from its beginning to its end.
//!
//! ```text
//! data: {"progress": 10, "message": "Starting your server"}
//!                                                             <- a bare newline at once and every 8 s
//! data: {"progress": 100, "ready": true, "url": "/user/alice/", ...}
//! ```
//!
//! Every viewer sees all of it, whenever they come. The stream ends after the event that says ready
//! or failed, and when the hub stops.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use spawner_core::{Ending, Outcome, ProgressEvent, ProgressLog, ServerId, escape_html};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::access::Reached;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::failure;
use super::openapi::{Asked, Named};
use super::path::{OneServer, Segments};
use super::server::{reach, there};
use crate::app::{App, AppState};
use crate::scopes::ScopeName;
use crate::servers::{Place, Spot};

/// The longest silence; proxies cut connections that are silent for a minute or so.
const KEEP_ALIVE: Duration = Duration::from_secs(8);

/// The progress of a start, as a stream of events
///
/// Each event is a line `data: ` with a JSON object of `progress` (0 to 100) and `message`; the last one
/// has `ready` and `url`, or `failed`. Needs `read:servers`.
#[utoipa::path(
    get, path = "/users/{user}/servers/{server}/progress", tag = "servers",
    operation_id = "watch_named_server",
    params(OneServer),
    responses(
        (
            status = 200, description = "The events, from the first on.",
            content(("text/event-stream")),
            headers(("Cache-Control" = String, description = "`no-cache`"))
        ),
        Named, Asked,
    ),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(path): Segments<OneServer>,
) -> Result<Response, ApiError> {
    let reached = reach(&app, &caller, ScopeName::ReadServers, &path)?;
    let Reached { id, .. } = there(reached)?;
    let (sight, stop) = (app.servers.look(&id), app.servers.stop_signal().clone());
    let log = sight.progress.filter(|log| !is_over(log));
    let waits = sight.place == Place::Starting && log.is_none();
    let spot = app.servers.in_line(&id).filter(|_| waits);
    let body = match (sight.place, log) {
        (Place::Ready, _) => Body::from(data(&ready(&app, &id))),
        // Also while what is left of a failed start is cleared.
        (_, Some(log)) => follow(watch(app, id, &log), &stop),
        (place @ (Place::Starting | Place::Checking), None) => match spot {
            Some(spot) => follow(in_line(app, id, spot), &stop),
            None => follow(await_end(app, id, place), &stop),
        },
        (Place::Stopping | Place::Stopped, None) => {
            let event = past_failure(&app, &id).ok_or_else(|| not_starting(&id))?;
            Body::from(data(&event))
        }
    };
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, body).into_response())
}

fn not_starting(server: &ServerId) -> ApiError {
    ApiError::bad_request(format!("{server} is not starting."))
}

/// Events as they are sent, where `None` is one that says nothing; up to the last or the hub's end.
fn follow(
    events: impl Stream<Item = Option<Value>> + Send + 'static,
    stop: &CancellationToken,
) -> Body {
    let at_once = stream::iter([None]);
    let events = at_once
        .chain(events)
        .take_until(stop.clone().cancelled_owned());
    Body::from_stream(events.map(|event| {
        let silence = Bytes::from_static(b"\n\n");
        Ok::<_, Infallible>(event.map_or(silence, |event| data(&event)))
    }))
}

/// The events of a start from the first on, and `None` whenever there was none for a while.
fn watch(
    app: AppState,
    server: ServerId,
    log: &ProgressLog,
) -> impl Stream<Item = Option<Value>> + use<> {
    let mut ticks = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watching = (app, server, log.read(), ticks);
    stream::unfold(
        watching,
        |(app, server, mut reader, mut ticks)| async move {
            let next = tokio::select! {
                event = reader.next() => Some(shown(&app, &server, event?)),
                _ = ticks.tick() => None,
            };
            Some((next, (app, server, reader, ticks)))
        },
    )
}

/// Where a start stands in the line, and whatever comes after.
fn in_line(
    app: AppState,
    server: ServerId,
    spot: Spot,
) -> impl Stream<Item = Option<Value>> + use<> {
    let mut ticks = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (ended, spot_at_end) = oneshot::channel();
    let standing = stream::unfold(
        (spot, None, ticks, ended),
        |(mut spot, mut told, mut ticks, ended)| async move {
            loop {
                let Some(standing) = spot.standing() else {
                    let _ = ended.send(spot);
                    return None;
                };
                if told != Some(standing) {
                    told = Some(standing);
                    let message = format!("Waiting for a place: {standing}");
                    let event = json!({ "progress": 0, "waiting": true, "message": message });
                    return Some((Some(event), (spot, told, ticks, ended)));
                }
                tokio::select! {
                    () = spot.moved() => {}
                    _ = ticks.tick() => return Some((None, (spot, told, ticks, ended))),
                }
            }
        },
    );
    let rest = stream::once(async move {
        let begun = match spot_at_end.await {
            Ok(mut spot) => spot.begins().await,
            Err(_) => false,
        };
        if !begun {
            let cancelled = failed("The start was cancelled.");
            return stream::iter([Some(cancelled)]).boxed();
        }
        let sight = app.servers.look(&server);
        match (sight.place, sight.progress) {
            (_, Some(log)) => watch(app, server, &log).boxed(),
            (place, None) => await_end(app, server, place).boxed(),
        }
    });
    standing.chain(rest.flatten())
}

/// The end of a start that an earlier process of the hub began: its log ended with that process.
fn await_end(app: AppState, server: ServerId, place: Place) -> impl Stream<Item = Option<Value>> {
    let found =
        json!({ "progress": 50, "message": "The hub was restarted and looks for your server" });
    let waiting = (app, server, Some(place));
    let end = stream::unfold(waiting, |(app, server, place)| async move {
        let place = app.servers.changed(&server, place?, KEEP_ALIVE).await;
        let event = match place {
            Place::Ready => Some(ready(&app, &server)),
            Place::Stopped => Some(
                past_failure(&app, &server).unwrap_or_else(|| failed("The server was stopped.")),
            ),
            Place::Starting | Place::Stopping | Place::Checking => None,
        };
        let place = event.is_none().then_some(place);
        Some((event, (app, server, place)))
    });
    stream::iter([Some(found)]).chain(end)
}

fn is_over(log: &ProgressLog) -> bool {
    log.events().last().is_some_and(ProgressEvent::is_last)
}

/// What is sent of an event.
fn shown(app: &App, server: &ServerId, event: ProgressEvent) -> Value {
    match event {
        ProgressEvent::Step { percent, message } => {
            json!({ "progress": percent, "message": message })
        }
        ProgressEvent::Ready => ready(app, server),
        ProgressEvent::Failed { message } => {
            // The books tell more of it than the log, and were written before.
            failed(&recorded(app, server).unwrap_or(message))
        }
    }
}

fn ready(app: &App, server: &ServerId) -> Value {
    let url = app.servers.prefix(server);
    let shown = escape_html(&url);
    json!({
        "progress": 100,
        "ready": true,
        "message": format!("Server ready at {url}"),
        "html_message": format!("Server ready at <a href=\"{shown}\">{shown}</a>"),
        "url": url,
    })
}

fn failed(cause: &str) -> Value {
    let message = format!("Spawn failed: {cause}");
    json!({ "progress": 100, "failed": true, "message": message })
}

/// The end of the last start of a server that is stopped or being cleared, if it failed.
fn past_failure(app: &App, server: &ServerId) -> Option<Value> {
    let logged = || match app.servers.look(server).progress?.events().pop()? {
        ProgressEvent::Failed { message } => Some(message),
        ProgressEvent::Step { .. } | ProgressEvent::Ready => None,
    };
    Some(failed(&recorded(app, server).or_else(logged)?))
}

/// Why the last start failed, by the books, which outlive the hub.
fn recorded(app: &App, server: &ServerId) -> Option<String> {
    let row = app.store.servers().find(server)?;
    let outcome: Outcome = serde_json::from_value(row.last_failure.clone()?).ok()?;
    matches!(outcome.ending, Ending::Failed(_)).then(|| failure::cause(&outcome))
}

fn data(event: &Value) -> Bytes {
    format!("data: {event}\n\n").into()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::api::testing::{Hub, Script, Streamed};

    const PATH: &str = "/users/alice/server/progress";

    /// The stream up to its end, without what keeps it alive.
    async fn events(mut streamed: Streamed) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(chunk) = streamed.next().await {
            events.extend(chunk.trim().strip_prefix("data: ").map(|event| {
                assert!(
                    chunk.ends_with("\n\n") && !event.contains('\n'),
                    "{chunk:?}"
                );
                serde_json::from_str::<Value>(event).unwrap()
            }));
        }
        events
    }

    #[tokio::test]
    async fn a_start_is_replayed_and_followed_to_its_end() {
        let hub = Hub::impatient().await;
        hub.begin("alice", Script::Waits).await;
        let mut early = hub.get(PATH).user("alice").stream().await;
        assert_eq!(early.status, StatusCode::OK);
        assert_eq!(early.header("content-type"), "text/event-stream");
        assert_eq!(early.header("cache-control"), "no-cache");
        assert_eq!(early.next().await.as_deref(), Some("\n\n"));
        assert_eq!(
            early.next().await.as_deref(),
            Some("data: {\"message\":\"Server requested\",\"progress\":0}\n\n")
        );
        hub.world.release();
        let early = events(early).await;
        let ready = json!({
            "progress": 100,
            "ready": true,
            "message": "Server ready at /user/alice/",
            "html_message": "Server ready at <a href=\"/user/alice/\">/user/alice/</a>",
            "url": "/user/alice/",
        });
        assert_eq!(early.last(), Some(&ready));
        assert!(early.contains(&json!({"progress": 42, "message": "<b>scripted</b>"})));
        let late = events(hub.get(PATH).user("alice").stream().await).await;
        assert_eq!(late, [ready], "a server that is ready says only that");
    }

    #[tokio::test]
    async fn a_failure_is_told_until_the_next_start() {
        let hub = Hub::impatient().await;
        hub.begin("alice", Script::WaitsAndExits).await;
        let watching = hub.get(PATH).user("alice").stream().await;
        hub.world.release();
        let seen = events(watching).await;
        let failed = json!({
            "progress": 100,
            "failed": true,
            "message": "Spawn failed: The server ended before it answered: exit code 1. \
                        (phase waiting) Last output: boom",
        });
        assert_eq!(seen.last(), Some(&failed));
        let again = events(hub.get(PATH).user("alice").stream().await).await;
        assert_eq!(again, [failed]);
        hub.world.play(Script::Works);
        hub.start("alice").await;
        hub.delete("/users/alice/server").admin().send().await;
        hub.settled("alice", Place::Ready).await;
        let over = hub.get(PATH).user("alice").send().await;
        assert_eq!(over.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_cancelled_start_failed() {
        let hub = Hub::impatient().await;
        hub.begin("alice", Script::Waits).await;
        let watching = hub.get(PATH).user("alice").stream().await;
        let stop = hub.delete("/users/alice/server").admin().send().await;
        assert!(stop.status.is_success());
        let cancelled = json!({
            "progress": 100,
            "failed": true,
            "message": "Spawn failed: The start was cancelled.",
        });
        assert_eq!(events(watching).await.last(), Some(&cancelled));
        let again = events(hub.get(PATH).user("alice").stream().await).await;
        assert_eq!(again, [cancelled]);
    }

    #[tokio::test]
    async fn the_stream_ends_with_the_hub() {
        let hub = Hub::impatient().await;
        hub.begin("alice", Script::Waits).await;
        let watching = hub.get(PATH).user("alice").stream().await;
        hub.tasks.stop_signal().cancel();
        let seen = events(watching).await;
        assert!(
            seen.iter().all(|event| event["progress"] != 100),
            "{seen:?}"
        );
    }

    #[tokio::test]
    async fn who_may_not_watch_does_not_learn_of_it() {
        let hub = Hub::new().await;
        for (path, user, status) in [
            (PATH, Some("alice"), StatusCode::BAD_REQUEST),
            (PATH, Some("bob"), StatusCode::NOT_FOUND),
            (PATH, None, StatusCode::FORBIDDEN),
            (
                "/users/alice/servers/x/progress",
                Some("alice"),
                StatusCode::NOT_FOUND,
            ),
            (
                "/users/nobody/server/progress",
                Some("admin"),
                StatusCode::NOT_FOUND,
            ),
        ] {
            let request = hub.get(path);
            let request = match user {
                Some(user) => request.user(user),
                None => request,
            };
            assert_eq!(request.send().await.status, status, "{path} {user:?}");
        }
    }

    #[tokio::test]
    async fn a_start_of_an_earlier_process_has_an_end() {
        let hub = Hub::new().await;
        hub.world.play(Script::Lost);
        hub.recover("alice").await;
        let mut watching = hub.get(PATH).user("alice").stream().await;
        assert_eq!(watching.next().await.as_deref(), Some("\n\n"));
        hub.world.release();
        let seen = events(watching).await;
        assert_eq!(seen[0]["progress"], 50);
        let failed = json!({
            "progress": 100,
            "failed": true,
            "message": "Spawn failed: The hub was restarted while the server was being started. \
                        (phase launching) Last output: boom",
        });
        assert_eq!(seen.last(), Some(&failed));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_every_eight_seconds() {
        let hub = Hub::new().await;
        let log = ProgressLog::new();
        log.report(1, "first");
        let alice = ServerId::default_of("alice".parse().unwrap());
        let mut events = std::pin::pin!(watch(hub.app, alice, &log));
        let began = Instant::now();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let event = events.next().await.unwrap();
            seen.push((began.elapsed().as_secs(), event.is_some()));
        }
        assert_eq!(seen, [(0, true), (8, false), (16, false)]);
        log.ready();
        assert!(events.next().await.unwrap().is_some());
        assert_eq!(events.next().await, None);
    }
}
