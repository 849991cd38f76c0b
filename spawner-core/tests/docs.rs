//! Every public item has an example or says where one is.
//!
//! A plain look at the text: an item's doc comment holds a code block, or a line
//! `Example: see [NAME]`, where NAME is an item that has one (or the front page of the crate).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One public item, as far as its text tells.
#[derive(Debug)]
struct Item {
    at: String,
    docs: String,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The kind of item and its name, if `line` declares a public one.
fn declared(line: &str, in_trait: bool) -> Option<(&str, &str)> {
    let text = match line.trim_start().strip_prefix("pub ") {
        Some(text) => text,
        // The methods of a public trait are public without saying so.
        None if in_trait && line.starts_with("    ") && !line.starts_with("     ") => {
            line.trim_start()
        }
        None => return None,
    };
    let mut words = text.split([' ', '(', '<', ':', ';', '{']);
    let kind = words.find(|word| !matches!(*word, "async" | "unsafe"))?;
    let name = words.next()?;
    // `pub const fn name` is a function; `pub const NAME` is none.
    let (kind, name) = match (kind, name) {
        ("const", "fn") => ("fn", words.next()?),
        other => other,
    };
    let known = [
        "fn", "struct", "enum", "trait", "const", "static", "type", "union",
    ];
    (known.contains(&kind) && (!in_trait || kind == "fn" || line.starts_with("pub ")))
        .then_some((kind, name))
}

/// The public items of one file, without its tests.
fn items(path: &Path) -> Vec<(String, Item)> {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    let (mut items, mut docs, mut in_trait) = (Vec::new(), String::new(), false);
    for (number, line) in text.lines().enumerate() {
        in_trait = (in_trait || line.starts_with("pub trait ")) && line != "}";
        let trimmed = line.trim_start();
        if let Some(doc) = trimmed.strip_prefix("///") {
            docs.push_str(doc);
            docs.push('\n');
        } else if let Some((_, name)) = declared(line, in_trait) {
            let at = format!("{}:{} {name}", path.display(), number + 1);
            let docs = std::mem::take(&mut docs);
            items.push((name.to_owned(), Item { at, docs }));
        } else if trimmed.is_empty() || trimmed.ends_with(['{', '}', ';', ',']) {
            // An attribute may stand between an item and its comment, anything else not.
            docs.clear();
        }
    }
    items
}

fn all_items(folders: &[&str]) -> Vec<(String, Item)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.retain(|file| {
        let inside = file.strip_prefix(&root).unwrap();
        !folders.iter().any(|folder| inside.starts_with(folder))
    });
    files.sort();
    files.iter().flat_map(|file| items(file)).collect()
}

/// The name in `Example: see [NAME]`, without its decoration.
fn pointed_at(docs: &str) -> Option<&str> {
    let (_, link) = docs.split_once("Example: see ")?;
    let (_, name) = link.split_once('[')?;
    let name = name.split(']').next()?.trim_matches('`');
    name.rsplit("::").next()
}

#[test]
fn every_public_item_has_an_example_or_says_where_one_is() {
    // The kit has a page of its own, and is documented there.
    let items = all_items(&["conformance", "supervisor/tests"]);
    assert!(items.len() > 150, "only {} items were found", items.len());
    let mut examples = BTreeMap::new();
    for (name, item) in &items {
        *examples.entry(name.as_str()).or_insert(false) |= item.docs.contains("```");
    }
    examples.insert("front page", true);
    let missing: Vec<_> = items
        .iter()
        .filter(|(_, item)| !item.docs.contains("```"))
        .filter(|(_, item)| {
            pointed_at(&item.docs).is_none_or(|name| examples.get(name) != Some(&true))
        })
        .map(|(_, item)| item.at.as_str())
        .collect();
    assert!(missing.is_empty(), "no example:\n{}", missing.join("\n"));
}

#[test]
fn the_look_sees_what_it_should() {
    let source = "\
/// Has one.
///
/// ```
/// one
/// ```
#[derive(Debug)]
pub struct A;
/// Has none.
pub(crate) struct Hidden;
/// Points.
///
/// Example: see [`A`](crate::A).
pub async fn b() {}
pub const fn c() {}
pub trait T {
    /// Points nowhere.
    fn d(&self) {
        let x = 1;
    }
}
";
    let file = std::env::temp_dir().join(format!("docs-{}.rs", std::process::id()));
    std::fs::write(&file, source).unwrap();
    let found = items(&file);
    std::fs::remove_file(&file).unwrap();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A", "b", "c", "T", "d"]);
    let docs: Vec<_> = found.iter().map(|(_, item)| &item.docs).collect();
    assert!(docs[0].contains("```"));
    assert_eq!(pointed_at(docs[1]), Some("A"));
    assert_eq!(pointed_at(docs[4]), None);
}
