//! The progress stream of a starting server: `data: {JSON}` events, blank keep-alives between.

use http::Response;
use http_body_util::{BodyExt, Collected};
use hyper::body::Incoming;
use serde_json::Value;

use crate::wait::within;

/// One event as the hub sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// 0 to 100.
    pub progress: i64,
    /// The words for a person.
    pub message: String,
    /// The server is ready: the stream's last event.
    pub ready: bool,
    /// The start failed: the stream's last event.
    pub failed: bool,
    /// Everything that came.
    pub data: Value,
}

impl Event {
    fn parse(line: &str) -> Self {
        let data: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{error}: an event that is no JSON: {line:?}"));
        Self {
            progress: data["progress"]
                .as_i64()
                .unwrap_or_else(|| panic!("no progress: {data}")),
            message: data["message"].as_str().unwrap_or_default().to_owned(),
            ready: data["ready"] == true,
            failed: data["failed"] == true,
            data,
        }
    }
}

/// The events of one start, as they come.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    rest: Lines,
}

impl Events {
    /// Takes an answer that must be an event stream.
    pub async fn read(reply: Response<Incoming>) -> Self {
        let kind = reply.headers().get("content-type");
        let kind = kind
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        if !reply.status().is_success() || !kind.starts_with("text/event-stream") {
            let status = reply.status();
            let body = within("a refusal of the stream", reply.into_body().collect()).await;
            let text = body.map(Collected::to_bytes).unwrap_or_default();
            panic!(
                "no event stream: {status} {kind} {}",
                String::from_utf8_lossy(&text)
            );
        }
        Self {
            body: reply.into_body(),
            rest: Lines::default(),
        }
    }

    /// The next event; `None` when the hub has closed the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(line) = self.rest.take() {
                if let Some(data) = line.strip_prefix("data:") {
                    return Some(Event::parse(data.trim()));
                }
                assert!(
                    line.is_empty() || line.starts_with(':'),
                    "not of a stream: {line:?}"
                );
                continue;
            }
            let frame = within("the next progress event", self.body.frame()).await?;
            let frame = frame.unwrap_or_else(|error| panic!("the stream broke: {error}"));
            if let Ok(data) = frame.into_data() {
                self.rest.push(&data);
            }
        }
    }

    /// All events until the hub closes the stream; one that goes on after its end is an error.
    pub async fn to_end(mut self) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        while let Some(event) = self.next().await {
            let over = events.last().is_some_and(|last| last.ready || last.failed);
            assert!(!over, "{event:?} came after the last event {events:?}");
            events.push(event);
        }
        events
    }
}

/// Bytes cut at line ends; what has no end yet stays.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn take(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = self.0.drain(..=end).collect();
        let line = String::from_utf8(line).expect("an event stream is UTF-8");
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let mut lines = Lines::default();
        lines.push(b"\n\ndata: {\"a\"");
        assert_eq!(lines.take().as_deref(), Some(""));
        assert_eq!(lines.take().as_deref(), Some(""));
        assert_eq!(lines.take(), None);
        lines.push(b":1}\r\nd");
        assert_eq!(lines.take().as_deref(), Some("data: {\"a\":1}"));
        assert_eq!(lines.take(), None);
    }

    #[test]
    fn an_event_says_how_it_ended() {
        let event = Event::parse(r#"{"progress": 100, "failed": true, "message": "no"}"#);
        assert!(event.failed && !event.ready);
        assert_eq!((event.progress, event.message.as_str()), (100, "no"));
    }
}
