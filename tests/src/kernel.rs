//! A kernel as JupyterLab uses one: started over REST, spoken to over a WebSocket.
//!
//! Both ways of wrapping messages are spoken: the binary `v1.kernel.websocket.jupyter.org` that
//! JupyterLab asks for, and the JSON text frames of clients that ask for nothing.

use futures_util::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::browser::Browser;
use crate::wait::within;

/// The name of the binary protocol.
const V1: &str = "v1.kernel.websocket.jupyter.org";

/// A WebSocket of a client.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A kernel that runs on a user's server.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its id at the server.
    pub id: String,
    prefix: String,
}

/// How messages are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// What JupyterLab asks for.
    V1,
    /// What is spoken when nothing was asked for.
    Json,
}

/// An open channel to a kernel.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    protocol: Protocol,
    sent: u32,
}

impl Kernel {
    /// Starts a kernel on the server at `prefix` (`/user/tee/`), as a script of its pages does.
    pub async fn start(browser: &mut Browser, prefix: &str) -> Self {
        let path = format!("{prefix}api/kernels");
        let reply = browser
            .fetch(Method::POST, &path, Some(&json!({ "name": "python3" })))
            .await;
        assert_eq!(
            reply.status,
            StatusCode::CREATED,
            "no kernel: {}",
            reply.text()
        );
        let id = reply.json()["id"]
            .as_str()
            .expect("a kernel model has an id")
            .to_owned();
        Self {
            id,
            prefix: prefix.to_owned(),
        }
    }

    /// The path of its WebSocket.
    pub fn channels(&self) -> String {
        format!("{}api/kernels/{}/channels", self.prefix, self.id)
    }

    /// Opens its WebSocket from a page of the server, with the browser's cookies and origin.
    pub async fn connect(&self, browser: &Browser, protocol: Protocol) -> Channel {
        let path = self.channels();
        let asked = (protocol == Protocol::V1).then_some(V1);
        let socket = open(browser, &path, browser.origin(), asked).await;
        let (socket, chosen) =
            socket.unwrap_or_else(|status| panic!("{path} was refused with {status}"));
        let protocol = if chosen.as_deref() == Some(V1) {
            Protocol::V1
        } else {
            Protocol::Json
        };
        Channel {
            socket,
            protocol,
            sent: 0,
        }
    }
}

impl Channel {
    /// What is spoken, which the server has the last word on.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Runs code and gives the text of its result (`""` if it has none); an exception in the code
    /// fails the test.
    pub async fn run(&mut self, code: &str) -> String {
        self.sent += 1;
        let id = format!("hub-tests-{}", self.sent);
        let request = json!({
            "channel": "shell",
            "header": {
                "msg_id": id, "msg_type": "execute_request", "username": "", "session": "hub-tests",
                "date": "2026-01-01T00:00:00.000000Z", "version": "5.3",
            },
            "parent_header": {}, "metadata": {}, "buffers": [],
            "content": {
                "code": code, "silent": false, "store_history": false, "user_expressions": {},
                "allow_stdin": false, "stop_on_error": true,
            },
        });
        let message = match self.protocol {
            Protocol::V1 => Message::binary(pack(&request)),
            Protocol::Json => Message::text(request.to_string()),
        };
        within("a message to leave", self.socket.send(message))
            .await
            .expect("an open WebSocket");
        let mut result = String::new();
        loop {
            let message = self.next(code).await;
            if message["parent_header"]["msg_id"] != id.as_str() {
                continue;
            }
            let content = &message["content"];
            match message["header"]["msg_type"].as_str().unwrap_or_default() {
                "execute_result" => {
                    let text = &content["data"]["text/plain"];
                    text.as_str()
                        .expect("a result has a text form")
                        .clone_into(&mut result);
                }
                "error" => panic!("{code}: {content:#}"),
                // Idle is the last word of a run on the channel that results come by.
                "status" if content["execution_state"] == "idle" => return result,
                _ => {}
            }
        }
    }

