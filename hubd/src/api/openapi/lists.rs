//! Lists, in the form that was asked for: [`Page::reply`](crate::api::page::Page::reply).

use std::borrow::Cow;
use std::marker::PhantomData;

use serde_json::{Value, json};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::raw::from_json;
use crate::api::page::Pagination;

type Schemas = Vec<(String, RefOr<Schema>)>;

/// A page of things, or a bare list of them.
#[derive(Debug)]
pub(in crate::api) struct ListOf<T>(PhantomData<T>);

/// A page of things by name, or nothing but them.
#[derive(Debug)]
pub(in crate::api) struct MapOf<T>(PhantomData<T>);

impl<T: ToSchema> PartialSchema for ListOf<T> {
    fn schema() -> RefOr<Schema> {
        either(&json!({ "type": "array", "items": reference::<T>() }))
    }
}

impl<T: ToSchema> ToSchema for ListOf<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Schemas) {
        add::<T>(schemas);
        add::<Pagination>(schemas);
    }
}

impl<T: ToSchema> PartialSchema for MapOf<T> {
    fn schema() -> RefOr<Schema> {
        either(&json!({ "type": "object", "additionalProperties": reference::<T>() }))
    }
}

impl<T: ToSchema> ToSchema for MapOf<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Map", T::name()).into()
    }

    fn schemas(schemas: &mut Schemas) {
        add::<T>(schemas);
        add::<Pagination>(schemas);
    }
}

fn either(items: &Value) -> RefOr<Schema> {
    from_json(json!({
        "oneOf": [
            items,
            {
                "type": "object",
                "required": ["items", "_pagination"],
                "properties": { "items": items, "_pagination": reference::<Pagination>() },
            },
        ],
    }))
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// Puts a schema, and those that it refers to, among those of the document.
fn add<T: ToSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
