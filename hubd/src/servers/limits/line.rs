//! Who waits, and who is next: users take turns, and each one's own servers come in their order.
//!
//! ```text
//! ann: a1 a2 a3        next: a1, bob's b1, a2, a3
//! bob: b1
//! ```
//!
//! So one user with many servers makes nobody else wait longer than one turn.

use std::collections::VecDeque;

/// Users `U` who wait with their items `K`.
#[derive(Debug)]
pub(super) struct Line<U, K> {
    /// In the order of their turns; nobody is in it twice, and everybody has something to wait for.
    turns: VecDeque<(U, VecDeque<K>)>,
    len: usize,
}

impl<U, K> Default for Line<U, K> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            len: 0,
        }
    }
}

impl<U: PartialEq, K: PartialEq> Line<U, K> {
    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts an item behind the others of its user, and a new user behind the other users.
    pub(super) fn join(&mut self, user: U, item: K) {
        self.len += 1;
        match self.turns.iter_mut().find(|(other, _)| *other == user) {
            Some((_, items)) => items.push_back(item),
            None => self.turns.push_back((user, VecDeque::from([item]))),
        }
    }

    /// Takes the next item out; its user's turn comes again after everybody else's.
    pub(super) fn next(&mut self) -> Option<K> {
        let (user, mut items) = self.turns.pop_front()?;
        let item = items.pop_front()?;
        self.len -= 1;
        if !items.is_empty() {
            self.turns.push_back((user, items));
        }
        Some(item)
    }

    /// Takes an item out wherever it is; whether it was there.
    pub(super) fn leave(&mut self, user: &U, item: &K) -> bool {
        let Some((turn, place)) = self.find(user, item) else {
            return false;
        };
        self.len -= 1;
        let items = &mut self.turns[turn].1;
        items.remove(place);
        if items.is_empty() {
            self.turns.remove(turn);
        }
        true
    }

    /// How many are called up to and with this item if nobody comes or goes: 1 for the next one.
    pub(super) fn position(&self, user: &U, item: &K) -> Option<usize> {
        let (turn, place) = self.find(user, item)?;
        let others = self.turns.iter().enumerate().filter(|(at, _)| *at != turn);
        // Who stands further in front has one more turn before this item's.
        let before = others.map(|(at, (_, items))| items.len().min(place + usize::from(at < turn)));
        Some(before.sum::<usize>() + place + 1)
    }

    fn find(&self, user: &U, item: &K) -> Option<(usize, usize)> {
        let turn = self.turns.iter().position(|(other, _)| other == user)?;
        let place = self.turns[turn].1.iter().position(|other| other == item)?;
        Some((turn, place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Act {
        Join(u8),
        Next,
        Leave(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0_u8..5).prop_map(Act::Join),
            2 => Just(Act::Next),
            1 => any::<usize>().prop_map(Act::Leave),
        ]
    }

    /// A line after some coming and going, and what waits in it by the order of coming.
    fn played(acts: Vec<Act>) -> (Line<u8, usize>, Vec<(u8, usize)>) {
        let (mut line, mut waiting) = (Line::default(), Vec::new());
        for (item, act) in acts.into_iter().enumerate() {
            match act {
                Act::Join(user) => {
                    line.join(user, item);
                    waiting.push((user, item));
                }
                Act::Next => {
                    let next = line.next();
                    assert_eq!(next.is_none(), waiting.is_empty());
                    waiting.retain(|(_, item)| Some(*item) != next);
                }
                Act::Leave(which) if !waiting.is_empty() => {
                    let (user, item) = waiting.remove(which % waiting.len());
                    assert!(line.leave(&user, &item));
                    assert!(!line.leave(&user, &item), "twice");
                }
                Act::Leave(_) => {}
            }
            assert_eq!(line.len(), waiting.len());
        }
        (line, waiting)
    }

    #[test]
    fn users_take_turns() {
        let mut line = Line::default();
        for (user, item) in [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 4)] {
            line.join(user, item);
        }
        assert_eq!(line.position(&"bob", &4), Some(2));
        assert_eq!(line.position(&"ann", &3), Some(4));
        assert_eq!(line.position(&"ann", &4), None);
        let order: Vec<_> = std::iter::from_fn(|| line.next()).collect();
        assert_eq!(order, [1, 4, 2, 3]);
    }

    proptest! {
        #[test]
        fn a_position_is_kept_if_nobody_comes_or_goes(acts in prop::collection::vec(act(), 0..60)) {
            let (mut line, waiting) = played(acts);
            let told = waiting
                .iter()
                .map(|(user, item)| (*item, line.position(user, item).unwrap()));
            let mut told: Vec<_> = told.collect();
            told.sort_by_key(|(_, position)| *position);
            for (called, (item, position)) in (1..).zip(told) {
                prop_assert_eq!(position, called);
                prop_assert_eq!(line.next(), Some(item));
            }
            prop_assert_eq!(line.next(), None);
        }

        #[test]
        fn ones_own_keep_their_order_and_nobody_is_passed_twice(
            acts in prop::collection::vec(act(), 0..60)
        ) {
            let (mut line, mut waiting) = played(acts);
            while let Some(item) = line.next() {
                let at = waiting.iter().position(|(_, other)| *other == item).unwrap();
                let (user, _) = waiting.remove(at);
                prop_assert!(!waiting[..at].iter().any(|(other, _)| *other == user), "its own order");
                // Everybody else who waits is called before this user is again.
                let others: std::collections::BTreeSet<_> =
                    waiting.iter().map(|(other, _)| *other).filter(|other| *other != user).collect();
                let own = waiting.iter().find(|(other, _)| *other == user);
                if let Some((_, own)) = own {
                    prop_assert_eq!(line.position(&user, own), Some(others.len() + 1));
                }
            }
        }

        #[test]
        fn who_comes_waits_for_at_most_one_turn_of_each(acts in prop::collection::vec(act(), 0..60)) {
            let (mut line, waiting) = played(acts);
            let users: std::collections::BTreeSet<_> = waiting.iter().map(|(user, _)| *user).collect();
            line.join(9, usize::MAX);
            prop_assert_eq!(line.position(&9, &usize::MAX), Some(users.len() + 1));
        }
    }
}
