//! Moments as the API writes and reads them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A moment in UTC as ISO 8601 with microseconds: `2026-11-21T19:19:54.992493Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("UTC, with microseconds."))
            .examples(["2026-11-21T19:19:54.992493Z"])
            .into()
    }
}

impl ToSchema for Time {}

/// Reads a moment. Without an offset it is UTC, as older clients mean it; nothing else than ISO
/// 8601 is guessed at.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let utc = || {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_and_z_whatever_the_moment() {
        for (text, written) in [
            ("2026-11-21T19:19:54.992493Z", "2026-11-21T19:19:54.992493Z"),
            ("2026-11-21T19:19:54Z", "2026-11-21T19:19:54.000000Z"),
            ("2026-11-21T20:19:54.1+01:00", "2026-11-21T19:19:54.100000Z"),
            ("2026-11-21T19:19:54", "2026-11-21T19:19:54.000000Z"),
            ("2026-11-21 19:19:54.5", "2026-11-21T19:19:54.500000Z"),
        ] {
            let time = Time(read(text).unwrap());
            assert_eq!(serde_json::to_value(time).unwrap(), written, "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed_at() {
        for text in [
            "",
            "now",
            "yesterday",
            "1763752794",
            "19:19",
            "2026-13-01T00:00:00Z",
            "é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
