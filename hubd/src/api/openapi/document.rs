//! The document as a whole: what stands around the operations.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, ServerBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::answers;
use crate::api::error::ErrorBody;
use crate::api::router::described;
use crate::app::VERSION;

const ABOUT: &str = "\
The REST API of hubd, in the paths, models and status codes of JupyterHub 6.

Who asks shows it with a token (`Authorization: token ...`, or `Bearer ...`), or with the login cookie of a \
browser and an XSRF token. What they may do is in the scopes that each operation names: whoever does not \
hold the scope at all gets a 403, whoever holds it for others only gets a 404, so that nobody learns by \
asking which names there are. A model shows a key only if the caller's scopes include it.

Every answer that is not 2xx is a JSON object with `status` and `message`; the one exception is the OAuth \
token endpoint, which speaks RFC 6749. Every answer carries `X-JupyterHub-Version`. A path or method that is \
not described here is a 404 or a 405 of the same form; shares and share codes, which JupyterHub has and this \
hub has not, are a 404 that says so.

Times are UTC in ISO 8601 with microseconds. Lists come a page at a time, as an object with `items` and \
`_pagination`, to whoever sends `Accept: application/jupyterhub-pagination+json`, and as a bare list that is \
cut at 200 entries to everybody else.";

/// The description of the API of a hub with that base URL (`/`, or `/some/path/`), as JSON. It depends on
/// nothing else.
pub(crate) fn description(base_url: &str) -> Result<String, serde_json::Error> {
    let mut document = described().into_openapi();
    document.servers = Some(vec![
        ServerBuilder::new()
            .url(format!("{base_url}hub/api"))
            .build(),
    ]);
    // By way of a value: its keys are sorted, where those of a raw schema come in any order.
    let document = serde_json::to_value(document)?;
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// The document without its operations, to which the router adds them.
pub(in crate::api) fn frame() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("BSD-3-Clause")
        .identifier(Some("BSD-3-Clause"));
    let info = InfoBuilder::new()
        .title("hubd")
        .version(VERSION)
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let mut components = ComponentsBuilder::new().schema(ErrorBody::name(), ErrorBody::schema());
    for (name, answer) in answers::all() {
        components = components.response(name, answer);
    }
    for (name, scheme) in schemes() {
        components = components.security_scheme(name, scheme);
    }
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .security(Some([
            SecurityRequirement::new("token", [""; 0]),
            SecurityRequirement::new("login", [""; 0]).add("xsrf", [""; 0]),
        ]))
        .build()
}

fn schemes() -> [(&'static str, SecurityScheme); 3] {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of a user, a service or a server. JupyterHub's own spelling, `Authorization: token ...`, \
             is understood as well.",
        ));
    let login = ApiKeyValue::with_description(
        "jupyterhub-hub-login",
        "The login of a browser. Its requests that change something are sent as `application/json`.",
    );
    let xsrf = ApiKeyValue::with_description(
        "X-XSRFToken",
        "The value of the cookie `_xsrf`, which goes along with the login. The query may hold it instead, as \
         `_xsrf`.",
    );
    [
        ("token", SecurityScheme::Http(token.build())),
        ("login", SecurityScheme::ApiKey(ApiKey::Cookie(login))),
        ("xsrf", SecurityScheme::ApiKey(ApiKey::Header(xsrf))),
    ]
}
