//! Runs that a hub left behind, found by the marks that every process of a server inherits.
//!
//! Marks are variables of the environment, set by the spawner itself after configuration and layers
//! had their say. They are still only claims: whoever may run a program can give it any environment.
//! So this is the rule for a process to be believed:
//!
//! - it carries the marks itself: of this hub's instance, of a server and of a run;
//! - *and* it runs under the account that this server's processes have. Nobody can give a process an
//!   account but its own.
//!
//! Whoever forges marks can then lead the hub to his own processes only, which he could end himself.
//! For the same reason the address in the environment is only taken for that of the run if a process
//! of the run listens there: otherwise a user could have the hub lead visitors, with the hub's own
//! rights, to any address of this host.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};
use spawner_core::{
    Endpoint, Found, LAUNCH_MARKER, LaunchId, ListenOn, ServerId, ServerName, SpawnerState,
    UserName,
};

use crate::account::RunAs;
use crate::cgroup::Place;
use crate::listener::{self, Owner};
use crate::process::{Identity, Stat, boot_id, real_uid};
use crate::run::Saved;
use crate::socket::{self, Sockets};

/// Names the hub that started a process.
pub(crate) const INSTANCE_MARKER: &str = "HUBD_INSTANCE";
/// Names the server that it belongs to, as `user` or `user:server`.
pub(crate) const SERVER_MARKER: &str = "HUBD_SERVER";
/// How many runs of one system account are believed at once. More is no accident, and each costs
/// the hub time.
const RUNS_OF_AN_ACCOUNT: usize = 64;
/// How long a run is looked for of which only its group is seen, and the pause between two looks.
/// On a machine that is very busy, a process can take a while to run its program.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the environment of a process says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marks {
    launch: LaunchId,
    server: ServerId,
    /// Where the server was told to listen.
    listen: Option<ListenOn>,
}

/// A process with marks.
#[derive(Debug, Clone)]
struct Marked {
    stat: Stat,
    uid: u32,
    marks: Marks,
}

/// Looks for the runs of `instance` that `known` does not hold. Blocks.
pub(crate) fn search(
    instance: &str,
    known: &HashSet<LaunchId>,
    run_as: &RunAs,
    sockets: Option<&Sockets>,
    place: &Place,
) -> io::Result<Vec<Found>> {
    // One that has no name of its own cannot tell its runs from another's.
    if instance.is_empty() {
        return Ok(Vec::new());
    }
    let mut runs: BTreeMap<(u32, LaunchId), Vec<Marked>> = BTreeMap::new();
    for process in all_marked(instance, known, place)? {
        if !known.contains(&process.marks.launch) {
            let run = (process.uid, process.marks.launch.clone());
            runs.entry(run).or_default().push(process);
        }
    }
    let mut count = BTreeMap::<u32, usize>::new();
    let mut found = Vec::new();
    for ((uid, launch), members) in runs {
        let count = count.entry(uid).or_default();
        *count += 1;
        if matches!(run_as, RunAs::SystemUser { .. }) && *count > RUNS_OF_AN_ACCOUNT {
            if *count == RUNS_OF_AN_ACCOUNT + 1 {
                tracing::warn!(uid, "too many processes claim to be left over runs");
            }
            continue;
        }
        let Some(root) = root(&members) else { continue };
        if !runs_as(run_as, &root.marks.server.user, uid)? {
            let (pid, server) = (root.stat.pid, &root.marks.server);
            tracing::warn!(pid, uid, %server, "a process claims to be the server of another account");
            continue;
        }
        found.push(Found {
            server: root.marks.server.clone(),
            state: state(root, launch.clone(), sockets, place)?,
            launch_id: launch,
        });
    }
    Ok(found)
}

