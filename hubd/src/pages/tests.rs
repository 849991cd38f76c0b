//! What holds for every page, checked on all of them.

use std::collections::BTreeSet;
use std::path::Path;

use scraper::{ElementRef, Html, Selector};

use super::samples::{self, Sample, Texts};
use super::views::View;
use super::{assets, render, views};

/// Texts that would do something on a page that does not escape them.
const HOSTILE: [&str; 8] = [
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></textarea></pre><script>alert(1)</script>",
    "{{7*7}}{% include \"login.html\" %}{{ xsrf }}",
    "a\r\nSet-Cookie: x=y\r\n\r\n<b>",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; %3Cb%3E \u{202e}\0",
];

fn templates() -> render::Templates {
    render::Templates::new(None).unwrap()
}

fn pages_with(text: Texts<'_>) -> Vec<Sample> {
    samples::pages(&templates(), text)
}

/// Every page with usual texts, with empty ones and with hostile ones.
fn all_pages() -> Vec<Sample> {
    let mut pages = pages_with(&str::to_owned);
    pages.extend(pages_with(&|_| String::new()));
    for hostile in HOSTILE {
        pages.extend(pages_with(&|_| hostile.to_owned()));
    }
    pages
}

fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().trim().to_owned()
}

/// Calls `check` with each page and its name.
fn on_all_pages(check: impl Fn(&str, &Html)) {
    for Sample { name, html } in all_pages() {
        check(&name, &Html::parse_document(&html));
    }
}

#[test]
fn hostile_texts_stay_texts() {
    let shape = |html: &str| -> Vec<String> {
        select(&Html::parse_document(html), "*")
            .iter()
            .map(|element| {
                let attributes: Vec<&str> = element.value().attrs().map(|(name, _)| name).collect();
                format!("{} {}", element.value().name(), attributes.join(" "))
            })
            .collect()
    };
    let usual = pages_with(&str::to_owned);
    for hostile in HOSTILE {
        for (usual, page) in usual.iter().zip(pages_with(&|_| hostile.to_owned())) {
            assert_eq!(shape(&usual.html), shape(&page.html), "{}", page.name);
            if hostile.contains(['<', '"', '\'']) {
                assert!(!page.html.contains(hostile), "{}", page.name);
            }
        }
    }
}

#[test]
fn texts_are_not_templates() {
    let page = &pages_with(&|_| "{{7*7}}".to_owned())[1];
    assert_eq!(page.name, "login-refused");
    assert!(page.html.contains("{{7*7}}") && !page.html.contains("49"));
}

#[test]
fn nothing_is_inline() {
    on_all_pages(|name, page| {
        assert!(
            select(page, "style, [style], iframe, object, base").is_empty(),
            "{name}"
        );
        for script in select(page, "script") {
            assert!(
                script.attr("src").is_some() && text(script).is_empty(),
                "{name}"
            );
        }
        for element in select(page, "*") {
            for (attribute, value) in element.value().attrs() {
                assert!(!attribute.starts_with("on"), "{name}: {attribute}={value}");
            }
        }
    });
}

#[test]
fn every_posted_form_carries_the_token() {
    let xsrf = samples::chrome(None).xsrf;
    on_all_pages(|name, page| {
        for form in select(page, "form") {
            // A search only reads; its address is the page that it leads to.
            if form.attr("role") == Some("search") {
                assert_eq!(form.attr("method"), Some("get"), "{name}");
                assert!(select(page, "[role=search] [name=_xsrf]").is_empty());
                continue;
            }
            assert_eq!(form.attr("method"), Some("post"), "{name}");
            let token = Selector::parse("input[type=hidden][name=_xsrf]").unwrap();
            let tokens: Vec<_> = form
                .select(&token)
                .map(|input| input.attr("value"))
                .collect();
            assert_eq!(tokens, [Some(xsrf.as_str())], "{name}");
        }
    });
}

