//! What the hub tells about itself while it works: lines on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Starts logging at `level` (`info`, or a filter such as `info,hubd::servers=debug`). A second
/// call changes nothing: an embedding program may have set up its own.
pub(crate) fn init(level: &str, format: Format) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter(level));
    // Fails only when logging was set up already, which is the caller's right.
    let _ = match format {
        Format::Text => registry
            .with(
                lines
                    .with_ansi(io::stderr().is_terminal())
                    .with_target(false),
            )
            .try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
}

fn filter(level: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    // The Docker client logs the whole body of a container's creation, tokens included, at debug.
    let quiet: Directive = "bollard=info".parse().expect("a constant directive");
    filter.add_directive(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docker_client_never_logs_at_debug() {
        assert!(filter("trace").to_string().contains("bollard=info"));
    }
}