/// The processes of this host that carry the marks of `instance`.
///
/// A child that was let go a moment ago and does not run its program yet has no marks. It is in the
/// group of its run, though, so it is looked again until it shows them.
fn all_marked(instance: &str, known: &HashSet<LaunchId>, place: &Place) -> io::Result<Vec<Marked>> {
    let deadline = Instant::now() + SHOWN_WITHIN;
    loop {
        // Before the marks: one that shows them in between is not to be missed.
        let about_to: Vec<LaunchId> = (place.runs().into_iter())
            .filter(|launch| !known.contains(launch) && is_about_to_show(launch, place))
            .collect();
        let found = marked(instance)?;
        let shows = |launch: &LaunchId| found.iter().any(|one| one.marks.launch == *launch);
        if about_to.iter().all(shows) || Instant::now() >= deadline {
            return Ok(found);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread of its own, and no event tells that a program begins to run"
        )]
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Whether a process in the group of `launch` may be one that passed its gate and has not the
/// environment yet that it was to get. One that hides its environment for good looks like that, too.
fn is_about_to_show(launch: &LaunchId, place: &Place) -> bool {
    let group = place.existing(launch);
    let members = group.and_then(|group| group.members().ok());
    members.into_iter().flatten().any(|pid| {
        let stat = Stat::of(pid).ok().flatten();
        stat.is_some_and(|stat| stat.forked || (!stat.environment && !b"ZX".contains(&stat.state)))
    })
}

/// The processes of this host that carry the marks of `instance` now.
fn marked(instance: &str) -> io::Result<Vec<Marked>> {
    let myself = rustix::process::getpid().as_raw_nonzero().get();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A hub that is run in a server of its own would find itself.
        if pid == myself {
            continue;
        }
        let Some(stat) = Stat::of(pid)? else {
            continue;
        };
        let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else {
            continue;
        };
        let Some(marks) = Marks::read(&environment, instance) else {
            continue;
        };
        let Some(uid) = real_uid(pid)? else { continue };
        // All of this was said by one process only if it is still there.
        if Stat::of(pid)?.is_some_and(|now| now.key() == stat.key()) {
            found.push(Marked { stat, uid, marks });
        }
    }
    Ok(found)
}

impl Marks {
    /// Reads them from an environment; `None` if they are not all there, or another hub's.
    fn read(environment: &[u8], instance: &str) -> Option<Self> {
        let variables: Vec<&str> = environment
            .split(|&byte| byte == 0)
            .filter_map(|variable| str::from_utf8(variable).ok())
            .collect();
        let value = |name: &str| {
            variables
                .iter()
                .find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
        };
        if value(INSTANCE_MARKER)? != instance {
            return None;
        }
        let server = value(SERVER_MARKER)?;
        let (user, server) = server.split_once(':').unwrap_or((server, ""));
        Some(Self {
            launch: LaunchId::new(value(LAUNCH_MARKER)?).ok()?,
            server: ServerId::new(UserName::new(user).ok()?, ServerName::new(server).ok()?),
            listen: value("JUPYTERHUB_SERVICE_URL").and_then(listen_on),
        })
    }
}

