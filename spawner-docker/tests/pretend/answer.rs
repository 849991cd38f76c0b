//! Answers, whole, as streams, or damaged by a fault.

use std::io;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::fault::Fault;

pub(crate) type Pieces = BoxStream<'static, io::Result<Bytes>>;
pub(crate) type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;
pub(crate) type Answer = Response<Pieces>;

pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    let body = stream::iter([Ok(body.into())]).boxed();
    streamed(status, body)
}

pub(crate) fn streamed(status: u16, body: Pieces) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

pub(crate) fn value(status: u16, value: &Value) -> Answer {
    answer(status, value.to_string())
}

pub(crate) fn empty() -> Answer {
    streamed(204, stream::empty().boxed())
}

pub(crate) fn refused(status: u16, message: &str) -> Answer {
    value(status, &json!({"message": message}))
}

/// What a client sees of an answer.
pub(crate) fn body(answer: Answer) -> Response<Body> {
    answer.map(|pieces| StreamBody::new(pieces.map(|piece| piece.map(Frame::data)).boxed()))
}

/// Pieces of a body that came from elsewhere.
pub(crate) fn pieces(body: hyper::body::Incoming) -> Pieces {
    body.into_data_stream()
        .map(|piece| piece.map_err(io::Error::other))
        .boxed()
}

/// An answer as it comes out of a fault; `None` when the connection is to be closed instead.
pub(crate) async fn damaged(answer: Answer, fault: &Fault) -> Option<Answer> {
    let broken = || io::Error::other("broken off, as the test wants it");
    Some(match fault {
        Fault::Status(status, message) => refused(*status, message),
        Fault::Hangs => std::future::pending().await,
        Fault::Resets => return None,
        Fault::Garbage => answer.map(|_| stream::iter([Ok("<html>".into())]).boxed()),
        Fault::Stalls => answer.map(|pieces| half(pieces).chain(stream::pending()).boxed()),
        Fault::Breaks => answer.map(move |pieces| {
            // What was said before is on its way then.
            let end = stream::once(async move {
                tokio::task::yield_now().await;
                Err(broken())
            });
            half(pieces).chain(end).boxed()
        }),
        Fault::Trickles => answer.map(|pieces| {
            let cut = |piece: io::Result<Bytes>| match piece {
                Ok(bytes) => {
                    let cut: Vec<_> = bytes.chunks(7).map(Bytes::copy_from_slice).collect();
                    stream::iter(cut).map(Ok).boxed()
                }
                Err(error) => stream::iter([Err(error)]).boxed(),
            };
            pieces.flat_map(cut).boxed()
        }),
        Fault::Twice => answer,
        Fault::Ends => answer.map(|pieces| pieces.take(1).boxed()),
    })
}

/// The first half of the first piece.
fn half(pieces: Pieces) -> Pieces {
    pieces
        .take(1)
        .map(|piece| piece.map(|bytes| bytes.slice(..bytes.len() / 2)))
        .boxed()
}
