//! `hubd audit`: who did what to whom.

mod table;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use super::books::Books;
use super::{one_shot, output};
use crate::config::Config;
use crate::store::audit::{Action, AuditQuery, PAGE_MAX, Record};

/// Show who did what to whom, the latest first
///
/// It works while the hub runs and while it does not. Run it as root or as the account that runs the
/// hub. A table on a terminal. Otherwise one line an entry, with tabs between time, who, by which
/// means, from where, action, what it was done to, outcome, and details in JSON; "-" stands for
/// nothing.
///
/// Exit code: 0 if it was shown; 1 if not; 2 if the arguments or the configuration cannot be used.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only what this user, service or account did, and what was done to this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only this action
    #[arg(long, value_parser = PossibleValuesParser::new(Action::ALL.iter().map(|a| a.as_str())), hide_possible_values = false)]
    action: Option<String>,
    /// Nothing earlier: a time such as 2026-03-01 or 2026-03-01T08:00 (UTC), or how long ago, as 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// At most that many entries
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..PAGE_MAX as i64))]
    limit: u32,
    /// Show each entry as one JSON object a line
    #[arg(long)]
    json: bool,
    /// The configuration file [default: ./hubd.toml, else /etc/hubd/hubd.toml]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(mut self) -> ExitCode {
        let config = self.config.take();
        one_shot::run(config, async |config| self.show(config).await)
    }

    async fn show(self, config: &Config) -> Result<String, String> {
        let limit = self.limit as usize;
        let query = AuditQuery {
            name: self.user,
            action: self.action,
            since: self.since,
            before: None,
            // One more tells whether there are more.
            limit: limit + 1,
        };
        let mut records = Books::reach(config).await?.audit(query).await?;
        if records.len() > limit {
            records.truncate(limit);
            output::note(&format!(
                "there are more than {limit} entries; --limit shows more of them"
            ));
        }
        Ok(if self.json {
            lines_of_json(&records)?
        } else if io::stdout().is_terminal() {
            table::for_people(&records)
        } else {
            table::for_programs(&records)
        })
    }
}

fn lines_of_json(records: &[Record]) -> Result<String, String> {
    let lines = records.iter().map(|record| {
        let line = serde_json::to_string(record).map_err(|error| error.to_string())?;
        Ok(line + "\n")
    });
    lines.collect()
}

/// A moment, as somebody types it.
fn since(text: &str) -> Result<Timestamp, String> {
    let utc = |time: civil::DateTime| TimeZone::UTC.to_timestamp(time).ok();
    let moment = (text.parse().ok())
        .or_else(|| utc(text.parse().ok()?))
        .or_else(|| ago(text.parse().ok()?));
    moment.ok_or_else(|| "write 2026-03-01, 2026-03-01T08:00, 2h or 7d".to_owned())
}

fn ago(span: Span) -> Option<Timestamp> {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    Some(now.checked_sub(span.abs()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood() {
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        for text in [
            "2026-03-01T12:00",
            "2026-03-01T12:00:00Z",
            "2026-03-01T13:00+01",
        ] {
            assert_eq!(since(text), Ok(noon), "{text}");
        }
        let midnight = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(since("2026-03-01"), Ok(midnight));
        let now = Timestamp::now();
        let week = jiff::SignedDuration::from_hours(7 * 24);
        let ago = since("7d").unwrap();
        assert!(ago >= now - week && ago <= Timestamp::now() - week);
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "7",
            "-",
            "99999999999999999d",
        ] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
