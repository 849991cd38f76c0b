//! Bodies in both directions: streamed frame by frame, nothing collected, nothing buffered beyond
//! one frame on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use super::activity::Meter;
use super::connect::Lease;

/// Why a body ended early.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every response that leaves the proxy.
#[derive(Debug)]
pub(crate) enum Body {
    /// Written here, in one piece.
    Text(Full<Bytes>),
    /// The hub's.
    Hub(axum::body::Body),
    /// A user's server's.
    Server(Download),
}

/// A server's response on its way to the browser. Whoever drops it before its end hangs up on the
/// server.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    /// The connection, given back once the body has ended.
    lease: Option<Lease>,
    /// Nothing for a reply that is no sign of use, such as a redirect to the login.
    meter: Option<Arc<Meter>>,
}

/// A browser's request on its way to the server.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    meter: Arc<Meter>,
    /// Set when all of the body was taken. A connection with a rest of it is never used again.
    done: Option<Arc<AtomicBool>>,
}

impl Download {
    pub(super) fn new(body: Incoming, lease: Lease, meter: Option<Arc<Meter>>) -> Self {
        let mut download = Self {
            body,
            lease: Some(lease),
            meter,
        };
        download.give_back_at_end();
        download
    }

    fn give_back_at_end(&mut self) {
        if http_body::Body::is_end_stream(&self.body)
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl Upload {
    pub(super) fn new(body: Incoming, meter: Arc<Meter>) -> (Self, Option<Arc<AtomicBool>>) {
        let done = (!http_body::Body::is_end_stream(&body)).then(Arc::<AtomicBool>::default);
        let upload = Self {
            body,
            meter,
            done: done.clone(),
        };
        (upload, done)
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(_)) => {
                if let Some(meter) = &this.meter {
                    meter.touch();
                }
                this.give_back_at_end();
            }
            Some(Err(_)) => this.lease = None,
            None => {
                if let Some(lease) = this.lease.take() {
                    lease.give_back();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        let is_last = match &frame {
            Some(Ok(_)) => {
                this.meter.touch();
                this.body.is_end_stream()
            }
            Some(Err(_)) => false,
            None => true,
        };
        if let Some(done) = this.done.as_ref().filter(|_| is_last) {
            done.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Text(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Hub(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Server(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(body) => body.is_end_stream(),
            Self::Hub(body) => body.is_end_stream(),
            Self::Server(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(body) => body.size_hint(),
            Self::Hub(body) => body.size_hint(),
            Self::Server(body) => body.size_hint(),
        }
    }
}
