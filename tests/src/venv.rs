//! The Python environment with the real Jupyter programs, which `tests/run` prepares.
//!
//! Without it the tests that need it say so in one line and pass, so that `cargo test` works on a
//! machine that has nothing but Rust. Where `CI` is set that is a failure: there a skip would be a
//! test that nobody runs.

use std::env;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::programs;

/// The environment variable that names the environment.
pub const VARIABLE: &str = "HUBD_TEST_VENV";

/// A Python environment that has JupyterHub's single-user server and JupyterLab.
#[derive(Debug, Clone)]
pub struct Venv(PathBuf);

impl Venv {
    /// The environment that `tests/run` made, if it is there.
    pub fn find() -> Option<Self> {
        let place = env::var_os(VARIABLE).map(PathBuf::from);
        let place = place.unwrap_or_else(|| programs::target_dir().join("test-venv/current"));
        let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
        match look(&place) {
            Ok(venv) => Some(venv),
            Err(missing) if ci => panic!("{missing}"),
            Err(missing) => {
                static ONCE: Once = Once::new();
                // Written past the test runner, which hides what a passing test prints.
                ONCE.call_once(|| {
                    let _ = writeln!(
                        stderr(),
                        "\nSKIPPED the tests with real programs: {missing}\n"
                    );
                });
                None
            }
        }
    }

    /// The folder of its programs.
    pub fn programs(&self) -> String {
        self.0.join("bin").display().to_string()
    }

    /// The full path of one of its programs.
    pub fn program(&self, name: &str) -> String {
        let path = self.0.join("bin").join(name);
        assert!(path.exists(), "{} is not there", path.display());
        path.to_str()
            .expect("a path that a configuration can hold")
            .to_owned()
    }
}

fn look(place: &Path) -> Result<Venv, String> {
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    if place.join("bin/jupyterhub-singleuser").exists() {
        return Ok(Venv(place));
    }
    Err(format!(
        "no Jupyter at {}; `tests/run` installs it there",
        place.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_a_folder_with_the_programs() {
        let folder = tempfile::tempdir().unwrap();
        let missing = look(&folder.path().join("none")).unwrap_err();
        assert!(missing.contains("none; `tests/run` installs"), "{missing}");
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        assert!(look(folder.path()).is_err());
        std::fs::write(bin.join("jupyterhub-singleuser"), "").unwrap();
        let venv = look(folder.path()).unwrap();
        assert!(
            venv.program("jupyterhub-singleuser")
                .ends_with("/bin/jupyterhub-singleuser")
        );
    }
}
