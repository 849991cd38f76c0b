//! Which fields of a user a caller may read.

use spawner_core::UserName;

use super::{ScopeName, ScopeSet, Target};

/// The fields of a user's model that may be sent. What may not be read is left out of the model,
/// never sent as null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct UserFields {
    /// `kind` and `name`; false means that the caller may not know the user is there.
    pub(crate) name: bool,
    /// `admin`.
    pub(crate) admin: bool,
    /// `user_info`.
    pub(crate) user_info: bool,
    /// `roles`.
    pub(crate) roles: bool,
    /// `groups`.
    pub(crate) groups: bool,
    /// `last_activity`.
    pub(crate) last_activity: bool,
    /// `server`, `pending` and `created`.
    pub(crate) details: bool,
    /// `servers`, all of them. Single servers may show without this, see
    /// [`ScopeName::ReadServers`] on [`Target::Server`].
    pub(crate) servers: bool,
    /// `auth_state`.
    pub(crate) auth_state: bool,
}

impl ScopeSet {
    /// What the holder may read of `name`, who is in `groups`.
    pub(crate) fn user_fields(&self, name: &UserName, groups: &[String]) -> UserFields {
        let may = |scope| self.allows(scope, Target::User { name, groups }).is_yes();
        let all = may(ScopeName::ReadUsers);
        let identity = all || may(ScopeName::ReadUsersName);
        let roles = may(ScopeName::ReadRolesUsers);
        let in_groups = all || may(ScopeName::ReadUsersGroups);
        let activity = all || may(ScopeName::ReadUsersActivity);
        let servers = may(ScopeName::ReadServers);
        let auth_state = may(ScopeName::AdminAuthState);
        UserFields {
            name: identity || roles || in_groups || activity || servers || auth_state,
            admin: identity || roles,
            user_info: identity,
            roles: all || roles,
            groups: in_groups,
            last_activity: activity,
            details: all,
            servers,
            auth_state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{set, user};
    use super::*;

    #[test]
    fn each_scope_reveals_its_fields() {
        let name = UserFields {
            name: true,
            ..UserFields::default()
        };
        let identity = UserFields {
            admin: true,
            user_info: true,
            ..name
        };
        for (scope, expected) in [
            ("read:users:name", identity),
            (
                "read:users:groups",
                UserFields {
                    groups: true,
                    ..name
                },
            ),
            (
                "read:users:activity",
                UserFields {
                    last_activity: true,
                    ..name
                },
            ),
            (
                "read:roles:users",
                UserFields {
                    roles: true,
                    admin: true,
                    ..name
                },
            ),
            (
                "admin:auth_state",
                UserFields {
                    auth_state: true,
                    ..name
                },
            ),
            // These two come with read:users:name.
            (
                "read:servers",
                UserFields {
                    servers: true,
                    ..identity
                },
            ),
            ("list:users", identity),
            (
                "read:users",
                UserFields {
                    roles: true,
                    groups: true,
                    last_activity: true,
                    details: true,
                    ..identity
                },
            ),
            // A right over one server does not.
            ("read:servers!server=alice/", UserFields::default()),
            ("start:servers", UserFields::default()),
        ] {
            let rights = set(&[scope]);
            assert_eq!(rights.user_fields(&user("alice"), &[]), expected, "{scope}");
        }
    }

    #[test]
    fn filters_hold_for_fields_too() {
        let rights = set(&["read:users:name!group=staff"]);
        let staff = ["staff".to_owned()];
        assert!(rights.user_fields(&user("alice"), &staff).name);
        assert_eq!(
            rights.user_fields(&user("alice"), &[]),
            UserFields::default()
        );
    }
}
