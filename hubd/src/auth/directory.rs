//! Who is who: roles and who may come in at all by the configuration, groups and services by that and
//! by the books.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use spawner_core::UserName;

use super::groups::Groups;
use super::names::Names;
use super::services::{Service, Services};
use crate::config::{AuthKind, Config, PasswordTable, check_name};
use crate::scopes::{
    Issuer, Owner, Role, RoleError, Roles, Scope, ScopeError, ScopeSet, ServiceFacts, UserFacts,
};
use crate::store::{Store, User};

/// What is known about people and programs, beside their rows.
#[derive(Debug)]
pub(crate) struct Directory {
    roles: Roles,
    groups: Groups,
    services: Services,
    names: Names,
    password: PasswordTable,
    allow_all: bool,
    allowed: BTreeSet<UserName>,
    allowed_groups: BTreeSet<String>,
    /// Whether the authenticator says who is in which group, so that the hub's own do not count.
    groups_elsewhere: bool,
    blocked: BTreeSet<UserName>,
    admins: BTreeSet<UserName>,
    token_max_age: Option<SignedDuration>,
}

/// A role in the configuration that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error("role {role}: {error}")]
    Scope { role: String, error: ScopeError },
}

impl Directory {
    /// Reads the tables `auth`, `role`, `group` and `service`; `store` has what the API made.
    pub(crate) fn new(config: &Config, store: Store) -> Result<Self, DirectoryError> {
        Ok(Self {
            roles: roles(config)?,
            groups: Groups::new(&config.groups, store.clone()),
            services: Services::new(&config.services, store),
            names: Names::new(&config.auth),
            password: config.auth.password.clone(),
            allow_all: config.auth.allow_all,
            allowed_groups: config.auth.allowed_groups.iter().cloned().collect(),
            groups_elsewhere: config.auth.kind == Some(AuthKind::Pam),
            allowed: config.auth.allowed_users.iter().cloned().collect(),
            blocked: config.auth.blocked_users.iter().cloned().collect(),
            admins: config.auth.admin_users.iter().cloned().collect(),
            token_max_age: Some(config.auth.token_max_age)
                .filter(|max| !max.is_zero())
                .and_then(|max| max.try_into().ok()),
        })
    }

    /// Whether the tables can be meant, as [`Directory::new`] finds out, without any books.
    pub(crate) fn check(config: &Config) -> Result<(), DirectoryError> {
        roles(config).map(drop)
    }

    /// What the hub calls somebody who gives this name; `None` if no account can be called so.
    pub(crate) fn name_of(&self, typed: &str) -> Option<UserName> {
        self.names.ours(typed)
    }

    /// Whether somebody may come in who has proved to be `name`, and has the account `user` if any.
    /// `groups` are those they are in elsewhere; without any the hub's own count. Who is blocked may
    /// not, whatever else is said of them.
    pub(crate) fn may_enter(
        &self,
        name: &UserName,
        user: Option<&User>,
        groups: Option<&[String]>,
    ) -> bool {
        if self.blocked.contains(name) || user.is_some_and(|user| user.blocked) {
            return false;
        }
        let in_group = || {
            let mut allowed = self.allowed_groups.iter();
            allowed.any(|group| match groups {
                Some(groups) => groups.contains(group),
                None => self.is_member(name, group),
            })
        };
        self.allow_all
            || self.allowed.contains(name)
            || self.admins.contains(name)
            || user.is_some_and(|user| user.admitted)
            || in_group()
    }

    /// What holds for passwords of the hub's own, and for people who ask for an account.
    pub(crate) fn password_rules(&self) -> &PasswordTable {
        &self.password
    }

    /// Whether `user` is shut out, also with a login or a token of earlier times.
    pub(crate) fn is_blocked(&self, user: &User) -> bool {
        user.blocked || self.is_blocked_by_configuration(&user.name)
    }

    /// Whether the configuration shuts out whoever has this name.
    pub(crate) fn is_blocked_by_configuration(&self, name: &UserName) -> bool {
        self.blocked.contains(name)
    }

    /// Whether an account of this name is or would be an admin's.
    pub(crate) fn is_admin_name(&self, name: &UserName, user: Option<&User>) -> bool {
        user.is_some_and(|user| user.admin) || self.admins.contains(name)
    }

    /// Whether `user` is an admin: by the books or by the configuration.
    pub(crate) fn is_admin(&self, user: &User) -> bool {
        user.admin || self.admins.contains(&user.name)
    }

    /// Everybody whom the configuration names as somebody who may come in.
    pub(crate) fn named_users(&self) -> impl Iterator<Item = &UserName> {
        self.allowed.union(&self.admins)
    }

