//! How far a pull is, read from the lines that the engine sends about each layer.
//!
//! The engine tells the size of a layer when its download begins, so the total grows on the way. A
//! layer of unknown size counts as one of average size, one that was there before as none; the
//! percentage never falls.

use std::collections::HashMap;
use std::fmt;

use bollard::models::CreateImageInfo;

/// How many layers are told apart; an image has at most 127.
const LAYERS_MAX: usize = 512;
/// How many percent are worth a line.
const STEP: u8 = 3;
/// The status of a layer that another image has, too.
const ALREADY: &str = "Already exists";
/// The share of a layer's way that is its download; the rest is unpacking.
const DOWNLOAD: f64 = 0.75;

/// How far a pull is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PullProgress {
    /// Layers that are there.
    done: usize,
    layers: usize,
    /// Bytes that were downloaded, and how many there are as far as that is known.
    bytes: u64,
    total: u64,
    percent: u8,
    /// Whether the registry fails and is asked again.
    retrying: bool,
}

/// What the lines so far add up to.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    layers: HashMap<String, Layer>,
    percent: u8,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Layer {
    step: Step,
    /// Bytes of the present step.
    bytes: u64,
    /// Size of the download; 0 while it is not known.
    size: u64,
    /// Whether the engine had it before.
    old: bool,
}

/// The steps of a layer, in their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    #[default]
    Waiting,
    Retrying,
    Downloading,
    Downloaded,
    Unpacking,
    Done,
}

impl Step {
    /// The step that a status names. Anything else is not about a layer ("Pulling from x" carries
    /// the tag where the others have their layer's id).
    fn of(status: &str) -> Option<Self> {
        Some(match status {
            "Pulling fs layer" | "Waiting" => Self::Waiting,
            "Downloading" => Self::Downloading,
            "Verifying Checksum" | "Download complete" => Self::Downloaded,
            "Extracting" => Self::Unpacking,
            "Pull complete" | ALREADY => Self::Done,
            retrying if retrying.starts_with("Retrying in ") => Self::Retrying,
            _ => return None,
        })
    }
}

impl Layer {
    fn downloaded(&self) -> u64 {
        match self.step {
            Step::Waiting | Step::Retrying => 0,
            Step::Downloading => self.bytes.min(self.size),
            Step::Downloaded | Step::Unpacking | Step::Done => self.size,
        }
    }

    fn fraction(&self) -> f64 {
        let part = ratio(self.bytes, self.size);
        match self.step {
            Step::Waiting | Step::Retrying => 0.0,
            Step::Downloading => DOWNLOAD * part,
            Step::Downloaded => DOWNLOAD,
            Step::Unpacking => DOWNLOAD + (1.0 - DOWNLOAD) * part,
            Step::Done => 1.0,
        }
    }
}

impl Layers {
    /// Takes a line, and says whether the pull has come further by it. A registry that is asked
    /// again and again makes many lines and no progress.
    pub(crate) fn take(&mut self, line: &CreateImageInfo) -> bool {
        let Some(status) = line.status.as_deref() else {
            return false;
        };
        let Some(step) = Step::of(status) else {
            // About the image as a whole.
            return true;
        };
        let Some(id) = line.id.as_deref() else {
            return true;
        };
        if !self.layers.contains_key(id) && self.layers.len() >= LAYERS_MAX {
            return true;
        }
        let layer = self.layers.entry(id.to_owned()).or_default();
        let before = *layer;
        let detail = line.progress_detail.as_ref();
        let number = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok());
        let bytes = detail.and_then(|detail| number(detail.current));
        let total = detail.and_then(|detail| number(detail.total));
        layer.step = step;
        layer.bytes = bytes.unwrap_or(0);
        layer.old |= status == ALREADY;
        if let Some(total) = total.filter(|total| *total > 0) {
            layer.size = total;
        }
        *layer != before && step != Step::Retrying
    }

    /// How far it is now.
    pub(crate) fn progress(&mut self) -> PullProgress {
        let layers = self.layers.values();
        let known: Vec<u64> = layers.clone().map(|l| l.size).filter(|n| *n > 0).collect();
        let total = known.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
        let average = match known.len() as u64 {
            0 => 1,
            count => (total / count).max(1),
        };
        let (mut way, mut weight) = (0.0, 0.0);
        for layer in layers.clone().filter(|layer| !layer.old) {
            let size = as_number(if layer.size == 0 { average } else { layer.size });
            way += size * layer.fraction();
            weight += size;
        }
        let percent = if weight > 0.0 {
            100.0 * way / weight
        } else {
            0.0
        };
        self.percent = self.percent.max(whole(percent));
        PullProgress {
            done: layers.clone().filter(|l| l.step == Step::Done).count(),
            layers: self.layers.len(),
            bytes: layers
                .clone()
                .fold(0, |sum: u64, l| sum.saturating_add(l.downloaded())),
            total,
            percent: self.percent,
            retrying: layers.clone().any(|l| l.step == Step::Retrying),
        }
    }
}

impl PullProgress {
    /// 0 to 100.
    pub(crate) fn percent(&self) -> u8 {
        self.percent
    }

    /// Whether there is something to tell that is more than a few bytes.
    pub(crate) fn is_news_after(&self, last: &Self) -> bool {
        let (now, before) = (self.percent / STEP, last.percent / STEP);
        (now, self.done, self.layers, self.retrying)
            != (before, last.done, last.layers, last.retrying)
    }
}