/// Reads back what [`SpawnContext::service_url`](spawner_core::SpawnContext::service_url) wrote;
/// `None` if configuration set something else in its place.
fn listen_on(url: &str) -> Option<ListenOn> {
    if let Some(rest) = url.strip_prefix("http+unix://") {
        let path = PathBuf::from(percent_decode(rest.split('/').next()?)?);
        return Some(ListenOn::Unix { path });
    }
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let ip = match host {
        "" => None,
        host => Some(host.trim_matches(['[', ']']).parse().ok()?),
    };
    Some(ListenOn::Tcp {
        ip,
        port: port.parse().ok()?,
    })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

/// The process of a run that the others come from: no parent among them, then the oldest, then the
/// leader of its session. If the server itself is gone it is one that it left behind, and the run can
/// still be ended by it.
fn root(members: &[Marked]) -> Option<&Marked> {
    members.iter().min_by_key(|one| {
        let stat = &one.stat;
        let has_parent = members.iter().any(|other| other.stat.pid == stat.parent);
        (
            has_parent,
            stat.start_time,
            stat.pid != stat.session,
            stat.pid,
        )
    })
}

/// Whether the servers of `user` run as `uid`.
fn runs_as(run_as: &RunAs, user: &UserName, uid: u32) -> io::Result<bool> {
    match run_as {
        RunAs::HubUser { .. } => Ok(uid == Uid::effective().as_raw()),
        RunAs::SystemUser { .. } => {
            let account = User::from_name(user.as_str()).map_err(io::Error::from)?;
            Ok(account.is_some_and(|account| account.uid.as_raw() == uid))
        }
    }
}

/// What a hub would have saved of the run.
fn state(
    root: &Marked,
    launch: LaunchId,
    sockets: Option<&Sockets>,
    place: &Place,
) -> io::Result<SpawnerState> {
    // The launch id is a claim, and the group of that name another run's if the process is not in it.
    let group = place.existing(&launch);
    let group = group.filter(|group| group.holds(root.stat.pid));
    let mut saved = Saved {
        identity: Identity {
            boot_id: boot_id()?,
            pid: root.stat.pid,
            start_time: root.stat.start_time,
        },
        launch_id: launch,
        endpoint: None,
        // Of the runs in its log nobody knows which is this one's beginning.
        log_from: 0,
        uid: Some(root.uid),
        cgroup: group.map(|group| group.dir().to_owned()),
    };
    let claimed = root.marks.listen.as_ref().map(ListenOn::local_endpoint);
    saved.endpoint = claimed.filter(|endpoint| match endpoint {
        Endpoint::Tcp { host, port } => {
            let Ok(ip) = host.parse() else { return false };
            matches!(listener::who(ip, *port, &saved), Ok(Some(Owner::Ours)))
        }
        Endpoint::Unix { path } => {
            sockets.is_some_and(|sockets| *path == sockets.path(&saved.launch_id))
                && socket::is_of(path, root.uid)
        }
    });
    Ok(saved.state())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::cgroup::Choice;

    fn environment(pairs: &[(&str, &str)]) -> Vec<u8> {
        let pairs = pairs.iter();
        pairs
            .flat_map(|(name, value)| format!("{name}={value}\0").into_bytes())
            .collect()
    }

    #[test]
    fn marks_are_read_or_there_are_none() {
        let id = LaunchId::random();
        let all = [
            ("A", "1"),
            (INSTANCE_MARKER, "ours"),
            (SERVER_MARKER, "tee:proj"),
            (LAUNCH_MARKER, id.as_str()),
            (
                "JUPYTERHUB_SERVICE_URL",
                "http://127.0.0.1:8/user/tee/proj/",
            ),
        ];
        let marks = Marks::read(&environment(&all), "ours").unwrap();
        assert_eq!(marks.launch, id);
        assert_eq!(marks.server.to_string(), "tee:proj");
        assert!(marks.listen.is_some());
        assert_eq!(Marks::read(&environment(&all), "our"), None);
        for missing in 1..4 {
            let mut some = all.to_vec();
            some.remove(missing);
            assert_eq!(Marks::read(&environment(&some), "ours"), None);
        }
        for (which, value) in [
            (INSTANCE_MARKER, "oursX"),
            (SERVER_MARKER, "../tee"),
            (SERVER_MARKER, "tee:../x"),
            (SERVER_MARKER, ""),
            (LAUNCH_MARKER, "0"),
        ] {
            let changed = all.map(|(name, old)| (name, if name == which { value } else { old }));
            assert_eq!(Marks::read(&environment(&changed), "ours"), None, "{value}");
        }
        assert_eq!(Marks::read(b"\xff\0\0=\0", "ours"), None);
    }

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let tcp = |ip: Option<&str>, port| ListenOn::Tcp {
            ip: ip.map(|ip| ip.parse().unwrap()),
            port,
        };
        for (url, expected) in [
            ("http://:8/user/tee/", tcp(None, 8)),
            ("http://127.0.0.1:8/", tcp(Some("127.0.0.1"), 8)),
            ("http://[::1]:8/user/tee/", tcp(Some("::1"), 8)),
            (
                "http+unix://%2Frun%2Fa%20b%C3%A9%2Fs/user/tee/",
                ListenOn::Unix {
                    path: "/run/a bé/s".into(),
                },
            ),
        ] {
            assert_eq!(listen_on(url), Some(expected), "{url}");
        }
        for url in [
            "",
            "http://",
            "http://x/",
            "http://host:1/",
            "http://1.2.3.4:70000/",
            "http+unix://%2/",
            "http+unix://%zz/",
            "http+unix://%é/",
            "https://127.0.0.1:8/",
        ] {
            assert_eq!(listen_on(url), None, "{url}");
        }
    }

    fn process(pid: i32, parent: i32, session: i32, start_time: u64) -> Marked {
        Marked {
            stat: Stat {
                pid,
                state: b'S',
                parent,
                session,
                start_time,
                forked: false,
                environment: true,
            },
            uid: 0,
            marks: Marks {
                launch: LaunchId::random(),
                server: ServerId::default_of(UserName::new("tee").unwrap()),
                listen: None,
            },
        }
    }

    #[test]
    fn the_root_of_a_run_is_the_one_that_the_others_come_from() {
        for (members, expected) in [
            // A server that has the hub's keeper as parent now, a kernel, and a child of that.
            (vec![(30, 20, 30, 5), (20, 1, 20, 4), (40, 30, 30, 6)], 20),
            // All within one tick, numbers begun again from below.
            (
                vec![(900, 1, 900, 4), (300, 900, 900, 4), (301, 300, 301, 4)],
                900,
            ),
            // A daemon that left its parent behind is younger.
            (vec![(50, 1, 50, 9), (20, 1, 20, 4)], 20),
            (vec![(21, 1, 20, 4), (20, 1, 20, 4)], 20),
        ] {
            let members: Vec<Marked> = members
                .into_iter()
                .map(|(pid, parent, session, started)| process(pid, parent, session, started))
                .collect();
            assert_eq!(root(&members).unwrap().stat.pid, expected);
        }
        assert!(root(&[]).is_none());
    }

    #[test]
    fn what_is_found_can_be_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = Sockets::new(dir.path().to_owned(), false).unwrap();
        let place = Place::find(&Choice::Off, "test");
        let mut root = process(20, 1, 20, 4);
        let launch = LaunchId::random();
        let saved = |state: &SpawnerState| Saved::read(state).unwrap().unwrap();
        let found = saved(&state(&root, launch.clone(), Some(&sockets), &place).unwrap());
        assert_eq!(found.endpoint, None);
        assert_eq!((found.identity.pid, found.uid), (20, Some(0)));
        let mine = sockets.path(&launch);
        let theirs = sockets.path(&LaunchId::random());
        let _listeners = [&mine, &theirs].map(|path| {
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            UnixListener::bind(path).unwrap()
        });
        root.uid = Uid::effective().as_raw();
        for (path, believed) in [
            (mine, true),
            (theirs, false),
            ("/run/docker.sock".into(), false),
        ] {
            root.marks.listen = Some(ListenOn::Unix { path });
            let found = saved(&state(&root, launch.clone(), Some(&sockets), &place).unwrap());
            assert_eq!(found.endpoint.is_some(), believed);
        }
        // A run with another's number does not get the other's socket.
        let path = sockets.path(&launch);
        root.uid += 1;
        root.marks.listen = Some(ListenOn::Unix { path });
        let found = saved(&state(&root, launch.clone(), Some(&sockets), &place).unwrap());
        assert_eq!(found.endpoint, None);
        // Nobody has to listen at a port for it to be somebody else's.
        root.marks.listen = Some(ListenOn::Tcp { ip: None, port: 1 });
        let found = saved(&state(&root, launch, Some(&sockets), &place).unwrap());
        assert_eq!(found.endpoint, None);
    }
}
