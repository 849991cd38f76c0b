//! How far an installation is: a bar on a terminal, a line a step elsewhere.
//!
//! pip says what it collects one by one, then everything that it installs in one line, and then
//! nothing until it is done; half of the time passes in that silence. So the second half of the bar
//! counts what has arrived in the environment.

use std::fs;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output;

/// About how many packages there are, until pip says it.
const PACKAGES: u64 = 120;
const TICK: Duration = Duration::from_millis(120);

/// The bar.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    stage: Stage,
}

/// What pip is doing; each package counts once for collecting and once for installing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Collecting { so_far: u64 },
    Installing { packages: u64 },
}

impl Progress {
    /// Shows the bar at its first step.
    pub(super) fn begin(step: &'static str) -> Self {
        let bar = ProgressBar::new(2 * PACKAGES);
        let style =
            ProgressStyle::with_template("{spinner} [{bar:24}] {percent:>3}% {elapsed} {wide_msg}");
        bar.set_style(style.expect("a constant template"));
        bar.enable_steady_tick(TICK);
        let stage = Stage::Collecting { so_far: 0 };
        let progress = Self { bar, stage };
        progress.step(step);
        progress
    }

    /// Goes on to a step.
    pub(super) fn step(&self, what: &'static str) {
        if self.bar.is_hidden() {
            output::note(what);
        }
        self.bar.set_message(what);
    }

    /// Takes in a line of pip.
    pub(super) fn line(&mut self, line: &str) {
        self.stage = self.stage.after(line);
        if let Some(file) = line.trim_start().strip_prefix("Downloading ") {
            self.bar.set_message(format!("downloading {file}"));
        } else if matches!(self.stage, Stage::Installing { .. }) {
            self.bar.set_message("unpacking");
        }
        self.show(0);
    }

    /// Takes in what has arrived in a virtual environment.
    pub(super) fn look(&self, environment: &Path) {
        if matches!(self.stage, Stage::Installing { .. }) && !self.bar.is_hidden() {
            self.show(arrived(environment));
        }
    }

    fn show(&self, arrived: u64) {
        let (position, length) = self.stage.position(arrived);
        self.bar.set_length(length);
        self.bar.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Stage {
    fn after(self, line: &str) -> Self {
        let words = line.trim_start();
        if let Some(packages) = words.strip_prefix("Installing collected packages: ") {
            let packages = packages.split(", ").count() as u64;
            return Self::Installing { packages };
        }
        match self {
            Self::Collecting { so_far } if words.starts_with("Collecting ") => {
                Self::Collecting { so_far: so_far + 1 }
            }
            stage => stage,
        }
    }

    /// Position and length of the bar.
    fn position(self, arrived: u64) -> (u64, u64) {
        match self {
            // More than expected: the end moves away, and the bar never goes back.
            Self::Collecting { so_far } => (so_far, 2 * PACKAGES.max(so_far)),
            Self::Installing { packages } => (packages + arrived.min(packages), 2 * packages),
        }
    }
}

/// How many packages are in an environment: each has a folder `NAME.dist-info`.
fn arrived(environment: &Path) -> u64 {
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let packages = folders(&environment.join("lib"))
        .flat_map(|python| folders(&python.path().join("site-packages")))
        .filter(|package| {
            package
                .path()
                .extension()
                .is_some_and(|it| it == "dist-info")
        });
    packages.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pips_lines_move_the_bar() {
        let mut stage = Stage::Collecting { so_far: 0 };
        for (line, position) in [
            ("Looking in indexes: https://pypi.org/simple", (0, 240)),
            ("Collecting jupyterhub<7,>=5", (1, 240)),
            (
                "  Downloading jupyterhub-6.1.1-py3-none-any.whl (15.4 MB)",
                (1, 240),
            ),
            ("Collecting aiodns (from jupyterhub<7,>=5)", (2, 240)),
            ("Installing collected packages: six, attrs, tornado", (3, 6)),
            ("Successfully installed attrs-26.1.0", (3, 6)),
        ] {
            stage = stage.after(line);
            assert_eq!(stage.position(0), position, "{line}");
        }
        assert_eq!(stage.position(2), (5, 6));
        assert_eq!(stage.position(99), (6, 6));
        assert_eq!(Stage::Collecting { so_far: 200 }.position(0), (200, 400));
    }

    #[test]
    fn what_arrives_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(arrived(folder.path()), 0);
        for name in ["six-1.dist-info", "six", "attrs-2.dist-info"] {
            let package = folder
                .path()
                .join("lib/python3.12/site-packages")
                .join(name);
            fs::create_dir_all(package).unwrap();
        }
        assert_eq!(arrived(folder.path()), 2);
    }
}
