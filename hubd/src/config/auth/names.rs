//! Names on the way in: what they must look like, and what they are called here.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use spawner_core::UserName;
use toml::de::DeValue;

use super::super::names::user;
use super::super::reader::TableReader;
use super::super::reading::Spot;
use super::super::source::join;
use super::super::value::{Fault, expected, some_text};

/// The most memory that a pattern may take once it is compiled, in bytes.
const PATTERN_MAX: usize = 1 << 20;

/// A pattern for the whole of a name. JupyterHub ties its pattern to the beginning only, so that
/// `[a-z]+` takes `a/../b`; here it is tied to both ends.
pub(super) fn pattern(value: &DeValue<'_>) -> Result<Regex, Fault> {
    let text = some_text(value)?;
    // On its own first: `)|(` would fit between the parentheses.
    compiled(&text)?;
    compiled(&format!("^(?:{text})$"))
}

fn compiled(text: &str) -> Result<Regex, Fault> {
    let built = RegexBuilder::new(text).size_limit(PATTERN_MAX).build();
    built.map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            error => error
                .to_string()
                .lines()
                .last()
                .map_or_else(String::new, |line| {
                    line.trim_start_matches("error: ").to_owned()
                }),
        };
        Fault::new(format!("this is no regular expression: {reason}"))
    })
}

/// The map of names.
pub(super) fn map(table: &mut TableReader<'_, '_>) -> BTreeMap<String, UserName> {
    let name = "username_map";
    let Some(()) = table.get(name, |value| match value {
        DeValue::Table(_) => Ok(()),
        other => Err(expected("a table", other).help("write { \"other name\" = \"user\" }")),
    }) else {
        return BTreeMap::new();
    };
    let path = table.key(name);
    let mut map = BTreeMap::new();
    for (from, to) in table.table(name).into_iter().flatten() {
        let key = join(&path, from.get_ref());
        let normal = from.get_ref().trim().to_ascii_lowercase();
        match user(to.get_ref()) {
            Ok(to) => {
                if map.insert(normal, to).is_some() {
                    let message = "this name is given twice, as upper and lower case do not count";
                    table.reading().error(Spot::Key(&key), Fault::new(message));
                }
            }
            Err(fault) => table.reading().error(Spot::Value(&key), fault),
        }
    }
    map
}
