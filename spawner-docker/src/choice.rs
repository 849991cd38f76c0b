//! Which image a server runs: what is configured, what a user may choose, what comes of it.
//!
//! ```text
//! allowed_images   absent or empty      list or name -> image      "*"
//! form             none                 a select (from two up)     a text field
//! `image` option   refused              one of the names           any reference
//! ```
//!
//! Everything that starts a server goes through [`ImageChoice::resolve`], so an image that is not
//! allowed cannot run, whether a form, a REST body or the configuration named it. (DockerSpawner
//! before 13 let everybody run every image when nothing was configured: CVE-2023-48311.)

use std::fmt::Write as _;

use serde_json::Value;
use spawner_core::{FormData, OptionsError, OptionsForm, UserOptions, escape_html};

use crate::image::ImageRef;

/// The option, and the field of the form, that names the image.
pub(crate) const IMAGE_OPTION: &str = "image";
/// How much of a refused text is repeated to whoever sent it.
const ECHO_MAX: usize = 64;

/// The configured image and the user's choice among others.
#[derive(Debug, Clone)]
pub struct ImageChoice {
    /// What runs when nothing is chosen; one of the allowed images if there is such a list.
    default: ImageRef,
    allowed: Allowed,
}

#[derive(Debug, Clone)]
enum Allowed {
    /// There is no choice.
    Nothing,
    /// These, by the name that is shown. Never empty.
    Named(Vec<(String, ImageRef)>),
    /// Whatever the engine has.
    Anything,
}

/// Images that cannot be offered as they were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// No image at all.
    #[error("no image is configured, so there is nothing to run")]
    NoImage,
    /// The configured image is not among the allowed ones.
    #[error("\"{0}\" is not one of the allowed images")]
    DefaultNotAllowed(ImageRef),
    /// A name that a form could not show.
    #[error("an image is offered by a name of 1 to 128 characters without control characters")]
    Name,
}

impl ImageChoice {
    /// Every server runs `image` and nobody may choose.
    pub fn fixed(image: ImageRef) -> Self {
        Self {
            default: image,
            allowed: Allowed::Nothing,
        }
    }

    /// A user may choose any image that the engine has; `default` runs when they do not.
    pub fn anything(default: ImageRef) -> Self {
        Self {
            default,
            allowed: Allowed::Anything,
        }
    }

    /// A user may choose one of `named`; without a `default` the first one runs when they do not.
    pub fn among(
        default: Option<ImageRef>,
        named: Vec<(String, ImageRef)>,
    ) -> Result<Self, ChoiceError> {
        let is_name = |name: &str| {
            (1..=128).contains(&name.chars().count()) && !name.contains(char::is_control)
        };
        if !named.iter().all(|(name, _)| is_name(name)) {
            return Err(ChoiceError::Name);
        }
        let first = named.first().ok_or(ChoiceError::NoImage)?.1.clone();
        let default = default.unwrap_or(first);
        if !named.iter().any(|(_, image)| *image == default) {
            return Err(ChoiceError::DefaultNotAllowed(default));
        }
        Ok(Self {
            default,
            allowed: Allowed::Named(named),
        })
    }

    /// The image that runs when nothing is chosen.
    pub fn default_image(&self) -> &ImageRef {
        &self.default
    }

