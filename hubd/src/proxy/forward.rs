//! One request to one server, and its response back.
//!
//! ```text
//! headers::to_server --> Pool::send --> headers::to_browser --> Download streams the body
//!                           |
//!                           +-- cannot connect: 503, and the hub is told to look after the server
//!                           +-- hung up before it answered: 502; the request is not repeated
//! ```
//!
//! A server that breaks off in the middle of a response breaks off the browser's response as well:
//! a body that is cut short must never look complete.

use std::sync::Arc;

use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tracing::{debug, info};

use super::activity::Event;
use super::answer::{Reader, bare};
use super::body::{Body, Download, Upload};
use super::client::Forwarded;
use super::connect::{Lease, SendError};
use super::cookies::Scope;
use super::framing::Wish;
use super::headers;
use super::table::Target;

/// A request that has found its server.
#[derive(Debug)]
pub(super) struct Errand<'p> {
    pub(super) target: Arc<Target>,
    pub(super) wish: Wish,
    /// The request's target as it came, and where the route's prefix ends in its path.
    pub(super) uri: &'p Uri,
    pub(super) prefix_end: usize,
    pub(super) reader: Reader,
    /// The hub's base path, for links on error pages.
    pub(super) base: &'p str,
    pub(super) events: &'p mpsc::Sender<Event>,
}

impl Errand<'_> {
    /// A plain exchange.
    pub(super) async fn exchange(
        &self,
        request: Request<Incoming>,
        forwarded: Forwarded,
    ) -> Response<Body> {
        match self.send(request, forwarded).await {
            Ok((response, _)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.no_answer(StatusCode::BAD_GATEWAY)
            }
            Ok((response, lease)) => self.pass(response, lease),
            Err(answer) => answer,
        }
    }

    /// Sends the request; if that fails, the answer for the browser.
    pub(super) async fn send(
        &self,
        request: Request<Incoming>,
        forwarded: Forwarded,
    ) -> Result<(Response<Incoming>, Lease), Response<Body>> {
        let (mut parts, body) = request.into_parts();
        headers::to_server(&mut parts.headers, forwarded, self.wish)
            .map_err(|refusal| refusal.respond(self.reader))?;
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let (upload, uploaded) = Upload::new(body, Arc::clone(&self.target.meter));
        let request = Request::from_parts(parts, upload);
        let sent = self.target.pool.send(request, uploaded).await;
        sent.map_err(|error| self.failed(&error))
    }

    /// A response on its way to the browser.
    pub(super) fn pass(&self, response: Response<Incoming>, lease: Lease) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        headers::to_browser(&mut parts.headers, self.scope());
        parts.version = Version::HTTP_11;
        // Redirects to the login, refusals and errors are no sign that somebody uses the server.
        let is_use = parts.status.as_u16() < 300;
        let meter = is_use.then(|| Arc::clone(&self.target.meter));
        if let Some(meter) = &meter {
            meter.touch();
        }
        let body = Download::new(body, lease, meter);
        Response::from_parts(parts, Body::Server(body))
    }

    /// What says that there is no server, to whoever asked.
    pub(super) fn no_answer(&self, status: StatusCode) -> Response<Body> {
        match self.wish {
            Wish::WebSocket => bare(status),
            Wish::Exchange { .. } => self.reader.no_server(status, self.base),
        }
    }

    /// Where this server's cookies are valid.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            prefix: &self.target.route.prefix,
            path: self.uri.path(),
            prefix_end: self.prefix_end,
        }
    }

    fn failed(&self, error: &SendError) -> Response<Body> {
        let route = &self.target.route;
        let cause = std::error::Error::source(error).map(ToString::to_string);
        // A page of an open notebook asks again every few seconds: tell of it once a second.
        let (prefix, endpoint) = (&route.prefix, &route.endpoint);
        if error.is_refusal() && self.target.may_report() {
            info!(prefix, %endpoint, cause, "{error}");
            if let Some(server) = route.server.clone() {
                let endpoint = endpoint.clone();
                // Never wait for the hub here: with that many events to read it is busy looking.
                let _ = self.events.try_send(Event::Refused { server, endpoint });
            }
        } else {
            debug!(prefix, %endpoint, cause, "{error}");
        }
        self.no_answer(match error {
            SendError::Connect(_) => StatusCode::SERVICE_UNAVAILABLE,
            SendError::Http(_) => StatusCode::BAD_GATEWAY,
        })
    }
}
