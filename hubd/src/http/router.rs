//! The hub's own routes below its base URL, and what every answer of the hub carries.

use std::borrow::Cow;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::{AppState, VERSION};
use crate::{api, pages};

/// The header by which clients learn what they talk to.
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-jupyterhub-version");
/// Keeps other sites from reading answers by way of an image or a script.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// Requests that take longer than this are worth a line in the log.
const SLOW: Duration = Duration::from_secs(15);

/// Everything that the hub answers itself.
pub(crate) fn router(app: AppState, pages: pages::PagesState) -> Router {
    let base = app.base_url.clone();
    let hub = format!("{base}hub");
    let api = format!("{hub}/api");
    let api_routes = api::router().with_state(app.clone());
    Router::new()
        .route(&format!("{hub}/health"), get(api::health))
        .route(&format!("{base}health"), get(api::health))
        .route(&format!("{api}/"), api::api_root())
        .route(&format!("{hub}/metrics"), get(api::metrics))
        .route(&format!("{base}metrics"), get(api::metrics))
        .fallback(outside)
        .with_state(app)
        .nest(
            &api,
            api_routes.merge(pages::authorize_routes(pages.clone())),
        )
        .nest(&format!("{hub}/"), pages::router(pages))
        .layer(middleware::from_fn(log))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
        .layer(fixed(VERSION_HEADER, VERSION))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
}

/// A header that every answer of the hub carries.
fn fixed(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

/// What is below the base URL and neither the hub's nor a running server's: a visitor goes on to
/// the hub's page about it, anything else ends here.
async fn outside(State(app): State<AppState>, method: Method, uri: Uri) -> Response {
    let Some(rest) = uri.path().strip_prefix(app.base_url.as_str()) else {
        // The base URL without its slash.
        return Redirect::permanent(&app.base_url).into_response();
    };
    if !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::FORBIDDEN.into_response();
    }
    if rest == "hub" {
        return Redirect::permanent(&format!("{}hub/", app.base_url)).into_response();
    }
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let target = format!("{}hub/{rest}{query}", app.base_url);
    match HeaderValue::from_str(&target) {
        Ok(target) => (StatusCode::FOUND, [(header::LOCATION, target)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// One line for each request at debug, and at info for those that failed or took long. The query is
/// left out: it can hold codes and tokens.
async fn log(request: Request, next: Next) -> Response {
    let began = tokio::time::Instant::now();
    let method = request.method().clone();
    let path = without_secret(request.uri().path()).into_owned();
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    if status >= 500 || took > SLOW {
        tracing::info!(%method, ?path, status, ?took, "request");
    } else {
        tracing::debug!(%method, ?path, status, ?took, "request");
    }
    response
}

/// A path as the log may show it. Whoever has a login link is let in, so what follows the link's
/// name is left out, wherever in the path that stands.
fn without_secret(path: &str) -> Cow<'_, str> {
    const LINK: &str = "/login-link/";
    match path.split_once(LINK) {
        Some((before, _)) => format!("{before}{LINK}***").into(),
        None => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_no_login_link() {
        for (path, shown) in [
            ("/hub/login-link/s3cret", "/hub/login-link/***"),
            ("/base/hub/login-link/s3cret/", "/base/hub/login-link/***"),
            ("/login-link/a/login-link/b", "/login-link/***"),
            ("/hub/login-link", "/hub/login-link"),
            ("/hub/login", "/hub/login"),
            ("/", "/"),
        ] {
            assert_eq!(without_secret(path), shown, "{path}");
        }
    }
}
