//! Who listens at an address of this host.
//!
//! A free port is chosen before the server binds it, and in between anybody can take it. A hub that
//! then believed the first answer would lead a user, cookies and all, to a stranger. So before a
//! server is called ready, the socket that a connection would reach is looked up in the kernel's
//! tables, and has to be held by a process of this server.
//!
//! | the socket is | then it is |
//! |---|---|
//! | held by a process of the server's tree | ours |
//! | another account's | taken |
//! | the account's, and every process of the tree could be looked into | taken |
//! | the account's, and some could not be (a hub that is not root, a program that hides itself) | ours, as far as can be told |

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use spawner_core::{Endpoint, SpawnError, SpawnErrorKind};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::process::{Key, Stat, is_gone};
use crate::run::Saved;
use crate::{diag, socket, tree};

/// The pauses before it is looked again for a listener that answered a moment ago: a line of the
/// kernel's tables can be missed while others come and go.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];

/// A socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its number, which `/proc/PID/fd` shows.
    pub(crate) inode: u64,
    /// The account that made it.
    pub(crate) uid: u32,
}

/// Whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Ours,
    Stranger,
}

/// The sockets that processes hold.
#[derive(Debug, Default)]
pub(crate) struct Held {
    inodes: HashSet<u64>,
    /// Whether there was one that could not be looked into.
    blind: bool,
}

/// Whether it is this server that listens at `endpoint`; `running` says whether it lives.
///
/// That a server which answers has no listener is no answer: the start then fails, because whoever
/// did answer may listen again.
pub(crate) async fn check(
    saved: &Saved,
    running: bool,
    endpoint: &Endpoint,
) -> Result<(), SpawnError> {
    match endpoint {
        Endpoint::Unix { path } => {
            let (path, account) = (path.clone(), saved.uid);
            let (held, path) = blocking(move || (socket::hold(&path, account), path)).await?;
            match held {
                // It never came to make one, which is no news of a server that ended.
                Err(error) if is_gone(&error) && !running => Ok(()),
                held => held.map_err(|source| socket::unusable(&path, source)),
            }
        }
        Endpoint::Tcp { host, port } => {
            let ip: IpAddr = host.parse().map_err(|source| {
                SpawnError::other(format!("{endpoint} is no address of this host."))
                    .with_source(source)
            })?;
            let port = *port;
            let mut pauses = LOOK_AGAIN.iter();
            loop {
                let saved = saved.clone();
                let owner = blocking(move || who(ip, port, &saved)).await?;
                match owner.map_err(|source| cannot_tell(endpoint).with_source(source))? {
                    Some(Owner::Ours) => return Ok(()),
                    Some(Owner::Stranger) => {
                        let message = format!(
                            "Another program on this host took the port {port} before the server \
                             could listen on it. Start the server again."
                        );
                        return Err(SpawnError::new(SpawnErrorKind::AddressTaken, message));
                    }
                    None if !running => return Ok(()),
                    None => match pauses.next() {
                        Some(pause) => sleep(*pause).await,
                        None => return Err(cannot_tell(endpoint)),
                    },
                }
            }
        }
    }
}

fn cannot_tell(endpoint: &Endpoint) -> SpawnError {
    let message = format!("The hub cannot see which program answers at {endpoint}.");
    SpawnError::new(SpawnErrorKind::Unavailable, message)
}

async fn blocking<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SpawnError> {
    spawn_blocking(look).await.map_err(|error| {
        SpawnError::other("The server's address could not be looked at.").with_source(error)
    })
}

/// Whose the socket at `ip` and `port` is, as the run `saved` sees it; `None` if nobody listens.
/// Blocks.
pub(crate) fn who(ip: IpAddr, port: u16, saved: &Saved) -> io::Result<Option<Owner>> {
    let found = listeners(ip, port)?;
    if found.is_empty() {
        return Ok(None);
    }
    let root = (saved.identity.pid, saved.identity.start_time);
    let mut held = Held::default();
    // It is nearly always the server itself, and then nobody else has to be asked.
    held.look(root);
    let holds = |held: &Held| found.iter().all(|found| held.inodes.contains(&found.inode));
    if !holds(&held) {
        for process in tree::members(root, &saved.launch_id, saved.uid)? {
            held.look(process);
        }
    }
    let owners = found.iter().map(|found| held.owner(*found, saved.uid));
    let stranger = owners.into_iter().any(|owner| owner == Owner::Stranger);
    Ok(Some(if stranger {
        Owner::Stranger
    } else {
        Owner::Ours
    }))
}

