//! The places for starts, and who has one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawner_core::{ServerId, UserName};
use tokio::sync::watch;
use tokio::time::Instant;

use super::line::Line;
use super::standing::{Spans, Standing};

/// The most that wait in line. More than that is no line any more.
const LINE_MAX: usize = 10_000;

/// Counts starts and active servers against what is configured. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    gate: Arc<Gate>,
    active: Option<usize>,
}

/// What a caller makes of it that every place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// They wait in line.
    InLine,
    /// They would rather come again.
    Never,
}

/// Why a start gets no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::servers) enum Limit {
    /// Too many starts are under way (`concurrent_spawns`).
    Starting,
    /// Too many servers are active (`active_servers`), which this is the limit of.
    Active(usize),
    /// A start of this server has one already.
    Twice,
}

/// A start that is in line or has a place. Dropping it gives either up.
#[derive(Debug)]
pub(in crate::servers) struct Turn {
    gate: Arc<Gate>,
    server: ServerId,
    stage: watch::Receiver<Stage>,
    begun: Option<Instant>,
}

/// A start that has not begun, as somebody else watches it.
#[derive(Debug)]
pub(crate) struct Spot {
    gate: Arc<Gate>,
    server: ServerId,
    stage: watch::Receiver<Stage>,
    moved: watch::Receiver<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In line.
    Waiting,
    /// It has a place and may begin.
    Called,
    /// Its server is being started, which can be seen elsewhere.
    Begun,
    /// It was taken out of the line.
    Left,
}

#[derive(Debug)]
struct Gate {
    places: usize,
    inside: Mutex<Inside>,
    /// Rings whenever somebody's position may be another one.
    moved: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inside {
    taken: usize,
    line: Line<UserName, ServerId>,
    /// Every start with a turn that has not begun.
    ahead: HashMap<ServerId, watch::Sender<Stage>>,
    spans: Spans,
}

impl Limits {
    /// `concurrent_spawns` starts at once and `active_servers` servers in all, where 0 is no limit.
    pub(crate) fn new(concurrent_spawns: usize, active_servers: usize) -> Self {
        let gate = Gate {
            places: match concurrent_spawns {
                0 => usize::MAX,
                some => some,
            },
            inside: Mutex::default(),
            moved: watch::Sender::default(),
        };
        Self {
            gate: Arc::new(gate),
            active: (active_servers > 0).then_some(active_servers),
        }
    }

    /// A turn for one more start while `active` servers are active, those in line among them.
    pub(in crate::servers) fn enter(
        &self,
        server: &ServerId,
        active: usize,
        waiting: Waiting,
    ) -> Result<Turn, Limit> {
        let mut inside = self.gate.lock();
        if inside.ahead.contains_key(server) {
            return Err(Limit::Twice);
        }
        if let Some(limit) = self.active
            && active >= limit
        {
            return Err(Limit::Active(limit));
        }
        let stage = if inside.taken < self.gate.places {
            inside.taken += 1;
            Stage::Called
        } else if waiting == Waiting::InLine && inside.line.len() < LINE_MAX {
            inside.line.join(server.user.clone(), server.clone());
            Stage::Waiting
        } else {
            return Err(Limit::Starting);
        };
        let (teller, stage) = watch::channel(stage);
        inside.ahead.insert(server.clone(), teller);
        drop(inside);
        self.gate.moved.send_replace(());
        Ok(Turn {
            gate: Arc::clone(&self.gate),
            server: server.clone(),
            stage,
            begun: None,
        })
    }

    /// Takes a server out of the line. One that was called already has to be stopped instead.
    pub(in crate::servers) fn leave(&self, server: &ServerId) {
        let mut inside = self.gate.lock();
        if inside.line.leave(&server.user, server)
            && let Some(stage) = inside.ahead.get(server)
        {
            stage.send_replace(Stage::Left);
        }
        drop(inside);
        self.gate.moved.send_replace(());
    }

    /// The start of a server, if it has a turn and has not begun.
    pub(in crate::servers) fn spot(&self, server: &ServerId) -> Option<Spot> {
        let stage = self.gate.lock().ahead.get(server)?.subscribe();
        Some(Spot {
            gate: Arc::clone(&self.gate),
            server: server.clone(),
            stage,
            moved: self.gate.moved.subscribe(),
        })
    }

    /// The servers whose start has a turn and has not begun.
    pub(in crate::servers) fn ahead(&self) -> HashSet<ServerId> {
        self.gate.lock().ahead.keys().cloned().collect()
    }

    /// How many starts are in line.
    pub(in crate::servers) fn waiting(&self) -> usize {
        self.gate.lock().line.len()
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self, server: &ServerId) -> Option<Standing> {
        let inside = self.lock();
        let position = inside.line.position(&server.user, server)?;
        let wait = inside.spans.estimate(position, self.places);
        Some(Standing { position, wait })
    }
}

impl Inside {
    /// Gives the place that became free to the next one.
    fn give_back(&mut self) {
        self.taken -= 1;
        if let Some(server) = self.line.next()
            && let Some(stage) = self.ahead.get(&server)
        {
            self.taken += 1;
            stage.send_replace(Stage::Called);
        }
    }
}

impl Turn {
    /// Whether it is in line.
    pub(in crate::servers) fn waits(&self) -> bool {
        *self.stage.borrow() == Stage::Waiting
    }

    /// Waits until the start may begin; `false` if it was taken out of the line instead.
    pub(in crate::servers) async fn come(&mut self) -> bool {
        let stage = self.stage.wait_for(|stage| *stage != Stage::Waiting);
        stage.await.is_ok_and(|stage| *stage != Stage::Left)
    }

