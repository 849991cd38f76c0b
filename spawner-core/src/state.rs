//! What a spawner needs to find its server again after the daemon restarted.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The black box between [`get_state`](crate::Spawner::get_state) and
/// [`load_state`](crate::Spawner::load_state): a JSON object with the version of its layout.
///
/// An empty state means that nothing is running.
///
/// ```
/// use spawner_core::{SpawnerState, StateError};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Saved {
///     container: String,
/// }
///
/// let state = SpawnerState::pack(1, &Saved { container: "c0ffee".into() });
/// let saved: Option<Saved> = state.unpack(1)?;
/// assert_eq!(saved.map(|saved| saved.container).as_deref(), Some("c0ffee"));
/// assert!(matches!(state.unpack::<Saved>(0), Err(StateError::Newer { .. })));
/// assert!(SpawnerState::default().is_empty());
/// # Ok::<(), StateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpawnerState {
    /// The layout's version, counted up by the spawner whenever an older one could not read it.
    pub version: u32,
    /// The spawner's own fields.
    pub data: Map<String, Value>,
}

/// Why a stored state cannot be used. The server it belongs to then needs an admin; nothing is
/// stopped because of it.
///
/// Example: see [`SpawnerState`](crate::SpawnerState).
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Written by a newer spawner.
    #[error("the saved state has version {found}, this spawner reads up to {supported}")]
    Newer {
        /// The version in the state.
        found: u32,
        /// The newest one that is understood.
        supported: u32,
    },
    /// Not the fields that the spawner wrote.
    #[error("the saved state is damaged")]
    Damaged(#[source] serde_json::Error),
    /// The fields are there but cannot be meant.
    #[error("the saved state is damaged: {0}")]
    Invalid(String),
}

impl SpawnerState {
    /// Whether it says that nothing is running.
    ///
    /// Example: see [`SpawnerState`](crate::SpawnerState).
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Packs a struct as the state. Fields are kept as serde writes them.
    ///
    /// # Panics
    /// When `fields` does not serialise to a JSON object, which is a mistake in the spawner.
    ///
    /// Example: see [`SpawnerState`](crate::SpawnerState).
    pub fn pack(version: u32, fields: &impl Serialize) -> Self {
        match serde_json::to_value(fields) {
            Ok(Value::Object(data)) => Self { version, data },
            other => panic!("a spawner's state must be a JSON object, this one is {other:?}"),
        }
    }

    /// Reads the fields back, refusing a layout newer than `supported`. `None` when empty.
    ///
    /// Example: see [`SpawnerState`](crate::SpawnerState).
    pub fn unpack<T: DeserializeOwned>(&self, supported: u32) -> Result<Option<T>, StateError> {
        if self.version > supported {
            return Err(StateError::Newer {
                found: self.version,
                supported,
            });
        }
        if self.is_empty() {
            return Ok(None);
        }
        serde_json::from_value(Value::Object(self.data.clone()))
            .map(Some)
            .map_err(StateError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Fields {
        pid: i32,
    }

    #[test]
    fn packs_and_unpacks() {
        let state = SpawnerState::pack(1, &Fields { pid: 7 });
        assert_eq!(state.unpack::<Fields>(1).unwrap(), Some(Fields { pid: 7 }));
        assert_eq!(SpawnerState::default().unpack::<Fields>(1).unwrap(), None);
    }

    #[test]
    fn newer_and_damaged_states_are_errors() {
        let state = SpawnerState::pack(2, &Fields { pid: 7 });
        assert!(matches!(
            state.unpack::<Fields>(1),
            Err(StateError::Newer { found: 2, .. })
        ));
        let mut state = SpawnerState::pack(1, &Fields { pid: 7 });
        state.data.insert("pid".into(), "seven".into());
        assert!(matches!(
            state.unpack::<Fields>(1),
            Err(StateError::Damaged(_))
        ));
    }
}
