//! Raw words to the engine: what an admin writes beside our own settings, merged last.
//!
//! ```text
//! extra_create       = { Hostname = "lab" }                    the body of the create request
//! extra_host_config  = { ShmSize = 1073741824 }                its HostConfig
//! ```
//!
//! Names are the API's own. Tables are merged key by key, everything else is replaced. This is the
//! one way to what is not offered otherwise (privileged containers, namespaces of the host), so it
//! stands in the configuration or in the code of whoever embeds the library, never in a user's
//! options. The labels by which containers are found cannot be changed.

use bollard::models::ContainerCreateBody;
use serde_json::{Map, Value};

use crate::image::ImageRef;

/// Raw settings of a container, in the words of the engine's API.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    create: Map<String, Value>,
    host_config: Map<String, Value>,
}

/// What one start has different from what is configured; see
/// [`DockerSpawner::start_with`](crate::DockerSpawner::start_with).
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The image, whatever is configured, allowed or chosen.
    pub image: Option<ImageRef>,
    /// Raw settings, merged over the configured ones.
    pub patch: Patch,
}

/// Why raw settings are none of the engine's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A name that the API does not have.
    #[error("the engine's API has no \"{0}\" there")]
    Unknown(String),
    /// A value that the API does not take.
    #[error("the engine's API does not take it: {0}")]
    Type(String),
}

impl Patch {
    /// Checks that the API has such settings: `create` for the body of the create request,
    /// `host_config` for the `HostConfig` in it.
    pub fn new(
        create: Map<String, Value>,
        host_config: Map<String, Value>,
    ) -> Result<Self, PatchError> {
        let patch = Self {
            create,
            host_config,
        };
        let asked = patch.whole();
        let body: ContainerCreateBody = serde_json::from_value(asked.clone())
            .map_err(|error| PatchError::Type(error.to_string()))?;
        // What is not known is passed over in silence when it is read.
        let read = serde_json::to_value(body).map_err(|e| PatchError::Type(e.to_string()))?;
        match unknown_name(&asked, &read) {
            Some(name) => Err(PatchError::Unknown(name)),
            None => Ok(patch),
        }
    }

    /// The body with these settings merged over its own.
    pub(crate) fn apply(
        &self,
        body: ContainerCreateBody,
    ) -> Result<ContainerCreateBody, serde_json::Error> {
        if self.create.is_empty() && self.host_config.is_empty() {
            return Ok(body);
        }
        let labels = body.labels.clone();
        let mut value = serde_json::to_value(body)?;
        merge(&mut value, self.whole());
        let mut body: ContainerCreateBody = serde_json::from_value(value)?;
        body.labels
            .get_or_insert_default()
            .extend(labels.unwrap_or_default());
        Ok(body)
    }

    fn whole(&self) -> Value {
        let mut whole = Value::Object(self.create.clone());
        if !self.host_config.is_empty() {
            let host_config = Value::Object(self.host_config.clone());
            merge(
                &mut whole,
                Value::Object(Map::from_iter([("HostConfig".to_owned(), host_config)])),
            );
        }
        whole
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// The first name in `asked` that is not in `read`, which is what was understood of it.
pub(crate) fn unknown_name(asked: &Value, read: &Value) -> Option<String> {
    let asked = asked.as_object()?;
    asked.iter().find_map(|(key, value)| match read.get(key) {
        None if value.is_null() => None,
        None => Some(key.clone()),
        Some(read) => unknown_name(value, read),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(value: Value) -> Map<String, Value> {
        let Value::Object(table) = value else {
            panic!("not a table")
        };
        table
    }

    fn patch(create: Value, host: Value) -> Result<Patch, PatchError> {
        Patch::new(table(create), table(host))
    }

    #[test]
    fn tables_are_merged_and_the_rest_is_replaced() {
        let body = json!({
            "Image": "lab", "Labels": {"hubd.user": "tee"},
            "HostConfig": {"Init": true, "CapAdd": ["CHOWN"], "Memory": 5},
        });
        let patch = patch(
            json!({"Hostname": "h", "Labels": {"hubd.user": "x", "own": "1"},
                   "HostConfig": {"Memory": 6}}),
            json!({"CapAdd": ["KILL"], "Memory": 7}),
        );
        let body = patch.unwrap().apply(serde_json::from_value(body).unwrap());
        let body = serde_json::to_value(body.unwrap()).unwrap();
        assert_eq!(body["Hostname"], "h");
        assert_eq!(body["Labels"], json!({"hubd.user": "tee", "own": "1"}));
        let expected = json!({"Init": true, "CapAdd": ["KILL"], "Memory": 7});
        assert_eq!(body["HostConfig"], expected);
    }

    #[test]
    fn what_the_api_does_not_have_is_refused() {
        for (create, host, expected) in [
            (json!({"hostname": "x"}), json!({}), "hostname"),
            (json!({}), json!({"shm_size": 1}), "shm_size"),
            (json!({"HostConfig": {"Mem": 1}}), json!({}), "Mem"),
        ] {
            let error = patch(create, host).unwrap_err();
            assert_eq!(error, PatchError::Unknown(expected.to_owned()));
        }
        for (create, host) in [
            (json!({"Hostname": 5}), json!({})),
            (json!({}), json!({"Memory": "1G"})),
        ] {
            assert!(matches!(patch(create, host), Err(PatchError::Type(_))));
        }
        assert!(patch(json!({}), json!({"Privileged": true, "PidMode": "host"})).is_ok());
    }
}
