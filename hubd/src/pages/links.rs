//! The hub's own addresses.
//!
//! ```text
//! base_url    /jhub/
//! hub         /jhub/hub/           pages, API, static files
//! a server    /jhub/user/NAME/[SERVER/]
//! ```
//!
//! [`Links`] makes them, as JupyterHub spells them. Addresses that a visitor brought (`next=...`)
//! come in by [`LocalPath::parse`] instead.

use spawner_core::{ServerId, UserName};

use crate::auth::local_path::LocalPath;

/// Makes the hub's own addresses.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    base: LocalPath,
}

impl Links {
    /// The addresses below `base`, the path of the hub's base URL.
    pub(crate) fn new(base: LocalPath) -> Self {
        Self { base }
    }

    /// The configured `base_url`.
    pub(crate) fn base(&self) -> LocalPath {
        self.base.clone()
    }

    /// What every address of the hub starts with.
    pub(crate) fn hub(&self) -> LocalPath {
        self.below_hub("")
    }

    /// The home page.
    pub(crate) fn home(&self) -> LocalPath {
        self.below_hub("home")
    }

    /// The page of the visitor's tokens.
    pub(crate) fn tokens(&self) -> LocalPath {
        self.below_hub("token")
    }

    /// Where one of them is revoked, by `POST`.
    pub(crate) fn revoke_token(&self) -> LocalPath {
        self.tokens().join("revoke")
    }

    /// The login page, which leads on to `next`.
    pub(crate) fn login(&self, next: Option<&LocalPath>) -> LocalPath {
        with_next(self.below_hub("login"), next)
    }

    /// Where a login at a provider begins, which leads on to `next`.
    pub(crate) fn oauth_login(&self, next: Option<&LocalPath>) -> LocalPath {
        with_next(self.below_hub("oauth_login"), next)
    }

    /// Where a visitor logs out.
    pub(crate) fn logout(&self) -> LocalPath {
        self.below_hub("logout")
    }

    /// Where people ask for an account.
    pub(crate) fn signup(&self) -> LocalPath {
        self.below_hub("signup")
    }

    /// Where somebody changes their password.
    pub(crate) fn password(&self) -> LocalPath {
        self.below_hub("password")
    }

    /// Where an admin sees who asks for an account.
    pub(crate) fn signups(&self) -> LocalPath {
        self.below_hub("signups")
    }

    /// Where `server` is started: by `GET` its options form, by `POST` the start itself.
    pub(crate) fn spawn(&self, server: &ServerId, next: Option<&LocalPath>) -> LocalPath {
        with_next(self.of_server("spawn", server), next)
    }

    /// Where the start of `server` is watched.
    pub(crate) fn spawn_pending(&self, server: &ServerId, next: Option<&LocalPath>) -> LocalPath {
        with_next(self.of_server("spawn-pending", server), next)
    }

    /// Where `server` is stopped, by `POST`; also ends a start.
    pub(crate) fn stop(&self, server: &ServerId) -> LocalPath {
        self.of_server("stop", server)
    }

    /// Where `server` is kept from being ended for want of use, by `POST`.
    pub(crate) fn extend(&self, server: &ServerId) -> LocalPath {
        self.of_server("extend", server)
    }

    /// The service itself, its start page.
    pub(crate) fn service(&self, name: &str) -> LocalPath {
        self.base.join("services").join(name).join("")
    }

    /// The server itself, its start page.
    pub(crate) fn server(&self, server: &ServerId) -> LocalPath {
        named(&self.base.join("user"), server).join("")
    }

    /// Where the one-time link with this secret logs in.
    pub(crate) fn login_link(&self, secret: &str) -> LocalPath {
        self.below_hub("login-link").join(secret)
    }

    /// The progress stream of `server`. The page adds `?_xsrf=`, because an event source cannot send
    /// headers.
    pub(crate) fn progress(&self, server: &ServerId) -> LocalPath {
        let user = self
            .below_hub("api")
            .join("users")
            .join(server.user.as_str());
        let server = if server.server.is_default() {
            user.join("server")
        } else {
            user.join("servers").join(server.server.as_str())
        };
        server.join("progress")
    }

    /// The admin page.
    pub(crate) fn admin(&self) -> LocalPath {
        self.below_hub("admin")
    }

    /// The audit log, for admins.
    pub(crate) fn admin_audit(&self) -> LocalPath {
        self.admin().join("audit")
    }

    /// The stream of what changes on the admin page.
    pub(crate) fn admin_events(&self) -> LocalPath {
        self.admin().join("events")
    }

    /// Where new users are made, by `POST`.
    pub(crate) fn admin_add(&self) -> LocalPath {
        self.admin().join("users")
    }

    /// The admin's page of `user`.
    pub(crate) fn admin_user(&self, user: &UserName) -> LocalPath {
        self.admin().join("user").join(user.as_str())
    }

    /// Where `user` is given another name, by `POST`.
    pub(crate) fn admin_rename(&self, user: &UserName) -> LocalPath {
        self.admin().join("rename").join(user.as_str())
    }

    /// Where `user` is put into a group, by `POST`.
    pub(crate) fn admin_join(&self, user: &UserName) -> LocalPath {
        self.admin().join("join").join(user.as_str())
    }

    /// The groups; by `POST` a new one is made there.
    pub(crate) fn admin_groups(&self) -> LocalPath {
        self.admin().join("groups")
    }

