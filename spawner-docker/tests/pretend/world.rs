//! Containers, images, events.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{self, Answer};
use super::script::{Pull, Step};
use super::verb::{Verb, strip_version};

/// What every image of this world runs.
const COMMAND: &str = "start-notebook";

/// The world behind one engine.
#[derive(Clone)]
pub(crate) struct World {
    things: Arc<Mutex<Things>>,
    events: watch::Sender<Vec<Value>>,
    pulls: watch::Sender<usize>,
}

#[derive(Default)]
struct Things {
    containers: BTreeMap<String, Container>,
    images: HashSet<String>,
    registry: HashMap<String, Pull>,
    made: u64,
}

struct Container {
    name: String,
    body: Value,
    /// The code that it ended with; `None` before and while it runs.
    code: Option<i64>,
    /// What serves in it, while it runs.
    serving: Option<(u16, JoinSet<()>)>,
}

/// Counts a pull for as long as it is under way.
struct Pulling(watch::Sender<usize>);

impl Pulling {
    fn new(pulls: watch::Sender<usize>) -> Self {
        pulls.send_modify(|pulls| *pulls += 1);
        Self(pulls)
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        self.0.send_modify(|pulls| *pulls -= 1);
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let things = Things {
            images: HashSet::from(["lab:latest".to_owned()]),
            ..Things::default()
        };
        Self {
            things: Arc::new(Mutex::new(things)),
            events: watch::Sender::default(),
            pulls: watch::Sender::default(),
        }
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap()
    }

    pub(crate) fn registry_has(&self, image: &str, pull: Pull) {
        self.things().registry.insert(with_tag(image), pull);
    }

    pub(crate) async fn pulling(&self, number: usize) {
        let mut pulls = self.pulls.subscribe();
        pulls.wait_for(|pulls| *pulls == number).await.unwrap();
    }

    pub(crate) fn containers(&self) -> Vec<(String, bool)> {
        let things = self.things();
        let all = things.containers.values();
        all.map(|c| (c.name.clone(), c.serving.is_some())).collect()
    }

    pub(crate) fn ends(&self, name: &str, code: i64) {
        let id = self.things().find(name).unwrap();
        self.end(&id, code);
    }

    /// Ends what runs in a container; `false` if nothing does.
    fn end(&self, id: &str, code: i64) -> bool {
        let mut things = self.things();
        let container = things.containers.get_mut(id).unwrap();
        let ended = container.serving.take().is_some();
        if ended {
            container.code = Some(code);
            let event = container.event(id, "die");
            drop(things);
            self.events.send_modify(|events| events.push(event));
        }
        ended
    }

    pub(crate) fn answer(&self, verb: Verb, request: Request<Bytes>) -> Answer {
        let uri = request.uri().clone();
        let path = strip_version(uri.path()).to_owned();
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let body = request.into_body();
        let subject = path
            .split('/')
            .nth(2)
            .and_then(|name| self.things().find(name));
        match (verb, subject) {
            (Verb::Ping, _) => answer::answer(200, "OK"),
            (Verb::Version, _) => answer::value(
                200,
                &json!({"Version": "0.0", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}),
            ),
            (Verb::Info, _) => answer::value(200, &json!({"MemoryLimit": true, "PidsLimit": true})),
            (Verb::Network, _) => answer::value(200, &json!({"Name": "bridge", "Internal": false})),
            (Verb::Events, _) => self.events(&query),
            (Verb::List, _) => answer::value(200, &self.list(&query)),
            (Verb::ImageInspect, _) => self.image(&path),
            (Verb::Pull, _) => self.pull(&query),
            (Verb::Create, _) => self.create(&query, &body),
            (Verb::Inspect, Some(id)) => {
                let things = self.things();
                answer::value(200, &things.containers[&id].inspect(&id))
            }
            (Verb::Logs, Some(_)) => answer::answer(200, Bytes::new()),
            (Verb::Start, Some(id)) => self.start(&id),
            (Verb::Stop, Some(id)) => {
                self.end(&id, 143);
                answer::empty()
            }
            (Verb::Kill, Some(id)) if self.end(&id, 137) => answer::empty(),
            (Verb::Kill, Some(_)) => answer::refused(409, "Container is not running"),
            (Verb::Remove, Some(id)) => {
                self.end(&id, 137);
                let gone = self.things().containers.remove(&id).unwrap();
                let event = gone.event(&id, "destroy");
                self.events.send_modify(|events| events.push(event));
                answer::empty()
            }
            _ => answer::refused(404, &format!("No such container: {path}")),
        }
    }