#[test]
fn every_address_is_on_this_host() {
    on_all_pages(|name, page| {
        for attribute in [
            "href",
            "src",
            "action",
            "data-next-url",
            "data-progress-url",
            "data-events-url",
            "formaction",
        ] {
            for element in select(page, &format!("[{attribute}]")) {
                let address = element.attr(attribute).unwrap();
                let is_local = address.starts_with('/') && !address[1..].starts_with(['/', '\\']);
                // The one page that leads to another host is made for that.
                let leaves = name == "leave" && address.starts_with("https://grader.example.org/");
                assert!(
                    is_local || leaves || address == "#main",
                    "{name}: {attribute}={address}"
                );
            }
        }
    });
}

#[test]
fn every_static_file_is_there() {
    on_all_pages(|name, page| {
        let mut seen = 0;
        for element in select(page, "[src], link[href]") {
            let address = element.attr("src").or(element.attr("href")).unwrap();
            let (file, hash) = address
                .strip_prefix("/hub/static/")
                .and_then(|rest| rest.split_once("?v="))
                .unwrap_or_else(|| panic!("{name}: {address}"));
            assert_eq!(assets::hash(file), Some(hash), "{name}: {address}");
            seen += 1;
        }
        assert!(seen >= 3, "{name}");
    });
}

#[test]
fn ids_are_unique_and_references_meet() {
    on_all_pages(|name, page| {
        let mut ids = BTreeSet::new();
        for element in select(page, "[id]") {
            let id = element.attr("id").unwrap();
            assert!(ids.insert(id), "{name}: id {id} twice");
        }
        for attribute in ["for", "aria-describedby", "aria-labelledby"] {
            for element in select(page, &format!("[{attribute}]")) {
                for id in element.attr(attribute).unwrap().split(' ') {
                    assert!(ids.contains(id), "{name}: {attribute}={id}");
                }
            }
        }
        assert!(ids.contains("main"), "{name}");
    });
}

#[test]
fn every_input_has_a_label() {
    on_all_pages(|name, page| {
        let inputs = "input:not([type=hidden]), select, textarea, progress";
        for input in select(page, inputs) {
            let id = input.attr("id").unwrap_or_else(|| panic!("{name}: no id"));
            let label = select(page, &format!("label[for=\"{id}\"]"));
            assert_eq!(label.len(), 1, "{name}: {id}");
        }
    });
}

#[test]
fn every_page_has_its_landmarks_and_one_main_action() {
    for Sample { name, html } in pages_with(&str::to_owned) {
        let page = Html::parse_document(&html);
        assert_eq!(select(&page, "html[lang]").len(), 1, "{name}");
        for landmark in ["h1", "main", "header", "footer", "title", "a.skip"] {
            let found = select(&page, landmark);
            assert_eq!(found.len(), 1, "{name}: {landmark}");
            assert!(!text(found[0]).is_empty(), "{name}: {landmark} is empty");
        }
        assert!(select(&page, ".button.primary").len() <= 1, "{name}");
        for pressed in select(&page, "a, button") {
            assert!(!text(pressed).is_empty(), "{name}: {}", pressed.html());
        }
    }
}

#[test]
fn buttons_say_what_jupyterhubs_say() {
    let pages = pages_with(&str::to_owned);
    for (name, selector, words) in [
        ("login", "#login_submit", "Sign in"),
        ("home-stopped", "#start", "Start My Server"),
        ("home-running", ".primary", "My Server"),
        ("home-running", "#stop", "Stop My Server"),
        ("not-running", "#start", "Start My Server"),
        ("spawn", "#start", "Start"),
        ("oauth", "#authorize", "Authorize"),
        ("home-running", "#logout", "Logout"),
    ] {
        let sample = pages.iter().find(|page| page.name == name).unwrap();
        let page = Html::parse_document(&sample.html);
        let found = select(&page, selector);
        assert_eq!(text(found[0]), words, "{name}");
    }
}

