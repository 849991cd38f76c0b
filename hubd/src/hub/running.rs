//! A hub that has been started.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use super::builder::HubBuilder;
use super::control::Control;
use crate::app::App;
use crate::http::serve::serve;
use crate::proxy::{Peer, Proxy};
use crate::tasks::Tasks;

/// A hub that listens; [`run`](Self::run) answers requests.
///
/// Dropping it without running it lets servers of earlier times go on, as stopping it does.
pub struct Hub {
    pub(super) app: Arc<App>,
    pub(super) router: Router,
    pub(super) proxy: Proxy,
    pub(super) listener: TcpListener,
    pub(super) control: Control,
    pub(super) tasks: Tasks,
    pub(super) url: String,
    pub(super) login_link: Option<String>,
    pub(super) grace: Duration,
    pub(super) cleanup_servers: bool,
}

impl Hub {
    /// A new hub's parts.
    pub fn builder() -> HubBuilder {
        HubBuilder::new()
    }

    /// The address that a person opens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The link that logs in once, if one was asked for.
    pub fn login_link(&self) -> Option<&str> {
        self.login_link.as_deref()
    }

    /// Answers requests until `until` is over or somebody who may asks the hub to shut down, then
    /// stops: requests under way may end within the configured grace, the services that the hub has
    /// started end, the books are closed, and the servers go on unless the configuration or whoever
    /// asked says otherwise.
    pub async fn run(self, until: impl Future<Output = ()> + Send) {
        let stop = self.tasks.stop_signal().clone();
        let proxy = self.proxy.clone();
        let proxy_stop = stop.clone();
        self.tasks
            .spawn("proxy", async move { proxy.run(proxy_stop).await });
        let app = Arc::clone(&self.app);
        let commands = self.control.serve(app, self.url.clone(), stop.clone());
        self.tasks.spawn("control", commands);

        let closing = stop.child_token();
        let (proxy, router) = (self.proxy.clone(), self.router.clone());
        let service = move |request: Request<Incoming>, peer: SocketAddr| {
            let (proxy, router) = (proxy.clone(), router.clone());
            // The router takes any body; the proxy hands over hyper's.
            let hub =
                router.map_request(|request: Request<Incoming>| request.map(axum::body::Body::new));
            async move { proxy.handle(request, Peer::plain(peer), hub).await }
        };
        let serving = serve(self.listener, service, closing.clone(), self.grace);
        let mut serving = std::pin::pin!(serving);
        let mut cleanup_servers = self.cleanup_servers;
        tokio::select! {
            () = &mut serving => {}
            () = until => {}
            wish = self.app.shutdown.asked() => {
                cleanup_servers = wish.servers.unwrap_or(cleanup_servers);
            }
        }
        tracing::info!("stopping");
        if cleanup_servers {
            self.app.servers.stop_all(super::stop::SERVERS_LIMIT).await;
        }
        closing.cancel();
        let tasks = super::stop::tasks(&self.tasks, self.grace);
        tokio::join!(serving, tasks, self.app.services.stop());
        super::books::stopping(&self.app, cleanup_servers).await;
        super::stop::books(&self.app.store).await;
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
