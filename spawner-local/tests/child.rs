//! What the child gets: arguments, environment, descriptors, rights. Nothing more.

mod common;

use std::os::fd::AsFd;

use common::{Place, context, is_root, launch_as, script, within, words};
use serde_json::json;
use spawner_core::{
    BackendSetup, Env, ExitStatus, LAUNCH_MARKER, Launch, SpawnErrorKind, Spawner, SpawnerConfig,
    StopMode,
};
use spawner_local::LocalFactory;

/// Runs it to its end and returns what it printed.
async fn output(place: &Place, launch: Launch) -> Vec<u8> {
    let mut spawner = place.spawner();
    within(spawner.start(launch)).await.unwrap();
    let status = within(spawner.exited()).await;
    let printed = std::fs::read(place.log()).unwrap();
    assert_eq!(
        status,
        ExitStatus::Code(0),
        "{}",
        String::from_utf8_lossy(&printed)
    );
    printed
}

async fn lines(place: &Place, launch: Launch) -> Vec<String> {
    let printed = String::from_utf8(output(place, launch).await).unwrap();
    printed.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_environment_is_the_one_given() {
    let place = Place::simple();
    let mut env = Env::default();
    env.set("PATH", "/usr/bin:/bin");
    env.set("ODD", "a=b \"c\" $HOME \\ \n %d é");
    env.set("EMPTY", "");
    env.set("SHELL", "/bin/chosen");
    let ctx = context("tee");
    let marker = format!("{LAUNCH_MARKER}={}", ctx.launch_id);
    let cmd = words(&["cat", "/proc/self/environ"]);
    let printed = output(&place, Launch::new(cmd, Vec::new(), env, ctx)).await;
    let printed = String::from_utf8(printed).unwrap();
    let mut found: Vec<&str> = printed.split_terminator('\0').collect();
    found.sort_unstable();
    let home = format!("HOME={}/state/homes/tee", place.dir.path().display());
    let instance = format!("HUBD_INSTANCE={}", place.dir.path().display());
    let mut expected = vec![
        "PATH=/usr/bin:/bin",
        "ODD=a=b \"c\" $HOME \\ \n %d é",
        "EMPTY=",
        "SHELL=/bin/chosen",
        "USER=tee",
        &home,
        &marker,
        &instance,
        "HUBD_SERVER=tee",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let inherited = std::env::vars_os().any(|(name, _)| env_of_this_test(&name));
    assert!(
        inherited,
        "there was nothing to inherit, so this shows nothing"
    );
}

/// Whether a variable is none of those that the server above was given.
fn env_of_this_test(name: &std::ffi::OsStr) -> bool {
    !["PATH", "HOME", "USER", "SHELL"]
        .iter()
        .any(|&given| name == given)
}

#[tokio::test]
async fn home_user_and_shell_are_not_the_hubs() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = SpawnerConfig {
        env_keep: words(&["HOME", "USER", "SHELL", "PATH"]),
        ..SpawnerConfig::default()
    };
    config.environment.insert("SHELL".into(), "/bin/set".into());
    let factory = LocalFactory::simple(BackendSetup {
        config,
        settings: serde_json::Map::new(),
        state_dir: dir.path().into(),
        instance: "test".into(),
    });
    let env = factory
        .unwrap()
        .spawner(&common::server("tee"))
        .get_env(&context("tee"));
    assert_eq!(env.get("HOME"), None);
    assert_eq!(env.get("USER"), None);
    assert_eq!(env.get("SHELL"), Some("/bin/set"));
    assert!(env.get("PATH").is_some());
}

#[tokio::test]
async fn arguments_arrive_byte_for_byte() {
    let place = Place::simple();
    let odd = ["", "a b", "'\"", "\\n", "$(id)", "*", "-e", "é ☃", "a\nb"];
    let mut launch = script("printf '%s\\0' \"$@\"");
    launch.cmd.push("name".into());
    launch.args = words(&odd);
    let printed = output(&place, launch).await;
    let expected: Vec<u8> = odd.iter().flat_map(|arg| arg.bytes().chain([0])).collect();
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn no_descriptor_is_inherited() {
    let place = Place::simple();
    // One that stays open over exec, as a careless library in the hub might leave it.
    let leak = rustix::io::dup(std::io::stderr()).unwrap();
    assert!(rustix::io::fcntl_getfd(leak.as_fd()).unwrap().is_empty());
    let shown = lines(
        &place,
        script("readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2; cd /proc/$$/fd; echo *"),
    )
    .await;
    let log = place.log().display().to_string();
    // 3 is the directory that the shell reads for the star.
    let all = ["0 1 2".to_owned(), "0 1 2 3".to_owned()];
    assert_eq!(shown[..3], ["/dev/null", &log, &log]);
    assert!(all.contains(&shown[3]), "{shown:?}");
}

#[tokio::test]
async fn the_process_is_set_up_as_a_server_should_be() {
    let place = Place::simple();
    let home = place.dir.path().join("state/homes/tee");
    let shown = lines(
        &place,
        script(
            "pwd; umask; cut -d' ' -f6 /proc/$$/stat; echo $$; \
             exec grep -E '^(NoNewPrivs|SigBlk|SigIgn):' /proc/self/status",
        ),
    )
    .await;
    assert_eq!(shown[0], home.display().to_string());
    assert_eq!(shown[1], "0077");
    assert_eq!(shown[2], shown[3], "it leads its session");
    let zero = "0000000000000000";
    // The runtime of this test ignores SIGPIPE.
    assert_eq!(
        shown[4..],
        [
            format!("SigBlk:\t{zero}"),
            format!("SigIgn:\t{zero}"),
            "NoNewPrivs:\t1".to_owned(),
        ]
    );
}

#[tokio::test]
async fn gaining_rights_can_be_allowed() {
    let place = Place::with(&LocalFactory::simple, json!({"no_new_privileges": false}));
    let shown = lines(&place, script("grep NoNewPrivs: /proc/$$/status")).await;
    assert_eq!(shown, ["NoNewPrivs:\t0"]);
}

#[tokio::test]
async fn a_home_that_is_not_there_is_named() {
    let place = Place::simple();
    let mut launch = script("exit 0");
    launch.env.set("HOME", "/no/such/home");
    let error = within(place.spawner().start(launch)).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::NotFound);
    assert!(error.to_string().contains("/no/such/home"), "{error}");
    let mut launch = script("exit 0");
    launch.env.set("HOME", "relative");
    let error = within(place.spawner().start(launch)).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::Refused);
}

