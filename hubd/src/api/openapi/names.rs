//! Names as paths and bodies hold them: the rules of [`spawner_core::UserName`] and its like, as patterns.

use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::raw::from_json;

/// Makes a type that stands for texts of one shape in the description.
macro_rules! text {
    ($name:ident, $max:literal, $pattern:literal, $description:literal) => {
        #[doc = $description]
        #[derive(Debug)]
        pub(in crate::api) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                from_json(json!({
                    "type": "string",
                    "description": $description,
                    "pattern": $pattern,
                    "maxLength": $max,
                }))
            }
        }

        impl ToSchema for $name {}
    };
}

text!(
    UserName,
    255,
    "^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$",
    "The name of a user. Upper case is folded to lower."
);
text!(
    ServerName,
    30,
    "^[a-z](-?[a-z0-9])*$",
    "The name of a named server: a letter, then letters, digits and single hyphens."
);
text!(
    GroupName,
    255,
    "^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$",
    "The name of a group."
);
text!(
    DisplayName,
    255,
    r"^(?!\s)(?!.*\s$)(?!.*  )[^\u0000-\u001f\u007f-\u009f]*$",
    "What a server is called on pages: printable, without spaces at its ends or two in a row."
);

/// The user in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the segments themselves")]
pub(in crate::api) struct OfUser {
    /// The name of the user.
    #[param(value_type = UserName, inline)]
    user: String,
}

/// A token of the user in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the segments themselves")]
pub(in crate::api) struct OfToken {
    /// The name of the user.
    #[param(value_type = UserName, inline)]
    user: String,
    /// The `id` of the token.
    #[param(pattern = "^[A-Za-z0-9]+$")]
    token: String,
}

/// The group in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the segments themselves")]
pub(in crate::api) struct OfGroup {
    /// The name of the group.
    #[param(value_type = GroupName, inline)]
    group: String,
}

/// The service in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the segments themselves")]
pub(in crate::api) struct OfService {
    /// The name of the service.
    #[param(value_type = GroupName, inline)]
    service: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::config::check_name;

    fn matches<T: PartialSchema>(text: &str) -> bool {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let pattern = Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
        let max = schema["maxLength"].as_u64().unwrap();
        pattern.is_match(text) && text.chars().count() as u64 <= max
    }

    proptest! {
        /// The patterns take what the types take.
        #[test]
        fn patterns_are_the_rules(text in "[a-zA-Z0-9_.@+\\- é/]{0,32}|[a-z][a-z0-9-]{0,31}|[a-z]{250,260}") {
            let user = spawner_core::UserName::new(&text).is_ok();
            prop_assert_eq!(matches::<UserName>(&text), user, "user {}", text);
            prop_assert_eq!(matches::<GroupName>(&text), check_name(&text).is_ok(), "group {}", text);
            // The default server, whose name is empty, has paths of its own.
            let server = !text.is_empty() && spawner_core::ServerName::new(&text).is_ok();
            prop_assert_eq!(matches::<ServerName>(&text), server, "server {}", text);
        }
    }
}
