//! The two programs that people start: they share most of their code, and differ in what they need.

use hub_tests::setup::Setup;
use hub_tests::venv::Venv;

/// How JupyterLab is started for a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// `jupyterhub-singleuser`: an extension of a Jupyter server.
    SingleUser,
    /// `jupyter labhub`: JupyterLab with the older subclass.
    LabHub,
}

impl Launcher {
    /// The command line; Jupyter runs as root only if it is told that this is meant.
    pub(crate) fn command(self, venv: &Venv) -> Vec<String> {
        let mut command = match self {
            Self::SingleUser => vec![venv.program("jupyterhub-singleuser")],
            Self::LabHub => vec![venv.program("jupyter"), "labhub".to_owned()],
        };
        if nix::unistd::geteuid().is_root() {
            command.push("--allow-root".to_owned());
        }
        command
    }

    /// A hub that starts it.
    pub(crate) fn setup(self, venv: &Venv) -> Setup {
        Setup::new().set("spawner.cmd", self.command(venv))
    }
}