    /// The images that are offered by name.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &ImageRef> {
        let named = match &self.allowed {
            Allowed::Named(named) => named.as_slice(),
            Allowed::Nothing | Allowed::Anything => &[],
        };
        named.iter().map(|(_, image)| image)
    }

    /// The image of a start with these options.
    pub fn resolve(&self, options: &UserOptions) -> Result<ImageRef, OptionsError> {
        let refuse = |message: String| Err(OptionsError::field(IMAGE_OPTION, message));
        let chosen = match options.text(IMAGE_OPTION)? {
            None | Some("") => return Ok(self.default.clone()),
            Some(chosen) => chosen,
        };
        match &self.allowed {
            Allowed::Nothing => refuse("The image cannot be chosen on this hub.".into()),
            Allowed::Anything => ImageRef::new(chosen)
                .or_else(|error| refuse(format!("{} is no image: {error}.", echo(chosen)))),
            Allowed::Named(named) => {
                if let Some((_, image)) = named.iter().find(|(name, _)| name == chosen) {
                    return Ok(image.clone());
                }
                let choices: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
                refuse(format!(
                    "The image {} is not allowed. Choose one of: {}.",
                    echo(chosen),
                    choices.join(", ")
                ))
            }
        }
    }

    /// The form, with the previous choice selected if it can still be made.
    pub(crate) fn form(&self, previous: &UserOptions) -> OptionsForm {
        let previous = previous.text(IMAGE_OPTION).ok().flatten();
        match &self.allowed {
            Allowed::Nothing => OptionsForm::None,
            Allowed::Named(named) if named.len() == 1 => OptionsForm::None,
            Allowed::Named(named) => {
                let selected = named
                    .iter()
                    .position(|(name, _)| Some(name.as_str()) == previous)
                    .or_else(|| named.iter().position(|(_, image)| *image == self.default));
                OptionsForm::Html(select(named, selected))
            }
            Allowed::Anything => {
                let value = previous
                    .filter(|text| ImageRef::new(text).is_ok())
                    .unwrap_or(self.default.as_str());
                OptionsForm::Html(format!(
                    "<label for=\"{IMAGE_OPTION}\">Image</label>\n\
                     <input id=\"{IMAGE_OPTION}\" name=\"{IMAGE_OPTION}\" type=\"text\" \
                     value=\"{}\" maxlength=\"460\" autocapitalize=\"none\" spellcheck=\"false\" \
                     required autofocus>\n",
                    escape_html(value)
                ))
            }
        }
    }
}

fn select(named: &[(String, ImageRef)], selected: Option<usize>) -> String {
    let mut html = format!(
        "<label for=\"{IMAGE_OPTION}\">Image</label>\n\
         <select id=\"{IMAGE_OPTION}\" name=\"{IMAGE_OPTION}\" required autofocus>\n"
    );
    for (at, (name, _)) in named.iter().enumerate() {
        let name = escape_html(name);
        let mark = if selected == Some(at) {
            " selected"
        } else {
            ""
        };
        let _ = writeln!(html, "<option value=\"{name}\"{mark}>{name}</option>");
    }
    html.push_str("</select>\n");
    html
}

/// The options of a submitted form: the image as one text, every other field as it came.
pub(crate) fn options_from_form(mut form: FormData) -> Result<UserOptions, OptionsError> {
    let images = form.remove(IMAGE_OPTION).unwrap_or_default();
    let mut options = form.into_options();
    match images.as_slice() {
        [] => {}
        [image] => {
            options
                .0
                .insert(IMAGE_OPTION.to_owned(), Value::from(image.as_str()));
        }
        _ => {
            let message = "Choose one image, not several.";
            return Err(OptionsError::field(IMAGE_OPTION, message));
        }
    }
    Ok(options)
}

