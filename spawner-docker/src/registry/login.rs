//! `[spawner.docker.registries."HOST"]`: what an admin configures for one registry.
//!
//! ```toml
//! [spawner.docker.registries."registry.example:5000"]
//! username = "hub"
//! password_file = "/etc/hubd/registry-password"   # or password = "..."
//!
//! [spawner.docker.registries."quay.io"]
//! identity_token = "..."
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use spawner_core::{Secret, SetupError};

/// What the hub logs in to one registry with.
#[derive(Debug, Clone)]
pub enum RegistryLogin {
    /// A user name and a password.
    Password {
        /// The account at the registry.
        username: String,
        /// Where its password is.
        password: PasswordSource,
    },
    /// What the registry gave in exchange for them.
    IdentityToken(Secret),
}

/// Where a password is.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// Here.
    Text(Secret),
    /// In this file, which is read at each pull; a newline at its end does not count.
    File(PathBuf),
}

/// The keys as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LoginTable {
    username: Option<String>,
    password: Option<SecretText>,
    password_file: Option<PathBuf>,
    identity_token: Option<SecretText>,
}

/// A secret that does not come up in an error either, as a number in its place would.
#[derive(Debug)]
struct SecretText(Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(Secret::new(text))),
            _ => Err(serde::de::Error::custom("write it as a text, in quotes")),
        }
    }
}

impl LoginTable {
    /// Reads the table of one registry, whose key is `key`.
    pub(crate) fn login(self, key: &str) -> Result<RegistryLogin, SetupError> {
        let wrong = |field: &str, message: &str| {
            Err(SetupError::key(
                format!("{key}.{field}"),
                message.to_owned(),
            ))
        };
        if let Some(SecretText(token)) = self.identity_token {
            if self.password.is_some() || self.password_file.is_some() || self.username.is_some() {
                return wrong(
                    "identity_token",
                    "it stands alone, without username and password",
                );
            }
            if token.expose().is_empty() {
                return wrong("identity_token", "it is empty");
            }
            return Ok(RegistryLogin::IdentityToken(token));
        }
        let password = match (self.password, self.password_file) {
            (Some(_), Some(_)) => {
                return wrong(
                    "password_file",
                    "there is a password already; keep one of the two",
                );
            }
            (Some(SecretText(password)), None) => PasswordSource::Text(password),
            (None, Some(path)) if path.is_absolute() => PasswordSource::File(path),
            (None, Some(_)) => return wrong("password_file", "write an absolute path"),
            (None, None) => {
                return wrong("password", "add password, password_file or identity_token");
            }
        };
        match self.username {
            Some(username) if !username.is_empty() => {
                Ok(RegistryLogin::Password { username, password })
            }
            _ => wrong("username", "a password needs a username"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(table: Value) -> Result<RegistryLogin, SetupError> {
        serde_json::from_value::<LoginTable>(table)
            .unwrap()
            .login("r")
    }

    #[test]
    fn three_ways_to_log_in() {
        for (table, shown) in [
            (
                json!({"username": "u", "password": "hunter2"}),
                "Secret(***)",
            ),
            (json!({"username": "u", "password_file": "/p"}), "\"/p\""),
            (json!({"identity_token": "hunter2"}), "IdentityToken"),
        ] {
            let login = format!("{:?}", read(table).unwrap());
            assert!(
                login.contains(shown) && !login.contains("hunter2"),
                "{login}"
            );
        }
    }

    #[test]
    fn errors_name_the_key_and_not_the_secret() {
        for (table, key) in [
            (json!({}), "r.password"),
            (json!({"username": "u"}), "r.password"),
            (json!({"password": "hunter2"}), "r.username"),
            (json!({"username": "", "password": "hunter2"}), "r.username"),
            (
                json!({"username": "u", "password": "hunter2", "password_file": "/p"}),
                "r.password_file",
            ),
            (
                json!({"username": "u", "password_file": "p"}),
                "r.password_file",
            ),
            (
                json!({"username": "u", "identity_token": "hunter2"}),
                "r.identity_token",
            ),
            (json!({"identity_token": ""}), "r.identity_token"),
        ] {
            let error = read(table.clone()).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{table}");
            assert!(!error.message.contains("hunter2"));
        }
        let number = json!({"username": "u", "password": 314_159});
        let error = serde_json::from_value::<LoginTable>(number)
            .unwrap_err()
            .to_string();
        assert!(!error.contains("314"), "{error}");
    }
}
