//! The stream behind the rows of the list: who is no longer as shown.
//!
//! ```text
//! data: {"alice":"=Running proj=Stopped","bob":"=Stopped"}     <- all of them at first
//! data: {"bob":"=Starting"}                                    <- then who has changed
//! ```
//!
//! The page compares these stamps with those of its rows and fetches what is new, so nothing is laid
//! out twice and no change is missed between a page and its stream.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use spawner_core::UserName;
use tokio::sync::watch;

use super::super::form;
use super::super::instead::Instead;
use super::super::visit::Visit;
use super::list::{expect_manager, visible};
use super::part::PAGE;
use super::rows::stamp;
use crate::app::AppState;

/// The longest silence; proxies cut connections that are silent for a minute or so.
const KEEP_ALIVE: Duration = Duration::from_secs(8);
/// What happens within this time is told together: a thousand starts are no thousand events.
const GATHER: Duration = Duration::from_millis(100);

/// What one page has been told.
struct Watch {
    app: AppState,
    users: Vec<UserName>,
    told: BTreeMap<UserName, String>,
    changes: watch::Receiver<u64>,
    begun: bool,
}

pub(in super::super) async fn follow(visit: Visit) -> Result<Response, Instead> {
    let member = expect_manager(&visit)?;
    let within = visible(visit.app(), member)?;
    let query = form::fields(visit.parts.uri.query().unwrap_or_default())?;
    let users = query.all("user").iter().take(PAGE);
    let users = users.filter_map(|name| UserName::new(name).ok());
    let watch = Watch {
        users: users
            .filter(|name| within.as_ref().is_none_or(|within| within.contains(name)))
            .collect(),
        told: BTreeMap::new(),
        changes: visit.app().servers.changes(),
        begun: false,
        app: visit.shared_app(),
    };
    let stop = visit.app().servers.stop_signal().clone();
    let events = stream::unfold(watch, Watch::next).take_until(stop.cancelled_owned());
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    let body = Body::from_stream(events.map(Ok::<_, Infallible>));
    Ok((headers, body).into_response())
}

impl Watch {
    /// The next piece of the stream; an empty line if nothing happened for a while.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.begun {
            match tokio::time::timeout(KEEP_ALIVE, self.changes.changed()).await {
                Ok(Ok(())) => tokio::time::sleep(GATHER).await,
                Ok(Err(_closed)) => return None,
                Err(_elapsed) => return Some((Bytes::from_static(b"\n\n"), self)),
            }
        }
        self.begun = true;
        // Before looking, so that what happens meanwhile is looked at again.
        self.changes.mark_unchanged();
        let news = self.look();
        let event = if news.is_empty() {
            Bytes::from_static(b"\n\n")
        } else {
            // Names and words: always JSON.
            let json = serde_json::to_string(&news).unwrap_or_default();
            Bytes::from(format!("data: {json}\n\n"))
        };
        Some((event, self))
    }

    /// Whose servers do something else than was told.
    fn look(&mut self) -> BTreeMap<UserName, String> {
        let mut news = BTreeMap::new();
        for name in &self.users {
            // Who was deleted has no stamp, which no row has either.
            let user = self.app.store.users().by_name(name);
            let stamp = user.map_or_else(String::new, |user| stamp(&self.app, &user));
            if self.told.get(name) != Some(&stamp) {
                self.told.insert(name.clone(), stamp.clone());
                news.insert(name.clone(), stamp);
            }
        }
        news
    }
}
