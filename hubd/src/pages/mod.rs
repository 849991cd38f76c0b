//! The pages that people see: typed views in, HTML out.
//!
//! ```text
//! handler --- a view struct, the Chrome ---> Templates::render ---> HTML + SECURITY_HEADERS
//!                                                |
//!                        template_dir/NAME.html, else the one in the binary
//! browser --- /hub/static/NAME?v=HASH ---> assets::respond ---> embedded file
//! ```
//!
//! What holds for every page:
//! - It works without JavaScript, live progress apart, and without anything inline: the policy in
//!   [`headers`] forbids inline scripts and styles, so an injected one would not run either.
//! - Every text is escaped, whoever wrote it. The one exception is the form that a spawner supplies,
//!   marked in `templates/spawn.html`.
//! - Every link and form action is a [`LocalPath`](crate::auth::local_path::LocalPath), which cannot leave this host.
//! - Every form that posts carries `_xsrf`.
//! - Nothing here decides anything: who may see a page, and which, is the handler's business.

pub(crate) mod assets;
pub(crate) mod failure;
mod handlers;
pub(crate) mod headers;
pub(crate) mod links;
pub(crate) mod render;
mod state;
pub(crate) mod views;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use handlers::{authorize_routes, router};
pub(crate) use render::{TemplateError, Templates};
pub(crate) use state::PagesState;
