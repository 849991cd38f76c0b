//! What of the list is asked for, from the query and back into links.

use super::super::visit::Visit;
use super::part::offset;
use crate::auth::local_path::LocalPath;
use crate::store::{UserSort, UserState};

/// The longest text that names are searched for, in bytes; no name is longer.
const FILTER_MAX: usize = 255;

/// The ways to sort: the word of the query, the words of the link, what it means, and whether the
/// first click sorts downwards.
const SORTS: [(&str, &str, UserSort, bool); 3] = [
    ("name", "Name", UserSort::Name, false),
    (
        "last_activity",
        "Last activity",
        UserSort::LastActivity,
        true,
    ),
    ("id", "Created", UserSort::Id, true),
];

/// The states to choose from, with the words of the query.
const STATES: [(&str, &str, Option<UserState>); 4] = [
    ("", "Everybody", None),
    ("active", "With an active server", Some(UserState::Active)),
    ("ready", "With a running server", Some(UserState::Ready)),
    (
        "inactive",
        "Without an active server",
        Some(UserState::Inactive),
    ),
];

/// A part of the list of users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) filter: String,
    state: usize,
    sort: usize,
    pub(super) descending: bool,
    pub(super) offset: usize,
}

impl Listing {
    /// What the query asks for; what it says wrongly counts as not said.
    pub(super) fn asked(visit: &Visit) -> Self {
        let filter = visit.query("name_filter").unwrap_or_default();
        let filter = filter.trim();
        let (state, sort) = (visit.query("state"), visit.query("sort"));
        let sort = sort.unwrap_or_default();
        let (descending, word) = match sort.strip_prefix('-') {
            Some(word) => (true, word),
            None => (false, sort.as_str()),
        };
        let sort = SORTS.iter().position(|(known, ..)| *known == word);
        let state = STATES
            .iter()
            .position(|(known, ..)| Some(*known) == state.as_deref());
        Self {
            filter: Some(filter)
                .filter(|filter| filter.len() <= FILTER_MAX)
                .unwrap_or_default()
                .to_owned(),
            state: state.unwrap_or_default(),
            sort: sort.unwrap_or_default(),
            descending: descending && sort.is_some(),
            offset: offset(visit),
        }
    }

    pub(super) fn state(&self) -> Option<UserState> {
        STATES[self.state].2
    }

    pub(super) fn sort(&self) -> UserSort {
        SORTS[self.sort].2
    }

    /// The states, and whether each is the chosen one: its word, its label.
    pub(super) fn states(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let chosen = self.state;
        let all = STATES.iter().enumerate();
        all.map(move |(at, (word, label, _))| (*word, *label, at == chosen))
    }

    /// Every way to sort: its label, this list from its beginning so, and the direction if it is so.
    /// The link of the present way leads to its reverse.
    pub(super) fn sorts(&self) -> impl Iterator<Item = (&'static str, Self, Option<&'static str>)> {
        SORTS
            .iter()
            .enumerate()
            .map(|(at, (_, label, _, downwards))| {
                let current = (at == self.sort).then_some(if self.descending {
                    "descending"
                } else {
                    "ascending"
                });
                let other = Self {
                    sort: at,
                    descending: match current {
                        Some(_) => !self.descending,
                        None => *downwards,
                    },
                    offset: 0,
                    ..self.clone()
                };
                (*label, other, current)
            })
    }

    /// The word of the sorting, as the query has it.
    pub(super) fn sort_word(&self) -> &'static str {
        match (SORTS[self.sort].0, self.descending) {
            ("name", false) => "",
            ("name", true) => "-name",
            ("last_activity", false) => "last_activity",
            ("last_activity", true) => "-last_activity",
            (_, false) => "id",
            (_, true) => "-id",
        }
    }

    /// The newest users first, all of them.
    pub(super) fn newest() -> Self {
        let sort = SORTS.iter().position(|(word, ..)| *word == "id");
        Self {
            sort: sort.unwrap_or_default(),
            descending: true,
            ..Self::default()
        }
    }

    /// Its address.
    pub(super) fn url(&self, list: &LocalPath) -> LocalPath {
        let offset = self.offset.to_string();
        let fields = [
            ("name_filter", self.filter.as_str()),
            ("state", STATES[self.state].0),
            ("sort", self.sort_word()),
            ("offset", if self.offset == 0 { "" } else { &offset }),
        ];
        list.with_query(fields.into_iter().filter(|(_, value)| !value.is_empty()))
    }

    pub(super) fn at(&self, offset: usize) -> Self {
        Self {
            offset,
            ..self.clone()
        }
    }
}
