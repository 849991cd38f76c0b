//! What one quickstart tells the next: `quickstart.json` in the state directory.
//!
//! Nothing in it is needed. Without it the port may be another one, and JupyterLab is tried out
//! again, which takes a few seconds.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::jupyter::Jupyter;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The port that servers of the last time know.
    pub(super) port: Option<u16>,
    /// The JupyterLab that was found to work, with a stamp that changes when its programs do.
    pub(super) works: Option<(Jupyter, String)>,
}

impl Memory {
    /// What is remembered; nothing if that cannot be read.
    pub(super) fn read(state_dir: &Path) -> Self {
        let text = fs::read_to_string(path(state_dir)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes it down. Failing is not worth more than a line: see above.
    pub(super) fn write(&self, state_dir: &Path) {
        if let Err(error) = self.replace(&path(state_dir)) {
            super::output::note(&format!(
                "cannot write {}: {error}",
                path(state_dir).display()
            ));
        }
    }

    fn replace(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        fs::rename(new, path)
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("quickstart.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Memory::read(folder.path()), Memory::default());
        let memory = Memory {
            port: Some(8003),
            works: None,
        };
        memory.write(folder.path());
        assert_eq!(Memory::read(folder.path()), memory);
        for garbage in ["", "{", "[]", "{\"port\": -1}"] {
            fs::write(path(folder.path()), garbage).unwrap();
            assert_eq!(Memory::read(folder.path()), Memory::default());
        }
    }
}
