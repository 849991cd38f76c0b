//! What makes a container ours: its labels.
//!
//! A name proves nothing, because anybody may give a container any name. So a container is looked
//! for, stopped and removed only by what `create` wrote on it: which hub (`hubd.instance`), whose
//! server (`hubd.user`, `hubd.server`), and for people which run (`hubd.launch`).

use std::collections::HashMap;

use spawner_core::{LaunchId, ServerId};

const INSTANCE: &str = "hubd.instance";
const USER: &str = "hubd.user";
const SERVER: &str = "hubd.server";
const LAUNCH: &str = "hubd.launch";

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

#[cfg(test)]
mod tests {
    use spawner_core::{ServerName, UserName};

    use super::*;

    fn identity(instance: &str, user: &str, server: &str) -> Identity {
        let (user, server) = (
            UserName::new(user).unwrap(),
            ServerName::new(server).unwrap(),
        );
        Identity::new(instance, &ServerId::new(user, server))
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
}