#[test]
fn pages_that_wait_go_on_without_a_script() {
    for Sample { name, html } in pages_with(&str::to_owned) {
        let waits = [
            "pending",
            "pending-first",
            "stopping",
            "checking",
            "home-starting",
            "home-stopping",
            "home-checking",
            "home-named",
        ]
        .contains(&name.as_str());
        // With a script the elements of <noscript> are text, which is how the parser reads them.
        let refreshes = html.contains("<noscript><meta http-equiv=\"refresh\" content=\"");
        assert_eq!(refreshes, waits, "{name}");
    }
}

#[test]
fn the_options_form_is_the_only_raw_html() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/templates");
    let mut raw = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(!source.contains("autoescape"), "{}", path.display());
        for line in source.lines().filter(|line| line.contains("safe")) {
            raw.push(line.trim().to_owned());
        }
    }
    assert_eq!(raw, ["{{ options_form|safe }}"]);
}

/// `user` of the frame must not be hidden by a field of a page, nor the other way round.
#[test]
fn no_field_of_a_page_hides_one_of_the_frame() {
    fn fields<V: View>(view: &V) -> Vec<String> {
        match serde_json::to_value(view).unwrap() {
            serde_json::Value::Object(fields) => fields.keys().cloned().collect(),
            other => panic!("{} is {other}", V::TEMPLATE),
        }
    }
    let frame = serde_json::to_value(samples::chrome(None)).unwrap();
    let error = views::ErrorView::new(http::StatusCode::NOT_FOUND);
    for field in fields(&samples::login()).into_iter().chain(fields(&error)) {
        assert!(frame.get(&field).is_none(), "{field}");
    }
}

/// Writes every page and the static files to `target/pages-preview`, to be looked at in a browser:
/// `cargo test -p hubd --lib pages::tests::preview -- --ignored`.
#[test]
#[ignore = "writes files for a person to look at"]
fn preview() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../target/pages-preview");
    std::fs::create_dir_all(&folder).unwrap();
    for Sample { name, html } in pages_with(&str::to_owned) {
        let html = html.replace("/hub/static/", "");
        std::fs::write(folder.join(name + ".html"), html).unwrap();
    }
    for file in std::fs::read_dir(root.join("src/pages/static")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
}

/// The colours of a scheme, by name: `light` is the first block of variables, `dark` the second.
fn palette(scheme: usize) -> std::collections::BTreeMap<String, [f64; 3]> {
    let css = include_str!("static/style.css");
    let block = css.split(":root {").nth(scheme + 1).unwrap();
    let block = block.split('}').next().unwrap();
    let lines = block.lines().filter_map(|line| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let hex = u32::from_str_radix(value.trim_end_matches(';'), 16).unwrap();
        let part = |shift: u32| f64::from((hex >> shift) & 0xff) / 255.0;
        Some((name.to_owned(), [part(16), part(8), part(0)]))
    });
    lines.collect()
}

/// The contrast of two colours as WCAG 2 has it, from 1 to 21.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [r, g, b] = colour.map(|part| {
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Texts at 4.5 to 1, the borders of what can be pressed and the focus at 3 to 1 (WCAG 2.2 AA).
#[test]
fn colours_can_be_told_apart_in_both_schemes() {
    let pairs = [
        (
            4.5,
            "text",
            &["page", "surface", "sunken", "bad-page", "note-page"][..],
        ),
        (4.5, "muted", &["page", "surface", "sunken"]),
        (4.5, "accent", &["page", "surface", "bad-page", "note-page"]),
        (4.5, "accent-strong", &["surface"]),
        (4.5, "on-accent", &["accent", "accent-strong"]),
        (4.5, "good", &["surface"]),
        (3.0, "control", &["surface", "page"]),
        (3.0, "focus", &["surface", "page"]),
        (3.0, "bad", &["bad-page"]),
        (3.0, "note", &["note-page"]),
    ];
    for scheme in [0, 1] {
        let colours = palette(scheme);
        for (least, ink, papers) in pairs {
            for paper in papers {
                let contrast = contrast(colours[ink], colours[*paper]);
                assert!(
                    contrast >= least,
                    "{scheme}: {ink} on {paper}: {contrast:.2}"
                );
            }
        }
    }
}