    fn create(&self, query: &HashMap<String, String>, body: &[u8]) -> Answer {
        let name = query["name"].clone();
        let body: Value = serde_json::from_slice(body).unwrap();
        let image = body["Image"].as_str().unwrap().to_owned();
        let mut things = self.things();
        if !things.images.contains(&with_tag(&image)) {
            return answer::refused(404, &format!("No such image: {image}"));
        }
        if let Some(id) = things.find(&name) {
            let message = format!("Conflict. The name \"/{name}\" is in use by \"{id}\".");
            return answer::refused(409, &message);
        }
        things.made += 1;
        let id = format!("{:064x}", things.made);
        let container = Container {
            name,
            body,
            code: None,
            serving: None,
        };
        things.containers.insert(id.clone(), container);
        answer::value(201, &json!({"Id": id, "Warnings": []}))
    }

    /// The server in a container of this world says "ok" to whoever asks.
    fn start(&self, id: &str) -> Answer {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(ok).await;
            }
        });
        let mut things = self.things();
        let container = things.containers.get_mut(id).unwrap();
        (container.code, container.serving) = (None, Some((port, serving)));
        let event = container.event(id, "start");
        drop(things);
        self.events.send_modify(|events| events.push(event));
        answer::empty()
    }

    fn list(&self, query: &HashMap<String, String>) -> Value {
        let filters: HashMap<String, Vec<String>> =
            serde_json::from_str(query.get("filters").map_or("{}", String::as_str)).unwrap();
        let wanted = filters.get("label").cloned().unwrap_or_default();
        let things = self.things();
        let carries = |container: &Container| {
            wanted.iter().all(|label| {
                let (key, value) = label.split_once('=').unwrap();
                container.body["Labels"][key] == value
            })
        };
        let found = things.containers.iter().filter(|(_, c)| carries(c));
        found.map(|(id, c)| c.summary(id)).collect()
    }

    /// Everything that happened, and everything that does; who listens knows what it knows.
    fn events(&self, query: &HashMap<String, String>) -> Answer {
        let since = query.get("since").and_then(|since| since.parse().ok());
        let since: f64 = since.unwrap_or(f64::MAX);
        let events = self.events.subscribe();
        let state = (events, 0_usize);
        let pieces = stream::unfold(state, move |(mut events, mut next)| async move {
            loop {
                let event = events.borrow_and_update().get(next).cloned();
                next += usize::from(event.is_some());
                match event {
                    Some(event) if event["time"].as_f64().unwrap() >= since.floor() => {
                        return Some((Ok(Bytes::from(format!("{event}\n"))), (events, next)));
                    }
                    Some(_) => {}
                    None => events.changed().await.ok()?,
                }
            }
        });
        answer::streamed(200, pieces.boxed())
    }

    fn image(&self, path: &str) -> Answer {
        let name = path
            .strip_prefix("/images/")
            .and_then(|p| p.strip_suffix("/json"))
            .unwrap();
        if self.things().images.contains(&with_tag(name)) {
            let config = json!({"Cmd": [COMMAND], "Entrypoint": null});
            answer::value(
                200,
                &json!({"Id": format!("sha256:{name}"), "Config": config}),
            )
        } else {
            answer::refused(404, &format!("No such image: {name}"))
        }
    }

    fn pull(&self, query: &HashMap<String, String>) -> Answer {
        let from = &query["fromImage"];
        let image = match query.get("tag").filter(|tag| !tag.is_empty()) {
            Some(tag) => format!("{from}:{tag}"),
            None if from.contains('@') => from.clone(),
            None => panic!("all tags of {from} were asked for"),
        };
        let script = self.things().registry.get(&image).cloned();
        let steps = match script {
            None => {
                let message = format!("manifest for {image} not found: manifest unknown");
                return answer::refused(404, &message);
            }
            Some(Pull::Refused(status, message)) => return answer::refused(status, message),
            Some(Pull::Steps(steps)) => steps,
        };
        let pulling = Pulling::new(self.pulls.clone());
        let state = (self.clone(), pulling, image, steps.into_iter());
        let pieces = stream::unfold(state, |(world, pulling, image, mut steps)| async move {
            let line = |line: &Value| Bytes::from(format!("{line}\r\n"));
            let piece = loop {
                match steps.next() {
                    None => {
                        world.things().images.insert(image.clone());
                        return None;
                    }
                    Some(Step::End) => return None,
                    Some(Step::Gate(gate)) => gate.pass().await,
                    Some(Step::Stall) => std::future::pending().await,
                    Some(Step::Line(text)) => break Ok(line(&text)),
                    Some(Step::Garbage) => break Ok(Bytes::from_static(b"<html>\n")),
                    Some(Step::Break) => {
                        // What was said before is on its way then.
                        tokio::task::yield_now().await;
                        break Err(std::io::Error::other("as the test wants it"));
                    }
                    Some(Step::Repeat(text)) => {
                        let again = vec![Step::Line(text.clone()), Step::Repeat(text)];
                        steps = again.into_iter();
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                }
            };
            Some((piece, (world, pulling, image, steps)))
        });
        answer::streamed(200, pieces.boxed())
    }
}

