//! WebSockets: the handshake goes to the server like any request, then bytes flow both ways.
//!
//! ```text
//! browser: GET, Upgrade: websocket --> server
//!                                      101 --> 101 to the browser, then the tunnel
//!                                      other --> an ordinary response; nothing has switched
//! ```
//!
//! Nothing the browser sends behind its handshake reaches the server before the server's 101:
//! until then it lies unread, and after any other answer it is read as the next request. Whether
//! a foreign `Origin` may connect is the server's decision; it compares `Origin` with `Host`, and
//! gets both as they came.

use std::sync::Arc;
use std::time::Duration;

use http::header::UPGRADE;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::answer::bare;
use super::body::Body;
use super::client::Forwarded;
use super::forward::Errand;
use super::framing::tokens;
use super::headers;
use super::table::Target;
use super::tunnel;

/// How long either side may take from the 101 to the switch. A browser that vanished in between
/// would hold the server's side for ever.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The open tunnels, which no HTTP server counts any more: they end with the token, and whoever
/// stops the proxy waits for the tracker.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Errand<'_> {
    /// A WebSocket handshake.
    pub(super) async fn upgrade(
        &self,
        mut request: Request<Incoming>,
        forwarded: Forwarded,
        tunnels: &Tunnels,
    ) -> Response<Body> {
        let browser = hyper::upgrade::on(&mut request);
        let (mut response, lease) = match self.send(request, forwarded).await {
            Ok(sent) => sent,
            Err(answer) => return answer,
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.pass(response, lease);
        }
        if !agrees(&response) {
            return self.no_answer(StatusCode::BAD_GATEWAY);
        }
        let server = hyper::upgrade::on(&mut response);
        tunnels.open(browser, server, Arc::clone(&self.target));

        let mut switched = bare(StatusCode::SWITCHING_PROTOCOLS);
        *switched.headers_mut() = std::mem::take(response.headers_mut());
        headers::to_browser(switched.headers_mut(), self.scope());
        headers::ask_for_websocket(switched.headers_mut());
        switched
    }
}

impl Tunnels {
    fn open(&self, browser: OnUpgrade, server: OnUpgrade, target: Arc<Target>) {
        let stop = self.stop.child_token();
        self.tasks.spawn(async move {
            let tunnel = async {
                let both = async { tokio::try_join!(browser, server) };
                let Ok(Ok((browser, server))) = tokio::time::timeout(SWITCH_TIMEOUT, both).await
                else {
                    debug!(prefix = target.route.prefix, "websocket was never switched");
                    return;
                };
                target.meter.touch();
                let (browser, server) = (TokioIo::new(browser), TokioIo::new(server));
                if let Err(error) = tunnel::copy(browser, server, &target.meter).await {
                    debug!(prefix = target.route.prefix, %error, "websocket broke off");
                }
            };
            stop.run_until_cancelled(tunnel).await;
        });
    }
}

/// Whether a 101 switches to what was asked for.
fn agrees(response: &Response<Incoming>) -> bool {
    let mut protocols = tokens(response.headers(), &UPGRADE);
    protocols
        .next()
        .is_some_and(|first| first.eq_ignore_ascii_case("websocket"))
        && protocols.next().is_none()
}