#[tokio::test]
async fn a_launch_without_an_address_is_refused() {
    let place = Place::simple();
    let mut launch = script("exit 0");
    launch.ctx.listen = None;
    assert!(within(place.spawner().start(launch)).await.is_err());
}

#[tokio::test]
async fn a_server_has_the_rights_of_its_user_and_no_others() {
    if !is_root("a_server_has_the_rights_of_its_user_and_no_others") {
        return;
    }
    let place = Place::local(json!({}));
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let mut spawner = place.factory.spawner(&common::server("daemon"));
    let launch = launch_as(
        "daemon",
        &[
            "sh",
            "-c",
            "grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapAmb):' /proc/$$/status | tr -s ' \\t' ' '; \
             pwd; echo $USER $HOME $SHELL; id -G; cat /etc/shadow && echo READ",
        ],
    );
    within(spawner.start(launch)).await.unwrap();
    within(spawner.exited()).await;
    let shown = spawner.log_tail(99).await;
    let (uid, gid) = (daemon.uid, daemon.gid);
    let none = "0000000000000000";
    let (home, shell) = (daemon.dir.display(), daemon.shell.display());
    let expected = [
        format!("Uid: {uid} {uid} {uid} {uid}"),
        format!("Gid: {gid} {gid} {gid} {gid}"),
        format!("Groups: {gid} "),
        format!("CapPrm: {none}"),
        format!("CapEff: {none}"),
        format!("CapAmb: {none}"),
        home.to_string(),
        format!("daemon {home} {shell}"),
        gid.to_string(),
    ];
    assert_eq!(shown[..expected.len()], expected, "{shown:?}");
    assert!(!shown.iter().any(|line| line == "READ"), "{shown:?}");
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_account_is_stopped_with_all_it_started() {
    if !is_root("a_server_of_another_account_is_stopped_with_all_it_started") {
        return;
    }
    let place = Place::local(json!({}));
    let mut spawner = place.factory.spawner(&common::server("daemon"));
    let launch = launch_as(
        "daemon",
        &["sh", "-c", "setsid sleep 1000 & echo $!; exec sleep 1000"],
    );
    within(spawner.start(launch)).await.unwrap();
    let server = common::pid(&spawner);
    within(spawner.stop(StopMode::Now)).await.unwrap();
    assert!(!common::lives(server));
    for line in spawner.log_tail(9).await {
        assert!(!common::lives(line.parse().unwrap()), "{line} was left");
    }
}

#[tokio::test]
async fn masks_and_resource_limits_are_as_configured() {
    let settings = json!({"umask": "027", "rlimits": {"nofile": [100, 200], "core": 0}});
    let place = Place::with(&LocalFactory::simple, settings);
    let text = "umask; ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc";
    let shown = lines(&place, script(text)).await;
    assert_eq!(shown, ["0027", "100", "200", "0", "0"]);
}

#[tokio::test]
async fn a_server_of_another_account_is_what_the_kernel_says_it_is() {
    if !is_root("a_server_of_another_account_is_what_the_kernel_says_it_is") {
        return;
    }
    let place = Place::local(json!({}));
    let leak = rustix::io::dup(std::io::stderr()).unwrap();
    assert!(rustix::io::fcntl_getfd(leak.as_fd()).unwrap().is_empty());
    let mut spawner = place.factory.spawner(&common::server("daemon"));
    let mut launch = launch_as("daemon", &["sleep", "1000"]);
    launch.env.set("HOME", "/");
    within(spawner.start(launch)).await.unwrap();
    let (pid, state) = (common::pid(&spawner), spawner.get_state());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let (uid, gid) = (daemon.uid, daemon.gid);
    let none = "0000000000000000";
    for (name, value) in [
        ("Uid", format!("{uid} {uid} {uid} {uid}")),
        ("Gid", format!("{gid} {gid} {gid} {gid}")),
        ("Groups", gid.to_string()),
        ("Umask", "0077".into()),
        ("NoNewPrivs", "1".into()),
        ("SigBlk", none.into()),
        ("SigIgn", none.into()),
        ("CapPrm", none.into()),
        ("CapEff", none.into()),
        ("CapAmb", none.into()),
    ] {
        let mut fields = status.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|&(field, _)| field == name).unwrap().1;
        let found: Vec<_> = found.split_ascii_whitespace().collect();
        assert_eq!(found.join(" "), value, "{name}");
    }
    // What the program opened for itself is closed again by now, or is above these: nothing that
    // leads to a file of the hub's.
    let log = place.dir.path().join("state/logs/daemon.log");
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(target) = path.read_link() else {
            continue;
        };
        let number = path.file_name().unwrap().to_str().unwrap().to_owned();
        match number.as_str() {
            "0" => assert_eq!(target.to_str(), Some("/dev/null")),
            "1" | "2" => assert_eq!(target, log),
            _ => assert!(
                target.starts_with("/lib") || target.starts_with("/usr"),
                "{target:?}"
            ),
        }
    }
    // A group it was not put into by the user, and cannot leave.
    if let Some(group) = state.data.get("cgroup").and_then(|dir| dir.as_str()) {
        use std::os::unix::fs::MetadataExt;
        let procs = std::path::Path::new(group).join("cgroup.procs");
        assert_eq!(procs.metadata().unwrap().uid(), 0);
    }
    within(spawner.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn nothing_is_done_in_a_home_with_the_rights_of_the_hub() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    if !is_root("nothing_is_done_in_a_home_with_the_rights_of_the_hub") {
        return;
    }
    let place = Place::local(json!({}));
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let theirs = |path: &std::path::Path| chown(path, Some(daemon.uid.as_raw()), None).unwrap();
    let root = place.dir.path();
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o711)).unwrap();
    // Private to root, and where the traps lead.
    let secret = root.join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o700)).unwrap();
    let home = root.join("home");
    std::fs::create_dir(&home).unwrap();
    theirs(&home);
    for name in [".local", ".jupyter", "logs", "state", "daemon.log", ".hubd"] {
        symlink(&secret, home.join(name)).unwrap();
    }
    let launch = |home: &std::path::Path| {
        let mut launch = launch_as("daemon", &["sh", "-c", "echo hello; : > made"]);
        launch.env.set("HOME", home.to_str().unwrap());
        launch
    };
    let mut spawner = place.factory.spawner(&common::server("daemon"));
    within(spawner.start(launch(&home))).await.unwrap();
    assert_eq!(within(spawner.exited()).await, ExitStatus::Code(0));
    assert_eq!(spawner.log_tail(9).await, ["hello"]);
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 0);
    for entry in std::fs::read_dir(&home).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let by_the_test = metadata.is_symlink();
        assert!(by_the_test || metadata.uid() == daemon.uid.as_raw());
    }
    // A home that leads elsewhere is entered as the user, who may not.
    let link = root.join("link");
    symlink(&secret, &link).unwrap();
    let error = within(spawner.start(launch(&link))).await.unwrap_err();
    assert!(error.to_string().contains("cannot enter"), "{error}");
    assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 0);
}

