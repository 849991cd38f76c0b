//! For how long each run has been seen.

use std::collections::HashMap;
use std::time::Duration;

use spawner_core::{LaunchId, ServerId};
use tokio::time::Instant;

/// The runs that were ready at the last look.
#[derive(Debug, Default)]
pub(super) struct Watch(HashMap<ServerId, Run>);

#[derive(Debug)]
struct Run {
    launch: LaunchId,
    /// When it was seen for the first time.
    since: Instant,
}

impl Watch {
    /// Looks at the runs that are ready now. A server that was started again is a new one.
    pub(super) fn look(&mut self, ready: &[(ServerId, LaunchId)], now: Instant) {
        let mut before = std::mem::take(&mut self.0);
        for (server, launch) in ready {
            let known = before.remove(server).filter(|run| run.launch == *launch);
            let run = known.unwrap_or_else(|| Run {
                launch: launch.clone(),
                since: now,
            });
            self.0.insert(server.clone(), run);
        }
    }

    /// How long a run has been there and for how long nobody has used it, by its last use. One that
    /// was not seen yet has just begun.
    pub(super) fn age_and_idle(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        last_use: Option<Instant>,
        now: Instant,
    ) -> (Duration, Duration) {
        let run = self.0.get(server).filter(|run| run.launch == *launch);
        let since = run.map_or(now, |run| run.since);
        let used = last_use.map_or(since, |last| last.max(since));
        (now - since, now.saturating_duration_since(used))
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::UserName;

    use super::super::decide::{Facts, Limits, Verdict, decide};
    use super::*;

    /// A day of one server, in no time: used for eight hours, left alone, ended an hour later,
    /// started again.
    #[tokio::test(start_paused = true)]
    async fn a_day_of_a_server() {
        const ROUND: Duration = Duration::from_mins(5);
        let server = ServerId::default_of(UserName::new("alice").unwrap());
        let limits = Limits {
            timeout: Duration::from_hours(1),
            max_age: Duration::ZERO,
        };
        let mut watch = Watch::default();
        let mut launch = LaunchId::random();
        let (mut last_use, mut ends) = (None, Vec::new());
        let began = Instant::now();
        for round in 0..=24 * 12 {
            let now = Instant::now();
            watch.look(&[(server.clone(), launch.clone())], now);
            if round < 8 * 12 {
                last_use = Some(now);
            }
            let (age, idle) = watch.age_and_idle(&server, &launch, last_use, now);
            let is_spared = false;
            let verdict = decide(
                limits,
                Facts {
                    idle,
                    age,
                    is_spared,
                },
            );
            if let Verdict::Cull(_) = verdict {
                ends.push((now - began).as_secs() / 60);
                // Started again at once, and never used: what was before does not count.
                launch = LaunchId::random();
            }
            tokio::time::advance(ROUND).await;
        }
        // The last use is at 7:55. Each run that follows is seen five minutes after the end of the
        // one before, and then has its hour.
        let expected: Vec<u64> = (0..14).map(|run| 8 * 60 + 55 + run * 65).collect();
        assert_eq!(ends, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_seen_has_just_begun() {
        let server = ServerId::default_of(UserName::new("alice").unwrap());
        let (now, launch) = (Instant::now(), LaunchId::random());
        let later = now + Duration::from_hours(9);
        let mut watch = Watch::default();
        let nothing = (Duration::ZERO, Duration::ZERO);
        assert_eq!(
            watch.age_and_idle(&server, &launch, Some(now), later),
            nothing
        );
        watch.look(&[(server.clone(), launch.clone())], now);
        let other = LaunchId::random();
        assert_eq!(watch.age_and_idle(&server, &other, None, later), nothing);
        // Used a moment after it was asked.
        let (_, idle) = watch.age_and_idle(&server, &launch, Some(later), now);
        assert_eq!(idle, Duration::ZERO);
        watch.look(&[], later);
        assert_eq!(watch.age_and_idle(&server, &launch, None, later), nothing);
    }
}