    /// Where the configuration names `user`, if it does. Such a name is for whoever the
    /// authenticator knows by it, so it is not given to or taken from an account by renaming.
    pub(crate) fn key_naming(&self, user: &UserName) -> Option<&'static str> {
        let lists = [
            ("auth.admin_users", self.admins.contains(user)),
            ("auth.allowed_users", self.allowed.contains(user)),
            ("auth.blocked_users", self.blocked.contains(user)),
            ("role.users", self.roles.names_user(user)),
            ("group.users", self.groups.names_user(user)),
        ];
        let naming = lists.into_iter().find(|(_, names)| *names);
        naming.map(|(key, _)| key)
    }

    /// Whether whoever has an account of that name holds more by it than everybody does.
    pub(crate) fn gives_rights_to(&self, user: &UserName) -> bool {
        self.admins.contains(user) || self.roles.names_user(user) || self.groups.names_user(user)
    }

    /// Whether the configuration makes `user` an admin.
    pub(crate) fn is_named_admin(&self, user: &UserName) -> bool {
        self.admins.contains(user)
    }

    /// All groups.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The groups whose members hold something by the configuration: a role, or the right to come
    /// in.
    pub(crate) fn groups_with_rights(&self) -> BTreeSet<&str> {
        let mut groups = self.roles.groups();
        groups.extend(self.door_groups().map(String::as_str));
        groups
    }

    /// What the configuration gives to the members of `group`, as the end of a sentence; `None` for
    /// nothing.
    pub(crate) fn right_of_group(&self, group: &str) -> Option<String> {
        if let Some(role) = self.roles.names_of_group(group).first() {
            return Some(format!("the role {role}, in [[role]]"));
        }
        let mut groups = self.door_groups();
        let opens = groups.any(|allowed| allowed == group);
        opens.then(|| "a login, in auth.allowed_groups".to_owned())
    }

    /// The groups of the hub whose members may come in. What cannot be the name of one is passed over.
    fn door_groups(&self) -> impl Iterator<Item = &String> {
        let is_ours = |name: &&String| !self.groups_elsewhere && check_name(name).is_ok();
        self.allowed_groups.iter().filter(is_ours)
    }

    /// The names of the groups that `user` is in.
    pub(crate) fn groups_of(&self, user: &UserName) -> Vec<String> {
        self.groups.of(user)
    }

    /// Whether `user` is in `group`.
    pub(crate) fn is_member(&self, user: &UserName, group: &str) -> bool {
        self.groups.is_member(user, group)
    }

    /// All services.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// The longest that a token lives that somebody asks for; `None` for no limit.
    pub(crate) fn token_max_age(&self) -> Option<SignedDuration> {
        self.token_max_age
    }

    /// The roles.
    pub(crate) fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The names of the roles that a user holds themselves.
    pub(crate) fn role_names_of(&self, user: &User) -> Vec<String> {
        self.with_facts(user, |facts| {
            let names = self.roles.names_of_user(facts).into_iter();
            names.map(str::to_owned).collect()
        })
    }

    /// All that a user may do.
    pub(crate) fn rights_of_user(&self, user: &User) -> ScopeSet {
        self.with_facts(user, |facts| self.roles.rights_of_user(facts))
    }

    /// The names of the roles that a service holds.
    pub(crate) fn role_names_of_service(&self, service: &Service) -> Vec<String> {
        let names = self.roles.names_of_service(&facts(service)).into_iter();
        names.map(str::to_owned).collect()
    }

    /// All that a service may do.
    pub(crate) fn rights_of_service(&self, service: &Service) -> ScopeSet {
        self.roles.rights_of_service(&facts(service))
    }

    /// What a token with the scopes `written` may do in the hands of `owner`, who holds `held`.
    pub(crate) fn token_rights(
        &self,
        written: &[Scope],
        owner: &Owner,
        issuer: &Issuer,
        held: &ScopeSet,
    ) -> ScopeSet {
        crate::scopes::token_rights(written, owner, issuer, held, &|user, group| {
            self.is_member(user, group)
        })
    }

    fn with_facts<T>(&self, user: &User, look: impl FnOnce(&UserFacts<'_>) -> T) -> T {
        let groups = self.groups.of_user(user);
        look(&UserFacts {
            name: &user.name,
            admin: self.is_admin(user),
            groups: &groups,
        })
    }
}

fn facts(service: &Service) -> ServiceFacts<'_> {
    ServiceFacts {
        name: &service.name,
        admin: service.admin,
        roles: &service.roles,
    }
}

fn roles(config: &Config) -> Result<Roles, DirectoryError> {
    let mut roles = Vec::new();
    for table in &config.roles {
        let name = table.name.clone();
        let scopes =
            Scope::parse_all(table.scopes.iter().map(String::as_str)).map_err(|error| {
                DirectoryError::Scope {
                    role: name.clone(),
                    error,
                }
            })?;
        roles.push(Role {
            name,
            // A table without scopes adds holders to a role that exists.
            scopes: (!scopes.is_empty()).then_some(scopes),
            users: table.users.iter().cloned().collect(),
            groups: table.groups.iter().cloned().collect(),
            services: table.services.iter().cloned().collect(),
        });
    }
    Ok(Roles::new(roles)?)
}
