//! The answers that many operations share.
//!
//! Each type stands for what a part of every handler may answer, so that the description of an operation
//! lists the parts it is made of.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::raw::from_json;

/// What every answer that is not 2xx holds.
#[derive(Debug)]
pub(in crate::api) struct Error;

/// The caller is found out: not let in, or nobody can tell at the moment.
#[derive(Debug)]
pub(in crate::api) struct Asked;

/// A name in the path is looked up.
#[derive(Debug)]
pub(in crate::api) struct Named;

/// The query is read.
#[derive(Debug)]
pub(in crate::api) struct Queried;

/// A body is read.
#[derive(Debug)]
pub(in crate::api) struct Sent;

/// What was begun can be cancelled meanwhile.
#[derive(Debug)]
pub(in crate::api) struct Stopped;

/// There are too many of something at the moment.
#[derive(Debug)]
pub(in crate::api) struct Busy;

/// It can only be changed in the configuration.
#[derive(Debug)]
pub(in crate::api) struct Fixed;

/// Nobody asks, and still the books are needed.
#[derive(Debug)]
pub(in crate::api) struct Unsure;

/// Something is made whose name may be taken.
#[derive(Debug)]
pub(in crate::api) struct Made;

impl PartialSchema for Error {
    fn schema() -> RefOr<Schema> {
        let schema = json!({
            "type": "object",
            "description": "Why the request was not done.",
            "required": ["status", "message"],
            "additionalProperties": false,
            "properties": {
                "status": { "type": "integer", "description": "The status of the answer once more." },
                "message": { "type": "string", "description": "A sentence for whoever wrote the client." },
            },
        });
        from_json(schema)
    }
}

impl ToSchema for Error {}

impl IntoResponses for Asked {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[403, 500, 503])
    }
}

impl IntoResponses for Named {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[400, 404])
    }
}

impl IntoResponses for Queried {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[400])
    }
}

impl IntoResponses for Sent {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[400, 413])
    }
}

impl IntoResponses for Stopped {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[409])
    }
}

impl IntoResponses for Busy {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[429])
    }
}

impl IntoResponses for Fixed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[405])
    }
}

impl IntoResponses for Unsure {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[500, 503])
    }
}

impl IntoResponses for Made {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        of(&[409])
    }
}

/// The shared answers, by the name under which operations refer to them.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Response)> {
    TABLE.iter().map(|(status, name, description)| {
        let error = Ref::from_schema_name(Error::name());
        let content = ContentBuilder::new().schema(Some(error)).build();
        let answer = ResponseBuilder::new().description(*description);
        let answer = answer.content("application/json", content);
        let answer = if [429, 503].contains(status) {
            let seconds = json!({ "type": "integer", "minimum": 0 });
            let header = HeaderBuilder::new().schema(Some(from_json(seconds)));
            let words = "In how many seconds to ask again, where that is known.";
            answer.header("Retry-After", header.description(Some(words)).build())
        } else {
            answer
        };
        (*name, answer.build())
    })
}

const TABLE: &[(u16, &str, &str)] = &[
    (
        400,
        "BadRequest",
        "The request cannot be meant as it is; the message says why.",
    ),
    (
        403,
        "Forbidden",
        "No credentials, ones that are no good, or not the scope that this needs. There is no 401.",
    ),
    (
        404,
        "NotFound",
        "There is nothing of that name, or the caller's scopes do not reach it.",
    ),
    (
        405,
        "Fixed",
        "It is in the configuration, and can only be changed there.",
    ),
    (
        409,
        "Conflict",
        "Something of that name is there already, or the configuration has it.",
    ),
    (
        413,
        "TooLarge",
        "The body is longer than a mebibyte, or what it holds is longer than is kept.",
    ),
    (
        429,
        "Busy",
        "Too many of these at the moment; `Retry-After` says when to ask again, where that is known.",
    ),
    (
        500,
        "Failed",
        "A mistake in the hub, or a server that did not start or stop.",
    ),
    (
        503,
        "Unavailable",
        "The hub cannot tell or do this at the moment; the same request may pass later.",
    ),
];

fn of(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let rows = TABLE
        .iter()
        .filter(|(status, ..)| statuses.contains(status));
    rows.map(|(status, name, _)| (status.to_string(), Ref::from_response_name(*name).into()))
        .collect()
}