impl fmt::Display for PullProgress {
    /// What follows "Pulling IMAGE".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers == 0 {
            return Ok(());
        }
        write!(f, ": {} of {} layers", self.done, self.layers)?;
        if self.total > 0 {
            let (unit, name) = if self.total < 1_000_000 {
                (1_000, "kB")
            } else {
                (1_000_000, "MB")
            };
            let (bytes, total) = (self.bytes / unit, self.total.div_ceil(unit));
            write!(f, ", {bytes} of {total} {name}")?;
        }
        if self.retrying {
            f.write_str(" (the registry failed and is asked again)")?;
        }
        Ok(())
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    as_number(part.min(whole)) / as_number(whole)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a percentage of petabytes may be off by a byte"
)]
fn as_number(n: u64) -> f64 {
    n as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=100 first"
)]
fn whole(percent: f64) -> u8 {
    percent.clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn line(value: Value) -> CreateImageInfo {
        serde_json::from_value(value).unwrap()
    }

    fn layer(id: &str, status: &str, current: i64, total: i64) -> CreateImageInfo {
        let detail = json!({"current": current, "total": total});
        line(json!({"id": id, "status": status, "progressDetail": detail}))
    }

    #[test]
    fn a_pull_from_its_first_line_to_its_last() {
        let mut layers = Layers::default();
        let mut percent = 0;
        for (next, expected) in [
            (
                line(json!({"status": "Pulling from x/lab", "id": "latest"})),
                "",
            ),
            (
                line(json!({"status": "Already exists", "id": "a"})),
                ": 1 of 1 layers",
            ),
            (
                line(json!({"status": "Pulling fs layer", "id": "b"})),
                ": 1 of 2 layers",
            ),
            (
                line(json!({"status": "Waiting", "id": "c"})),
                ": 1 of 3 layers",
            ),
            (
                layer("b", "Downloading", 40_000_000, 80_000_000),
                ": 1 of 3 layers, 40 of 80 MB",
            ),
            (
                layer("c", "Downloading", 1_000_000, 400_000_000),
                ": 1 of 3 layers, 41 of 480 MB",
            ),
            (
                line(json!({"status": "Download complete", "id": "b"})),
                ": 1 of 3 layers, 81 of 480 MB",
            ),
            (
                layer("b", "Extracting", 20_000_000, 80_000_000),
                ": 1 of 3 layers, 81 of 480 MB",
            ),
            (
                line(json!({"status": "Pull complete", "id": "b"})),
                ": 2 of 3 layers, 81 of 480 MB",
            ),
            (
                line(json!({"status": "Retrying in 5 seconds", "id": "c"})),
                ": 2 of 3 layers, 80 of 480 MB (the registry failed and is asked again)",
            ),
            (
                line(json!({"status": "Pull complete", "id": "c"})),
                ": 3 of 3 layers, 480 of 480 MB",
            ),
            (
                line(json!({"status": "Status: Downloaded newer image"})),
                ": 3 of 3 layers, 480 of 480 MB",
            ),
        ] {
            layers.take(&next);
            let progress = layers.progress();
            assert_eq!(progress.to_string(), expected);
            assert!(progress.percent() >= percent, "{progress:?}");
            percent = progress.percent();
        }
        assert_eq!(percent, 100);
    }

    #[test]
    fn what_was_there_before_is_no_part_of_the_way() {
        let mut layers = Layers::default();
        layers.take(&line(json!({"status": "Already exists", "id": "a"})));
        assert_eq!(layers.progress().percent(), 0);
        layers.take(&line(json!({"status": "Pulling fs layer", "id": "b"})));
        layers.take(&layer("b", "Downloading", 50, 100));
        assert_eq!(layers.progress().percent(), 37);
    }

    #[test]
    fn asking_again_is_no_progress() {
        let mut layers = Layers::default();
        assert!(layers.take(&layer("a", "Downloading", 1, 9)));
        assert!(!layers.take(&layer("a", "Downloading", 1, 9)));
        assert!(layers.take(&layer("a", "Downloading", 2, 9)));
        for left in [5, 4, 3] {
            let status = format!("Retrying in {left} seconds");
            assert!(!layers.take(&line(json!({"id": "a", "status": status}))));
        }
        assert!(!layers.take(&line(json!({}))));
    }

    #[test]
    fn small_images_are_counted_in_kilobytes() {
        let mut layers = Layers::default();
        layers.take(&layer("a", "Downloading", 1_500, 2_100));
        let text = layers.progress().to_string();
        assert_eq!(text, ": 0 of 1 layers, 1 of 3 kB");
    }

    proptest! {
        /// Whatever an engine sends, the percentage stays one and never falls.
        #[test]
        fn percentages_never_fall(lines in proptest::collection::vec(
            (0..4u8, 0..8usize, any::<i64>(), any::<i64>()), 0..60,
        )) {
            const STATUS: [&str; 8] = [
                "Pulling fs layer", "Waiting", "Downloading", "Download complete", "Extracting",
                "Pull complete", "Retrying in 1 seconds", "Something new",
            ];
            let mut layers = Layers::default();
            let mut last = 0;
            for (id, status, current, total) in lines {
                layers.take(&layer(&id.to_string(), STATUS[status], current, total));
                let progress = layers.progress();
                prop_assert!(progress.percent() >= last && progress.percent() <= 100);
                last = progress.percent();
            }
        }
    }
}
