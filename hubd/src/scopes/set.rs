//! A set of rights in its one normal form.
//!
//! ```text
//! scope name -> Everything                                   unfiltered, so no filter is kept
//!            -> Only { groups, servers, services, users }    any one of them is enough
//! ```
//!
//! Invariants: no metascope and no short filter ever gets in; a name with no target left is not in
//! the map; [`ScopeSet::intersect`] never gives more than either side.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::fmt;

use spawner_core::{ServerId, UserName};

use super::{Filter, Scope, ScopeName};

/// Rights, reduced: where a scope is held without a filter, no filter of it is kept.
///
/// Made by [`super::expand()`] and from other sets, so every value is fully expanded and concrete.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct ScopeSet(BTreeMap<ScopeName, Extent>);

/// How far one scope reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything it could apply to.
    Everything,
    /// These targets, and nothing else.
    Only(Targets),
}

/// The targets that the filters of one scope name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Targets {
    /// For scopes over users and servers: those of the members; for group scopes: the groups.
    pub(crate) groups: BTreeSet<String>,
    /// Single servers.
    pub(crate) servers: BTreeSet<ServerId>,
    /// Single services.
    pub(crate) services: BTreeSet<String>,
    /// Users, with all their servers.
    pub(crate) users: BTreeSet<UserName>,
}

impl ScopeSet {
    /// Whether there is no right in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rights, one concrete scope each.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().flat_map(|(&name, extent)| match extent {
            Extent::Everything => vec![Scope::all(name)],
            Extent::Only(targets) => targets.filters().map(|f| Scope::of(name, f)).collect(),
        })
    }

    /// The rights as texts, sorted, as `/user` and the token endpoint report them.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.scopes().map(String::from).collect();
        texts.sort_unstable();
        texts
    }

    /// Adds all of `other`.
    pub(crate) fn extend(&mut self, other: Self) {
        for (name, extent) in other.0 {
            self.add(name, extent);
        }
    }

    /// What both allow.
    ///
    /// `is_member` says whether a user is in a group: a right over a user and one over their group
    /// meet in that user. Two different groups are not taken to meet, although they may share
    /// members, because no single filter could say so.
    pub(crate) fn intersect(
        &self,
        other: &Self,
        is_member: &impl Fn(&UserName, &str) -> bool,
    ) -> Self {
        let both = |(name, mine): (&ScopeName, &Extent)| {
            let shared = match (mine, other.0.get(name)?) {
                (Extent::Everything, extent) | (extent, Extent::Everything) => extent.clone(),
                (Extent::Only(a), Extent::Only(b)) => Extent::Only(a.meet(b, is_member)),
            };
            (!shared.is_empty()).then_some((*name, shared))
        };
        Self(self.0.iter().filter_map(both).collect())
    }

    /// What is asked for here and goes beyond `held`.
    pub(crate) fn beyond(&self, held: &Self, is_member: &impl Fn(&UserName, &str) -> bool) -> Self {
        let granted = self.intersect(held, is_member);
        let rest = |(name, asked): (&ScopeName, &Extent)| {
            let rest = match (asked, granted.0.get(name)) {
                (asked, None) => asked.clone(),
                (_, Some(Extent::Everything)) => return None,
                // Unfiltered was asked for and only parts of it are held.
                (Extent::Everything, Some(Extent::Only(_))) => Extent::Everything,
                (Extent::Only(a), Some(Extent::Only(b))) => Extent::Only(a.without(b)),
            };
            (!rest.is_empty()).then_some((*name, rest))
        };
        Self(self.0.iter().filter_map(rest).collect())
    }

    /// Grants `name` over `extent`, on top of what is held already.
    pub(super) fn add(&mut self, name: ScopeName, extent: Extent) {
        match self.0.entry(name) {
            Entry::Vacant(place) => {
                place.insert(extent);
            }
            Entry::Occupied(mut place) => match (place.get_mut(), extent) {
                (Extent::Everything, _) => {}
                (held, Extent::Everything) => *held = Extent::Everything,
                (Extent::Only(held), Extent::Only(more)) => held.merge(more),
            },
        }
    }

    pub(super) fn get(&self, name: ScopeName) -> Option<&Extent> {
        self.0.get(&name)
    }
}

impl Extent {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Only(targets) if *targets == Targets::default())
    }
}

