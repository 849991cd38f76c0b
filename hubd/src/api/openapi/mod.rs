//! The OpenAPI description of the API, made from the code that serves it.
//!
//! ```text
//! #[utoipa::path] beside a handler --.
//! ToSchema on bodies and models    --+--> router::described() --> description(base_url) --> {api}/openapi.json
//! answers, names, parameters (here)--'      routes and paths                         \-> hubd openapi
//! ```
//!
//! - A route is added together with its description (`routes!`), so there is none without one.
//! - A model is described by the type that is serialised, a body by the type that is read.
//! - The answers that many operations share are in [`answers`], the names that paths and bodies hold in
//!   [`names`].

mod answers;
mod default_server;
mod document;
mod lists;
mod names;
mod raw;
pub(super) mod served;
#[cfg(test)]
mod tests;

pub(super) use self::answers::{Asked, Busy, Fixed, Made, Named, Queried, Sent, Stopped, Unsure};
pub(super) use self::default_server::of_default_server;
pub(crate) use self::document::description;
pub(super) use self::document::frame;
pub(super) use self::lists::{ListOf, MapOf};
pub(super) use self::names::{
    DisplayName, GroupName, OfGroup, OfService, OfToken, OfUser, ServerName, UserName,
};
pub(super) use self::raw::{from_json, null};
