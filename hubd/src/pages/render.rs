//! Templates: from the binary, or from the operator's folder where it has one of the same name.
//!
//! ```text
//! template_dir/home.html ---\
//!                            >--- "home.html"               what is rendered
//! the binary's home.html ---/---- "templates/home.html"     always the binary's, to extend
//! ```
//!
//! All are read and compiled once, at the start, so a mistake in one stops the hub with its file and
//! line instead of a visitor. What compiling cannot see (a variable that does not exist) shows at the
//! first rendering: then the binary's own templates step in and the log says why.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};
use rust_embed::RustEmbed;
use serde::Serialize;
use spawner_core::escape_html;

use super::assets;
use super::views::{Chrome, View};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/src/pages/templates"]
struct Files;

/// The compiled templates.
pub(crate) struct Templates {
    active: Environment<'static>,
    /// The binary's own, to fall back on; only where something overrides them.
    builtin: Option<Environment<'static>>,
    overrides: Vec<String>,
}

/// Why the templates cannot be used, or a page could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// The folder or one of its files.
    #[error("cannot read the templates in {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A template that is not one.
    #[error("{}:{line}: {message}", file.display())]
    Syntax {
        file: PathBuf,
        line: usize,
        message: String,
    },
    /// A page that could not be made.
    #[error("cannot make the page {page}: {message}")]
    Render { page: &'static str, message: String },
}

/// Everything that a template sees, side by side.
#[derive(Serialize)]
struct Page<'a, V> {
    #[serde(flatten)]
    chrome: &'a Chrome,
    #[serde(flatten)]
    view: &'a V,
}

impl Templates {
    /// Reads and compiles all templates: the binary's, then every `*.html` directly in
    /// `template_dir`, which replaces the one of its name or adds a new one to include.
    pub(crate) fn new(template_dir: Option<&Path>) -> Result<Self, TemplateError> {
        let builtin = builtin()?;
        let Some(dir) = template_dir else {
            return Ok(Self {
                active: builtin,
                builtin: None,
                overrides: Vec::new(),
            });
        };
        let mut active = builtin.clone();
        let mut overrides = Vec::new();
        for (name, file) in html_files(dir)? {
            let source = fs::read_to_string(&file).map_err(|source| TemplateError::Read {
                path: file.clone(),
                source,
            })?;
            overrides.push(name.clone());
            add(&mut active, name, source, &file)?;
        }
        Ok(Self {
            active,
            builtin: Some(builtin),
            overrides,
        })
    }

    /// The names of the operator's templates in use, so that the log can tell.
    pub(crate) fn overrides(&self) -> &[String] {
        &self.overrides
    }

    /// Makes a page.
    pub(crate) fn render<V: View>(
        &self,
        chrome: &Chrome,
        view: &V,
    ) -> Result<String, TemplateError> {
        let context = Value::from(Serde(Page { chrome, view }));
        match (render(&self.active, V::TEMPLATE, &context), &self.builtin) {
            (Err(error), Some(builtin)) => {
                tracing::error!(
                    page = V::TEMPLATE,
                    error = describe(&error),
                    "a template of template_dir fails, using our own"
                );
                render(builtin, V::TEMPLATE, &context)
            }
            (result, _) => result,
        }
        .map_err(|error| TemplateError::Render {
            page: V::TEMPLATE,
            message: describe(&error),
        })
    }
}

fn builtin() -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(format);
    environment.add_function("asset", asset);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("the usual delimiters are valid");
    environment.set_syntax(syntax);
    for name in Files::iter() {
        let Some(file) = Files::get(&name) else {
            continue;
        };
        let source = String::from_utf8_lossy(&file.data).into_owned();
        let original = format!("templates/{name}");
        let shown = PathBuf::from(&original);
        add(&mut environment, name.into_owned(), source.clone(), &shown)?;
        add(&mut environment, original, source, &shown)?;
    }
    Ok(environment)
}

fn html_files(dir: &Path) -> Result<Vec<(String, PathBuf)>, TemplateError> {
    let unreadable = |source| TemplateError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name
            && path.extension().is_some_and(|ending| ending == "html")
        {
            files.push((name.to_owned(), path.clone()));
        }
    }
    files.sort();
    Ok(files)
}

fn add(
    environment: &mut Environment<'static>,
    name: String,
    source: String,
    file: &Path,
) -> Result<(), TemplateError> {
    environment
        .add_template_owned(name, source)
        .map_err(|error| TemplateError::Syntax {
            file: file.to_owned(),
            line: error.line().unwrap_or(1),
            message: words(&error),
        })
}

fn render(
    environment: &Environment<'static>,
    template: &str,
    context: &Value,
) -> Result<String, Error> {
    environment.get_template(template)?.render(context.clone())
}

