//! `{api}/proxy`: where the proxy sends requests.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use spawner_core::Endpoint;
use utoipa::ToSchema;

use super::access::require;
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{Asked, MapOf, Queried, Sent};
use super::page::{Page, PageQuery};
use crate::app::AppState;
use crate::scopes::{ScopeName, Target};

/// One route, as JupyterHub's proxy describes it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Route)]
struct RouteModel {
    /// The path below which it holds.
    routespec: String,
    /// Where requests go.
    target: String,
    data: RouteData,
}

/// Whose route it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum RouteData {
    Hub { hub: bool },
    Server { user: String, server_name: String },
    Service { service: String },
}

/// Where another proxy would be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProxyPatch {
    api_url: Option<String>,
    auth_token: Option<String>,
}

type Routes = MapOf<RouteModel>;

/// The routes of the proxy, by path
///
/// Needs `proxy`.
#[utoipa::path(
    get, path = "/proxy", tag = "proxy", operation_id = "list_routes",
    params(PageQuery),
    responses(
        (status = 200, description = "The routes.", body = Routes),
        Queried,
        Asked,
    ),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    page: Page,
) -> Result<Response, ApiError> {
    require(caller.rights(), &[ScopeName::Proxy], Target::Everything)?;
    let hub = RouteModel {
        routespec: app.base_url.clone(),
        target: app.servers.hub_origin(),
        data: RouteData::Hub { hub: true },
    };
    let snapshot = app.servers.routes();
    let servers = snapshot.routes.iter().map(|route| RouteModel {
        routespec: route.prefix.clone(),
        target: target(&route.endpoint),
        data: match &route.server {
            Some(server) => RouteData::Server {
                user: server.user.to_string(),
                server_name: server.server.to_string(),
            },
            // Its prefix is `.../services/NAME/`.
            None => RouteData::Service {
                service: route
                    .prefix
                    .trim_end_matches('/')
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            },
        },
    });
    let routes = std::iter::once(hub).chain(servers);
    let all: BTreeMap<String, RouteModel> = routes
        .map(|route| (route.routespec.clone(), route))
        .collect();
    let total = all.len();
    let shown = all.into_iter().skip(page.offset).take(page.limit);
    let shown: BTreeMap<_, _> = shown.collect();
    Ok(page.reply(shown, total))
}

/// Hands all routes to the proxy anew
///
/// Needs `proxy`.
#[utoipa::path(
    post, path = "/proxy", tag = "proxy", operation_id = "resync_routes",
    responses((status = 200, description = "Done."), Asked),
)]
pub(super) async fn resync(State(app): State<AppState>, caller: ApiCaller) -> Result<(), ApiError> {
    require(caller.rights(), &[ScopeName::Proxy], Target::Everything)?;
    app.servers.publish_routes();
    Ok(())
}

/// Refuses another proxy
///
/// The proxy is a part of the hub, so this is a 400 whatever the body says. Needs `proxy`.
#[utoipa::path(
    patch, path = "/proxy", tag = "proxy", operation_id = "replace_proxy",
    request_body = ProxyPatch,
    responses(Sent, Asked),
)]
pub(super) async fn replace(
    State(_): State<AppState>,
    caller: ApiCaller,
    request: Request,
) -> Result<(), ApiError> {
    require(caller.rights(), &[ScopeName::Proxy], Target::Everything)?;
    let patch: ProxyPatch = body::required(request).await?;
    Err(ApiError::bad_request(match patch {
        ProxyPatch {
            api_url: None,
            auth_token: None,
        } => "The body must have api_url, or auth_token, or both.",
        _ => {
            "The proxy is a part of this hub: it has no API of its own, and no other can take its \
             place."
        }
    }))
}

fn target(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp { host, port } if host.contains(':') => format!("http://[{host}]:{port}"),
        Endpoint::Tcp { host, port } => format!("http://{host}:{port}"),
        Endpoint::Unix { path } => {
            let path = path.to_string_lossy();
            let path = utf8_percent_encode(&path, NON_ALPHANUMERIC);
            format!("unix+http://{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::api::testing::Hub;

    #[tokio::test]
    async fn routes_come_and_go_with_servers() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let routes = hub.get("/proxy").admin().send().await;
        assert_eq!(routes.status, StatusCode::OK);
        let alice = &routes.json["/user/alice/"];
        assert_eq!(alice["routespec"], "/user/alice/");
        assert_eq!(alice["data"], json!({"user": "alice", "server_name": ""}));
        let target = alice["target"].as_str().unwrap();
        assert!(target.starts_with("http://127.0.0.1:"), "{target}");
        assert_eq!(
            routes.json["/"],
            json!({"routespec": "/", "target": "http://hub.test:8000", "data": {"hub": true}})
        );
        let page = hub.get("/proxy?offset=1&limit=1").admin();
        let page = page.header("accept", "application/jupyterhub-pagination+json");
        let page = page.send().await;
        let items = page.json["items"].as_object().unwrap();
        assert_eq!(items.keys().collect::<Vec<_>>(), ["/user/alice/"]);
        assert_eq!(page.json["_pagination"]["total"], 2);
        hub.delete("/users/alice/server").admin().send().await;
        let routes = hub.get("/proxy").admin().send().await;
        assert_eq!(routes.json.as_object().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_resync_publishes_the_table_anew() {
        let hub = Hub::new().await;
        let before = hub.app.servers.routes();
        let reply = hub.post("/proxy").admin().send().await;
        assert_eq!((reply.status, &*reply.text), (StatusCode::OK, ""));
        let after = hub.app.servers.routes();
        assert_eq!(after.version, before.version + 1);
        assert_eq!(after.routes, before.routes);
    }

    #[tokio::test]
    async fn who_may_and_what_cannot_be_meant() {
        let hub = Hub::new().await;
        for method in ["GET", "POST", "PATCH"] {
            let reply = hub.request(method, "/proxy").user("alice").send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method}");
        }
        for (body, words) in [
            (json!({}), "api_url"),
            (json!({"api_url": "http://x"}), "part of this hub"),
            (json!({"ip": "1.2.3.4"}), "unknown field `ip`"),
        ] {
            let reply = hub.request("PATCH", "/proxy").admin().json(&body);
            let reply = reply.send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
    }

    #[test]
    fn targets_are_addresses() {
        let tcp = |host: &str| Endpoint::Tcp {
            host: host.to_owned(),
            port: 8,
        };
        let path = "/run/a b.sock".into();
        for (endpoint, text) in [
            (tcp("::1"), "http://[::1]:8"),
            (tcp("localhost"), "http://localhost:8"),
            (Endpoint::Unix { path }, "unix+http://%2Frun%2Fa%20b%2Esock"),
        ] {
            assert_eq!(target(&endpoint), text);
        }
    }
}