/// The sockets that a connection to `ip` and `port` reaches: more than one only if they agreed to
/// share the address. Blocks.
pub(crate) fn listeners(ip: IpAddr, port: u16) -> io::Result<Vec<Listener>> {
    // Not every kernel has that, and not every sandbox lets it through.
    let entries = diag::listeners(port).or_else(|_| tables())?;
    Ok(reached(&entries, ip, port))
}

/// All sockets that listen, as text. Blocks.
fn tables() -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match std::fs::read_to_string(table) {
            Ok(text) => entries.extend(text.lines().filter_map(parse)),
            // A kernel without IPv6.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

/// An entry of the tables: where a socket listens, and which it is.
pub(crate) type Entry = (IpAddr, u16, Listener);

/// Reads a line; `None` if it is no listening socket's.
fn parse(line: &str) -> Option<Entry> {
    /// `TCP_LISTEN`
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, _, LISTEN, _, _, _, uid, _, inode, ..] = *fields.as_slice() else {
        return None;
    };
    let (ip, port) = local.split_once(':')?;
    let listener = Listener {
        inode: inode.parse().ok()?,
        uid: uid.parse().ok()?,
    };
    Some((address(ip)?, u16::from_str_radix(port, 16).ok()?, listener))
}

/// Reads an address: words of 32 bits, each printed as the number that this machine takes it for.
fn address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}

