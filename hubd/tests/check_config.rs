//! `hubd check-config` as its user sees it: what is printed, the exit code, and that nothing is
//! left behind.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A configuration in which there is nothing to find.
const FINE: &str = "[auth]\nkind = \"password\"\nallow_all = true\n";

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn hubd(folder: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_hubd"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("hubd runs");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A folder with a `hubd.toml` that only its owner can read.
fn folder_with(text: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hubd.toml");
    fs::write(&path, text).expect("a file");
    set_mode(&path, 0o600);
    folder
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
}

/// Everything in a folder; regular files with their content, as others cannot be read to an end.
fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let is_file = entry.file_type().expect("a type").is_file();
            let content = is_file.then(|| fs::read(entry.path()).expect("content"));
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, content.unwrap_or_default())
        })
        .collect()
}

/// Checks the file in `folder`, which must be refused with these lines and no other trace.
#[track_caller]
fn assert_refused(folder: &Path, expected: &[String]) {
    let before = snapshot(folder);
    let ran = hubd(folder, &["check-config"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines, expected, "standard error");
    assert_eq!(ran.code, Some(2), "exit code");
    assert_eq!(ran.stdout, "", "standard output");
    assert_eq!(snapshot(folder), before, "the folder was changed");
}

/// Each file in `config_errors` ends with what must be said about it, a line `#> ` each.
#[test]
fn broken_files_are_refused_with_line_key_and_suggestion() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors");
    let mut count = 0;
    for entry in fs::read_dir(cases).expect("the cases") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a case");
        let (expected, text): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with("#> "));
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        let expected: Vec<String> = (expected.iter())
            .map(|line| line.replacen("#> ", "hubd.toml:", 1))
            .collect();
        println!("{}", path.display());
        assert_refused(folder_with(text.join("\n")).path(), &expected);
        count += 1;
    }
    assert!(count >= 20, "only {count} cases were found");
}

#[test]
fn what_is_no_configuration_file_is_refused() {
    let refused = |expected: &str, make: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().expect("a folder");
        make(&folder.path().join("hubd.toml"));
        assert_refused(folder.path(), &[expected.to_owned()]);
    };
    let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).expect("a file");
    refused("hubd.toml: it is a folder, not a file", &|path| {
        fs::create_dir(path).expect("a folder");
    });
    refused("hubd.toml: there is no such file", &|path| {
        std::os::unix::fs::symlink("nowhere", path).expect("a link");
    });
    refused("hubd.toml: it is not a regular file", &|path| {
        std::os::unix::fs::symlink("/dev/zero", path).expect("a link");
    });
    // Opening a FIFO would wait for whoever writes to it.
    refused("hubd.toml: it is not a regular file", &|path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).expect("a FIFO");
    });
    refused("hubd.toml: it is longer than 1048576 bytes", &|path| {
        write(path, &vec![b'#'; 1024 * 1024 + 1]);
    });
    refused(
        "hubd.toml:2:7: hub.log: the byte 0xe9 is not UTF-8; save the file in UTF-8",
        &|path| {
            write(path, b"[hub]\nlog ='\xe9'\n");
        },
    );
    refused(
        "hubd.toml: everybody on this machine can change this file (mode 0666); `chmod o-w` it",
        &|path| {
            write(path, FINE.as_bytes());
            set_mode(path, 0o666);
        },
    );
}

