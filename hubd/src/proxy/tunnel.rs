//! Bytes both ways between two connections, at no cost while nothing moves.
//!
//! ```text
//!          Lane            scratch: one buffer per thread, only on loan during a poll
//! browser =====> server    rest: what the slower side did not take, only as long as it must wait
//!         <=====
//! ```
//!
//! - An idle tunnel owns no buffer, so ten thousand open notebooks cost their sockets and tasks.
//! - A slow reader stops its writer: a lane reads nothing more until its rest is gone.
//! - The end of one direction is passed on as such, and the other goes on; but a WebSocket has no
//!   use for half a connection, so it ends when the open half stays silent.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::activity::Meter;

/// One read's worth: a few times what a socket holds on loopback, small enough for the cache.
const SCRATCH: usize = 64 * 1024;
/// How long the open half may stay silent after the other has ended.
const LINGER: Duration = Duration::from_secs(10);

thread_local! {
    static SCRATCH_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// Copies until both directions have ended, or one breaks, or half of it falls silent.
pub(super) async fn copy<A, B>(a: A, b: B, meter: &Meter) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    copy_lingering(a, b, meter, LINGER).await
}

async fn copy_lingering<A, B>(mut a: A, mut b: B, meter: &Meter, linger: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut up, mut down) = (Lane::default(), Lane::default());
    let mut silence: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        SCRATCH_BUFFER.with_borrow_mut(|scratch| {
            let mut has_moved = false;
            let up = up.poll(context, &mut a, &mut b, scratch, &mut has_moved)?;
            let down = down.poll(context, &mut b, &mut a, scratch, &mut has_moved)?;
            if has_moved {
                meter.touch();
            }
            match (up, down) {
                (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
                _ => {
                    let silence =
                        silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(linger)));
                    if has_moved {
                        silence.as_mut().reset(Instant::now() + linger);
                    }
                    silence.as_mut().poll(context).map(Ok)
                }
            }
        })
    })
    .await
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    /// Bytes that were read and not yet taken; `taken` of them are gone already.
    rest: Vec<u8>,
    taken: usize,
    needs_flush: bool,
    end: End,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may come.
    #[default]
    Open,
    /// The reader's end was seen and must be passed on.
    Seen,
    /// It was passed on.
    Told,
}

