//! From scopes as they are written to rights: metascopes resolved, short filters filled in,
//! implications followed with their filter.

use std::fmt;

use spawner_core::{ServerId, UserName};

use super::set::Extent;
use super::{Filter, Scope, ScopeName, ScopeSet, Targets};

/// Whose scopes they are; fills in `self`, `!user` and `!service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A user.
    User(UserName),
    /// A service.
    Service(String),
}

/// Through whom a token was issued; fills in `!server` and `!service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Issuer {
    /// The hub itself: tokens from the page, the API and the configuration, and browser sessions.
    #[default]
    Hub,
    /// A server, as OAuth client or for its own token.
    Server(ServerId),
    /// A service, as OAuth client.
    Service(String),
}

/// What `self` gives a user over their own account.
const OWN: [ScopeName; 7] = [
    ScopeName::ReadUsers,
    ScopeName::UsersShares,
    ScopeName::ReadShares,
    ScopeName::UsersActivity,
    ScopeName::Servers,
    ScopeName::Tokens,
    ScopeName::AccessServers,
];

/// The rights that `scopes` amount to in the hands of `owner`.
///
/// A short filter or `self` that finds nothing to stand for (`!server` in a token that no server
/// issued, `self` of a service) gives no right. `inherit` gives none either: it means something in
/// a token only, see [`super::token_rights()`].
pub(crate) fn expand<'a>(
    scopes: impl IntoIterator<Item = &'a Scope>,
    owner: &Owner,
    issuer: &Issuer,
) -> ScopeSet {
    let mut rights = ScopeSet::default();
    for scope in scopes {
        match (scope.name, owner) {
            (ScopeName::Inherit, _) | (ScopeName::Own, Owner::Service(_)) => {}
            (ScopeName::Own, Owner::User(user)) => {
                let own = Extent::Only(Targets::user(user));
                for name in OWN {
                    grant(&mut rights, name, &own);
                }
            }
            (name, _) => {
                if let Some(extent) = resolve(scope.filter.as_ref(), owner, issuer) {
                    grant(&mut rights, name, &extent);
                }
            }
        }
    }
    rights
}

/// Adds a scope and what it implies, each with the same filter; only a server filter stays off
/// scopes that read users.
fn grant(rights: &mut ScopeSet, name: ScopeName, extent: &Extent) {
    let of_server = matches!(extent, Extent::Only(targets) if !targets.servers.is_empty());
    for implied in name.closure() {
        if !(of_server && implied.reads_users()) {
            rights.add(implied, extent.clone());
        }
    }
}

/// The targets of a filter; `None` for a short form that has nothing to stand for.
fn resolve(filter: Option<&Filter>, owner: &Owner, issuer: &Issuer) -> Option<Extent> {
    let Some(filter) = filter else {
        return Some(Extent::Everything);
    };
    let targets = match (filter, owner, issuer) {
        (Filter::Group(group), ..) => Targets::group(group),
        (Filter::Server(server), ..) | (Filter::OwnServer, _, Issuer::Server(server)) => {
            Targets::server(server)
        }
        (Filter::User(user), ..) | (Filter::OwnUser, Owner::User(user), _) => Targets::user(user),
        (Filter::Service(service), ..)
        | (Filter::OwnService, Owner::Service(service), _)
        | (Filter::OwnService, _, Issuer::Service(service)) => Targets::service(service),
        (Filter::OwnUser | Filter::OwnServer | Filter::OwnService, ..) => return None,
    };
    Some(Extent::Only(targets))
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Service(name) => write!(f, "service {name}"),
        }
    }
}

impl Targets {
    fn group(name: &str) -> Self {
        Self {
            groups: [name.to_owned()].into(),
            ..Self::default()
        }
    }

    fn server(id: &ServerId) -> Self {
        Self {
            servers: [id.clone()].into(),
            ..Self::default()
        }
    }

    fn service(name: &str) -> Self {
        Self {
            services: [name.to_owned()].into(),
            ..Self::default()
        }
    }

    fn user(name: &UserName) -> Self {
        Self {
            users: [name.clone()].into(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{scopes, server, user};
    use super::*;

    fn expanded(written: &[&str], owner: &Owner, issuer: &Issuer) -> Vec<String> {
        expand(&scopes(written), owner, issuer).texts()
    }

    #[test]
    fn self_is_what_a_user_may_do_with_their_own() {
        let alice = Owner::User(user("alice"));
        assert_eq!(
            expanded(&["self"], &alice, &Issuer::Hub),
            [
                "access:servers!user=alice",
                "delete:servers!user=alice",
                "read:servers!user=alice",
                "read:shares!user=alice",
                "read:tokens!user=alice",
                "read:users!user=alice",
                "read:users:activity!user=alice",
                "read:users:groups!user=alice",
                "read:users:name!user=alice",
                "read:users:shares!user=alice",
                "servers!user=alice",
                "start:servers!user=alice",
                "tokens!user=alice",
                "users:activity!user=alice",
                "users:shares!user=alice",
            ]
        );
    }

    #[test]
    fn short_filters_are_filled_in_or_give_nothing() {
        let alice = Owner::User(user("alice"));
        let culler = Owner::Service("culler".into());
        let from_server = Issuer::Server(server("alice/x"));
        let from_service = Issuer::Service("whoami".into());
        for (written, owner, issuer, expected) in [
            ("proxy!user", &alice, &Issuer::Hub, "proxy!user=alice"),
            ("proxy!user", &culler, &Issuer::Hub, ""),
            ("proxy!server", &alice, &from_server, "proxy!server=alice/x"),
            ("proxy!server", &alice, &Issuer::Hub, ""),
            (
                "proxy!service",
                &culler,
                &Issuer::Hub,
                "proxy!service=culler",
            ),
            ("proxy!service", &alice, &Issuer::Hub, ""),
            (
                "proxy!service",
                &alice,
                &from_service,
                "proxy!service=whoami",
            ),
            ("proxy!server", &alice, &from_service, ""),
            ("self", &culler, &Issuer::Hub, ""),
            ("inherit", &alice, &Issuer::Hub, ""),
        ] {
            assert_eq!(expanded(&[written], owner, issuer).join(" "), expected);
        }
    }

    #[test]
    fn filters_are_copied_to_what_is_implied() {
        let alice = Owner::User(user("alice"));
        assert_eq!(
            expanded(&["groups!group=g"], &alice, &Issuer::Hub),
            [
                "groups!group=g",
                "list:groups!group=g",
                "read:groups!group=g",
                "read:groups:name!group=g"
            ]
        );
        // A right over one server is no right to read about its owner.
        assert_eq!(
            expanded(&["servers!server=bob/"], &alice, &Issuer::Hub),
            [
                "delete:servers!server=bob/",
                "read:servers!server=bob/",
                "servers!server=bob/",
                "start:servers!server=bob/"
            ]
        );
        assert!(expanded(&["read:users!server=bob/"], &alice, &Issuer::Hub).is_empty());
    }
}