#[test]
fn a_token_file_must_be_private_and_hold_a_token() {
    const TEXT: &str = "[[service]]\nname = \"grader\"\napi_token_file = \"grader.token\"\n";
    let refused = |expected: &str, make: &dyn Fn(&Path)| {
        let folder = folder_with(format!("{FINE}\n{TEXT}"));
        make(&folder.path().join("grader.token"));
        let expected = format!("hubd.toml:7:18: service[0].api_token_file: {expected}");
        assert_refused(folder.path(), &[expected]);
    };
    let write = |path: &Path, bytes: &[u8], mode: u32| {
        fs::write(path, bytes).expect("a file");
        set_mode(path, mode);
    };
    refused("\"grader.token\": there is no such file", &|_| {});
    refused("\"grader.token\": it is a folder, not a file", &|path| {
        fs::create_dir(path).expect("a folder");
    });
    refused(
        "\"grader.token\": others than its owner can reach it (mode 0640); `chmod 600` it",
        &|path| write(path, b"0123456789abcdef", 0o640),
    );
    refused("\"grader.token\": it is longer than 1024 bytes", &|path| {
        write(path, &[b'x'; 1025], 0o600);
    });
    refused("\"grader.token\": it is not a text file", &|path| {
        write(path, b"01234567\xff", 0o600);
    });
    refused(
        "\"grader.token\": a token has 8 to 64 characters, this one has 0; \
         `openssl rand -hex 32` makes a good one",
        &|path| write(path, b"\n", 0o600),
    );

    let folder = folder_with(format!("{FINE}\n{TEXT}"));
    write(
        &folder.path().join("grader.token"),
        b"0123456789abcdef\n",
        0o600,
    );
    let ran = hubd(folder.path(), &["check-config"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_fine_file_is_said_to_be_fine() {
    let folder = folder_with(FINE);
    let ran = hubd(folder.path(), &["check-config"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("hubd.toml is fine\n", "")
    );

    let path = folder.path().join("hubd.toml");
    let path = path.to_str().expect("UTF-8");
    let ran = hubd(Path::new("/"), &["check-config", path]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout, format!("{path} is fine\n"));
    assert_eq!(snapshot(folder.path()).len(), 1);
}

#[test]
fn what_is_legal_and_probably_a_mistake_is_a_warning() {
    for (text, mode, expected) in [
        (
            "[auth]\nkind = \"password\"\n",
            0o644,
            "1:2: warning: auth.allowed_users: nobody can log in: no user is allowed and none is \
             an admin; list users here, or set `allow_all = true`",
        ),
        (
            "[auth]\nkind = \"password\"\nallow_all = true\nallowed_users = [\"alice\"]\n",
            0o644,
            "4:1: warning: auth.allowed_users: this list keeps nobody out, because `allow_all` is \
             true",
        ),
        (
            "[auth]\nkind = \"password\"\nallow_all = true\n[auth.dummy]\npassword = \"pw\"\n",
            0o640,
            "5:1: warning: auth.dummy.password: this has no effect, because `auth.kind` is \
             \"password\"",
        ),
        (
            "hub.bind = \"0.0.0.0:80\"\n[auth]\nkind = \"password\"\nallow_all = true\n",
            0o644,
            "1:12: warning: hub.bind: other machines can reach this address and hubd speaks plain \
             HTTP, so passwords cross the network readable to everybody on the way; listen on \
             127.0.0.1 behind a TLS proxy, and name it in `public_url`",
        ),
        (
            "hub.trusted_proxies = [\"::/0\"]\n[auth]\nkind = \"password\"\nallow_all = true\n",
            0o644,
            "1:24: warning: hub.trusted_proxies[0]: this trusts everybody, so anybody can claim to \
             come from any address; list the addresses of your own proxies",
        ),
        (
            "spawner.start_timeout = 86401\n[auth]\nkind = \"password\"\nallow_all = true\n",
            0o644,
            "1:25: warning: spawner.start_timeout: this is more than a day; a start that hangs \
             will hang that long; the value is in seconds",
        ),
        (
            "spawner.port = 8888\n[auth]\nkind = \"password\"\nallow_all = true\n",
            0o644,
            "1:16: warning: spawner.port: all servers share this machine's ports, so only one of \
             them can run; write `port = 0` for a free one each",
        ),
        (
            "[auth]\nkind = \"dummy\"\nallow_all = true\ndummy.password = \"secret\"\n",
            0o644,
            "4:7: warning: auth.dummy.password: everybody on this machine can read it here (mode \
             0644); `chmod o-r` this file, or keep secrets in files of their own",
        ),
    ] {
        let folder = folder_with(text);
        set_mode(&folder.path().join("hubd.toml"), mode);
        let ran = hubd(folder.path(), &["check-config"]);
        assert_eq!(ran.stderr, format!("hubd.toml:{expected}\n"));
        assert_eq!(ran.code, Some(0), "{expected}");
        assert_eq!(ran.stdout, "hubd.toml is fine, with 1 warning\n");
    }
}

#[test]
fn the_printed_configuration_lacks_nothing_but_the_authenticator() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = hubd(folder.path(), &["print-config"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));

    let folder = folder_with(&printed.stdout);
    let ran = hubd(folder.path(), &["check-config"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("auth.kind: no authenticator"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);

    let chosen = printed
        .stdout
        .replace("#kind = \"password\"", "kind = \"password\"");
    let chosen = chosen.replace("allow_all = false", "allow_all = true");
    let ran = hubd(folder_with(chosen).path(), &["check-config"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_command_line_explains_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| hubd(folder.path(), arguments);
    let version = run(&["--version"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(
        version.stdout,
        concat!("hubd ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("check-config"), "{}", help.stdout);

    for wrong in [
        &[][..],
        &["chek-config"],
        &["check-config", "--fast"],
        &["completions", "dos"],
    ] {
        let ran = run(wrong);
        assert_eq!(ran.code, Some(2), "{wrong:?}");
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{wrong:?}");
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{shell}");
        assert!(ran.stdout.contains("print-config"), "{shell}");
    }
    assert!(snapshot(folder.path()).is_empty());
}

#[test]
fn the_example_for_docker_is_fine() {
    let folder = folder_with(include_str!("../../examples/configs/docker.toml"));
    let ran = hubd(folder.path(), &["check-config"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_api_is_described_without_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = hubd(folder.path(), &["openapi"]);
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    let document: serde_json::Value = serde_json::from_str(&first.stdout).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/users/{user}"]["get"].is_object());
    // The same in every process.
    assert_eq!(hubd(folder.path(), &["openapi"]).stdout, first.stdout);
}
