//! Schemas that are written as they will stand in the document.

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

/// A schema as JSON has it. utoipa's types do not know all that a schema can say, `not` for one.
pub(in crate::api) fn from_json(schema: Value) -> RefOr<Schema> {
    let Value::Object(keywords) = schema else {
        unreachable!("a schema is an object");
    };
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .extensions(Some(Extensions::from_iter(keywords)))
        .into()
}

/// The schema of what is always null.
pub(in crate::api) fn null() -> RefOr<Schema> {
    from_json(json!({ "type": "null" }))
}
