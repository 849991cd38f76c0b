//! The questions that a request asks: may this caller do this to that, and what may they see.
//!
//! Nothing here answers with an HTTP status; [`Access`] says which one is meant.

use std::collections::BTreeSet;

use spawner_core::{ServerId, UserName};

use super::set::Extent;
use super::{ScopeName, ScopeSet, Targets};

/// What a request wants to act on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// No single thing: the hub itself, or a collection as a whole (creating users, say). Only an
    /// unfiltered scope is enough.
    Everything,
    /// One user.
    User {
        /// Who.
        name: &'a UserName,
        /// The groups they are in.
        groups: &'a [String],
    },
    /// One server.
    Server {
        /// Which one.
        id: &'a ServerId,
        /// The groups its owner is in.
        groups: &'a [String],
    },
    /// One group.
    Group(&'a str),
    /// One service.
    Service(&'a str),
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Access {
    /// Go ahead.
    Yes,
    /// The scope is held, but for other targets: 404, the same as for a target that is not there.
    Filtered,
    /// The scope is not held: 403.
    No,
}

/// Which users a list may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VisibleUsers<'a> {
    /// All of them.
    All,
    /// These, and the members of these groups.
    Only {
        /// Users by name.
        users: &'a BTreeSet<UserName>,
        /// Groups by name.
        groups: &'a BTreeSet<String>,
    },
    /// There is no right to list users: 403.
    Nobody,
}

/// Which groups, or which services, a list may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VisibleNames<'a> {
    /// All of them.
    All,
    /// These.
    Only(&'a BTreeSet<String>),
    /// There is no right to list them: 403.
    None,
}

impl Access {
    /// Whether to go ahead.
    pub(crate) fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl ScopeSet {
    /// Whether the holder may do `name` to `target`.
    pub(crate) fn allows(&self, name: ScopeName, target: Target<'_>) -> Access {
        match (self.get(name), target) {
            (None, _) | (Some(Extent::Only(_)), Target::Everything) => Access::No,
            (Some(extent), target) if extent.reaches(target) => Access::Yes,
            (Some(_), _) => Access::Filtered,
        }
    }

    /// Whether any one of `names` gives access to `target`.
    pub(crate) fn allows_any(&self, names: &[ScopeName], target: Target<'_>) -> Access {
        let answers = names.iter().map(|name| self.allows(*name, target));
        answers.fold(Access::No, |best, answer| match (best, answer) {
            (Access::Yes, _) | (_, Access::Yes) => Access::Yes,
            (Access::Filtered, _) | (_, Access::Filtered) => Access::Filtered,
            (Access::No, Access::No) => Access::No,
        })
    }

    /// Which users `list:users` may show.
    ///
    /// A filter that names a server or service says nothing about users. It is refused as a whole
    /// instead of left out, so that a filter can never be mistaken for "no filter".
    pub(crate) fn visible_users(&self) -> VisibleUsers<'_> {
        match self.get(ScopeName::ListUsers) {
            Some(Extent::Everything) => VisibleUsers::All,
            Some(Extent::Only(only)) if only.servers.is_empty() && only.services.is_empty() => {
                VisibleUsers::Only {
                    users: &only.users,
                    groups: &only.groups,
                }
            }
            Some(Extent::Only(_)) | None => VisibleUsers::Nobody,
        }
    }
}

impl ScopeSet {
    /// Which groups `list:groups` may show.
    pub(crate) fn visible_groups(&self) -> VisibleNames<'_> {
        self.visible_names(ScopeName::ListGroups, |only| &only.groups)
    }

    /// Which services `list:services` may show.
    pub(crate) fn visible_services(&self) -> VisibleNames<'_> {
        self.visible_names(ScopeName::ListServices, |only| &only.services)
    }

    /// A filter of another kind names nothing that the list could show.
    fn visible_names(
        &self,
        list: ScopeName,
        named: fn(&Targets) -> &BTreeSet<String>,
    ) -> VisibleNames<'_> {
        match self.get(list) {
            Some(Extent::Everything) => VisibleNames::All,
            Some(Extent::Only(only)) if !named(only).is_empty() => VisibleNames::Only(named(only)),
            Some(Extent::Only(_)) | None => VisibleNames::None,
        }
    }
}

impl VisibleNames<'_> {
    /// Whether a list shows this one.
    pub(crate) fn shows(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
            Self::None => false,
        }
    }
}

