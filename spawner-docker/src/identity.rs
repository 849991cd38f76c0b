//! What makes a container ours: its labels.
//!
//! A name proves nothing, because anybody may give a container any name. So a container is looked
//! for, stopped and removed only by what `create` wrote on it: which hub (`hubd.instance`), whose
//! server (`hubd.user`, `hubd.server`), which run it was made for (`hubd.launch`), and from what
//! (`hubd.config`, a hash).

use std::collections::HashMap;

use spawner_core::{LaunchId, ServerId, ServerName, UserName};

pub(crate) const INSTANCE: &str = "hubd.instance";
const USER: &str = "hubd.user";
const SERVER: &str = "hubd.server";
const LAUNCH: &str = "hubd.launch";
/// What of a container's description has to be the same for it to be used again.
pub(crate) const CONFIG: &str = "hubd.config";

/// Labels of a container, as the engine gives them.
pub(crate) type Labels = HashMap<String, String>;

/// Which server of which hub.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    labels: [(&'static str, String); 3],
}

impl Identity {
    pub(crate) fn new(instance: &str, server: &ServerId) -> Self {
        Self {
            labels: [
                (INSTANCE, instance.to_owned()),
                (USER, server.user.to_string()),
                (SERVER, server.server.to_string()),
            ],
        }
    }

    /// The labels of a container of this server.
    pub(crate) fn labels(&self, launch: &LaunchId) -> Labels {
        let ours = self.labels.iter().map(|(key, value)| (*key, value.clone()));
        ours.chain([(LAUNCH, launch.to_string())])
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    /// The engine's filter for containers of this server.
    pub(crate) fn filter(&self) -> HashMap<String, Vec<String>> {
        let equal = |(key, value): &(&str, String)| format!("{key}={value}");
        HashMap::from([("label".to_owned(), self.labels.iter().map(equal).collect())])
    }

    /// Whether a container with these labels belongs to this server. Asked of everything that the
    /// engine found as well, since engines differ in how they read a filter with an empty value.
    pub(crate) fn owns(&self, labels: Option<&Labels>) -> bool {
        labels.is_some_and(|labels| {
            self.labels
                .iter()
                .all(|(key, value)| labels.get(*key) == Some(value))
        })
    }
}

/// The engine's filter for everything of one hub.
pub(crate) fn filter_of(instance: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{INSTANCE}={instance}")])])
}

/// The run that a container was made for.
pub(crate) fn launch_of(labels: &Labels) -> Option<LaunchId> {
    LaunchId::new(labels.get(LAUNCH)?).ok()
}

/// The server that a container was made for.
pub(crate) fn server_of(labels: &Labels) -> Option<ServerId> {
    let user = UserName::new(labels.get(USER)?).ok()?;
    let server = ServerName::new(labels.get(SERVER)?).ok()?;
    Some(ServerId::new(user, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(user: &str, server: &str) -> ServerId {
        let (user, server) = (
            UserName::new(user).unwrap(),
            ServerName::new(server).unwrap(),
        );
        ServerId::new(user, server)
    }

    fn identity(instance: &str, user: &str, named: &str) -> Identity {
        Identity::new(instance, &server(user, named))
    }

    #[test]
    fn ours_is_hub_user_and_server() {
        let ours = identity("one", "alice", "");
        let labels = ours.labels(&LaunchId::random());
        assert!(ours.owns(Some(&labels)));
        assert!(!ours.owns(None));
        assert!(!ours.owns(Some(&Labels::new())));
        for other in [
            identity("two", "alice", ""),
            identity("one", "bob", ""),
            identity("one", "alice", "proj"),
        ] {
            assert!(!other.owns(Some(&labels)), "{other:?}");
        }
    }

    #[test]
    fn labels_are_read_back() {
        for (user, named) in [("alice", ""), ("a_b@x.org", "proj")] {
            let launch = LaunchId::random();
            let labels = identity("one", user, named).labels(&launch);
            assert_eq!(server_of(&labels), Some(server(user, named)));
            assert_eq!(launch_of(&labels), Some(launch));
        }
        assert_eq!(server_of(&Labels::new()), None);
        assert_eq!(launch_of(&Labels::new()), None);
    }
}
