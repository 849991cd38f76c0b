//! Where somebody stands in the line, in words for them.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// A place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// 1 for the next one.
    pub(crate) position: usize,
    /// How long it may take until the start begins; `None` before any start has shown how long one
    /// takes.
    pub(crate) wait: Option<Duration>,
}

/// How long the last starts took.
#[derive(Debug, Default)]
pub(super) struct Spans(VecDeque<Duration>);

/// How many starts an estimate is made from: enough to smooth, few enough to follow the day.
const REMEMBERED: usize = 20;

impl Spans {
    pub(super) fn add(&mut self, span: Duration) {
        self.0.truncate(REMEMBERED - 1);
        self.0.push_front(span);
    }

    /// How long it may take until so many starts have begun, with `seats` at a time.
    pub(super) fn estimate(&self, position: usize, seats: usize) -> Option<Duration> {
        let count = u32::try_from(self.0.len())
            .ok()
            .filter(|count| *count > 0)?;
        let mean = self.0.iter().sum::<Duration>() / count;
        #[allow(clippy::cast_precision_loss, reason = "both are small numbers")]
        let turns = position as f64 / seats as f64;
        Duration::try_from_secs_f64(mean.as_secs_f64() * turns).ok()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.position;
        let ending = match (position % 10, position % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{position}{ending} in line")?;
        match self.wait.map(|wait| wait.as_millis().div_ceil(1000).max(1)) {
            None => Ok(()),
            Some(seconds @ ..120) => write!(f, ", about {seconds} s"),
            Some(seconds) => write!(f, ", about {} min", seconds.div_ceil(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (position, wait, words) in [
            (1, None, "1st in line"),
            (2, Some(0.2), "2nd in line, about 1 s"),
            (3, Some(19.5), "3rd in line, about 20 s"),
            (4, Some(119.0), "4th in line, about 119 s"),
            (11, Some(120.0), "11th in line, about 2 min"),
            (113, Some(121.0), "113th in line, about 3 min"),
            (21, None, "21st in line"),
        ] {
            let wait = wait.map(Duration::from_secs_f64);
            assert_eq!(Standing { position, wait }.to_string(), words);
        }
    }

    #[test]
    fn estimates_follow_the_last_starts() {
        let mut spans = Spans::default();
        assert_eq!(spans.estimate(1, 1), None);
        spans.add(Duration::from_secs(10));
        assert_eq!(spans.estimate(4, 2), Some(Duration::from_secs(20)));
        for _ in 0..REMEMBERED {
            spans.add(Duration::from_secs(2));
        }
        assert_eq!(spans.0.len(), REMEMBERED);
        assert_eq!(spans.estimate(3, 1), Some(Duration::from_secs(6)));
    }
}
