//! The listening socket, and how many may come in through it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

/// Descriptors kept back for the database, logs, processes and the connections to the hub itself.
const RESERVED_DESCRIPTORS: u64 = 128;

/// The listener, and how many may come in.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    was_full: bool,
}

impl Door {
    pub(super) fn new(listener: TcpListener, connections: usize) -> Self {
        Self {
            listener,
            permits: Arc::new(Semaphore::new(connections)),
            was_full: false,
        }
    }

    /// The next connection, once there is room for one. Losing interest loses nothing.
    pub(super) async fn accept(&mut self) -> io::Result<(Socket, SocketAddr)> {
        let is_full = self.permits.available_permits() == 0;
        if is_full && !self.was_full {
            warn!("as many connections are open as file descriptors allow, new ones must wait");
        }
        self.was_full = is_full;
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (stream, peer) = self.listener.accept().await?;
        Ok((Socket { stream, permit }, peer))
    }
}

/// How many connections this process can serve at once.
pub(super) fn connection_limit() -> usize {
    connections_within(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Whether the fault is a shortage that time may cure, and not one connection's.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Each connection may need a second descriptor, for the server it is forwarded to.
fn connections_within(descriptors: u64) -> usize {
    let pairs = descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 2;
    usize::try_from(pairs)
        .unwrap_or(Semaphore::MAX_PERMITS)
        .clamp(16, Semaphore::MAX_PERMITS)
}

/// An accepted socket with its place among the connections, which it keeps when it is upgraded.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    #[expect(dead_code, reason = "it is given back when the socket is dropped")]
    permit: Option<OwnedSemaphorePermit>,
}

impl Socket {
    /// Small answers leave at once.
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_pauses_and_anything_else_does_not() {
        for (errno, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::NOMEM, true),
            (Errno::CONNABORTED, false),
            (Errno::PERM, false),
        ] {
            assert_eq!(is_shortage(&errno.into()), expected, "{errno:?}");
        }
    }

    #[test]
    fn descriptors_bound_the_connections() {
        for (descriptors, connections) in [
            (0, 16),
            (256, 64),
            (1024, 448),
            (20_000, 9_936),
            (u64::MAX, Semaphore::MAX_PERMITS),
        ] {
            assert_eq!(connections_within(descriptors), connections);
        }
    }
}