    /// Says that the start has begun; others see it by the server's own phase from now on.
    pub(in crate::servers) fn begin(&mut self) {
        if self.begun.is_none() {
            self.begun = Some(Instant::now());
            if let Some(stage) = self.gate.lock().ahead.remove(&self.server) {
                stage.send_replace(Stage::Begun);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        let stage = *self.stage.borrow();
        match (stage, self.begun) {
            (Stage::Left, _) => {}
            (Stage::Waiting, _) => {
                inside.line.leave(&self.server.user, &self.server);
            }
            (_, begun) => {
                if let Some(begun) = begun {
                    inside.spans.add(begun.elapsed());
                }
                inside.give_back();
            }
        }
        // After a start began, the entry may be of the next one.
        if self.begun.is_none() {
            inside.ahead.remove(&self.server);
        }
        drop(inside);
        self.gate.moved.send_replace(());
    }
}

impl Spot {
    /// Where it stands; `None` once it is not in line any more.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.gate.standing(&self.server)
    }

    /// Waits until the line has moved since the last call.
    pub(crate) async fn moved(&mut self) {
        let _ = self.moved.changed().await;
    }

    /// Waits until the start has begun, or never will: says which.
    pub(crate) async fn begins(&mut self) -> bool {
        let begun = self.stage.wait_for(|stage| *stage == Stage::Begun);
        begun.await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn server(text: &str) -> ServerId {
        let (user, server) = text.split_once(':').unwrap_or((text, ""));
        ServerId::new(user.parse().unwrap(), server.parse().unwrap())
    }

    fn join(limits: &Limits, name: &str) -> Turn {
        limits.enter(&server(name), 0, Waiting::InLine).unwrap()
    }

    fn position(limits: &Limits, name: &str) -> Option<usize> {
        let standing = limits.spot(&server(name))?.standing()?;
        Some(standing.position)
    }

    #[test]
    fn who_does_not_wait_is_refused() {
        let limits = Limits::new(1, 2);
        let enter = |name, active| limits.enter(&server(name), active, Waiting::Never);
        let place = enter("ann", 0).unwrap();
        assert_eq!(enter("ann", 1).unwrap_err(), Limit::Twice);
        assert_eq!(enter("bob", 1).unwrap_err(), Limit::Starting);
        drop(place);
        assert!(enter("bob", 1).is_ok());
        assert_eq!(enter("bob", 2).unwrap_err(), Limit::Active(2));
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = Limits::new(0, 0);
        let many = (0..1000).map(|n| (n, join(&limits, &format!("user{n}"))));
        assert!(
            many.collect::<Vec<_>>()
                .iter()
                .all(|(_, turn)| !turn.waits())
        );
    }

    #[tokio::test]
    async fn places_go_to_the_next_in_line() {
        let limits = Limits::new(1, 0);
        let first = join(&limits, "ann");
        let (mut second, third) = (join(&limits, "ann:two"), join(&limits, "bob"));
        assert!(second.waits() && third.waits());
        assert_eq!(position(&limits, "ann"), None);
        assert_eq!(position(&limits, "bob"), Some(2));
        drop(third);
        assert!(limits.spot(&server("bob")).is_none(), "gone with its task");
        drop(first);
        assert!(second.come().await);
        assert_eq!((limits.waiting(), position(&limits, "ann:two")), (0, None));
        assert!(limits.spot(&server("ann:two")).is_some(), "not begun yet");
        second.begin();
        assert!(limits.spot(&server("ann:two")).is_none());
        assert!(join(&limits, "carol").waits(), "the place is still taken");
        drop(second);
        assert!(!join(&limits, "carol").waits());
    }

    #[tokio::test]
    async fn who_is_taken_out_of_the_line_never_begins() {
        let limits = Limits::new(1, 0);
        let first = join(&limits, "ann");
        let mut second = join(&limits, "bob");
        let mut spot = limits.spot(&server("bob")).unwrap();
        limits.leave(&server("bob"));
        drop(first);
        assert!(!second.come().await);
        drop(second);
        assert!(!spot.begins().await);
        // Neither has left a place taken.
        assert!(!join(&limits, "carol").waits());
    }

    #[test]
    fn who_leaves_unheard_passes_the_place_on() {
        let limits = Limits::new(1, 0);
        let first = join(&limits, "ann");
        let (second, third) = (join(&limits, "bob"), join(&limits, "carol"));
        drop(first);
        assert!(!second.waits() && third.waits());
        drop(second);
        assert!(!third.waits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_morning_in_simulated_time() {
        const SPAN: Duration = Duration::from_secs(10);
        let limits = Limits::new(2, 0);
        let begun = Instant::now();
        let mut seen = Vec::new();
        let mut starts = tokio::task::JoinSet::new();
        for n in 0..10 {
            let mut turn = join(&limits, &format!("user{n}"));
            starts.spawn(async move {
                assert!(turn.come().await);
                turn.begin();
                let waited = begun.elapsed().as_secs();
                tokio::time::sleep(SPAN).await;
                (n, waited)
            });
        }
        tokio::time::sleep(SPAN + Duration::from_secs(1)).await;
        // Two have ended, two have begun: six wait, and the last is called 3 spans later.
        let last = limits.spot(&server("user9")).unwrap().standing().unwrap();
        assert_eq!(last.position, 6);
        assert_eq!(last.wait, Some(SPAN * 3));
        while let Some(done) = starts.join_next().await {
            seen.push(done.unwrap());
        }
        seen.sort_unstable();
        let expected: Vec<_> = (0..10).map(|n| (n, n / 2 * 10)).collect();
        assert_eq!(seen, expected);
    }
}