/// Escapes texts for HTML, leaving `/` alone (the engine's own formatter does not), so that an
/// address in the page's source is one that a script or a person recognises.
fn format(
    out: &mut minijinja::Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() && *state.auto_escape() == AutoEscape::Html => {
            out.write_str(&escape_html(text)).map_err(Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// `{{ asset("style.css") }}`: the address of a static file, with the hash of its content.
fn asset(state: &State<'_, '_>, name: &str) -> Result<String, Error> {
    let hash = assets::hash(name).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("there is no static file \"{name}\""),
        )
    })?;
    let hub = state.lookup("hub_prefix").unwrap_or_default();
    Ok(format!("{hub}static/{name}?v={hash}"))
}

/// An error with its place: `home.html:3: undefined value`.
fn describe(error: &Error) -> String {
    match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{name}:{line}: {}", words(error)),
        _ => words(error),
    }
}

fn words(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, source) in files {
            fs::write(dir.path().join(name), source).unwrap();
        }
        dir
    }

    fn login(templates: &Templates) -> String {
        let (chrome, view) = (samples::chrome(None), samples::login());
        templates.render(&chrome, &view).unwrap()
    }

    #[test]
    fn addresses_stay_readable_and_are_escaped() {
        let page = login(&Templates::new(None).unwrap());
        assert!(page.contains(r#"action="/hub/login?next=%2Fuser%2F"#));
        let style = format!(
            "/hub/static/style.css?v={}",
            assets::hash("style.css").unwrap()
        );
        assert!(page.contains(&style));
    }

    #[test]
    fn a_template_of_the_operator_replaces_ours() {
        let dir = folder(&[
            (
                "login.html",
                "<h1>Physics 101</h1>{% include \"note.html\" %}",
            ),
            ("note.html", "{{ username }}"),
            ("README.md", "{% not a template"),
        ]);
        let templates = Templates::new(Some(dir.path())).unwrap();
        assert_eq!(templates.overrides(), ["login.html", "note.html"]);
        assert_eq!(login(&templates), "<h1>Physics 101</h1>alice");
    }

    #[test]
    fn ours_can_be_extended() {
        let source = "{% extends \"templates/login.html\" %}\
                      {% block title %}Physics 101{% endblock %}";
        let dir = folder(&[("login.html", source)]);
        let page = login(&Templates::new(Some(dir.path())).unwrap());
        assert!(page.contains("<title>Physics 101"));
        assert!(page.contains("id=\"username_input\""));
    }

    #[test]
    fn the_base_page_reaches_every_page() {
        let source = "{% extends \"templates/page.html\" %}\
                      {% block footer %}Ask room 7.{% endblock %}";
        let dir = folder(&[("page.html", source)]);
        let page = login(&Templates::new(Some(dir.path())).unwrap());
        assert!(page.contains("Ask room 7."));
        assert!(page.contains("id=\"username_input\""));
    }

    #[test]
    fn a_broken_template_is_reported_with_file_and_line() {
        let dir = folder(&[("home.html", "<p>\n{% if state %}\n<p>{{ state }}\n")]);
        let error = Templates::new(Some(dir.path())).err().unwrap().to_string();
        let file = dir.path().join("home.html");
        assert!(
            error.starts_with(&format!("{}:3: syntax error: ", file.display())),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let dir = folder(&[]);
        let missing = dir.path().join("missing");
        let error = Templates::new(Some(&missing)).err().unwrap();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn a_template_that_is_not_text_is_an_error() {
        let dir = folder(&[]);
        fs::write(dir.path().join("home.html"), b"\xff\xfe").unwrap();
        let error = Templates::new(Some(dir.path())).err().unwrap();
        assert!(error.to_string().contains("home.html"), "{error}");
    }

    #[test]
    fn ours_steps_in_for_one_that_fails_late() {
        for source in [
            "{{ nosuch }}",
            "{% include \"nosuch.html\" %}",
            "{{ asset(\"nosuch.css\") }}",
        ] {
            let dir = folder(&[("login.html", source)]);
            let page = login(&Templates::new(Some(dir.path())).unwrap());
            assert!(page.contains("id=\"username_input\""), "{source}");
        }
    }

    #[test]
    fn an_error_of_rendering_has_its_place() {
        let mut environment = builtin().unwrap();
        environment
            .add_template("x.html", "\n{{ nosuch }}")
            .unwrap();
        let error = render(&environment, "x.html", &Value::UNDEFINED).unwrap_err();
        assert_eq!(
            describe(&error),
            "x.html:2: undefined value: `nosuch` is undefined"
        );
    }

    #[test]
    fn texts_are_escaped_once_and_only_texts() {
        let mut environment = builtin().unwrap();
        let source = "{{ a }} {{ 7 }} {{ \"<\"|escape }} {{ [a] }}";
        environment.add_template("x.html", source).unwrap();
        let context = minijinja::context! { a => "</b> & 'c' \"d\"" };
        let text = render(&environment, "x.html", &context).unwrap();
        assert!(
            text.starts_with("&lt;/b&gt; &amp; &#39;c&#39; &quot;d&quot; 7 &lt; ["),
            "{text}"
        );
        assert!(!text.contains("</b>"));
    }
}
