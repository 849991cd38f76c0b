//! `hubd quickstart` as somebody sees it who has just built it. Python, pip and JupyterLab are
//! pretended by scripts, in a home of the test's own; nothing is downloaded.

mod program;

use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use program::{Ran, Running, run};

/// Both programs of a JupyterLab that works.
const JUPYTER: &str = "#!/bin/sh\necho 4.9.9\n";

/// Makes an environment whose python runs what `pip.sh` beside the real folder of programs says.
const PYTHON: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
for folder; do :; done
mkdir -p "$folder/bin"
printf '#!/bin/sh\nexec /bin/sh "%s/pip.sh" "$0"\n' "WORLD" > "$folder/bin/python"
chmod +x "$folder/bin/python"
"#;

/// Installs what has been put aside as `wheels`.
const PIP: &str = r#"
PATH=/usr/bin:/bin
echo "Collecting jupyterhub<7,>=5"
echo "Installing collected packages: jupyterhub, jupyterlab"
env > WORLD/pip.env
cp WORLD/wheels/* "${1%/*}/"
"#;

/// A folder with a home, and with all the programs there are.
struct World(tempfile::TempDir);

impl World {
    /// Without any program.
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a folder"));
        for folder in ["bin", "home", "wheels"] {
            fs::create_dir(world.path(folder)).expect("a folder");
        }
        for program in ["jupyterhub-singleuser", "jupyter-lab"] {
            world.script(&format!("wheels/{program}"), JUPYTER);
        }
        world
    }

    /// With a python3 that can install JupyterLab.
    fn with_python() -> Self {
        let world = Self::new();
        world.script("bin/python3", PYTHON);
        world.script("pip.sh", PIP);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        let world = self.0.path().display().to_string();
        program::write_script(&path, &text.replace("WORLD", &world));
    }

    fn put_jupyter_in_path(&self) {
        for program in ["jupyterhub-singleuser", "jupyter-lab"] {
            self.script(&format!("bin/{program}"), JUPYTER);
        }
    }

    fn state(&self) -> PathBuf {
        self.path("home/.local/share/hubd/quickstart")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
        command
            .arg("quickstart")
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", self.path("bin"));
        command
    }

    /// Starts it at any free port; it must get as far as serving. Says where.
    #[track_caller]
    fn serves(&self) -> (Running, String) {
        let hub = Running::start(self.command(&["--port", "0"]));
        let line = hub.line_with("hubd is serving at http://127.0.0.1:");
        let url = line.rsplit(' ').next().unwrap_or_default().to_owned();
        (hub, url)
    }

    /// It must end with exit code 1 after saying all of this.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], says: &[&str]) -> Ran {
        let ran = run(self.command(arguments), "");
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{ran:?}");
        for words in says {
            assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
        }
        ran
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_jupyterlab_in_path_is_used_as_it_is() {
    let world = World::new();
    world.put_jupyter_in_path();
    let (hub, url) = world.serves();
    hub.line_with("log in as");
    let link = hub.line_with("http://");
    assert!(link.trim().starts_with(&url), "{link} is not at {url}");
    let jupyter = hub.line_with("JupyterLab");
    assert!(jupyter.contains("4.9.9"), "{jupyter}");
    let files = hub.line_with("Your files");
    assert!(
        files.ends_with(world.path("home").to_str().expect("UTF-8")),
        "{files}"
    );
    let kept = hub.line_with("Kept in");
    assert!(
        kept.ends_with(world.state().to_str().expect("UTF-8")),
        "{kept}"
    );
    hub.line_with("Ctrl-C");
    assert_eq!(hub.end(Signal::SIGINT), Some(0));

    let mode = fs::metadata(world.state())
        .expect("a folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(
        names_in(&world.path("home")),
        [".local"],
        "the home is left alone"
    );
    assert!(!names_in(&world.state()).contains(&"jupyter".to_owned()));
}

#[test]
fn root_is_told_about_allow_root() {
    let world = World::new();
    world.put_jupyter_in_path();
    let hub = Running::start(world.command(&["--port", "0"]));
    if nix::unistd::geteuid().is_root() {
        hub.line_with("--allow-root");
    }
    hub.line_with("serving at");
}

#[test]
fn one_is_installed_once() {
    let world = World::with_python();
    let (hub, _) = world.serves();
    let own = world.state().join("jupyter/bin");
    let jupyter = hub.line_with("JupyterLab");
    assert!(jupyter.ends_with(own.to_str().expect("UTF-8")), "{jupyter}");
    assert_eq!(hub.end(Signal::SIGTERM), Some(0));
    let log = fs::read_to_string(world.state().join("jupyter-install.log")).expect("a log");
    assert!(log.contains("Collecting jupyterhub"), "{log}");

    fs::remove_file(world.path("bin/python3")).expect("it is there");
    let (hub, _) = world.serves();
    hub.line_with(own.to_str().expect("UTF-8"));
}

#[test]
fn pip_gets_the_environment_but_for_another_pythons() {
    let world = World::with_python();
    let mut command = world.command(&["--port", "0"]);
    command.env("HTTPS_PROXY", "http://proxy.example");
    command.env("PIP_INDEX_URL", "https://index.example/simple");
    command.env("PYTHONPATH", "/elsewhere");
    let hub = Running::start(command);
    hub.line_with("serving at");
    let seen = fs::read_to_string(world.path("pip.env")).expect("what pip saw");
    for expected in [
        "HTTPS_PROXY=http://proxy.example",
        "PIP_INDEX_URL=https://index.example/simple",
        "PIP_USER=0",
    ] {
        assert!(
            seen.lines().any(|line| line == expected),
            "no {expected} in {seen}"
        );
    }
    assert!(!seen.contains("PYTHONPATH"), "{seen}");
}

#[test]
fn a_jupyterhub_without_jupyterlab_is_passed_over() {
    let world = World::with_python();
    world.script("bin/jupyterhub-singleuser", JUPYTER);
    let (hub, _) = world.serves();
    hub.line_with(world.state().join("jupyter/bin").to_str().expect("UTF-8"));
}

#[test]
fn without_python_it_says_what_to_install() {
    let world = World::new();
    let ran = world.refuses(&[], &["no python3", "apt install python3-venv"]);
    let commands = [
        "python3 -m venv ",
        "pip install 'jupyterhub>=5,<7' 'jupyterlab>=4,<5'",
    ];
    for words in commands {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let world = World::with_python();
    world.refuses(&["--no-install"], &commands);
    assert!(!world.state().join("jupyter").exists());
}

#[test]
fn a_python_without_venv_is_told_about() {
    let world = World::new();
    let complaint =
        "The virtual environment was not created successfully because ensurepip is not\navailable.";
    world.script(
        "bin/python3",
        &format!("#!/bin/sh\necho '{complaint}'\nexit 1\n"),
    );
    world.refuses(
        &[],
        &[
            "exit code 1",
            "because ensurepip is not",
            "apt install python3-venv",
        ],
    );
}

#[test]
fn a_failed_installation_shows_its_end_and_is_made_anew() {
    let world = World::with_python();
    let offline = "echo \"NewConnectionError('[Errno 101] Network is unreachable')\"\n\
                   echo 'ERROR: no luck' >&2\nexit 1\n";
    // It fails after it has installed everything, which must not be taken for success later.
    world.script("pip.sh", &format!("{PIP}{offline}"));
    let log = world.state().join("jupyter-install.log");
    let log = log.to_str().expect("UTF-8");
    world.refuses(
        &[],
        &[
            "installing JupyterLab into",
            "pip ended with exit code 1",
            log,
            "\n    ERROR: no luck\n",
            "The package index cannot be reached",
            "By hand",
        ],
    );
    world.refuses(&["--no-install"], &["there is no JupyterLab here"]);
    world.script("pip.sh", PIP);
    world.serves();
}

#[test]
fn what_is_installed_and_does_not_work_is_told_about() {
    let world = World::with_python();
    world.script(
        "wheels/jupyter-lab",
        "#!/bin/sh\necho 'ImportError: libzmq' >&2\nexit 1\n",
    );
    world.refuses(
        &[],
        &[
            "does not work",
            "ImportError: libzmq",
            "jupyter-install.log",
        ],
    );
    world.script("wheels/jupyter-lab", JUPYTER);
    world.serves();
}

#[test]
fn giving_up_ends_pip_too() {
    let world = World::with_python();
    for fifo in ["alive", "never"] {
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        nix::unistd::mkfifo(&world.path(fifo), mode).expect("a FIFO");
    }
    // The shell waits for a child of its own, which has to end as well.
    let pip = "exec 3> WORLD/alive\necho started >&3\n/bin/cat WORLD/never\n";
    world.script("pip.sh", pip);
    let hub = Running::start(world.command(&[]));
    let mut alive = BufReader::new(File::open(world.path("alive")).expect("a FIFO"));
    let mut line = String::new();
    alive.read_line(&mut line).expect("a line");
    assert_eq!(line, "started\n");
    assert_eq!(hub.end(Signal::SIGTERM), Some(1));
    // The end of this means that nobody is left who could write to it.
    alive.read_to_string(&mut line).expect("an end");

    world.script("pip.sh", PIP);
    world.serves();
}

#[test]
fn the_port_is_the_same_again() {
    let world = World::new();
    world.put_jupyter_in_path();
    let (hub, first) = world.serves();
    assert_eq!(hub.end(Signal::SIGINT), Some(0));
    let hub = Running::start(world.command(&[]));
    hub.line_with(&first);
}

#[test]
fn the_second_is_told_where_the_first_is() {
    let world = World::new();
    world.put_jupyter_in_path();
    let (hub, url) = world.serves();
    world.refuses(&[], &["is running here already", &url]);
    assert_eq!(hub.end(Signal::SIGINT), Some(0));
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_named() {
    let world = World::new();
    world.put_jupyter_in_path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let port = address.port().to_string();
    world.refuses(
        &["--port", &port],
        &[&address.to_string(), "another program"],
    );
    assert_eq!(run(world.command(&["--port", "70000"]), "").code, Some(2));
}

#[test]
fn what_cannot_be_used_is_said_before_anything_is_installed() {
    let world = World::with_python();
    fs::create_dir(world.path("open")).expect("a folder");
    fs::set_permissions(world.path("open"), Permissions::from_mode(0o755)).expect("permissions");
    world.refuses(&["--state-dir", "open"], &["run: chmod 700"]);
    let mut command = world.command(&[]);
    command.env("HOME", world.path("nowhere"));
    let ran = run(command, "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("nowhere does not exist: set HOME"),
        "{ran:?}"
    );
    assert!(!world.path("pip.env").exists());
}