impl Things {
    /// The id of a container that has this id or name.
    fn find(&self, name: &str) -> Option<String> {
        let is = |(id, container): &(&String, &Container)| *id == name || container.name == name;
        self.containers.iter().find(is).map(|(id, _)| id.clone())
    }
}

impl Container {
    fn summary(&self, id: &str) -> Value {
        let state = match (&self.serving, self.code) {
            (Some(_), _) => "running",
            (None, Some(_)) => "exited",
            (None, None) => "created",
        };
        json!({
            "Id": id, "Names": [format!("/{}", self.name)], "Labels": self.body["Labels"],
            "State": state, "Status": state,
        })
    }

    fn inspect(&self, id: &str) -> Value {
        let port = self.serving.as_ref().map(|(port, _)| port.to_string());
        let binding = port.map(|port| json!([{"HostIp": "127.0.0.1", "HostPort": port}]));
        let began = self.serving.is_some() || self.code.is_some();
        let at = if began {
            "2026-01-02T03:04:05Z"
        } else {
            "0001-01-01T00:00:00Z"
        };
        json!({
            "Id": id,
            "Name": format!("/{}", self.name),
            "Config": {"Labels": self.body["Labels"], "Image": self.body["Image"]},
            "State": {
                "Running": self.serving.is_some(), "ExitCode": self.code.unwrap_or(0),
                "StartedAt": at, "OOMKilled": false,
            },
            "NetworkSettings": {"Ports": {"8888/tcp": binding}, "Networks": {}},
        })
    }

    fn event(&self, id: &str, action: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut attributes = self.body["Labels"].clone();
        attributes["name"] = json!(self.name);
        if let Some(code) = self.code {
            attributes["exitCode"] = json!(code.to_string());
        }
        json!({
            "Type": "container", "Action": action, "time": now.as_secs(),
            "timeNano": u64::try_from(now.as_nanos()).unwrap(),
            "Actor": {"ID": id, "Attributes": attributes},
        })
    }
}

/// A name as the engine keeps it.
fn with_tag(name: &str) -> String {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    if name[last..].contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}
