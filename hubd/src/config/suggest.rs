//! What was probably meant by a key or word that nobody knows.

use toml::de::{DeTable, DeValue};

use super::reading::{Reading, Spot};
use super::renamed::{self, hint};
use super::source::join;
use super::spec::{TABLES, TableSpec, header};
use super::value::Fault;

/// What to say if nothing comes near.
const SEE_ALL: &str = "`hubd print-config` shows every key";

/// A longer word is no slip of the pen, and comparing it would take long.
const WORD_MAX: usize = 64;

/// The candidate that is a slip of the pen away from `word`. Case and the kind of dash do not
/// count; of two that are as close the first one wins.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let plain = |word: &str| word.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    // One slip in a short word is much, three in a long one are not.
    let slips_max = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &plain(candidate)),
                candidate,
            )
        })
        .filter(|(slips, candidate)| *slips <= slips_max && *slips < candidate.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Notes that nobody knows the key `name` of the table at `path`, and what was probably meant.
pub(super) fn unknown_key(
    reading: &mut Reading,
    spec: &'static TableSpec,
    path: &str,
    known: &[&str],
    name: &str,
    value: &DeValue<'_>,
) {
    let key = join(path, name);
    if let (true, DeValue::Table(entries)) = (path.is_empty(), value) {
        if name == "c" {
            return python_config(reading, &key, entries);
        }
        if let Some(table) = renamed::table_of_class(name) {
            return class_traits(reading, &key, entries, table);
        }
    }
    let is_table = match value {
        DeValue::Table(_) => true,
        DeValue::Array(elements) => elements.iter().any(|element| element.get_ref().is_table()),
        _ => false,
    };
    let message = if is_table {
        "unknown table"
    } else {
        "unknown key"
    };
    if reading.is_full() {
        // Not worth a search: it will be counted and not shown.
        return reading.error(Spot::Key(&key), Fault::new(message));
    }
    let help = hint(spec.path, name)
        .map(str::to_owned)
        .or_else(|| if is_table { None } else { elsewhere(name) })
        .or_else(|| {
            let close = closest(name, known.iter().copied())?;
            let table = TABLES
                .iter()
                .find(|table| path.is_empty() && table.path == close);
            let written = table.map_or_else(|| close.to_owned(), |table| header(table));
            Some(format!("did you mean `{written}`?"))
        })
        .or_else(|| if is_table { None } else { close_to_any(name) })
        .unwrap_or_else(|| SEE_ALL.to_owned());
    reading.error(Spot::Key(&key), Fault::new(message).help(help));
}

/// Where the key belongs, if other tables have it.
fn elsewhere(name: &str) -> Option<String> {
    let headers: Vec<String> = TABLES
        .iter()
        .filter(|table| table.keys.iter().any(|key| key.name == name))
        .map(|table| header(table))
        .collect();
    (!headers.is_empty()).then(|| format!("`{name}` belongs in {}", headers.join(" or ")))
}

/// The key of any table that comes near.
fn close_to_any(name: &str) -> Option<String> {
    let keys = TABLES
        .iter()
        .flat_map(|table| table.keys.iter().map(|key| key.name));
    let close = closest(name, keys)?;
    let table = TABLES
        .iter()
        .find(|table| table.keys.iter().any(|key| key.name == close))?;
    Some(format!("did you mean `{close}` in {}?", header(table)))
}

/// `c.JupyterHub.bind_url = "..."` is valid TOML, so a pasted Python configuration ends here.
fn python_config(reading: &mut Reading, path: &str, classes: &DeTable<'_>) {
    for (class, value) in classes {
        let path = join(path, class.get_ref());
        let table = renamed::table_of_class(class.get_ref());
        match (value.get_ref(), table) {
            (DeValue::Table(entries), Some(table)) => class_traits(reading, &path, entries, table),
            _ => foreign(reading, &path, None),
        }
    }
}

/// Notes each trait that is set on a class of JupyterHub.
fn class_traits(reading: &mut Reading, path: &str, traits: &DeTable<'_>, table: &'static str) {
    for (name, _) in traits {
        let name = name.get_ref();
        let keys = TABLES
            .iter()
            .find(|spec| spec.path == table)
            .map_or(&[][..], |spec| spec.keys);
        let help = if let Some(hint) = hint(table, name) {
            Some(hint.to_owned())
        } else if keys.is_empty() || keys.iter().any(|key| key.name == name) {
            Some(format!("write `{name}` in [{table}]"))
        } else {
            elsewhere(name).or_else(|| close_to_any(name))
        };
        foreign(reading, &join(path, name), help);
    }
}

fn foreign(reading: &mut Reading, key: &str, help: Option<String>) {
    let help = help.unwrap_or_else(|| SEE_ALL.to_owned());
    let fault = Fault::new("this is a name from JupyterHub's configuration");
    reading.error(Spot::Key(key), fault.help(help));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let keys = ["poll_interval", "port", "ip", "args", "cmd", "debug"];
        for (word, expected) in [
            ("poll_intervall", Some("poll_interval")),
            ("pollInterval", Some("poll_interval")),
            ("poll-interval", Some("poll_interval")),
            ("prot", Some("port")),
            ("agrs", Some("args")),
            ("ipp", Some("ip")),
            ("xx", None),
            ("", None),
            ("verbose", None),
            ("start_timeout", None),
        ] {
            assert_eq!(closest(word, keys), expected, "{word:?}");
        }
    }
}
