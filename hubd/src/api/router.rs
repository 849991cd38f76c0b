//! The paths of the API.

use axum::Router;
use axum::routing::{MethodRouter, any, get, post, put};
use http::StatusCode;

use super::error::ApiError;
use super::{
    activity, group, groups, info, me, oauth_token, progress, proxy_routes, root, server,
    server_change, services, shares, shutdown, tokens, user, user_change, users,
};
use crate::app::AppState;

/// The API, to be nested at `{base}hub/api`, where it answers everything below, unknown paths
/// included.
///
/// Two paths are left to whoever nests it: `{base}hub/api/`, which nesting does not reach and which
/// is [`api_root`] as well, and `oauth2/authorize`, which is a page.
pub(crate) fn router() -> Router<AppState> {
    let one_server = || {
        get(server::get)
            .post(server::start)
            .delete(server::stop)
            .put(server_change::make)
            .patch(server_change::change)
    };
    let proxy = get(proxy_routes::get)
        .post(proxy_routes::resync)
        .patch(proxy_routes::replace);
    Router::new()
        .route("/", api_root())
        .route("/health", get(root::health))
        .route("/info", get(info::get))
        .route("/proxy", proxy)
        .route("/shutdown", post(shutdown::post))
        .route("/metrics", get(root::metrics))
        .route("/user", get(me::get))
        .route("/users", get(users::list).post(users::create))
        .route(
            "/users/{user}",
            get(user::get)
                .post(user::create)
                .patch(user_change::patch)
                .delete(user::delete),
        )
        .route("/users/{user}/activity", post(activity::post))
        .route("/users/{user}/server", one_server())
        .route("/users/{user}/server/progress", get(progress::get))
        .route("/users/{user}/servers/{server}", one_server())
        .route(
            "/users/{user}/servers/{server}/progress",
            get(progress::get),
        )
        .route(
            "/users/{user}/tokens",
            get(tokens::list).post(tokens::create),
        )
        .route(
            "/users/{user}/tokens/{token}",
            get(tokens::get).delete(tokens::revoke),
        )
        .route("/groups", get(groups::list).post(groups::create))
        .route(
            "/groups/{group}",
            get(group::get).post(group::create).delete(group::delete),
        )
        .route(
            "/groups/{group}/users",
            post(group::add).delete(group::take_out),
        )
        .route("/groups/{group}/properties", put(group::set_properties))
        .route("/services", get(services::list))
        .route(
            "/services/{service}",
            get(services::get)
                .post(services::create)
                .delete(services::delete),
        )
        .route("/shares/{*rest}", any(shares::none))
        .route("/share-codes/{*rest}", any(shares::none))
        .route("/users/{user}/shared", any(shares::none))
        .route("/users/{user}/shared/{*rest}", any(shares::none))
        .route("/groups/{group}/shared", any(shares::none))
        .route("/groups/{group}/shared/{*rest}", any(shares::none))
        .route("/oauth2/token", post(oauth_token::post))
        .method_not_allowed_fallback(wrong_method)
        .fallback(elsewhere)
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