impl Lane {
    /// Moves what can be moved. Ready when the end was passed on.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        scratch: &mut [u8],
        has_moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        let (mut from, mut to) = (Pin::new(from), Pin::new(to));
        loop {
            match self.end {
                End::Told => return Poll::Ready(Ok(())),
                End::Seen if self.rest.is_empty() => {
                    ready!(to.as_mut().poll_shutdown(context))?;
                    self.end = End::Told;
                    continue;
                }
                End::Seen | End::Open => {}
            }
            while self.taken < self.rest.len() {
                let left = &self.rest[self.taken..];
                self.taken += some(ready!(to.as_mut().poll_write(context, left))?)?;
            }
            if self.taken > 0 {
                (self.rest, self.taken) = (Vec::new(), 0);
            }
            let mut buffer = ReadBuf::new(scratch);
            match from.as_mut().poll_read(context, &mut buffer)? {
                Poll::Pending => {
                    if self.needs_flush {
                        ready!(to.as_mut().poll_flush(context))?;
                        self.needs_flush = false;
                    }
                    return Poll::Pending;
                }
                Poll::Ready(()) if buffer.filled().is_empty() => self.end = End::Seen,
                Poll::Ready(()) => {
                    *has_moved = true;
                    self.needs_flush = true;
                    let mut left = buffer.filled();
                    while !left.is_empty() {
                        match to.as_mut().poll_write(context, left)? {
                            Poll::Ready(taken) => left = &left[some(taken)?..],
                            Poll::Pending => {
                                self.rest = left.to_vec();
                                return Poll::Pending;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A writer that takes nothing will never take anything.
fn some(taken: usize) -> io::Result<usize> {
    match taken {
        0 => Err(io::ErrorKind::WriteZero.into()),
        taken => Ok(taken),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// Runs a tunnel between two pipes of `size` bytes while `story` plays both ends.
    async fn with_tunnel(
        size: usize,
        linger: Duration,
        story: impl AsyncFnOnce(DuplexStream, DuplexStream),
    ) -> (io::Result<()>, bool) {
        let (browser, near) = duplex(size);
        let (server, far) = duplex(size);
        let meters = super::super::activity::Meters::default();
        let id = spawner_core::ServerId::default_of("alice".parse().unwrap());
        let meter = meters.of(&id);
        let (result, ()) = tokio::join!(
            copy_lingering(near, far, &meter, linger),
            story(browser, server)
        );
        (result, !meters.take().is_empty())
    }

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn bytes_arrive_unchanged_however_slowly_they_are_taken() {
        for size in [1, 7, 64 * 1024] {
            let (result, used) = with_tunnel(size, LONG, async |browser, server| {
                let sent: Vec<u8> = (0..5_000_u32).map(|n| n.to_le_bytes()[0]).collect();
                let (mut from_browser, mut to_server) = tokio::io::split(browser);
                let (mut from_server, mut echo) = tokio::io::split(server);
                let mut back = Vec::new();
                tokio::join!(
                    async {
                        to_server.write_all(&sent).await.unwrap();
                        to_server.shutdown().await.unwrap();
                    },
                    async {
                        tokio::io::copy(&mut from_server, &mut echo).await.unwrap();
                        echo.shutdown().await.unwrap();
                    },
                    async {
                        from_browser.read_to_end(&mut back).await.unwrap();
                    },
                );
                assert!(
                    back == sent,
                    "{} of {} bytes came back",
                    back.len(),
                    sent.len()
                );
            })
            .await;
            assert!(result.is_ok() && used, "{size}: {result:?}");
        }
    }

    #[tokio::test]
    async fn half_a_connection_goes_on_until_it_falls_silent() {
        let (result, _) = with_tunnel(16, LONG, async |mut browser, mut server| {
            browser.shutdown().await.unwrap();
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).await.unwrap();
            server.write_all(b"last words").await.unwrap();
            drop(server);
            browser.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"last words");
        })
        .await;
        assert!(result.is_ok(), "{result:?}");

        let (result, used) = with_tunnel(16, Duration::ZERO, async |mut browser, mut server| {
            browser.shutdown().await.unwrap();
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).await.unwrap();
            // The server never hangs up; the tunnel does.
            browser.read_to_end(&mut seen).await.unwrap();
        })
        .await;
        assert!(result.is_ok() && !used, "{result:?}");
    }

    #[tokio::test]
    async fn a_side_that_is_gone_ends_the_other() {
        let (result, _) = with_tunnel(16, LONG, async |mut browser, server| {
            drop(server);
            let _ = browser.write_all(b"anybody there?").await;
        })
        .await;
        assert!(result.is_err());
    }

    #[tokio::test]
    async fn an_idle_lane_owns_no_buffer() {
        let (mut browser, mut near) = duplex(64);
        let (mut far, mut server) = duplex(4);
        let mut lane = Lane::default();
        let mut scratch = [0; 32];
        let mut step = async |near: &mut DuplexStream, far: &mut DuplexStream| {
            poll_fn(|context| {
                let _ = lane.poll(context, near, far, &mut scratch, &mut false);
                Poll::Ready(lane.rest.capacity())
            })
            .await
        };
        browser.write_all(b"12345678").await.unwrap();
        assert_eq!(step(&mut near, &mut far).await, 4);
        let mut seen = [0; 8];
        server.read_exact(&mut seen[..4]).await.unwrap();
        assert_eq!(step(&mut near, &mut far).await, 0);
        server.read_exact(&mut seen[4..]).await.unwrap();
        assert_eq!(&seen, b"12345678");
    }
}
