//! `{api}/openapi.json`: the description, for everybody.

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::description;
use crate::api::error::ApiError;
use crate::app::AppState;

/// The text, once it has been asked for: who asks need not have shown who they are.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct Text(Arc<OnceLock<Bytes>>);

/// This description
///
/// `hubd openapi` prints the same.
#[utoipa::path(
    get, path = "/openapi.json", tag = "hub", operation_id = "get_openapi", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)),
)]
pub(in crate::api) async fn get(
    State(app): State<AppState>,
    Extension(Text(kept)): Extension<Text>,
) -> Result<Response, ApiError> {
    let text = if let Some(text) = kept.get() {
        text.clone()
    } else {
        let text = description(&app.base_url).map_err(|error| ApiError::internal(&error))?;
        kept.get_or_init(|| text.into()).clone()
    };
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}
