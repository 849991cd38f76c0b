//! The table of scopes: what each is called, what it lets its holder do, and what it implies.
//!
//! The names and implications are JupyterHub 6's, because tokens, roles and clients speak them.
//! [`ScopeName::implies`] lists direct implications only; [`ScopeName::closure`] follows them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::ScopeError;

/// Makes the enum and its three look-ups from one table, so that a scope cannot be half known.
macro_rules! scope_names {
    ($($variant:ident $text:literal $means:literal [$($implied:ident)*])*) => {
        /// What a scope is called, without its filter.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum ScopeName {
            $(#[doc = concat!("`", $text, "`: ", $means)] $variant,)*
        }

        impl ScopeName {
            /// Every scope there is.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The scope as it is written in tokens, roles and replies.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it lets its holder do, as a clause to follow "may".
            pub(crate) const fn means(self) -> &'static str {
                match self { $(Self::$variant => $means,)* }
            }

            /// The scopes that come with this one.
            pub(crate) const fn implies(self) -> &'static [Self] {
                match self { $(Self::$variant => &[$(Self::$implied),*],)* }
            }
        }
    };
}

scope_names! {
    // Metascopes: they stand for other scopes and are gone after expansion.
    Own "self" "do what every user may do with their own account" []
    Inherit "inherit" "do whatever the token's owner may do" []

    AdminUi "admin-ui" "open the admin page" []

    AdminUsers "admin:users" "create, change and delete users" [AdminAuthState Users ReadRolesUsers DeleteUsers]
    AdminAuthState "admin:auth_state" "read what the authenticator keeps about users" []
    Users "users" "read and change users" [ReadUsers ListUsers UsersActivity]
    DeleteUsers "delete:users" "delete users" []
    ListUsers "list:users" "list users by name" [ReadUsersName]
    UsersActivity "users:activity" "report when users were last active" [ReadUsersActivity]
    ReadUsers "read:users" "read about users" [ReadUsersName ReadUsersGroups ReadUsersActivity]
    ReadUsersName "read:users:name" "read the names of users" []
    ReadUsersGroups "read:users:groups" "read which groups users are in" []
    ReadUsersActivity "read:users:activity" "read when users were last active" []

    ReadRoles "read:roles" "read who holds which role" [ReadRolesUsers ReadRolesServices ReadRolesGroups]
    ReadRolesUsers "read:roles:users" "read which roles users hold" []
    ReadRolesServices "read:roles:services" "read which roles services hold" []
    ReadRolesGroups "read:roles:groups" "read which roles groups hold" []

    AdminServers "admin:servers" "run servers and read their stored state" [AdminServerState Servers]
    AdminServerState "admin:server_state" "read the stored state of servers" []
    Servers "servers" "start, stop and read about servers" [ReadServers StartServers DeleteServers]
    ReadServers "read:servers" "read about servers and whose they are" [ReadUsersName]
    StartServers "start:servers" "start servers and change their options" []
    DeleteServers "delete:servers" "stop and remove servers" []
    AccessServers "access:servers" "open servers and work in them" []

    Tokens "tokens" "make, read and revoke tokens" [ReadTokens]
    ReadTokens "read:tokens" "read about tokens" []

    AdminGroups "admin:groups" "create, change and delete groups" [Groups ReadRolesGroups DeleteGroups]
    Groups "groups" "read groups and change who is in them" [ReadGroups ListGroups]
    DeleteGroups "delete:groups" "delete groups" []
    ListGroups "list:groups" "list groups by name" [ReadGroupsName]
    ReadGroups "read:groups" "read about groups" [ReadGroupsName]
    ReadGroupsName "read:groups:name" "read the names of groups" []

    AdminServices "admin:services" "create, change and delete services" [ListServices ReadServices ReadRolesServices]
    ListServices "list:services" "list services by name" [ReadServicesName]
    ReadServices "read:services" "read about services" [ReadServicesName]
    ReadServicesName "read:services:name" "read the names of services" []
    AccessServices "access:services" "open services and use them" []

    Shares "shares" "share servers and use shared ones" [AccessServers ReadShares UsersShares GroupsShares]
    ReadShares "read:shares" "read with whom servers are shared" []
    UsersShares "users:shares" "read and give up what is shared with users" [ReadUsersShares]
    ReadUsersShares "read:users:shares" "read what is shared with users" []
    GroupsShares "groups:shares" "read and give up what is shared with groups" [ReadGroupsShares]
    ReadGroupsShares "read:groups:shares" "read what is shared with groups" []

    ReadHub "read:hub" "read how the hub is set up" []
    ReadMetrics "read:metrics" "read the hub's metrics" []
    Proxy "proxy" "read and refresh the proxy's routes" []
    Shutdown "shutdown" "shut the hub down" []
}

