//! What the handlers of the pages work with.

use std::sync::Arc;

use super::links::Links;
use super::render::Templates;
use crate::app::AppState;
use crate::auth::local_path::{LocalPath, NotLocal};

/// The app, and what only pages need. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PagesState {
    pub(crate) app: AppState,
    pub(crate) templates: Arc<Templates>,
    pub(crate) links: Links,
}

impl PagesState {
    /// For the pages of `app`. Its base URL must be one that the configuration takes.
    pub(crate) fn new(app: AppState, templates: Arc<Templates>) -> Result<Self, NotLocal> {
        let links = Links::new(LocalPath::root(&app.base_url)?);
        Ok(Self {
            app,
            templates,
            links,
        })
    }
}
