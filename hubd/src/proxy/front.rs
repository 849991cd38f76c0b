//! The front door: every request of every browser comes through [`Proxy::handle`].

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use super::activity::Event;
use super::answer::{Reader, Refusal};
use super::body::Body;
use super::client::{ClientInfo, Forwarded, Peer};
use super::forward::Errand;
use super::framing::{self, Wish};
use super::headers;
use super::path::{BasePath, Place};
use super::segment::BadPath;
use super::table::{Routes, Snapshot};
use super::trust::TrustedProxies;
use super::upgrade::Tunnels;

/// The data plane. Cloning it is cheap and gives another handle to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

/// What an administrator can set.
#[derive(Debug, Clone)]
pub(crate) struct ProxyOptions {
    /// Peers whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: TrustedProxies,
    /// The header in which they say who asks, if they do.
    pub(crate) identity_header: Option<HeaderName>,
    /// How often the hub hears of activity, at most once per server each time.
    pub(crate) activity_interval: Duration,
}

struct Shared {
    routes: Routes,
    events: mpsc::Sender<Event>,
    options: ProxyOptions,
    tunnels: Tunnels,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            trusted_proxies: TrustedProxies::default(),
            identity_header: None,
            activity_interval: Duration::from_secs(5),
        }
    }
}

impl Proxy {
    /// A proxy below `base_url` (a path) that follows `routes` and tells `events`. It serves at
    /// once; [`run`](Self::run) must be running for activity to be told.
    pub(crate) fn new(
        base_url: &str,
        routes: watch::Receiver<Arc<Snapshot>>,
        events: mpsc::Sender<Event>,
        options: ProxyOptions,
    ) -> Self {
        let base = BasePath::new(base_url);
        Self {
            shared: Arc::new(Shared {
                routes: Routes::new(base, routes, TaskTracker::new()),
                events,
                options,
                tunnels: Tunnels::default(),
            }),
        }
    }

    /// Answers one request: from the server that its path names, or else from the hub.
    ///
    /// The hub gets the request with a [`ClientInfo`] among its extensions and without any header
    /// that claims to know who is asking.
    pub(crate) async fn handle<H>(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
        hub: H,
    ) -> Response<Body>
    where
        H: Service<Request<Incoming>, Response = axum::response::Response, Error = Infallible>,
    {
        let shared = &*self.shared;
        let reader = Reader::of(request.headers());
        let wish = match framing::check(&mut request) {
            Ok(wish) => wish,
            Err(refusal) => return refusal.respond(reader),
        };
        let uri = request.uri().clone();
        let refuse = |bad: BadPath| Refusal::malformed(bad.reason()).respond(reader);
        let base = shared.routes.base();
        let named = match base.locate(uri.path()) {
            Ok(Place::Named(named)) => Some(named),
            Ok(Place::Hub) => None,
            Ok(Place::Outside) => return reader.not_ours(base.as_str()),
            Err(bad) => return refuse(bad),
        };
        let trusted = &shared.options.trusted_proxies;
        let mut info = ClientInfo::of(peer, request.headers(), trusted);
        if let Some(name) = &shared.options.identity_header {
            // Neither the hub nor a server sees it: the one is told by `info`, the other must not be.
            info.take_identity(peer, name, request.headers_mut(), trusted);
        }
        let found = named.as_ref().and_then(|named| shared.routes.find(named));
        let Some((target, prefix_end)) = found else {
            if let Some(Err(bad)) = named.map(|named| named.check_for_hub()) {
                return refuse(bad);
            }
            headers::drop_claims(request.headers_mut());
            request.extensions_mut().insert(info);
            let Ok(response) = hub.oneshot(request).await;
            return response.map(Body::Hub);
        };
        if let Some(Err(bad)) = named.map(|named| named.check_rest(prefix_end)) {
            return refuse(bad);
        }
        let forwarded = Forwarded::of(peer, &info, request.headers(), trusted);
        let errand = Errand {
            target,
            wish,
            uri: &uri,
            prefix_end,
            reader,
            base: base.as_str(),
            events: &shared.events,
        };
        match wish {
            Wish::Exchange { .. } => errand.exchange(request, forwarded).await,
            Wish::WebSocket => errand.upgrade(request, forwarded, &shared.tunnels).await,
        }
    }

    /// Tells the hub of activity and closes idle connections, until `stop`; then ends every open
    /// WebSocket and returns when the last one is gone.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let shared = &*self.shared;
        let interval = shared
            .options
            .activity_interval
            .max(Duration::from_millis(1));
        let mut tick = tokio::time::interval(interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let report = async {
            loop {
                tick.tick().await;
                shared.routes.reap();
                for event in shared.routes.meters().take() {
                    if shared.events.send(event).await.is_err() {
                        return std::future::pending().await;
                    }
                }
            }
        };
        let _: Option<Infallible> = stop.run_until_cancelled(report).await;
        shared.tunnels.stop.cancel();
        shared.tunnels.tasks.close();
        shared.tunnels.tasks.wait().await;
        for event in shared.routes.meters().take() {
            // The hub is stopping as well, and may not be reading any more.
            let _ = shared.events.try_send(event);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("routes", &self.routes)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
