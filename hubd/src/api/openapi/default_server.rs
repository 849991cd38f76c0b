//! The paths of the default server, which are those of a named server without the name.

use axum::routing::MethodRouter;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::{Paths, RefOr, Schema};

/// What `routes!` makes.
type Routes<S> = (Vec<(String, RefOr<Schema>)>, Paths, MethodRouter<S>);

/// The routes of a named server (`users/{user}/servers/{server}`, and what is below) as those of the
/// default one (`users/{user}/server`).
pub(in crate::api) fn of_default_server<S>((schemas, named, handlers): Routes<S>) -> Routes<S> {
    let mut paths = Paths::new();
    for (path, mut item) in named.paths {
        for operation in operations(&mut item) {
            if let Some(id) = &mut operation.operation_id {
                *id = id.replace("named", "default");
            }
            if let Some(parameters) = &mut operation.parameters {
                parameters.retain(|parameter| !is_server(parameter));
            }
        }
        let path = path.replace("servers/{server}", "server");
        paths.paths.insert(path, item);
    }
    (schemas, paths, handlers)
}

fn is_server(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "server")
}

/// The operations of one path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}
