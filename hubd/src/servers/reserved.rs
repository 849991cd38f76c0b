//! Names that no named server is given: `/user/ann/lab/` would lead to a server called `lab`, where
//! JupyterLab of Ann's default server used to be.

use spawner_core::ServerName;

/// What Jupyter's servers and their usual extensions answer below their prefix, as far as it could be
/// the name of a server.
const PAGES: &[&str] = &[
    "api",
    "consoles",
    "doc",
    "edit",
    "files",
    "hub",
    "kernelspecs",
    "lab",
    "login",
    "logout",
    "lsp",
    "metrics",
    "nbclassic",
    "nbconvert",
    "nbextensions",
    "notebooks",
    "proxy",
    "retro",
    "services",
    "static",
    "templates",
    "terminals",
    "tree",
    "view",
    "voila",
];

/// Whether a server of that name would hide a page of its user's default server.
pub(crate) fn hides_a_page(name: &ServerName) -> bool {
    PAGES.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_could_be_a_name() {
        for page in PAGES {
            assert!(hides_a_page(&ServerName::new(page).unwrap()), "{page}");
        }
        for name in ["", "proj", "lab2", "my-lab"] {
            assert!(!hides_a_page(&ServerName::new(name).unwrap()), "{name}");
        }
    }
}
