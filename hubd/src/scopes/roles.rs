//! Roles: named bundles of scopes, and who holds them.
//!
//! ```text
//! built in:  user   every user              admin   users and services flagged admin
//!            server a server's own token    token   a token that asks for nothing else
//! [[role]]   adds a role, or adds holders to a built-in one, or changes what a built-in one gives
//! ```
//!
//! What `admin` gives cannot be changed, so that the admin flag means the same on every hub.

use std::collections::{BTreeMap, BTreeSet};

use spawner_core::UserName;

use super::{Filter, Issuer, Owner, Scope, ScopeName, ScopeSet, expand};

/// A role as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Role {
    /// 3 to 255 of `a-z 0-9 - _ . ~`, first a letter, last a letter or digit.
    pub(crate) name: String,
    /// What it gives. `None` leaves a built-in role as it is, and is an error for any other;
    /// `Some` of nothing really gives nothing.
    pub(crate) scopes: Option<Vec<Scope>>,
    /// Users who hold it.
    pub(crate) users: BTreeSet<UserName>,
    /// Groups whose members hold it.
    pub(crate) groups: BTreeSet<String>,
    /// Services that hold it.
    pub(crate) services: BTreeSet<String>,
}

/// All roles of a hub.
#[derive(Debug, Clone)]
pub(crate) struct Roles(BTreeMap<String, Role>);

/// What is known of a user when rights are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserFacts<'a> {
    /// Who.
    pub(crate) name: &'a UserName,
    /// The admin flag.
    pub(crate) admin: bool,
    /// The groups they are in.
    pub(crate) groups: &'a [String],
}

/// What is known of a service when rights are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceFacts<'a> {
    /// Which one.
    pub(crate) name: &'a str,
    /// The admin flag.
    pub(crate) admin: bool,
    /// Roles that it was given by their names, beside those that name it.
    pub(crate) roles: &'a [String],
}

/// Why a role of the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RoleError {
    /// The name breaks the rule.
    #[error(
        "{name:?} cannot name a role: a role's name has 3 to 255 of a-z 0-9 - _ . ~, \
         starts with a letter and ends with a letter or digit"
    )]
    Name {
        /// What was written.
        name: String,
    },
    /// The name is there twice.
    #[error("the role {name} is defined twice; put its scopes and holders into one")]
    Twice {
        /// Which one.
        name: String,
    },
    /// The scopes of `admin` were to change.
    #[error(
        "the role admin has fixed scopes; leave `scopes` out to add holders, or define another role"
    )]
    AdminIsFixed,
    /// A new role without scopes.
    #[error("the role {name} needs `scopes`: what its holders may do")]
    NoScopes {
        /// Which one.
        name: String,
    },
}

const USER: &str = "user";
const ADMIN: &str = "admin";
const SERVER: &str = "server";
const TOKEN: &str = "token";

/// What an admin may do.
const ADMIN_SCOPES: [ScopeName; 16] = [
    ScopeName::AdminUi,
    ScopeName::AdminUsers,
    ScopeName::AdminServers,
    ScopeName::AdminServices,
    ScopeName::Tokens,
    ScopeName::AdminGroups,
    ScopeName::ListServices,
    ScopeName::ReadServices,
    ScopeName::ReadHub,
    ScopeName::Proxy,
    ScopeName::Shutdown,
    ScopeName::AccessServices,
    ScopeName::AccessServers,
    ScopeName::ReadRoles,
    ScopeName::ReadMetrics,
    ScopeName::Shares,
];

impl Roles {
    /// The built-in roles and those of the configuration.
    pub(crate) fn new(configured: impl IntoIterator<Item = Role>) -> Result<Self, RoleError> {
        let mut roles = Self::built_in();
        let mut seen = BTreeSet::new();
        for role in configured {
            let name = role.name.clone();
            if !is_role_name(&name) {
                return Err(RoleError::Name { name });
            }
            if !seen.insert(name.clone()) {
                return Err(RoleError::Twice { name });
            }
            if name == ADMIN && role.scopes.is_some() {
                return Err(RoleError::AdminIsFixed);
            }
            let built_in = roles.0.remove(&name).and_then(|role| role.scopes);
            let scopes = role.scopes.or(built_in);
            if scopes.is_none() {
                return Err(RoleError::NoScopes { name });
            }
            roles.0.insert(name, Role { scopes, ..role });
        }
        Ok(roles)
    }