    async fn next(&mut self, code: &str) -> Value {
        loop {
            let message = within(&format!("the answer to {code:?}"), self.socket.next()).await;
            match message
                .expect("the WebSocket was closed")
                .expect("the WebSocket broke")
            {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON text"),
                Message::Binary(bytes) => return unpack(&bytes),
                _ => {}
            }
        }
    }
}

/// Opens a WebSocket with the browser's cookies from a page of `origin`; a refusal gives its status.
/// The second value is the sub-protocol that the server chose.
pub async fn open(
    browser: &Browser,
    path: &str,
    origin: &str,
    protocol: Option<&'static str>,
) -> Result<(Socket, Option<String>), StatusCode> {
    let url = format!("{}{path}", browser.origin().replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a WebSocket address");
    let headers = request.headers_mut();
    headers.extend(browser.script_headers(path));
    headers.insert("sec-fetch-mode", HeaderValue::from_static("websocket"));
    headers.insert(
        "origin",
        origin.parse().expect("an origin is a header value"),
    );
    if origin != browser.origin() {
        // Servers believe a browser that says "same-origin" before they compare the origin.
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    }
    if let Some(protocol) = protocol {
        let name = HeaderName::from_static("sec-websocket-protocol");
        headers.insert(name, HeaderValue::from_static(protocol));
    }
    match within(&format!("the WebSocket {path}"), connect_async(request)).await {
        Ok((socket, reply)) => {
            let chosen = reply.headers().get("sec-websocket-protocol");
            Ok((
                socket,
                chosen
                    .and_then(|name| name.to_str().ok())
                    .map(str::to_owned),
            ))
        }
        Err(Error::Http(reply)) => Err(reply.status()),
        Err(error) => panic!("{path}: {error}"),
    }
}

/// Wraps a message for the binary protocol: how many offsets, the offsets, then the parts.
fn pack(message: &Value) -> Vec<u8> {
    let part = |name: &str| message[name].to_string().into_bytes();
    let channel = message["channel"]
        .as_str()
        .unwrap_or_default()
        .as_bytes()
        .to_vec();
    let parts = [
        channel,
        part("header"),
        part("parent_header"),
        part("metadata"),
        part("content"),
    ];
    let count = parts.len() + 1;
    let mut offset = 8 * (1 + count);
    let mut bytes = (count as u64).to_le_bytes().to_vec();
    bytes.extend((offset as u64).to_le_bytes());
    for part in &parts {
        offset += part.len();
        bytes.extend((offset as u64).to_le_bytes());
    }
    bytes.extend(parts.concat());
    bytes
}

/// Unwraps what [`pack`] wraps; buffers are left out.
fn unpack(bytes: &[u8]) -> Value {
    let word = |index: usize| {
        let word = bytes
            .get(8 * index..8 * (index + 1))
            .expect("a whole message");
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        usize::try_from(word).expect("an offset in memory")
    };
    let part = |index: usize| {
        bytes
            .get(word(1 + index)..word(2 + index))
            .expect("offsets inside the message")
    };
    let json = |index| serde_json::from_slice::<Value>(part(index)).expect("JSON parts");
    json!({
        "channel": String::from_utf8_lossy(part(0)),
        "header": json(1), "parent_header": json(2), "metadata": json(3), "content": json(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_message_survives_the_round_trip() {
        let message = json!({
            "channel": "shell", "header": { "msg_id": "1" }, "parent_header": {},
            "metadata": { "ü": 1 }, "content": { "code": "1+1" },
        });
        let packed = pack(&message);
        assert_eq!(packed[..8], 6u64.to_le_bytes());
        assert_eq!(
            packed[8..16],
            56u64.to_le_bytes(),
            "the parts begin after seven words"
        );
        assert_eq!(unpack(&packed), message);
    }
}
