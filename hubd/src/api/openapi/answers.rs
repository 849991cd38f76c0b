//! The answers that many operations share.
//!
//! Each type stands for what a part of every handler may answer, so that the description of an operation
//! lists the parts it is made of.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema as _};

use super::raw::from_json;
use crate::api::error::ErrorBody;

/// Makes types that stand for answers with some of the statuses of [`TABLE`].
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident [$($status:literal),+])+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(in crate::api) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                of(&[$($status),+])
            }
        }
    )+};
}

answers! {
    /// The caller is found out: not let in, or nobody can tell at the moment.
    Asked [403, 500, 503]
    /// Nobody asks, and still the books are needed.
    Unsure [500, 503]
    /// A name in the path is looked up.
    Named [400, 404]
    /// The query is read.
    Queried [400]
    /// A body is read.
    Sent [400, 413]
    /// Something is made whose name may be taken.
    Made [409]
    /// What was begun can be cancelled meanwhile.
    Stopped [409]
    /// There may be too many of something.
    Busy [429]
    /// It can only be changed in the configuration.
    Fixed [405]
}

/// The shared answers, by the name under which operations refer to them.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Response)> {
    TABLE.iter().map(|(status, name, description)| {
        let error = Ref::from_schema_name(ErrorBody::name());
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
