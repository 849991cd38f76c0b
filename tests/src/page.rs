//! What a person sees of an HTML page: its title, its words, its links and its forms.
//!
//! The parser's tree is not kept: each question parses anew, so a page stays plain data.

use http::StatusCode;
use scraper::{ElementRef, Html, Selector};
use url::Url;

use crate::http::Reply;

/// One step of a browser: what was asked for and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The status.
    pub status: StatusCode,
    /// Where it led to.
    pub location: Option<String>,
}

/// `GET /user/tee/ 302 /hub/user/tee/`: a story's hops read as a list of these.
impl std::fmt::Display for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.method,
            self.target,
            self.status.as_u16()
        )?;
        self.location
            .iter()
            .try_for_each(|location| write!(f, " {location}"))
    }
}

/// Where a browser arrived, and how.
#[derive(Debug, Clone)]
pub struct Page {
    /// The address that the person sees.
    pub url: Url,
    /// The last answer.
    pub reply: Reply,
    /// Every hop that led here, the last one included.
    pub hops: Vec<Hop>,
}

/// A form as a browser would send it if the person only pressed its button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it goes.
    pub action: Url,
    /// `GET` or `POST`.
    pub method: String,
    /// Names and values of its fields, buttons not included.
    pub fields: Vec<(String, String)>,
}

impl Page {
    /// The status of the page itself.
    pub fn status(&self) -> u16 {
        self.reply.status.as_u16()
    }

    /// Path and query of the address.
    pub fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// The hops as lines.
    pub fn trail(&self) -> Vec<String> {
        self.hops.iter().map(Hop::to_string).collect()
    }

    /// All words of the page, with single spaces and without scripts and styles.
    pub fn words(&self) -> String {
        let html = Html::parse_document(&self.reply.text());
        let mut words = Vec::new();
        for node in html.tree.nodes() {
            let hidden = node.ancestors().any(|ancestor| {
                let element = ancestor.value().as_element();
                element.is_some_and(|element| matches!(element.name(), "script" | "style"))
            });
            if let (false, Some(text)) = (hidden, node.value().as_text()) {
                words.extend(text.split_whitespace().map(str::to_owned));
            }
        }
        words.join(" ")
    }

    /// The targets of all links, as complete addresses.
    pub fn links(&self) -> Vec<Url> {
        let html = Html::parse_document(&self.reply.text());
        let anchors = selector("a[href]");
        let links = html.select(&anchors);
        links
            .filter_map(|link| self.url.join(link.attr("href")?).ok())
            .collect()
    }

    /// The first link whose path starts with `path`.
    pub fn link(&self, path: &str) -> Option<Url> {
        self.links()
            .into_iter()
            .find(|link| link.path().starts_with(path))
    }

    /// The forms, in the page's order.
    pub fn forms(&self) -> Vec<Form> {
        let html = Html::parse_document(&self.reply.text());
        html.select(&selector("form"))
            .map(|form| self.form_of(form))
            .collect()
    }

    /// The first form whose action's path starts with `path`.
    pub fn form(&self, path: &str) -> Option<Form> {
        self.forms()
            .into_iter()
            .find(|form| form.action.path().starts_with(path))
    }

    fn form_of(&self, form: ElementRef<'_>) -> Form {
        let action = form.attr("action").filter(|action| !action.is_empty());
        let action = action.map_or(Ok(self.url.clone()), |action| self.url.join(action));
        let inputs = selector("input[name], select[name], textarea[name]");
        let fields = form.select(&inputs);
        Form {
            action: action.expect("a form's action is an address"),
            method: form.attr("method").unwrap_or("get").to_ascii_uppercase(),
            fields: fields.filter_map(field).collect(),
        }
    }
}

/// Name and value of a field that would be sent as it stands.
fn field(element: ElementRef<'_>) -> Option<(String, String)> {
    let name = element.attr("name")?.to_owned();
    let value = match element.value().name() {
        "select" => {
            let chosen = element.select(&selector("option[selected]")).next();
            let option = chosen.or_else(|| element.select(&selector("option")).next())?;
            let text = || option.text().collect::<String>().trim().to_owned();
            option.attr("value").map_or_else(text, str::to_owned)
        }
        "textarea" => element.text().collect(),
        _ => match element.attr("type").unwrap_or("text") {
            "submit" | "button" | "image" | "reset" | "file" => return None,
            "checkbox" | "radio" if element.attr("checked").is_none() => return None,
            "checkbox" | "radio" => element.attr("value").unwrap_or("on").to_owned(),
            _ => element.attr("value").unwrap_or_default().to_owned(),
        },
    };
    Some((name, value))
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap_or_else(|error| panic!("{css}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &'static str) -> Page {
        Page {
            url: "http://127.0.0.1:8000/hub/spawn?next=%2Fx".parse().unwrap(),
            reply: Reply {
                status: StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: html.into(),
            },
            hops: Vec::new(),
        }
    }

    #[test]
    fn reads_words_links_and_forms_as_a_person_would() {
        let page = page(
            "<title>Start</title><style>b{}</style><h1>A  server\n for you</h1><script>no()</script>
             <a href=../hub/home>Home</a> <a href='//other.example/'>Other</a>
             <form action='' method=post><input type=hidden name=_xsrf value='a&amp;b'>
               <input name=size value=2><input type=checkbox name=gpu><input type=submit name=go>
               <input type=checkbox name=ssd checked>
               <select name=image><option value=a>A<option value=b selected>B</select>
               <textarea name=notes>n</textarea></form>",
        );
        assert_eq!(page.words(), "Start A server for you Home Other A B n");
        assert_eq!(page.link("/hub/home").unwrap().path(), "/hub/home");
        assert_eq!(page.links()[1].as_str(), "http://other.example/");
        let form = page.form("/hub/spawn").unwrap();
        assert_eq!(
            (form.action.query(), form.method.as_str()),
            (Some("next=%2Fx"), "POST")
        );
        let fields: Vec<_> = form
            .fields
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(
            fields,
            ["_xsrf=a&b", "size=2", "ssd=on", "image=b", "notes=n"]
        );
        assert_eq!(page.target(), "/hub/spawn?next=%2Fx");
    }
}