/// The kernel prefers the socket that names the address, then one for every address of the same
/// family, then one for every address of both.
fn reached(entries: &[Entry], ip: IpAddr, port: u16) -> Vec<Listener> {
    let exactly = |found: IpAddr| found.to_canonical() == ip.to_canonical();
    let any_v4 = |found: IpAddr| ip.is_ipv4() && found == Ipv4Addr::UNSPECIFIED;
    let any = |found: IpAddr| found == Ipv6Addr::UNSPECIFIED;
    let tiers: [&dyn Fn(IpAddr) -> bool; 3] = [&exactly, &any_v4, &any];
    for tier in tiers {
        let found: Vec<_> = entries
            .iter()
            .filter(|(at, its_port, _)| *its_port == port && tier(*at))
            .map(|(_, _, listener)| *listener)
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

impl Held {
    /// Adds the sockets of one process. Blocks.
    pub(crate) fn look(&mut self, process: Key) {
        let (pid, start_time) = process;
        let found = sockets(Path::new(&format!("/proc/{pid}/fd")));
        let same = matches!(Stat::of(pid), Ok(Some(stat)) if stat.start_time == start_time);
        match found {
            Ok(inodes) if same => self.inodes.extend(inodes),
            // What is gone holds nothing, and who came after it is not asked for.
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(_) => self.blind |= same,
        }
    }

    /// Whose `listener` is, if these were all processes of a server that runs as `account`.
    pub(crate) fn owner(&self, listener: Listener, account: Option<u32>) -> Owner {
        if self.inodes.contains(&listener.inode) || (self.blind && account == Some(listener.uid)) {
            Owner::Ours
        } else {
            Owner::Stranger
        }
    }
}

/// The numbers of the sockets in a directory of descriptors.
fn sockets(dir: &Path) -> io::Result<Vec<u64>> {
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let target = match std::fs::read_link(entry?.path()) {
            Ok(target) => target,
            // Closed meanwhile.
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        let number: Option<u64> = target.to_str().and_then(|target| {
            let number = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            number.parse().ok()
        });
        inodes.extend(number);
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const MINE: Option<u32> = Some(1000);

    fn listener(inode: u64, uid: u32) -> Listener {
        Listener { inode, uid }
    }

    #[test]
    fn a_line_is_read_and_what_does_not_listen_is_passed_over() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  \
                    1000        0 544 1 00000000ca4283a1 100 0 0 10 0";
        let local = IpAddr::from([127, 0, 0, 1]);
        if cfg!(target_endian = "little") {
            assert_eq!(parse(line), Some((local, 8080, listener(544, 1000))));
        }
        assert_eq!(parse(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(parse(&line[..60]), None);
        assert_eq!(parse("  sl  local_address rem_address   st"), None);
        let any = "00000000000000000000000000000000";
        assert_eq!(address(any), Some(Ipv6Addr::UNSPECIFIED.into()));
        for hex in ["", "0100007", "0100007G", "0100007F0", "0100007F0100007F"] {
            assert_eq!(address(hex), None, "{hex}");
        }
    }

    #[test]
    fn a_connection_reaches_the_socket_that_names_its_address_best() {
        let [local, other, mapped, every, both, six] = [
            "127.0.0.1",
            "127.0.0.2",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "::1",
        ]
        .map(|ip| ip.parse::<IpAddr>().unwrap());
        for (there, to, expected) in [
            (vec![local, every, both], local, vec![0]),
            (vec![mapped, every, both], local, vec![0]),
            (vec![other, every, both], local, vec![1]),
            (vec![other, both], local, vec![1]),
            (vec![every, every], local, vec![0, 1]),
            (vec![every, both], six, vec![1]),
            (vec![six, both], six, vec![0]),
            (vec![other, six], local, vec![]),
        ] {
            let entries: Vec<Entry> = (0..)
                .zip(&there)
                .map(|(inode, &ip)| (ip, 80, listener(inode, 0)))
                .collect();
            let found = reached(&entries, to, 80);
            let inodes: Vec<u64> = found.iter().map(|found| found.inode).collect();
            assert_eq!(inodes, expected, "{there:?} {to}");
            assert!(reached(&entries, to, 81).is_empty());
        }
    }

    #[test]
    fn whose_a_socket_is() {
        let held = |blind| Held {
            inodes: HashSet::from([7]),
            blind,
        };
        for (found, blind, account, expected) in [
            (listener(7, 1000), false, MINE, Owner::Ours),
            // A wrapper that became somebody else, and that we can look into.
            (listener(7, 0), false, MINE, Owner::Ours),
            (listener(7, 1000), false, None, Owner::Ours),
            (listener(8, 1000), false, MINE, Owner::Stranger),
            (listener(8, 1000), true, MINE, Owner::Ours),
            (listener(8, 1001), true, MINE, Owner::Stranger),
            (listener(8, 0), true, None, Owner::Stranger),
        ] {
            let owner = held(blind).owner(found, account);
            assert_eq!(owner, expected, "{found:?} {blind} {account:?}");
        }
    }

    #[test]
    fn our_own_sockets_are_found_in_the_real_tables() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let myself = Stat::of(pid).unwrap().unwrap().key();
        for (bound, reached_at) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.0.0.1"),
            ("[::]:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
        ] {
            // Not every machine has IPv6.
            let Ok(socket) = TcpListener::bind(bound) else {
                assert!(bound.starts_with('['), "{bound}");
                continue;
            };
            let port = socket.local_addr().unwrap().port();
            let ip = reached_at.parse().unwrap();
            let found = listeners(ip, port).unwrap();
            assert_eq!(found.len(), 1, "{bound}");
            assert_eq!(reached(&tables().unwrap(), ip, port), found);
            let mut held = Held::default();
            assert_eq!(held.owner(found[0], None), Owner::Stranger);
            held.look(myself);
            assert_eq!(held.owner(found[0], None), Owner::Ours);
            drop(socket);
            assert_eq!(listeners(ip, port).unwrap(), []);
        }
    }

    #[test]
    fn a_number_that_was_given_away_counts_for_nothing() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let (pid, start_time) = Stat::of(pid).unwrap().unwrap().key();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut held = Held::default();
        held.look((pid, start_time + 1));
        held.look((i32::MAX, 1));
        assert!(held.inodes.is_empty() && !held.blind);
        drop(socket);
    }
}
