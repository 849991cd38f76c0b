//! What a registry does when an image is pulled.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A point that a pull does not pass before a test lets it.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one pull pass, once.
    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// One step of a pull.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Line(Value),
    Gate(Gate),
    /// Something that is no JSON.
    Garbage,
    /// Nothing more, for ever.
    Stall,
    /// This line again and again, for ever.
    Repeat(Value),
    /// The connection is closed.
    Break,
    /// It ends, and the image is not there.
    End,
}

/// A pull from its first line to its last.
#[derive(Debug, Clone)]
pub(crate) enum Pull {
    /// An answer without a stream.
    Refused(u16, &'static str),
    /// These steps; the image is there when they are through.
    Steps(Vec<Step>),
}

impl Step {
    /// A line about a layer.
    pub(crate) fn layer(id: &str, status: &str) -> Self {
        Self::Line(json!({"id": id, "status": status, "progressDetail": {}}))
    }

    /// How far a layer is.
    pub(crate) fn bytes(id: &str, status: &str, current: u64, total: u64) -> Self {
        let detail = json!({"current": current, "total": total});
        Self::Line(json!({"id": id, "status": status, "progressDetail": detail}))
    }

    /// What the engine says in the middle of a pull.
    pub(crate) fn error(message: &str) -> Self {
        Self::Line(json!({"errorDetail": {"message": message}, "error": message}))
    }
}

impl Pull {
    /// One small layer.
    pub(crate) fn small() -> Self {
        Self::Steps(vec![
            Step::layer("aaaa", "Pulling fs layer"),
            Step::bytes("aaaa", "Downloading", 500, 1000),
            Step::layer("aaaa", "Download complete"),
            Step::layer("aaaa", "Pull complete"),
        ])
    }

    /// The same, after a gate.
    pub(crate) fn behind(gate: &Gate) -> Self {
        let Self::Steps(small) = Self::small() else {
            unreachable!()
        };
        let mut steps = vec![
            Step::Line(json!({"status": "Pulling from x", "id": "latest"})),
            Step::layer("aaaa", "Pulling fs layer"),
            Step::Gate(gate.clone()),
        ];
        steps.extend(small);
        Self::Steps(steps)
    }
}
