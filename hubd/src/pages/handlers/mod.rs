//! One file for each page: from the request to the view that is rendered.
//!
//! ```text
//! request --> Visit (who asks) --> handler --> view --> Visit::page --> HTML, XSRF cookie
//!                                     |
//!                                     \--> Instead (log in first, or an error) --\
//!                                                                                 >-- frame --> reply
//! unknown path, wrong method ----------------------------------> Instead --------/
//! ```
//!
//! - A page is opened by the login cookie, never by a token; only [`user`] takes both.
//! - What changes something checks the XSRF token first, before it knows whether there is such a
//!   user or server.
//! - Another user's server is *not found*, the same as one that does not exist.
//! - Whatever a visitor sends, the answer is a page with a status below 500. What is above is
//!   logged under the reference that the page shows.

mod accept;
mod admin;
mod aim;
mod authorize;
mod extend;
mod form;
mod front;
mod home;
mod instead;
mod login;
mod login_link;
mod logout;
mod named;
mod new_server;
mod oidc;
mod options;
mod over;
mod password;
mod pending;
mod signup;
mod signups;
mod spawn;
mod start;
mod stop;
mod token;
mod user;
mod user_redirect;
mod visit;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;

use self::instead::{Instead, frame};
use super::assets;
use super::state::PagesState;

/// The pages, to be nested at `{base_url}hub/`, with its slash.
pub(crate) fn router(state: PagesState) -> Router {
    Router::new()
        .route("/", get(front::show))
        .route("/login", get(login::show).post(login::submit))
        .route("/login-link/{secret}", get(login_link::open))
        .route("/oauth_login", get(oidc::begin))
        .route("/oauth_callback", get(oidc::come_back))
        .route("/logout", get(logout::log_out))
        .route("/signup", get(signup::show).post(signup::submit))
        .route("/signups", get(signups::show))
        .route("/signups/{name}", post(signups::decide))
        .route("/password", get(password::show).post(password::submit))
        .route("/home", get(home::show))
        .route("/token", get(token::show).post(token::request))
        .route("/token/revoke", post(token::revoke))
        .route("/spawn", get(spawn::show).post(spawn::submit))
        .route("/spawn/{user}", get(spawn::show).post(spawn::submit))
        .route(
            "/spawn/{user}/{server}",
            get(spawn::show).post(spawn::submit),
        )
        .route("/spawn-pending/{user}", get(pending::show))
        .route("/spawn-pending/{user}/{server}", get(pending::show))
        .route("/stop/{user}", post(stop::submit))
        .route("/stop/{user}/{server}", post(stop::submit))
        .route("/extend/{user}", post(extend::submit))
        .route("/extend/{user}/{server}", post(extend::submit))
        .route("/remove/{user}/{server}", post(stop::remove))
        .route("/new-server", post(new_server::submit))
        .merge(admin_routes())
        .route(
            "/user/{*rest}",
            get(user::show)
                .post(user::refuse)
                .patch(user::refuse)
                .delete(user::refuse),
        )
        .route("/user-redirect/", get(user_redirect::go))
        .route("/user-redirect/{*rest}", get(user_redirect::go))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), frame))
        .route("/static/{*name}", get(asset))
        .with_state(state)
}

fn admin_routes() -> Router<PagesState> {
    Router::new()
        .route("/admin", get(admin::list::show))
        .route("/admin/audit", get(admin::audit::show))
        .route("/admin/events", get(admin::events::follow))
        .route("/admin/users", post(admin::people::add))
        .route("/admin/user/{user}", get(admin::user::show))
        .route("/admin/rename/{user}", post(admin::user::rename))
        .route("/admin/join/{user}", post(admin::user::join))
        .route("/admin/rights/{user}", post(admin::people::set_rights))
        .route(
            "/admin/delete/{user}",
            get(admin::people::ask).post(admin::people::delete),
        )
        .route("/admin/start/{user}", post(admin::servers::start))
        .route("/admin/start/{user}/{server}", post(admin::servers::start))
        .route("/admin/open/{user}", post(admin::servers::open))
        .route("/admin/open/{user}/{server}", post(admin::servers::open))
        .route(
            "/admin/groups",
            get(admin::groups::show).post(admin::groups::create),
        )
        .route("/admin/groups/{group}", get(admin::group::show))
        .route("/admin/groups/{group}/add", post(admin::group::add))
        .route(
            "/admin/groups/{group}/take-out",
            post(admin::group::take_out),
        )
        .route(
            "/admin/groups/{group}/delete",
            get(admin::group::ask).post(admin::group::delete),
        )
}

/// The pages of the OAuth provider, to be merged with what is nested at `{base_url}hub/api`.
pub(crate) fn authorize_routes(state: PagesState) -> Router {
    Router::new()
        .route(
            "/oauth2/authorize",
            get(authorize::show).post(authorize::submit),
        )
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), frame))
        .with_state(state)
}

async fn not_found() -> Instead {
    Instead::status(StatusCode::NOT_FOUND)
}

async fn wrong_method() -> Instead {
    Instead::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address does not work that way. Go back and try again.",
    )
}

/// A static file. Names are looked up as they were sent: none of ours needs escaping.
async fn asset(request: Request) -> Response {
    let uri = request.uri();
    let name = uri.path().strip_prefix("/static/").unwrap_or_default();
    let query = uri.query().unwrap_or_default();
    assets::respond(name, query.strip_prefix("v="), request.headers())
}
