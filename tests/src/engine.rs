//! A real Docker Engine, and the image with JupyterLab that `tests/run` makes on it.
//!
//! Without them the tests that need them say so in one line and pass; where `CI` is set that is a
//! failure. The engine is asked by its own command line, so that nothing of the hub is believed.

use std::env;
use std::io::{Write, stderr};
use std::process::Command;
use std::sync::Once;
use std::time::Instant;

/// The image as `tests/run` leaves it.
pub const IMAGE: &str = "hubd-test-jupyter:current";

/// What one story has on the engine: a network of its own, and the containers on it. All of it is
/// removed when this is dropped.
#[derive(Debug)]
pub struct Engine {
    network: String,
}

impl Engine {
    /// The engine, if it is there and has the image.
    pub fn find() -> Option<Self> {
        let found = docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]);
        let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
        match found {
            Ok(_) => {}
            Err(missing) if ci => panic!("no image {IMAGE}: {missing}"),
            Err(missing) => {
                static ONCE: Once = Once::new();
                // Written past the test runner, which hides what a passing test prints.
                ONCE.call_once(|| {
                    let _ = writeln!(
                        stderr(),
                        "\nSKIPPED the tests with JupyterLab in a container: {missing}; \
                         `tests/run` makes the image {IMAGE}\n"
                    );
                });
                return None;
            }
        }
        let name = format!("hubd-test-{}", spawner_core::LaunchId::random());
        docker(&["network", "create", &name]).expect("a network for the story");
        Some(Self { network: name })
    }

    /// A prefix for containers' names that no other story has: all hubs share the names of an engine.
    pub fn prefix(&self) -> &str {
        &self.network[.."hubd-test-".len() + 8]
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Every container on the network, running or not, by its whole id.
    pub fn containers(&self) -> Vec<String> {
        let filter = format!("network={}", self.network);
        let listed = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let listed = listed.expect("a list of containers");
        listed.lines().map(str::to_owned).collect()
    }

    /// Does something behind the hub's back; when it was begun.
    pub fn run(&self, arguments: &[&str]) -> Instant {
        let began = Instant::now();
        docker(arguments).expect("the engine does it");
        began
    }

    /// What the engine says of a container, by a template of its own.
    pub fn inspect(&self, container: &str, format: &str) -> String {
        docker(&["inspect", "--format", format, container]).expect("a container")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for container in self.containers() {
            let _ = docker(&["rm", "--force", "--volumes", &container]);
        }
        let _ = docker(&["network", "rm", &self.network]);
    }
}

/// Runs `docker`; what it printed, or why it could not.
fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output();
    let output = output.map_err(|error| format!("docker cannot be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}