#[tokio::test]
async fn accounts_that_cannot_have_a_server_are_refused() {
    let place = Place::local(json!({}));
    for user in ["root", "no-such-account-here"] {
        let mut spawner = place.factory.spawner(&common::server(user));
        let error = within(spawner.start(launch_as(user, &["sh", "-c", "exit 0"]))).await;
        let error = error.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                SpawnErrorKind::Refused | SpawnErrorKind::NotFound
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains(user), "{error}");
    }
    if is_root("root with allow_root") {
        let place = Place::local(json!({"allow_root": true}));
        let mut spawner = place.factory.spawner(&common::server("root"));
        let launch = launch_as("root", &["sh", "-c", "exit 4"]);
        within(spawner.start(launch)).await.unwrap();
        assert_eq!(within(spawner.exited()).await, ExitStatus::Code(4));
    }
}

#[tokio::test]
async fn a_user_without_a_home_is_told() {
    if !is_root("a_user_without_a_home_is_told") {
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    if nobody.dir.exists() {
        common::skipped("the account nobody has a home here");
        return;
    }
    let place = Place::local(json!({}));
    let mut spawner = place.factory.spawner(&common::server("nobody"));
    let error = within(spawner.start(launch_as("nobody", &["sh", "-c", "exit 0"]))).await;
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("nobody") && message.contains("does not exist"),
        "{message}"
    );
}
