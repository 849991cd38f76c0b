//! What the engine says of a container, read into the contract's words.

use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerSummary, ContainerSummaryStateEnum,
};
use spawner_core::{Endpoint, ExitStatus, PollStatus};

use crate::identity::Labels;

/// The signals that have a number of their own; an exit code of 128 and one of them is that signal.
const SIGNALS: std::ops::RangeInclusive<i64> = 1..=31;
/// What a shell and the engine report for a process that was killed.
const KILLED: i64 = 128 + 9;

/// The id of a container: 64 lower-case hex digits, so that it cannot be anything but an id in the
/// path of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContainerId(String);

impl ContainerId {
    /// Takes an id that an engine gave or that was saved.
    pub(crate) fn new(raw: &str) -> Option<Self> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (raw.len() == 64 && raw.bytes().all(hex)).then(|| Self(raw.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of it as people read.
    pub(crate) fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// One line of a list of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: ContainerId,
    pub(crate) labels: Labels,
    /// Whether something runs in it, paused or not.
    pub(crate) runs: bool,
}

impl Listed {
    /// `None` if the engine gives no id that is one.
    pub(crate) fn new(answer: ContainerSummary) -> Option<Self> {
        use ContainerSummaryStateEnum as State;
        Some(Self {
            id: ContainerId::new(answer.id.as_deref()?)?,
            labels: answer.labels.unwrap_or_default(),
            runs: matches!(
                answer.state,
                Some(State::RUNNING | State::PAUSED | State::RESTARTING | State::STOPPING)
            ),
        })
    }
}

/// A container as it was a moment ago.
#[derive(Debug, Clone)]
pub(crate) struct Container(ContainerInspectResponse);

impl Container {
    pub(crate) fn new(answer: ContainerInspectResponse) -> Self {
        Self(answer)
    }

    /// Its id; `None` if the engine gives none that is one.
    pub(crate) fn id(&self) -> Option<ContainerId> {
        self.0.id.as_deref().and_then(ContainerId::new)
    }

    pub(crate) fn labels(&self) -> Option<&Labels> {
        self.0.config.as_ref()?.labels.as_ref()
    }

    /// Whether its server runs. A paused one does: it is there and goes on when it is told to. One
    /// that was created and never started does not.
    pub(crate) fn status(&self) -> PollStatus {
        self.0
            .state
            .as_ref()
            .map_or(PollStatus::Exited(ExitStatus::Unknown), status)
    }

    /// Where its server is reached: on `network` if that is given, else where the engine publishes
    /// `port`. `None` while it has no address. `engine_host` is where the engine's machine is, for a
    /// port that is published on all its addresses.
    pub(crate) fn endpoint(
        &self,
        network: Option<&str>,
        port: u16,
        engine_host: &str,
    ) -> Option<Endpoint> {
        let settings = self.0.network_settings.as_ref()?;
        if let Some(network) = network {
            let address = settings
                .networks
                .as_ref()?
                .get(network)?
                .ip_address
                .clone()?;
            let host = Some(address).filter(|address| !address.is_empty())?;
            return Some(Endpoint::Tcp { host, port });
        }
        let bindings = settings.ports.as_ref()?.get(&tcp(port))?.as_ref()?;
        bindings.iter().find_map(|binding| {
            let port = binding.host_port.as_deref()?.parse().ok()?;
            let host = match binding.host_ip.as_deref()?.parse::<IpAddr>().ok() {
                Some(address) if !address.is_unspecified() => address.to_string(),
                _ => engine_host.to_owned(),
            };
            Some(Endpoint::Tcp { host, port })
        })
    }
}

/// A port as the engine writes it.
pub(crate) fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

fn status(state: &ContainerState) -> PollStatus {
    if state.running == Some(true) {
        return PollStatus::Running;
    }
    // One that was never started has an exit code of 0, which would be a lie.
    let began = state
        .started_at
        .as_deref()
        .is_some_and(|at| !at.starts_with("0001-"));
    PollStatus::Exited(match state.exit_code {
        Some(code) if began => exit_status(code, state.oom_killed == Some(true)),
        _ => ExitStatus::Unknown,
    })
}

/// An exit code of a container. The engine reports a signal as 128 and its number, as shells do; a
/// program that exits with such a code by itself looks the same.
pub(crate) fn exit_status(code: i64, oom_killed: bool) -> ExitStatus {
    // The mark is set when *any* process inside met the limit, and a server survives the end of a
    // kernel: only together with a killed server does it tell the cause.
    if oom_killed && code == KILLED {
        return ExitStatus::OutOfMemory;
    }
    match i32::try_from(code) {
        Ok(code) if SIGNALS.contains(&(i64::from(code) - 128)) => ExitStatus::Signal(code - 128),
        Ok(code) => ExitStatus::Code(code),
        Err(_) => ExitStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(answer: Value) -> Container {
        Container::new(serde_json::from_value(answer).unwrap())
    }

    fn state(state: &Value) -> PollStatus {
        container(json!({"State": state})).status()
    }

    #[test]
    fn ids_are_nothing_else() {
        assert!(ContainerId::new(&"0a".repeat(32)).is_some());
        for raw in [
            "",
            "abc",
            &"0A".repeat(32),
            &format!("{}/..", "a".repeat(61)),
        ] {
            assert!(ContainerId::new(raw).is_none(), "{raw:?}");
        }
    }

    #[test]
    fn states_of_a_container() {
        let at = "2026-01-02T03:04:05Z";
        for (answer, expected) in [
            (
                json!({"Running": true, "Status": "running"}),
                PollStatus::Running,
            ),
            (
                json!({"Running": true, "Paused": true, "Status": "paused"}),
                PollStatus::Running,
            ),
            (
                json!({"Running": false, "Status": "exited", "ExitCode": 3, "StartedAt": at}),
                PollStatus::Exited(ExitStatus::Code(3)),
            ),
            (
                json!({"Running": false, "ExitCode": 137, "OOMKilled": true, "StartedAt": at}),
                PollStatus::Exited(ExitStatus::OutOfMemory),
            ),
            (
                json!({"Running": false, "Status": "created", "ExitCode": 0,
                       "StartedAt": "0001-01-01T00:00:00Z"}),
                PollStatus::Exited(ExitStatus::Unknown),
            ),
        ] {
            assert_eq!(state(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn exit_codes() {
        for (code, oom, expected) in [
            (0, false, ExitStatus::Code(0)),
            (1, true, ExitStatus::Code(1)),
            (128, false, ExitStatus::Code(128)),
            (137, false, ExitStatus::Signal(9)),
            (137, true, ExitStatus::OutOfMemory),
            (143, false, ExitStatus::Signal(15)),
            (255, false, ExitStatus::Code(255)),
            (3_221_225_786, false, ExitStatus::Unknown),
        ] {
            assert_eq!(exit_status(code, oom), expected, "{code} {oom}");
        }
    }

    #[test]
    fn addresses() {
        let found = container(json!({"NetworkSettings": {
            "Ports": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}], "1/tcp": null},
            "Networks": {"bridge": {"IPAddress": "172.17.0.2"}, "other": {"IPAddress": ""}},
        }}));
        let at = |network, port| {
            found
                .endpoint(network, port, "engine.example")
                .map(|endpoint| endpoint.to_string())
        };
        assert_eq!(at(None, 8888).as_deref(), Some("http://127.0.0.1:32768"));
        assert_eq!(at(None, 1), None);
        assert_eq!(at(None, 2), None);
        let inside = at(Some("bridge"), 8888);
        assert_eq!(inside.as_deref(), Some("http://172.17.0.2:8888"));
        assert_eq!(at(Some("other"), 8888), None);
        assert_eq!(at(Some("absent"), 8888), None);
    }

    #[test]
    fn a_port_on_every_address_is_at_the_engines_host() {
        for unspecified in ["0.0.0.0", "::", ""] {
            let found = container(json!({"NetworkSettings": {
                "Ports": {"8888/tcp": [{"HostIp": unspecified, "HostPort": "7"}]},
            }}));
            let endpoint = found.endpoint(None, 8888, "engine.example").unwrap();
            assert_eq!(endpoint.to_string(), "http://engine.example:7");
        }
    }
}
