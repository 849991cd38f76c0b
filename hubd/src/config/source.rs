//! A configuration text as findings show it: its name, where each key stands, and the text with
//! every secret blotted out.
//!
//! Keys are written as in TOML: `hub.bind`, `service[0].name`, `spawner.environment."A.B"`. The
//! places outlive the parsed document, so that a complaint which comes later, from a spawner that
//! reads its own table, still finds its line.

use std::collections::BTreeMap;
use std::ops::Range;

use miette::NamedSource;
use toml::de::{DeTable, DeValue};

/// The text, and where what stands in it.
pub(crate) struct Source {
    /// Name and blotted text, in the form that excerpts are cut from.
    excerpt: NamedSource<String>,
    places: BTreeMap<String, Place>,
}

/// Byte ranges of one key.
#[derive(Clone)]
pub(super) struct Place {
    /// The key itself; for an element of an array the same as `value`.
    pub(super) key: Range<usize>,
    /// Its value; for a table the header.
    pub(super) value: Range<usize>,
}

impl Source {
    /// Indexes a parsed text.
    pub(super) fn new(name: &str, text: &str, root: &DeTable<'_>) -> Self {
        let mut places = BTreeMap::new();
        index_table(root, "", &mut places);
        let secrets = places.iter().filter(|(key, _)| is_secret(key));
        let text = blot(text, secrets.map(|(_, place)| place.value.clone()));
        Self {
            excerpt: NamedSource::new(name, text),
            places,
        }
    }

    /// A file of which no text could be read.
    pub(super) fn unread(name: &str) -> Self {
        Self::new(name, "", &DeTable::new())
    }

    /// The file's name as the user gave it; empty for a configuration that was made in code.
    pub(super) fn name(&self) -> &str {
        self.excerpt.name()
    }

    /// The blotted text; byte offsets are those of the original.
    pub(super) fn text(&self) -> &str {
        self.excerpt.inner()
    }

    /// The blotted text under its name, for excerpts.
    pub(super) fn excerpt(&self) -> &NamedSource<String> {
        &self.excerpt
    }

    /// Where `key` stands, and whether that is the key itself or only the nearest table around
    /// it, as for a key that is missing.
    pub(super) fn find(&self, key: &str) -> Option<(&Place, bool)> {
        if let Some(place) = self.places.get(key) {
            return Some((place, true));
        }
        let mut around = parent(key);
        while let Some(key) = around {
            if let Some(place) = self.places.get(key) {
                return Some((place, false));
            }
            around = parent(key);
        }
        None
    }

    /// A key whose value is a secret that this version reads from the file itself.
    pub(super) fn written_secret(&self) -> Option<&str> {
        const SECRETS: [&str; 4] = [
            "auth.dummy.password",
            "auth.shared-password.user_password",
            "auth.shared-password.admin_password",
            "auth.oidc.client_secret",
        ];
        let mut keys = self.places.keys().map(String::as_str);
        keys.find(|key| SECRETS.contains(key) || key.ends_with("].api_token"))
    }

    /// Line and column of a byte offset, both from 1; a column is a character.
    pub(super) fn line_column(&self, offset: usize) -> (usize, usize) {
        let text = self.text();
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// The key `name` of table `table`, as TOML writes it.
pub(super) fn join(table: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if table.is_empty() {
        name
    } else {
        format!("{table}.{name}")
    }
}

/// What `key` is part of: `service[0]` of `service[0].name`, `service` of `service[0]`.
fn parent(key: &str) -> Option<&str> {
    let (mut cut, mut quoted, mut escaped) = (None, false, false);
    for (at, c) in key.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '.' | '[' if !quoted => cut = Some(at),
            _ => {}
        }
    }
    cut.map(|at| &key[..at])
}

fn index_table(table: &DeTable<'_>, path: &str, places: &mut BTreeMap<String, Place>) {
    for (key, value) in table {
        let path = join(path, key.get_ref());
        let place = Place {
            key: key.span(),
            value: value.span(),
        };
        index_value(value.get_ref(), &path, places);
        places.insert(path, place);
    }
}

fn index_value(value: &DeValue<'_>, path: &str, places: &mut BTreeMap<String, Place>) {
    match value {
        DeValue::Table(table) => index_table(table, path, places),
        DeValue::Array(array) => {
            for (at, element) in array.iter().enumerate() {
                let path = format!("{path}[{at}]");
                index_value(element.get_ref(), &path, places);
                let place = Place {
                    key: element.span(),
                    value: element.span(),
                };
                places.insert(path, place);
            }
        }
        _ => {}
    }
}

/// Whether the value of `key` may be a secret. Environment variables often are, and a backend's
/// own table can hold any.
fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    key.contains("environment.")
        || ["token", "password", "secret"]
            .iter()
            .any(|secret| name.ends_with(secret))
}

/// Replaces secrets by stars and control characters, which would reach the terminal, by `?`. Byte
/// for byte, so that places stay right; line ends stay too.
fn blot(text: &str, secrets: impl Iterator<Item = Range<usize>>) -> String {
    let mut blotted = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\r' | '\t') {
            blotted.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            blotted.push(c);
        }
    }
    let mut blotted = blotted.into_bytes();
    for secret in secrets {
        for byte in &mut blotted[secret] {
            if !matches!(byte, b'"' | b'\'' | b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }
    // Whole characters were replaced, so this changes nothing.
    String::from_utf8_lossy(&blotted).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("hubd.toml", text, DeTable::parse(text).unwrap().get_ref())
    }

    #[test]
    fn places_are_found_by_key() {
        let text = "[hub]\nbind = 'é' # x\n[[service]]\nname = 'a'\n[x]\n\"a.b\" = [1, 2]\n";
        let source = source(text);
        let line_column = |key: &str| {
            let (place, exact) = source.find(key).unwrap();
            (source.line_column(place.key.start), exact)
        };
        assert_eq!(line_column("hub.bind"), ((2, 1), true));
        assert_eq!(line_column("hub.nothing"), ((1, 2), false));
        assert_eq!(line_column("service[0].token"), ((3, 1), false));
        assert_eq!(line_column("x.\"a.b\"[1]"), ((6, 13), true));
        assert_eq!(line_column("x.\"a.b\".c[4].d"), ((6, 1), false));
        assert!(source.find("auth.kind").is_none());
    }

    #[test]
    fn secrets_and_control_characters_do_not_show() {
        let text = "api_token = \"hunter2é\"\nk = 'x'\n[spawner.environment]\nA = '''\nb'''\n[x]\n\
                    secret_token = 'c'\ny = {password = 'd', user = 'e'}\n";
        let source = source(text);
        assert_eq!(source.text().len(), text.len());
        assert_eq!(
            source.text(),
            "api_token = \"*********\"\nk = 'x'\n[spawner.environment]\nA = '''\n*'''\n[x]\n\
             secret_token = '*'\ny = {password = '*', user = 'e'}\n"
        );
        assert_eq!(
            blot("a\u{1b}[31m\u{85}\n", std::iter::empty()),
            "a?[31m??\n"
        );
    }
}