impl Targets {
    fn filters(&self) -> impl Iterator<Item = Filter> {
        let groups = self.groups.iter().cloned().map(Filter::Group);
        let servers = self.servers.iter().cloned().map(Filter::Server);
        let services = self.services.iter().cloned().map(Filter::Service);
        let users = self.users.iter().cloned().map(Filter::User);
        groups.chain(servers).chain(services).chain(users)
    }

    fn merge(&mut self, mut more: Self) {
        self.groups.append(&mut more.groups);
        self.servers.append(&mut more.servers);
        self.services.append(&mut more.services);
        self.users.append(&mut more.users);
    }

    fn meet(&self, other: &Self, is_member: &impl Fn(&UserName, &str) -> bool) -> Self {
        let mut both = Self {
            groups: &self.groups & &other.groups,
            servers: &self.servers & &other.servers,
            services: &self.services & &other.services,
            users: &self.users & &other.users,
        };
        // The narrower of two that overlap: a user within a group, a server within either.
        for (a, b) in [(self, other), (other, self)] {
            let in_group = |user: &UserName| b.groups.iter().any(|group| is_member(user, group));
            let users = a.users.iter().filter(|user| in_group(user));
            both.users.extend(users.cloned());
            let covered =
                |server: &&ServerId| b.users.contains(&server.user) || in_group(&server.user);
            both.servers
                .extend(a.servers.iter().filter(covered).cloned());
        }
        both
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            groups: &self.groups - &other.groups,
            servers: &self.servers - &other.servers,
            services: &self.services - &other.services,
            users: &self.users - &other.users,
        }
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.scopes()).finish()
    }
}

/// The scopes, separated by spaces: the `scope` field of the OAuth token reply.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::set;
    use super::*;

    fn staff_are_alice(user: &UserName, group: &str) -> bool {
        user.as_str() == "alice" && group == "staff"
    }

    #[test]
    fn unfiltered_beats_filtered_in_either_order() {
        for scopes in [
            ["proxy", "proxy!user=a", "proxy!group=g"],
            ["proxy!user=a", "proxy", "proxy!group=g"],
        ] {
            assert_eq!(set(&scopes).texts(), ["proxy"]);
        }
    }

    #[test]
    fn the_intersection_keeps_the_narrower_of_two() {
        for (a, b, both) in [
            ("proxy", "proxy", "proxy"),
            ("proxy", "shutdown", ""),
            ("proxy", "proxy!user=alice", "proxy!user=alice"),
            ("proxy!user=alice", "proxy!user=bob", ""),
            (
                "proxy!user=alice",
                "proxy!server=alice/x",
                "proxy!server=alice/x",
            ),
            ("proxy!user=bob", "proxy!server=alice/x", ""),
            ("proxy!server=alice/", "proxy!server=alice/x", ""),
            ("proxy!group=staff", "proxy!user=alice", "proxy!user=alice"),
            ("proxy!group=staff", "proxy!user=bob", ""),
            (
                "proxy!group=staff",
                "proxy!server=alice/x",
                "proxy!server=alice/x",
            ),
            ("proxy!group=staff", "proxy!server=bob/x", ""),
            (
                "proxy!group=staff",
                "proxy!group=staff",
                "proxy!group=staff",
            ),
            ("proxy!group=staff", "proxy!group=other", ""),
            ("proxy!service=s", "proxy!service=s", "proxy!service=s"),
            ("proxy!service=alice", "proxy!user=alice", ""),
        ] {
            let (a, b) = (set(&[a]), set(&[b]));
            assert_eq!(a.intersect(&b, &staff_are_alice).to_string(), both);
            assert_eq!(b.intersect(&a, &staff_are_alice).to_string(), both);
        }
    }

    #[test]
    fn what_goes_beyond_is_named() {
        for (asked, held, beyond) in [
            (&["proxy"][..], "proxy", ""),
            (&["proxy"], "shutdown", "proxy"),
            (&["proxy"], "proxy!user=alice", "proxy"),
            (&["proxy!user=alice"], "proxy", ""),
            (
                &["proxy!user=alice", "proxy!user=bob"],
                "proxy!user=alice",
                "proxy!user=bob",
            ),
            (&["proxy!user=alice"], "proxy!group=staff", ""),
            (
                &["proxy!group=staff"],
                "proxy!user=alice",
                "proxy!group=staff",
            ),
        ] {
            let rest = set(asked).beyond(&set(&[held]), &staff_are_alice);
            assert_eq!(rest.to_string(), beyond);
        }
    }
}