impl Extent {
    /// Whether a target is within this extent: a user through their groups, a server through its
    /// owner and their groups.
    fn reaches(&self, target: Target<'_>) -> bool {
        let Self::Only(only) = self else {
            return true;
        };
        let in_group = |groups: &[String]| groups.iter().any(|group| only.groups.contains(group));
        match target {
            Target::Everything => false,
            Target::User { name, groups } => only.users.contains(name) || in_group(groups),
            Target::Server { id, groups } => {
                only.servers.contains(id) || only.users.contains(&id.user) || in_group(groups)
            }
            Target::Group(name) => only.groups.contains(name),
            Target::Service(name) => only.services.contains(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{server, set, user};
    use super::*;

    #[test]
    fn filters_reach_what_they_name() {
        use Access::{Filtered, No, Yes};
        let alice = user("alice");
        let notebook = server("alice/x");
        let staff = ["staff".to_owned()];
        let a_user = Target::User {
            name: &alice,
            groups: &staff,
        };
        let a_server = Target::Server {
            id: &notebook,
            groups: &staff,
        };
        for (held, [everything, on_user, on_server, on_group, on_service]) in [
            ("proxy", [Yes, Yes, Yes, Yes, Yes]),
            ("shutdown", [No, No, No, No, No]),
            ("proxy!user=alice", [No, Yes, Yes, Filtered, Filtered]),
            (
                "proxy!user=bob",
                [No, Filtered, Filtered, Filtered, Filtered],
            ),
            (
                "proxy!server=alice/x",
                [No, Filtered, Yes, Filtered, Filtered],
            ),
            (
                "proxy!server=alice/",
                [No, Filtered, Filtered, Filtered, Filtered],
            ),
            ("proxy!group=staff", [No, Yes, Yes, Yes, Filtered]),
            (
                "proxy!group=other",
                [No, Filtered, Filtered, Filtered, Filtered],
            ),
            (
                "proxy!service=alice",
                [No, Filtered, Filtered, Filtered, Yes],
            ),
        ] {
            let rights = set(&[held]);
            let ask = |target| rights.allows(ScopeName::Proxy, target);
            assert_eq!(ask(Target::Everything), everything, "{held} on everything");
            assert_eq!(ask(a_user), on_user, "{held} on a user");
            assert_eq!(ask(a_server), on_server, "{held} on a server");
            assert_eq!(ask(Target::Group("staff")), on_group, "{held} on a group");
            let service = Target::Service("alice");
            assert_eq!(ask(service), on_service, "{held} on a service");
        }
    }

    #[test]
    fn a_filtered_admin_scope_is_not_enough_for_a_collection() {
        let rights = set(&["admin:users!user=alice"]);
        assert_eq!(
            rights.allows(ScopeName::AdminUsers, Target::Everything),
            Access::No
        );
    }

    #[test]
    fn a_service_is_reached_by_its_own_filter() {
        use Access::{Filtered, No, Yes};
        for (held, expected) in [
            ("access:services", Yes),
            ("access:services!service=whoami", Yes),
            ("access:services!service=who", Filtered),
            ("access:services!user=whoami", Filtered),
            ("access:servers", No),
        ] {
            let rights = set(&[held]);
            let target = Target::Service("whoami");
            let answer = rights.allows(ScopeName::AccessServices, target);
            assert_eq!(answer, expected, "{held}");
        }
    }

    #[test]
    fn any_of_several_scopes_is_enough() {
        let (alice, bob) = (user("alice"), user("bob"));
        let on = |name| Target::User { name, groups: &[] };
        let either = [ScopeName::ReadUsers, ScopeName::Tokens];
        let rights = set(&["tokens!user=alice"]);
        assert_eq!(rights.allows_any(&either, on(&alice)), Access::Yes);
        assert_eq!(rights.allows_any(&either, on(&bob)), Access::Filtered);
        assert_eq!(
            rights.allows_any(&[ScopeName::Proxy], on(&alice)),
            Access::No
        );
        assert_eq!(rights.allows_any(&[], on(&alice)), Access::No);
    }

    #[test]
    fn lists_of_names_show_what_their_own_filters_name() {
        for (held, shown) in [
            (&["list:groups"][..], Some(true)),
            (&["groups!group=a"], Some(true)),
            (&["list:groups!group=b"], Some(false)),
            (&["list:groups!user=a"], None),
            (&["list:groups!service=a"], None),
            (&["read:groups"], None),
        ] {
            let rights = set(held);
            let visible = rights.visible_groups();
            assert_eq!(visible != VisibleNames::None, shown.is_some(), "{held:?}");
            assert_eq!(visible.shows("a"), shown.unwrap_or(false), "{held:?}");
        }
        let one = set(&["list:services!service=a"]);
        assert!(one.visible_services().shows("a") && !one.visible_services().shows("b"));
    }

    #[test]
    fn lists_show_what_the_filters_name() {
        assert_eq!(set(&["list:users"]).visible_users(), VisibleUsers::All);
        assert_eq!(set(&["read:users"]).visible_users(), VisibleUsers::Nobody);
        assert_eq!(
            set(&["list:users!user=bob", "list:users!group=staff"]).visible_users(),
            VisibleUsers::Only {
                users: &[user("bob")].into(),
                groups: &["staff".to_owned()].into(),
            }
        );
        for odd in ["list:users!server=bob/", "list:users!service=culler"] {
            let rights = set(&[odd, "list:users!user=bob"]);
            assert_eq!(rights.visible_users(), VisibleUsers::Nobody);
        }
    }
}