    fn built_in() -> Self {
        let roles = [
            (USER, vec![Scope::all(ScopeName::Own)]),
            (ADMIN, ADMIN_SCOPES.map(Scope::all).to_vec()),
            (
                SERVER,
                vec![
                    Scope::of(ScopeName::UsersActivity, Filter::OwnUser),
                    Scope::of(ScopeName::AccessServers, Filter::OwnServer),
                ],
            ),
            (TOKEN, vec![Scope::all(ScopeName::Inherit)]),
        ];
        let role = |(name, scopes): (&str, Vec<Scope>)| {
            let role = Role {
                name: name.to_owned(),
                scopes: Some(scopes),
                ..Role::default()
            };
            (name.to_owned(), role)
        };
        Self(roles.map(role).into())
    }

    /// The scopes of the role `name`, as they are written; `None` if there is no such role.
    pub(crate) fn scopes_of(&self, name: &str) -> Option<&[Scope]> {
        self.0.get(name)?.scopes.as_deref()
    }

    /// The scopes of a server's own token.
    pub(crate) fn server_token_scopes(&self) -> &[Scope] {
        self.scopes_of(SERVER).unwrap_or_default()
    }

    /// The scopes of a token whose maker asked for none in particular.
    pub(crate) fn default_token_scopes(&self) -> &[Scope] {
        self.scopes_of(TOKEN).unwrap_or_default()
    }

    /// The names of the roles a user holds themselves, as their model shows them; roles of their
    /// groups are not among them.
    pub(crate) fn names_of_user(&self, user: &UserFacts<'_>) -> Vec<&str> {
        self.names(|role| holds_directly(role, user))
    }

    /// The names of the roles a service holds.
    pub(crate) fn names_of_service(&self, service: &ServiceFacts<'_>) -> Vec<&str> {
        self.names(|role| held_by_service(role, service))
    }

    /// All that a user may do: their own roles and those of their groups.
    pub(crate) fn rights_of_user(&self, user: &UserFacts<'_>) -> ScopeSet {
        let by_group = |role: &Role| user.groups.iter().any(|group| role.groups.contains(group));
        let owner = Owner::User(user.name.clone());
        self.rights(&owner, |role| holds_directly(role, user) || by_group(role))
    }

    /// All that a service may do.
    pub(crate) fn rights_of_service(&self, service: &ServiceFacts<'_>) -> ScopeSet {
        let owner = Owner::Service(service.name.to_owned());
        self.rights(&owner, |role| held_by_service(role, service))
    }

    /// The names of the roles that a group's members hold by it.
    pub(crate) fn names_of_group(&self, group: &str) -> Vec<&str> {
        self.names(|role| role.groups.contains(group))
    }

    /// Every group that holds a role.
    pub(crate) fn groups(&self) -> BTreeSet<&str> {
        let roles = self.0.values();
        roles
            .flat_map(|role| role.groups.iter().map(String::as_str))
            .collect()
    }

    /// Whether a role is given to a user by name.
    pub(crate) fn names_user(&self, user: &UserName) -> bool {
        self.0.values().any(|role| role.users.contains(user))
    }

    fn names(&self, held: impl Fn(&Role) -> bool) -> Vec<&str> {
        let held = self.0.values().filter(|role| held(role));
        held.map(|role| role.name.as_str()).collect()
    }

    fn rights(&self, owner: &Owner, held: impl Fn(&Role) -> bool) -> ScopeSet {
        let held = self.0.values().filter(|role| held(role));
        expand(
            held.flat_map(|role| role.scopes.iter().flatten()),
            owner,
            &Issuer::Hub,
        )
    }
}

fn holds_directly(role: &Role, user: &UserFacts<'_>) -> bool {
    role.name == USER || (role.name == ADMIN && user.admin) || role.users.contains(user.name)
}

fn held_by_service(role: &Role, service: &ServiceFacts<'_>) -> bool {
    (role.name == ADMIN && service.admin)
        || role.services.contains(service.name)
        || service.roles.contains(&role.name)
}

