//! The paths of the API.

use axum::routing::{MethodRouter, any, get};
use axum::{Extension, Router};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::{
    activity, block, group, groups, info, me, oauth_token, openapi, progress, proxy_routes, root,
    server, server_change, services, shares, shutdown, signups, tokens, user, user_change, users,
};
use crate::app::AppState;

/// The API, to be nested at `{base}hub/api`, where it answers everything below, unknown paths
/// included.
///
/// Two paths are left to whoever nests it: `{base}hub/api/`, which nesting does not reach and which
/// is [`api_root`] as well, and `oauth2/authorize`, which is a page.
pub(crate) fn router() -> Router<AppState> {
    let (router, _) = described().split_for_parts();
    let refused = shares::PATHS.iter();
    refused
        .fold(router, |router, path| router.route(path, any(shares::none)))
        .layer(Extension(openapi::served::Text::default()))
        .method_not_allowed_fallback(wrong_method)
        .fallback(elsewhere)
}

/// All that the API does, each route with its description.
pub(super) fn described() -> OpenApiRouter<AppState> {
    let named_server = || {
        routes!(
            server::get,
            server::start,
            server::stop,
            server_change::make,
            server_change::change,
        )
    };
    let progress = || routes!(progress::get);
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(root::version))
        .routes(routes!(openapi::served::get))
        .routes(routes!(root::health))
        .routes(routes!(info::get))
        .routes(routes!(
            proxy_routes::get,
            proxy_routes::resync,
            proxy_routes::replace
        ))
        .routes(routes!(shutdown::post))
        .routes(routes!(root::metrics))
        .routes(routes!(me::get))
        .routes(routes!(users::list, users::create))
        .routes(routes!(
            user::get,
            user::create,
            user_change::patch,
            user::delete
        ))
        .routes(routes!(block::get, block::put, block::delete))
        .routes(routes!(signups::list))
        .routes(routes!(signups::approve, signups::decline))
        .routes(routes!(activity::post))
        .routes(named_server())
        .routes(openapi::of_default_server(named_server()))
        .routes(progress())
        .routes(openapi::of_default_server(progress()))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::get, tokens::revoke))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(group::get, group::create, group::delete))
        .routes(routes!(group::add, group::take_out))
        .routes(routes!(group::set_properties))
        .routes(routes!(services::list))
        .routes(routes!(services::get, services::create, services::delete))
        .routes(routes!(oauth_token::post))
}

/// The root of the API, in both spellings.
pub(crate) fn api_root() -> MethodRouter<AppState> {
    get(root::version).fallback(wrong_method)
}

async fn elsewhere() -> ApiError {
    let message = "There is nothing at this path of the API.";
    ApiError::new(StatusCode::NOT_FOUND, message)
}

async fn wrong_method() -> ApiError {
    let message = "This path does not know that method.";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::testing::Hub;

    #[tokio::test]
    async fn unknown_paths_and_methods_are_json() {
        let hub = Hub::new().await;
        for (method, path, status, allow) in [
            ("GET", "/nothing", 404, None),
            ("GET", "/users/", 404, None),
            ("GET", "/users//server", 404, None),
            ("GET", "//", 404, None),
            ("GET", "/users/alice/servers", 404, None),
            ("GET", "/users/alice/../bob", 404, None),
            ("DELETE", "", 405, Some("GET,HEAD")),
            ("DELETE", "/", 405, Some("GET,HEAD")),
            ("PUT", "/users", 405, Some("GET,HEAD,POST")),
            (
                "PUT",
                "/users/alice",
                405,
                Some("GET,HEAD,POST,PATCH,DELETE"),
            ),
            ("DELETE", "/groups", 405, Some("GET,HEAD,POST")),
            ("GET", "/groups/x/properties", 405, Some("PUT")),
            ("GET", "/shutdown", 405, Some("POST")),
            ("GET", "/users/alice/activity", 405, Some("POST")),
            ("BREW", "/user", 405, Some("GET,HEAD")),
        ] {
            let reply = hub.request(method, path).admin().send().await;
            assert_eq!(reply.status.as_u16(), status, "{method} {path}");
            assert_eq!(reply.json["status"], status, "{method} {path}");
            assert!(!reply.message().is_empty());
            assert_eq!(reply.header("allow"), allow, "{method} {path}");
        }
        let page = hub.get("/oauth2/authorize").send().await;
        assert_eq!(
            page.status,
            StatusCode::NOT_FOUND,
            "it is mounted by others"
        );
    }

    /// Every route with odd names and odd bodies: each is refused or done, and none is our fault.
    #[tokio::test]
    async fn no_input_is_a_5xx() {
        let hub = Hub::new().await;
        let names = [
            "alice",
            "..",
            "%2e%2e",
            "a%2Fb",
            "%00",
            "%ff",
            "%F0%9F%98%80",
            "{x}",
        ];
        let routes = [
            "/NAME",
            "/users?state=NAME&sort=NAME&limit=NAME&offset=NAME",
            "/users/NAME",
            "/users/NAME/activity",
            "/users/NAME/server",
            "/users/NAME/server/progress",
            "/users/alice/servers/NAME",
            "/users/alice/servers/NAME/progress",
            "/users/NAME/tokens",
            "/users/alice/tokens/NAME",
            "/oauth2/token?grant_type=NAME",
            "/groups/NAME",
            "/groups/NAME/users",
            "/groups/NAME/properties",
            "/services/NAME",
            "/shares/NAME",
            "/proxy?limit=NAME",
            "/shutdown",
            "/info",
        ];
        let bodies: [&[u8]; 7] = [
            b"",
            b"null",
            b"[1]",
            b"{\"usernames\":[\"x\\u0000\"],\"last_activity\":\"9999999-01-01\"}",
            b"{\"last_activity\":\"-009999-01-02T01:59:59Z\"}",
            b"{\"user_options\":{\"\":{}},\"remove\":true,\"expires_in\":1}",
            b"\xff\xfe{",
        ];
        for route in routes {
            for name in names {
                let path = route.replace("NAME", name);
                for method in ["GET", "POST", "DELETE", "PUT", "PATCH"] {
                    for body in bodies {
                        let request = hub.request(method, &path).admin().body(body);
                        // A stream that is open is no answer yet.
                        let status = request.stream().await.status;
                        assert!(
                            !status.is_server_error(),
                            "{method} {path} {body:?}: {status}"
                        );
                    }
                }
            }
        }
    }
}