/// A refused text as it is repeated: quoted, without control characters, cut.
fn echo(text: &str) -> String {
    let short: String = text.chars().take(ECHO_MAX).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{more}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(raw: &str) -> ImageRef {
        ImageRef::new(raw).unwrap()
    }

    fn options(value: Value) -> UserOptions {
        serde_json::from_value(value).unwrap()
    }

    fn among(images: &[&str]) -> ImageChoice {
        let named = images.iter().map(|n| ((*n).to_owned(), image(n))).collect();
        ImageChoice::among(None, named).unwrap()
    }

    #[test]
    fn without_a_list_there_is_no_choice() {
        let choice = ImageChoice::fixed(image("lab:1"));
        assert_eq!(choice.resolve(&options(json!({}))), Ok(image("lab:1")));
        // Not even the configured one by name.
        assert!(choice.resolve(&options(json!({"image": "lab:1"}))).is_err());
        assert_eq!(choice.form(&UserOptions::default()), OptionsForm::None);
    }

    #[test]
    fn only_the_exact_name_is_allowed() {
        let choice = among(&["x:1", "y"]);
        assert_eq!(
            choice.resolve(&options(json!({"image": "y"}))),
            Ok(image("y"))
        );
        for empty in [json!({}), json!({"image": ""}), json!({"image": null})] {
            assert_eq!(choice.resolve(&options(empty)), Ok(image("x:1")));
        }
        for other in [
            json!("x"),
            json!("x:latest"),
            json!("X:1"),
            json!("docker.io/library/x:1"),
            json!("x:1@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            json!("allowed.evil.test/x:1"),
            json!("x:1 "),
            json!("x:1\n"),
            json!(["x:1"]),
            json!({"x": 1}),
            json!(1),
        ] {
            let error = choice
                .resolve(&options(json!({"image": other})))
                .unwrap_err();
            assert_eq!(error.field.as_deref(), Some("image"), "{other}");
        }
    }

    #[test]
    fn a_name_stands_for_its_image() {
        let named = vec![
            ("Plain <b>".into(), image("x:1")),
            ("R".into(), image("r:2")),
        ];
        let choice = ImageChoice::among(Some(image("r:2")), named).unwrap();
        assert_eq!(
            choice.resolve(&options(json!({"image": "R"}))),
            Ok(image("r:2"))
        );
        assert_eq!(choice.resolve(&options(json!({}))), Ok(image("r:2")));
        assert!(choice.resolve(&options(json!({"image": "x:1"}))).is_err());
    }

    #[test]
    fn a_star_still_keeps_the_grammar() {
        let choice = ImageChoice::anything(image("lab"));
        assert_eq!(
            choice.resolve(&options(json!({"image": "quay.io/x/y:1"}))),
            Ok(image("quay.io/x/y:1"))
        );
        let bad = options(json!({"image": "x/../../containers/json?"}));
        assert!(choice.resolve(&bad).is_err());
        let OptionsForm::Html(html) = choice.form(&bad) else {
            panic!("no form")
        };
        assert!(html.contains("value=\"lab\""), "{html}");
    }

    #[test]
    fn the_form_is_escaped_and_remembers() {
        let named = vec![
            ("a\"><script>".to_owned(), image("a")),
            ("b".to_owned(), image("b")),
        ];
        let choice = ImageChoice::among(None, named).unwrap();
        let html = |previous: Value| match choice.form(&options(previous)) {
            OptionsForm::Html(html) => html,
            OptionsForm::None => panic!("no form"),
        };
        let fresh = html(json!({}));
        assert!(!fresh.contains("<script>"), "{fresh}");
        assert!(
            fresh.contains("value=\"a&quot;&gt;&lt;script&gt;\" selected>"),
            "{fresh}"
        );
        let again = html(json!({"image": "b"}));
        assert!(again.contains("<option value=\"b\" selected>"), "{again}");
        assert_eq!(again.matches(" selected").count(), 1);
        // A choice that is no longer offered, or never was one, selects the default.
        assert_eq!(html(json!({"image": "gone"})), fresh);
        assert_eq!(html(json!({"image": ["b"]})), fresh);
    }

    #[test]
    fn one_image_needs_no_form() {
        assert_eq!(
            among(&["x"]).form(&UserOptions::default()),
            OptionsForm::None
        );
    }

    #[test]
    fn lists_that_contradict_themselves() {
        let named = vec![("x".to_owned(), image("x"))];
        assert_eq!(
            ImageChoice::among(Some(image("y")), named).unwrap_err(),
            ChoiceError::DefaultNotAllowed(image("y"))
        );
        assert_eq!(
            ImageChoice::among(None, vec![]).unwrap_err(),
            ChoiceError::NoImage
        );
        let nameless = vec![(String::new(), image("x"))];
        assert_eq!(
            ImageChoice::among(None, nameless).unwrap_err(),
            ChoiceError::Name
        );
    }

    #[test]
    fn a_form_becomes_options() {
        let form = |fields: &[(&str, &str)]| -> FormData {
            fields
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect()
        };
        let options = options_from_form(form(&[("image", "x"), ("other", "1")])).unwrap();
        assert_eq!(options.text("image"), Ok(Some("x")));
        assert_eq!(options.get("other"), Some(&json!(["1"])));
        assert!(options_from_form(form(&[("image", "x"), ("image", "y")])).is_err());
        assert!(options_from_form(form(&[])).unwrap().is_empty());
    }

    #[test]
    fn refused_texts_are_repeated_safely() {
        assert_eq!(echo("a\x1b[31m\n"), "\"a\\u{1b}[31m\\n\"");
        assert!(echo(&"x".repeat(5000)).len() < 80);
    }
}
