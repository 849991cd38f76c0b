//! The listening TCP sockets of this host, as the kernel tells those who ask for them only.
//!
//! `/proc/net/tcp` has a line for every connection as well, and to print those of a busy host takes
//! the kernel many times as long as to print those that listen. Asked by netlink (`sock_diag(7)`), it
//! gives just the sockets of one port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use crate::listener::{Entry, Listener};

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `TCP_LISTEN`, as a bit.
const LISTENING: u32 = 1 << 10;
const TCP: u8 = 6;
/// How long `struct nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg` are.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;
/// The kernel makes no larger pieces of a dump.
const PIECE: usize = 32 << 10;

/// The sockets of both families that listen on `port`. Blocks.
pub(crate) fn listeners(port: u16) -> io::Result<Vec<Entry>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    let mut entries = Vec::new();
    let mut piece = vec![0; PIECE];
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        sendto(&socket, &request(family, port), SendFlags::empty(), &kernel)?;
        loop {
            let (length, whole) = recv(&socket, piece.as_mut_slice(), RecvFlags::TRUNC)?;
            if whole > length {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if read(&piece[..length], &mut entries)? {
                break;
            }
        }
    }
    Ok(entries)
}

/// Asks for all that listen on `port`.
fn request(family: AddressFamily, port: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    let length = u32::try_from(HEADER + REQUEST).unwrap_or_default();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    // Neither a sequence number nor a sender: there is one question at a time on this socket.
    bytes.extend([0; 8]);
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    bytes.extend([family, TCP, 0, 0]);
    bytes.extend(LISTENING.to_ne_bytes());
    bytes.extend(port.to_be_bytes());
    // No other port, no addresses, no device, no cookie.
    bytes.resize(HEADER + REQUEST, 0);
    bytes
}

/// Reads a piece of the answer; says whether it was the last one.
fn read(mut piece: &[u8], entries: &mut Vec<Entry>) -> io::Result<bool> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    while piece.len() >= HEADER {
        let length = usize::try_from(number(piece, 0)).map_err(|_| malformed())?;
        let kind = u16::from_ne_bytes([piece[4], piece[5]]);
        let message = piece.get(HEADER..length).ok_or_else(malformed)?;
        match kind {
            // Both begin with an error number, negative, or 0 for none.
            ERROR | DONE if message.len() >= 4 => {
                let code = number(message, 0).cast_signed();
                if code < 0 {
                    return Err(io::Error::from_raw_os_error(-code));
                }
                return Ok(true);
            }
            ERROR | DONE => return Ok(true),
            BY_FAMILY if message.len() >= ANSWER => entries.extend(entry(message)),
            _ => {}
        }
        // Each begins at a multiple of four.
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads one `inet_diag_msg`, which is long enough; `None` if it is of a family that nobody asked for.
fn entry(message: &[u8]) -> Option<Entry> {
    let address = &message[8..24];
    let ip: IpAddr = match AddressFamily::from_raw(message[0].into()) {
        AddressFamily::INET => Ipv4Addr::from(<[u8; 4]>::try_from(&address[..4]).ok()?).into(),
        AddressFamily::INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
        _ => return None,
    };
    let port = u16::from_be_bytes([message[4], message[5]]);
    let listener = Listener {
        uid: number(message, 64),
        inode: number(message, 68).into(),
    };
    Some((ip, port, listener))
}

/// The number of this machine's byte order at an offset that is known to be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_tells_who_listens_on_a_port_and_no_more() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = listeners(port).unwrap();
        let [(ip, at, listener)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((*ip, *at), ([127, 0, 0, 1].into(), port));
        assert_eq!(listener.uid, rustix::process::getuid().as_raw());
        drop((socket, other));
        assert_eq!(listeners(port).unwrap(), []);
    }

    #[test]
    fn an_answer_is_read_or_refused_and_never_misread() {
        let message = |kind: u16, body: &[u8]| {
            let mut bytes = u32::try_from(HEADER + body.len())
                .unwrap()
                .to_ne_bytes()
                .to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
            bytes
        };
        let mut body = [0; ANSWER];
        body[0] = u8::try_from(AddressFamily::INET6.as_raw()).unwrap();
        body[4..6].copy_from_slice(&80_u16.to_be_bytes());
        body[23] = 1;
        body[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
        body[68..72].copy_from_slice(&7_u32.to_ne_bytes());
        let listener = Listener {
            inode: 7,
            uid: 1000,
        };
        let mut found = Vec::new();
        let mut piece = message(BY_FAMILY, &body);
        assert!(!read(&piece, &mut found).unwrap());
        assert_eq!(found, [(Ipv6Addr::LOCALHOST.into(), 80, listener)]);
        // Twice in one piece, and the end.
        piece.extend(message(BY_FAMILY, &body));
        piece.extend(message(DONE, &[0; 4]));
        assert!(read(&piece, &mut found).unwrap());
        assert_eq!(found.len(), 3);

        for kind in [ERROR, DONE] {
            let error = read(&message(kind, &(-2_i32).to_ne_bytes()), &mut found).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        let mut longer = message(BY_FAMILY, &body);
        longer[0] += 1;
        assert!(read(&longer, &mut found).is_err());
        let mut endless = message(BY_FAMILY, &body);
        endless[..4].fill(0);
        assert!(read(&endless, &mut found).is_err());
        // Too short to be one.
        assert!(!read(&message(BY_FAMILY, &body[1..]), &mut found).unwrap());
        assert_eq!(found.len(), 3);
    }
}
