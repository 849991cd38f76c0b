//! The body of a start: options, and what the server is called.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value, json};
use spawner_core::UserOptions;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::error::ApiError;
use super::openapi::{DisplayName, from_json};
use crate::servers::{DISPLAY_NAME_MAX, is_display_name};

/// The most bytes of options that are taken, as JSON. They are kept with the server, so a body of
/// the longest kind must not grow beyond what the store keeps when it is written out again.
const OPTIONS_MAX: usize = 256 * 1024;

/// What a start is asked for with.
#[derive(Debug, Default, PartialEq)]
pub(super) struct StartBody {
    /// `None` means those of the last start.
    pub(super) options: Option<UserOptions>,
    /// `None` means that it stays.
    pub(super) display_name: Option<String>,
}

impl PartialSchema for StartBody {
    fn schema() -> RefOr<Schema> {
        let named = ["user_options", "display_name"];
        from_json(json!({
            "description": "An object of nothing but `user_options` and `display_name` says what each is; any \
                other is the options themselves.",
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "user_options": { "type": ["object", "null"] },
                        "display_name": { "anyOf": [DisplayName::schema(), { "type": "null" }] },
                    },
                },
                { "type": "object", "not": { "propertyNames": { "enum": named } } },
            ],
        }))
    }
}

impl ToSchema for StartBody {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Start")
    }
}

impl StartBody {
    /// An object of nothing but `user_options` and `display_name` says what each is; any other is
    /// the options themselves.
    pub(super) fn read(mut object: Map<String, Value>) -> Result<Self, ApiError> {
        let named = |key: &String| key == "user_options" || key == "display_name";
        if object.is_empty() || !object.keys().all(named) {
            return Ok(Self {
                options: Some(options(object)?),
                display_name: None,
            });
        }
        let given = match object.remove("user_options") {
            None | Some(Value::Null) => None,
            Some(Value::Object(given)) => Some(options(given)?),
            Some(_) => {
                let message = "user_options must be a JSON object.";
                return Err(ApiError::bad_request(message));
            }
        };
        let display_name = match object.remove("display_name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(display_name(name)?),
            Some(_) => return Err(no_display_name()),
        };
        Ok(Self {
            options: given,
            display_name,
        })
    }
}

/// What a server can be called.
pub(super) fn display_name(name: String) -> Result<String, ApiError> {
    if is_display_name(&name) {
        Ok(name)
    } else {
        Err(no_display_name())
    }
}

/// Options that are not too long to be kept.
pub(super) fn options(object: Map<String, Value>) -> Result<UserOptions, ApiError> {
    let options = UserOptions(object);
    let written = serde_json::to_vec(&options).map_err(|error| ApiError::internal(&error))?;
    if written.len() > OPTIONS_MAX {
        let message = format!("The options are longer than {OPTIONS_MAX} bytes.");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(options)
}

fn no_display_name() -> ApiError {
    ApiError::bad_request(format!(
        "display_name must be a text of at most {DISPLAY_NAME_MAX} printable characters, without \
         spaces at its ends or two in a row."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::testing::Hub;

    const PATH: &str = "/users/alice/server";

    #[tokio::test]
    async fn bodies_of_a_start() {
        let hub = Hub::new().await;
        for (body, options) in [
            (
                json!({"user_options": {"a": 1}, "display_name": ""}),
                json!({"a": 1}),
            ),
            (json!(null), json!({"a": 1})),
            (json!({"user_options": null}), json!({"a": 1})),
            (
                json!({"b": [2, {"c": 1e300}]}),
                json!({"b": [2, {"c": 1e300}]}),
            ),
            (
                json!({"user_options": {"a": 1}, "c": 3}),
                json!({"user_options": {"a": 1}, "c": 3}),
            ),
            (
                json!({"user_options": {"{username}": "$(id)"}}),
                json!({"{username}": "$(id)"}),
            ),
            (json!({}), json!({})),
        ] {
            let reply = hub.post(PATH).user("alice").json(&body).send().await;
            assert_eq!(
                reply.status,
                StatusCode::CREATED,
                "{body}: {}",
                reply.message()
            );
            assert_eq!(hub.world.options(), options, "{body}");
            hub.delete(PATH).user("alice").send().await;
        }
        let long = json!({"user_options": {"a": "x".repeat(300_000)}});
        for (body, status, words) in [
            (json!([]), 400, "JSON object"),
            (json!("x"), 400, "JSON object"),
            (json!({"user_options": []}), 400, "user_options"),
            (json!({"display_name": 1}), 400, "display_name"),
            (json!({"display_name": " x"}), 400, "display_name"),
            (json!({"display_name": "a  b"}), 400, "display_name"),
            (json!({"display_name": "a\u{7}"}), 400, "display_name"),
            (
                json!({"display_name": "x".repeat(256)}),
                400,
                "display_name",
            ),
            (json!({"size": "huge"}), 400, "There is no such size."),
            (long, 413, "longer than"),
        ] {
            let reply = hub.post(PATH).user("alice").json(&body).send().await;
            assert_eq!(reply.status.as_u16(), status, "{body}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        assert!(!hub.world.is_alive());
    }
}