fn is_role_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=255).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && plain(bytes[bytes.len() - 1])
        && bytes.iter().all(|b| plain(*b) || b"-_.~".contains(b))
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::super::testing::{scopes, user};
    use super::*;

    fn role(name: &str, scopes_: &[&str]) -> Role {
        Role {
            name: name.into(),
            scopes: Some(scopes(scopes_)),
            ..Role::default()
        }
    }

    fn service(name: &str, admin: bool) -> ServiceFacts<'_> {
        ServiceFacts {
            name,
            admin,
            roles: &[],
        }
    }

    fn alice_with(roles: &Roles, admin: bool, groups: &[&str]) -> ScopeSet {
        let groups: Vec<String> = groups.iter().map(|&g| g.to_owned()).collect();
        roles.rights_of_user(&UserFacts {
            name: &user("alice"),
            admin,
            groups: &groups,
        })
    }

    #[test]
    fn a_user_has_their_own_and_an_admin_everything() {
        let roles = Roles::new([]).unwrap();
        let plain = alice_with(&roles, false, &[]);
        assert!(
            plain
                .texts()
                .iter()
                .all(|text| text.ends_with("!user=alice"))
        );
        let admin = alice_with(&roles, true, &[]);
        for name in ScopeName::ALL {
            let held = admin.allows(*name, Target::Everything).is_yes();
            assert_eq!(held, !name.is_metascope(), "{name}");
        }
    }

    #[test]
    fn a_service_has_nothing_but_its_roles() {
        let culler = Role {
            services: ["culler".to_owned()].into(),
            ..role(
                "cull-idle",
                &["list:users", "delete:servers", "read:services!service"],
            )
        };
        let roles = Roles::new([culler]).unwrap();
        assert!(roles.rights_of_service(&service("other", false)).is_empty());
        assert_eq!(
            roles.rights_of_service(&service("culler", false)).texts(),
            [
                "delete:servers",
                "list:users",
                "read:services!service=culler",
                "read:services:name!service=culler",
                "read:users:name"
            ]
        );
        assert_eq!(
            roles.names_of_service(&service("culler", true)),
            ["admin", "cull-idle"]
        );
        assert_eq!(
            roles.rights_of_service(&service("other", true)),
            alice_with(&roles, true, &[]),
            "an admin's rights hold for everything, whoever the admin is"
        );
        let given = ServiceFacts {
            roles: &["cull-idle".to_owned(), "no-such-role".to_owned()],
            ..service("other", false)
        };
        assert_eq!(roles.names_of_service(&given), ["cull-idle"]);
        assert!(
            roles
                .rights_of_service(&given)
                .texts()
                .contains(&"read:services!service=other".to_owned())
        );
    }

    #[test]
    fn groups_pass_their_roles_on() {
        let teachers = Role {
            groups: ["teachers".to_owned()].into(),
            ..role("teach", &["access:servers!group=class", "read:metrics"])
        };
        let roles = Roles::new([teachers]).unwrap();
        let metrics = |rights: &ScopeSet| rights.allows(ScopeName::ReadMetrics, Target::Everything);
        assert!(metrics(&alice_with(&roles, false, &["teachers"])).is_yes());
        assert!(!metrics(&alice_with(&roles, false, &["class"])).is_yes());
        let facts = UserFacts {
            name: &user("alice"),
            admin: true,
            groups: &["teachers".into()],
        };
        assert_eq!(roles.names_of_user(&facts), ["admin", "user"]);
    }

    #[test]
    fn a_built_in_role_can_be_narrowed_or_get_holders() {
        let roles = Roles::new([role("user", &[])]).unwrap();
        assert!(alice_with(&roles, false, &[]).is_empty());
        let more_admins = Role {
            name: "admin".into(),
            groups: ["staff".to_owned()].into(),
            ..Role::default()
        };
        let roles = Roles::new([more_admins]).unwrap();
        let rights = alice_with(&roles, false, &["staff"]);
        assert!(
            rights
                .allows(ScopeName::Shutdown, Target::Everything)
                .is_yes()
        );
    }

    #[test]
    fn mistakes_are_named() {
        let nameless = Role {
            name: "empty-one".into(),
            ..Role::default()
        };
        for (configured, error) in [
            (
                vec![role("Bad", &[])],
                RoleError::Name { name: "Bad".into() },
            ),
            (
                vec![role("a/b", &[])],
                RoleError::Name { name: "a/b".into() },
            ),
            (vec![role("ab", &[])], RoleError::Name { name: "ab".into() }),
            (
                vec![role("abc-", &[])],
                RoleError::Name {
                    name: "abc-".into(),
                },
            ),
            (
                vec![role("one", &[]), role("one", &[])],
                RoleError::Twice { name: "one".into() },
            ),
            (vec![role("admin", &["read:hub"])], RoleError::AdminIsFixed),
            (vec![role("admin", &[])], RoleError::AdminIsFixed),
            (
                vec![nameless],
                RoleError::NoScopes {
                    name: "empty-one".into(),
                },
            ),
        ] {
            assert_eq!(Roles::new(configured).unwrap_err(), error);
        }
    }
}