    /// The page of a group.
    pub(crate) fn admin_group(&self, group: &str) -> LocalPath {
        self.admin_groups().join(group)
    }

    /// Where members are added to a group, by `POST`.
    pub(crate) fn admin_group_add(&self, group: &str) -> LocalPath {
        self.admin_group(group).join("add")
    }

    /// Where members are taken out of a group, by `POST`.
    pub(crate) fn admin_group_take_out(&self, group: &str) -> LocalPath {
        self.admin_group(group).join("take-out")
    }

    /// Where a group is deleted: by `GET` the question, by `POST` the answer.
    pub(crate) fn admin_group_delete(&self, group: &str) -> LocalPath {
        self.admin_group(group).join("delete")
    }

    /// Where `user` is deleted: by `GET` the question, by `POST` the answer.
    pub(crate) fn admin_delete(&self, user: &UserName) -> LocalPath {
        self.admin().join("delete").join(user.as_str())
    }

    /// Where `user` is made an admin, or no longer one, by `POST`.
    pub(crate) fn admin_rights(&self, user: &UserName) -> LocalPath {
        self.admin().join("rights").join(user.as_str())
    }

    /// Where `server` is started from the admin page, by `POST`.
    pub(crate) fn admin_start(&self, server: &ServerId) -> LocalPath {
        named(&self.admin().join("start"), server)
    }

    /// Where somebody else's `server` is opened, by `POST`, so that its owner is told.
    pub(crate) fn admin_open(&self, server: &ServerId) -> LocalPath {
        named(&self.admin().join("open"), server)
    }

    /// Where a named server is made, by `POST`.
    pub(crate) fn new_server(&self) -> LocalPath {
        self.below_hub("new-server")
    }

    /// Where a named server is removed, by `POST`.
    pub(crate) fn remove(&self, server: &ServerId) -> LocalPath {
        self.of_server("remove", server)
    }

    fn of_server(&self, page: &str, server: &ServerId) -> LocalPath {
        named(&self.below_hub(page), server)
    }

    fn below_hub(&self, page: &str) -> LocalPath {
        self.base.join("hub").join(page)
    }
}

/// `path/NAME`, or `path/NAME/SERVER` for a named server.
fn named(path: &LocalPath, server: &ServerId) -> LocalPath {
    let path = path.join(server.user.as_str());
    if server.server.is_default() {
        path
    } else {
        path.join(server.server.as_str())
    }
}

fn with_next(path: LocalPath, next: Option<&LocalPath>) -> LocalPath {
    match next {
        Some(next) => path.with_query([("next", next.as_str())]),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::{ServerName, UserName};

    use super::*;

    fn links(base: &str) -> Links {
        Links::new(LocalPath::root(base).unwrap())
    }

    fn server(user: &str, name: &str) -> ServerId {
        ServerId::new(UserName::new(user).unwrap(), ServerName::new(name).unwrap())
    }

    #[test]
    fn addresses_are_jupyterhubs() {
        let links = links("/");
        let (mine, named) = (server("tee", ""), server("a+b@c", "proj"));
        let next = LocalPath::root("/hub/user/tee/").unwrap();
        for (path, expected) in [
            (links.base(), "/"),
            (links.hub(), "/hub/"),
            (links.home(), "/hub/home"),
            (links.tokens(), "/hub/token"),
            (links.admin_audit(), "/hub/admin/audit"),
            (links.revoke_token(), "/hub/token/revoke"),
            (links.login(None), "/hub/login"),
            (
                links.login(Some(&next)),
                "/hub/login?next=%2Fhub%2Fuser%2Ftee%2F",
            ),
            (
                links.oauth_login(Some(&next)),
                "/hub/oauth_login?next=%2Fhub%2Fuser%2Ftee%2F",
            ),
            (links.logout(), "/hub/logout"),
            (links.spawn(&mine, None), "/hub/spawn/tee"),
            (
                links.spawn(&named, Some(&next)),
                "/hub/spawn/a%2Bb@c/proj?next=%2Fhub%2Fuser%2Ftee%2F",
            ),
            (
                links.spawn_pending(&named, None),
                "/hub/spawn-pending/a%2Bb@c/proj",
            ),
            (links.stop(&mine), "/hub/stop/tee"),
            (links.extend(&named), "/hub/extend/a%2Bb@c/proj"),
            (links.service("a@b"), "/services/a@b/"),
            (links.login_link("a_B-1"), "/hub/login-link/a_B-1"),
            (links.server(&mine), "/user/tee/"),
            (links.server(&named), "/user/a%2Bb@c/proj/"),
            (links.progress(&mine), "/hub/api/users/tee/server/progress"),
            (
                links.progress(&named),
                "/hub/api/users/a%2Bb@c/servers/proj/progress",
            ),
        ] {
            assert_eq!(path.as_str(), expected);
            assert_eq!(LocalPath::parse(expected, "ours", "/"), Ok(path));
        }
    }

    #[test]
    fn everything_is_below_the_base_url() {
        let links = links("/a+b/");
        let named = server("tee", "proj");
        for (path, expected) in [
            (links.base(), "/a+b/"),
            (links.hub(), "/a+b/hub/"),
            (links.server(&named), "/a+b/user/tee/proj/"),
        ] {
            assert_eq!(path.as_str(), expected);
        }
        let prefix = spawner_core::service_prefix("/a+b/", &named);
        assert_eq!(links.server(&named).as_str(), prefix);
    }
}