impl ScopeName {
    /// This scope and all it implies.
    pub(crate) fn closure(self) -> BTreeSet<Self> {
        let mut found = BTreeSet::new();
        let mut open = vec![self];
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(name.implies());
            }
        }
        found
    }

    /// Whether it only stands for others and so takes no filter.
    pub(crate) const fn is_metascope(self) -> bool {
        matches!(self, Self::Own | Self::Inherit)
    }

    /// Whether it reads the record of a user: a right over one server says nothing about those, so
    /// a server filter is not handed on to them.
    pub(super) fn reads_users(self) -> bool {
        self.as_str().starts_with("read:users")
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ScopeName {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let found = Self::ALL.iter().find(|name| name.as_str() == text);
        found.copied().ok_or_else(|| ScopeError::unknown(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure_of(text: &str) -> Vec<&'static str> {
        let name: ScopeName = text.parse().unwrap();
        let mut names: Vec<_> = name.closure().into_iter().map(ScopeName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_name_reads_back() {
        for name in ScopeName::ALL {
            assert_eq!(name.as_str().parse::<ScopeName>().unwrap(), *name);
        }
    }

    #[test]
    fn implications_are_followed_to_the_end() {
        assert_eq!(
            closure_of("admin:servers"),
            [
                "admin:server_state",
                "admin:servers",
                "delete:servers",
                "read:servers",
                "read:users:name",
                "servers",
                "start:servers",
            ]
        );
        assert_eq!(
            closure_of("admin:users"),
            [
                "admin:auth_state",
                "admin:users",
                "delete:users",
                "list:users",
                "read:roles:users",
                "read:users",
                "read:users:activity",
                "read:users:groups",
                "read:users:name",
                "users",
                "users:activity",
            ]
        );
        assert_eq!(closure_of("proxy"), ["proxy"]);
    }

    /// The table of JupyterHub 6, row by row.
    #[test]
    fn each_scope_implies_what_jupyterhubs_does() {
        let rows = [
            (
                "admin:users",
                "admin:auth_state delete:users read:roles:users users",
            ),
            ("users", "list:users read:users users:activity"),
            (
                "read:users",
                "read:users:activity read:users:groups read:users:name",
            ),
            ("list:users", "read:users:name"),
            ("users:activity", "read:users:activity"),
            ("admin:servers", "admin:server_state servers"),
            ("servers", "delete:servers read:servers start:servers"),
            ("read:servers", "read:users:name"),
            ("tokens", "read:tokens"),
            ("admin:groups", "delete:groups groups read:roles:groups"),
            ("groups", "list:groups read:groups"),
            ("read:groups", "read:groups:name"),
            ("list:groups", "read:groups:name"),
            (
                "admin:services",
                "list:services read:roles:services read:services",
            ),
            ("list:services", "read:services:name"),
            ("read:services", "read:services:name"),
            (
                "read:roles",
                "read:roles:groups read:roles:services read:roles:users",
            ),
            (
                "shares",
                "access:servers groups:shares read:shares users:shares",
            ),
            ("users:shares", "read:users:shares"),
            ("groups:shares", "read:groups:shares"),
        ];
        for name in ScopeName::ALL {
            let mut implied: Vec<_> = name.implies().iter().map(|s| s.as_str()).collect();
            implied.sort_unstable();
            let row = rows.iter().find(|(scope, _)| *scope == name.as_str());
            let expected = row.map_or("", |(_, implied)| implied);
            assert_eq!(implied.join(" "), expected, "{name}");
        }
    }

    #[test]
    fn nothing_implies_a_metascope() {
        for name in ScopeName::ALL {
            assert!(!name.implies().iter().any(|implied| implied.is_metascope()));
        }
    }
}
