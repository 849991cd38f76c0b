//! Long lists, a page at a time.
//!
//! A client that sends `Accept: application/jupyterhub-pagination+json` gets
//! `{"items": [...], "_pagination": {...}}`; all others get the bare list, cut at the most that one
//! reply holds.

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::request::Parts;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::openapi::from_json;
use super::query::Query;
use crate::app::client_of;
use crate::proxy::Scheme;

const PAGINATION: &str = "application/jupyterhub-pagination+json";
/// How many entries a page has by default.
const LIMIT: usize = 50;
/// How many entries a reply has at most.
const LIMIT_MAX: usize = 200;

/// Which part of a list is asked for, and in which form.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
    /// Where the next page is asked for, without its query; `None` for a bare list.
    next: Option<String>,
    query: Query,
}

/// The query of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Page` reads")]
pub(super) struct PageQuery {
    #[param(schema_with = offset)]
    offset: Option<i64>,
    #[param(schema_with = limit)]
    limit: Option<i64>,
}

/// However large; what is beyond the end is empty.
fn offset() -> RefOr<Schema> {
    from_json(json!({
        "description": "How many entries to leave out at the beginning.",
        "type": "integer",
        "minimum": 0,
        "default": 0,
    }))
}

fn limit() -> RefOr<Schema> {
    let description = format!(
        "How many entries to show: {LIMIT} in pages and {LIMIT_MAX} otherwise, if it is left out. Less than 1 \
         counts as 1, more than {LIMIT_MAX} as {LIMIT_MAX}."
    );
    from_json(json!({ "description": description, "type": "integer" }))
}

#[derive(Serialize)]
struct Items<T> {
    items: T,
    #[serde(rename = "_pagination")]
    pagination: Pagination,
}

/// Which page it is, of how many entries.
#[derive(Serialize, ToSchema)]
pub(super) struct Pagination {
    offset: usize,
    limit: usize,
    total: usize,
    /// Null on the last page.
    #[schema(required)]
    next: Option<Next>,
}

/// Where the next page is.
#[derive(Serialize, ToSchema)]
#[schema(as = NextPage)]
struct Next {
    offset: usize,
    limit: usize,
    url: String,
}

impl Page {
    /// What else the query says.
    pub(super) fn query(&self) -> &Query {
        &self.query
    }

    /// The answer with this page, a list or an object, of `total` entries.
    pub(super) fn reply(self, items: impl Serialize, total: usize) -> Response {
        let Some(url) = self.next else {
            return Json(items).into_response();
        };
        let (offset, limit) = (self.offset, self.limit);
        let after = offset.saturating_add(limit);
        let next = (after < total).then(|| {
            let fields = [("offset", after.to_string()), ("limit", limit.to_string())];
            Next {
                offset: after,
                limit,
                url: format!("{url}?{}", self.query.with(&fields)),
            }
        });
        let pagination = Pagination {
            offset,
            limit,
            total,
            next,
        };
        Json(Items { items, pagination }).into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await?;
        let paginated = wants_pagination(parts);
        let offset = query.number("offset")?.unwrap_or(0);
        let offset = usize::try_from(offset)
            .map_err(|_| ApiError::bad_request("offset must not be negative."))?;
        let limit = match query.number("limit")? {
            None if paginated => LIMIT,
            None => LIMIT_MAX,
            // Negative is less than one.
            Some(limit) => usize::try_from(limit).unwrap_or(0).clamp(1, LIMIT_MAX),
        };
        Ok(Self {
            offset,
            limit,
            next: paginated.then(|| address(parts)),
            query,
        })
    }
}

fn wants_pagination(parts: &Parts) -> bool {
    let accepted = parts.headers.get_all(ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|kind| kind.trim().eq_ignore_ascii_case(PAGINATION))
}

/// The address of the request as its client knows it, without the query.
fn address(parts: &Parts) -> String {
    let original = parts.extensions.get::<OriginalUri>();
    let path = original.map_or(&parts.uri, |uri| &uri.0).path();
    let client = client_of(parts);
    if client.host.is_empty() {
        return path.to_owned();
    }
    let scheme = match client.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}{path}", client.host)
}
