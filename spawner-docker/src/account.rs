//! Containers of system users (JupyterHub's SystemUserSpawner): the server runs with the number of
//! the user's account on the host, in the user's own home.
//!
//! ```text
//! [spawner.docker.system_user]
//! host_home = "/srv/homes/{username}"      absent: the home of the account
//! image_home = "/home/{username}"          where it is in the container
//! ```
//!
//! The account is looked up at each start, by the user's name as it is. One that does not exist is
//! refused, and so is root.

use std::collections::BTreeMap;
use std::path::Path;

use bollard::models::{ContainerCreateBody, Mount, MountType};
use nix::unistd::User;
use spawner_core::{Env, ServerId, SpawnError, SpawnErrorKind};

use crate::template::Template;
use crate::volume::is_path;

/// That servers run as accounts of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUser {
    host_home: Option<Template>,
    image_home: Template,
}

/// Why homes cannot be there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no home: write an absolute path below /, with {{username}} in it if you like")]
pub struct HomeError(String);

/// The account of one user, as a container needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    host_home: String,
    image_home: String,
}

impl SystemUser {
    /// Homes by template; without `host_home` it is the home of the account.
    pub fn new(host_home: Option<&str>, image_home: &str) -> Result<Self, HomeError> {
        let home = |text: &str| {
            let refused = || HomeError(text.to_owned());
            let template = Template::new(text).map_err(|_| refused())?;
            if is_path(&template.fill("a", "a")) {
                Ok(template)
            } else {
                Err(refused())
            }
        };
        Ok(Self {
            host_home: host_home.map(home).transpose()?,
            image_home: home(image_home)?,
        })
    }

    /// Looks the user up. A directory service can take its time, on a thread of its own.
    pub(crate) async fn look_up(&self, server: &ServerId) -> Result<Account, SpawnError> {
        let name = server.user.to_string();
        let asked = name.clone();
        let found = tokio::task::spawn_blocking(move || User::from_name(&asked)).await;
        let failed = "The user's account could not be looked up.";
        let found = found
            .map_err(|error| SpawnError::other(failed).with_source(error))?
            .map_err(|error| SpawnError::other(failed).with_source(error))?;
        let Some(found) = found else {
            let message = format!("There is no account \"{name}\" on this host.");
            return Err(SpawnError::new(SpawnErrorKind::NotFound, message));
        };
        self.account(server, &found)
    }

    fn account(&self, server: &ServerId, found: &User) -> Result<Account, SpawnError> {
        let refused = |message: String| Err(SpawnError::new(SpawnErrorKind::Refused, message));
        let name = found.name.clone();
        if found.uid.is_root() || found.gid.as_raw() == 0 {
            return refused(format!(
                "The account \"{name}\" is root's, which runs no servers."
            ));
        }
        // An escaped name is not what the folder of an account is called.
        if name.contains('/') || matches!(name.as_str(), "" | "." | "..") {
            return refused(format!("\"{name}\" cannot be the name of a home."));
        }
        let servername = server.server.as_str();
        let host_home = match &self.host_home {
            Some(template) => template.fill(&name, servername),
            None => found.dir.display().to_string(),
        };
        if !is_path(&host_home) || !Path::new(&host_home).is_absolute() {
            return refused(format!(
                "The account \"{name}\" has no home that a container can have."
            ));
        }
        Ok(Account {
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
            host_home,
            image_home: self.image_home.fill(&name, servername),
            name,
        })
    }
}

impl Default for SystemUser {
    /// JupyterHub's: the account's home as `/home/{username}`.
    fn default() -> Self {
        Self {
            host_home: None,
            image_home: Template::new("/home/{username}").expect("a template"),
        }
    }
}

impl Account {
    /// Adds what tells images of the Jupyter project, and older ones, who their user is. What
    /// configuration sets stays.
    pub(crate) fn add_env(&self, env: &mut Env) {
        let (uid, gid) = (self.uid.to_string(), self.gid.to_string());
        let variables = BTreeMap::from([
            ("USER", &self.name),
            ("NB_USER", &self.name),
            ("USER_ID", &uid),
            ("NB_UID", &uid),
            ("NB_GID", &gid),
            ("HOME", &self.image_home),
        ]);
        for (name, value) in variables {
            if env.get(name).is_none() {
                env.set(name, value);
            }
        }
    }

    /// Makes a container run as the account, in its home.
    pub(crate) fn apply(&self, body: &mut ContainerCreateBody) {
        body.user = Some(format!("{}:{}", self.uid, self.gid));
        body.working_dir = Some(self.image_home.clone());
        let home = Mount {
            typ: Some(MountType::BIND),
            source: Some(self.host_home.clone()),
            target: Some(self.image_home.clone()),
            read_only: Some(false),
            ..Mount::default()
        };
        let host_config = body.host_config.get_or_insert_default();
        host_config.mounts.get_or_insert_default().push(home);
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Gid, Uid};
    use spawner_core::UserName;

    use super::*;

    fn found(name: &str, uid: u32, gid: u32, home: &str) -> User {
        let mut user = User::from_uid(Uid::from_raw(0)).unwrap().unwrap();
        name.clone_into(&mut user.name);
        (user.uid, user.gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        user.dir = home.into();
        user
    }

    fn tee() -> ServerId {
        ServerId::default_of(UserName::new("tee").unwrap())
    }

    #[test]
    fn an_account_becomes_a_container() {
        let mode = SystemUser::default();
        let account = mode.account(&tee(), &found("tee", 1001, 1002, "/home/t"));
        let account = account.unwrap();
        let mut body = ContainerCreateBody::default();
        account.apply(&mut body);
        assert_eq!(body.user.as_deref(), Some("1001:1002"));
        assert_eq!(body.working_dir.as_deref(), Some("/home/tee"));
        let mounts = body.host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts[0].source.as_deref(), Some("/home/t"));
        let mut env = Env::default();
        env.set("HOME", "/chosen");
        account.add_env(&mut env);
        assert_eq!(env.get("NB_UID"), Some("1001"));
        assert_eq!(env.get("NB_GID"), Some("1002"));
        assert_eq!(env.get("NB_USER"), Some("tee"));
        assert_eq!(env.get("HOME"), Some("/chosen"));
    }

    #[test]
    fn root_and_odd_homes_are_refused() {
        let mode = SystemUser::default();
        for account in [
            found("tee", 0, 1000, "/home/tee"),
            found("tee", 1000, 0, "/home/tee"),
            found("tee", 1000, 1000, "/"),
            found("tee", 1000, 1000, ""),
            found("tee", 1000, 1000, "/home/../etc"),
            found("..", 1000, 1000, "/home/tee"),
            found("a/b", 1000, 1000, "/home/tee"),
        ] {
            let error = mode.account(&tee(), &account).unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::Refused, "{account:?}");
        }
    }

    #[tokio::test]
    async fn nobody_is_not_invented() {
        let name = UserName::new("hubd-no-such-account").unwrap();
        let server = ServerId::default_of(name);
        let error = SystemUser::default().look_up(&server).await.unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::NotFound);
    }

    #[test]
    fn homes_are_paths() {
        for home in ["", "/", "home/{username}", "/home/{user}", "/home/../x"] {
            assert!(SystemUser::new(Some(home), "/home/x").is_err(), "{home}");
            assert!(SystemUser::new(None, home).is_err(), "{home}");
        }
    }
}
