//! The modules of hubd build on each other in one direction. This reads their `use crate::` lines
//! and paths against the table of ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What everybody may use.
const LEAVES: [&str; 4] = ["metrics", "random", "tasks", "telemetry"];

/// Each module with the modules it may use beside the leaves and itself.
const LAYERS: [(&str, &[&str]); 15] = [
    ("config", &["proxy"]),
    ("store", &[]),
    ("scopes", &[]),
    ("proxy", &[]),
    ("auth", &["config", "store", "scopes"]),
    ("servers", &["config", "store", "scopes", "proxy"]),
    ("oauth", &["config", "store", "scopes", "auth", "servers"]),
    (
        "services",
        &["config", "store", "scopes", "auth", "servers", "proxy"],
    ),
    (
        "app",
        &[
            "config", "store", "scopes", "auth", "servers", "oauth", "services", "proxy",
        ],
    ),
    ("people", &["app", "store", "scopes", "auth", "servers"]),
    (
        "api",
        &[
            "people", "app", "config", "store", "scopes", "auth", "servers", "oauth", "services",
            "proxy",
        ],
    ),
    (
        "pages",
        &[
            "people", "app", "config", "store", "scopes", "auth", "servers", "oauth", "services",
            "proxy",
        ],
    ),
    ("http", &["api", "pages", "app", "proxy"]),
    (
        "hub",
        &[
            "http", "api", "pages", "people", "app", "config", "store", "scopes", "auth",
            "servers", "oauth", "services", "proxy",
        ],
    ),
    ("cli", &["hub", "api", "config", "store", "auth"]),
];

#[test]
fn dependencies_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, allowed) in LAYERS {
        for file in files_of(&src, module) {
            let text = fs::read_to_string(&file).unwrap();
            for used in used_modules(&text) {
                if used != module && !LEAVES.contains(&used) && !allowed.contains(&used) {
                    wrong.push(format!("{} uses {used}", file.display()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the layers:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_module_has_a_layer() {
    let lib = include_str!("../src/lib.rs");
    let modules = lib.lines().filter_map(|line| {
        line.trim_start_matches("pub ")
            .strip_prefix("mod ")?
            .strip_suffix(';')
    });
    let known: BTreeSet<&str> = LAYERS
        .iter()
        .map(|(module, _)| *module)
        .chain(LEAVES)
        .collect();
    for module in modules {
        assert!(
            known.contains(module),
            "`{module}` has no place in the layers"
        );
    }
}

fn files_of(src: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![src.join(module)];
    let file = src.join(format!("{module}.rs"));
    files.extend(file.exists().then_some(file));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "the module `{module}` is gone");
    files
}

/// The modules that a file names after `crate::`, one or a list of them; those of its tests count
/// too, which is stricter than it need be and simpler than it could be.
fn used_modules(text: &str) -> impl Iterator<Item = &str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .flat_map(|path| match path.strip_prefix('{') {
            Some(list) => list.split(", ").collect(),
            None => vec![path],
        })
        .filter_map(|path| {
            path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()
        })
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}
