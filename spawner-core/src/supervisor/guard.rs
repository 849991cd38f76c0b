//! Panics of other people's code, caught before they reach the owner task.
//!
//! Everything that a spawner, a hook, a probe, a journal or a callback is asked goes through here.
//! What panics is an error like any other: the owner task lives on, and the log has the message
//! with the server's name. A value that panicked is used again, so its own state is its own
//! business: the next call is a `stop` or a `poll`, and those say what they find.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::error::{SpawnError, SpawnErrorKind};
use crate::ids::ServerId;

/// A call did not return but panicked. The log has said why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{what}` panicked")]
pub(super) struct Panicked {
    what: &'static str,
}

/// A future whose panics are its result, also those of its destructor.
pub(super) struct Guarded<'a, T> {
    server: &'a ServerId,
    what: &'static str,
    work: Option<BoxFuture<'a, T>>,
}

/// Calls `work`, and makes a panic an error.
pub(super) fn call<T>(
    server: &ServerId,
    what: &'static str,
    work: impl FnOnce() -> T,
) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| noted(server, what, &*panic))
}

/// The future of `work`, which makes a panic an error. Calls that make the future belong into
/// `work`, because they can panic as well.
pub(super) fn guarded<'a, T>(
    server: &'a ServerId,
    what: &'static str,
    work: impl Future<Output = T> + Send + 'a,
) -> Guarded<'a, T> {
    Guarded {
        server,
        what,
        work: Some(Box::pin(work)),
    }
}

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (server, what) = (self.server, self.what);
        // Nothing is left to poll when the destructor panicked after the result was there.
        let Some(work) = &mut self.work else {
            return Poll::Ready(Err(Panicked { what }));
        };
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => {
                self.discard();
                Poll::Ready(Ok(done))
            }
            Err(panic) => {
                self.discard();
                Poll::Ready(Err(noted(server, what, &*panic)))
            }
        }
    }
}

impl<T> Guarded<'_, T> {
    fn discard(&mut self) {
        let work = self.work.take();
        let _ = call(self.server, self.what, || drop(work));
    }
}

impl<T> Drop for Guarded<'_, T> {
    fn drop(&mut self) {
        self.discard();
    }
}

impl From<Panicked> for SpawnError {
    fn from(panicked: Panicked) -> Self {
        let message = format!(
            "There is a fault in the hub or its spawner: `{}` panicked. The log says more.",
            panicked.what
        );
        Self::new(SpawnErrorKind::Other, message).with_source(panicked)
    }
}

fn noted(server: &ServerId, what: &'static str, panic: &(dyn Any + Send)) -> Panicked {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it left no message");
    tracing::error!(%server, what, panic = text, "a panic was caught");
    Panicked { what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::context;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "in a destructor");
        }
    }

    #[tokio::test]
    async fn panics_become_errors() {
        let server = context("tee", "").server;
        assert_eq!(call(&server, "get_env", || 7), Ok(7));
        let caught = call(&server, "get_env", || panic!("on purpose"));
        assert_eq!(caught, Err::<(), _>(Panicked { what: "get_env" }));
        assert_eq!(guarded(&server, "poll", async { 7 }).await, Ok(7));
        let caught = guarded(&server, "poll", async { panic!("on {}", "purpose") }).await;
        assert_eq!(caught, Err::<(), _>(Panicked { what: "poll" }));
        let error = SpawnError::from(Panicked { what: "poll" });
        assert!(error.to_string().contains("`poll` panicked"), "{error}");
    }

    #[tokio::test]
    async fn destructors_may_panic_as_well() {
        let server = context("tee", "").server;
        let pending = guarded(&server, "start", async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        });
        let mut pending = pending;
        assert!(futures_util::poll!(&mut pending).is_pending());
        drop(pending);
    }
}
