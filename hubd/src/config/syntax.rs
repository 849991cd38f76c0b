//! What is wrong with a text that is not TOML, in words for somebody who has not read the TOML
//! specification.

use std::ops::Range;

use super::value::Fault;

/// So many errors are put into words. A file with more is not TOML at all.
const EXPLAINED_MAX: usize = 20;

/// One complaint of the parser, put into words.
pub(super) struct SyntaxError {
    pub(super) span: Range<usize>,
    pub(super) fault: Fault,
    /// The key on whose line it is, as far as a look at the line tells.
    pub(super) key: String,
    /// Whether everything else in the file can be trusted all the same.
    pub(super) harmless: bool,
    /// Whether nothing that follows can be.
    runs_on: bool,
}

/// How the parser's complaints begin when a list was not closed.
const OPEN_LIST: &[&str] = &[
    "missing comma between array",
    "unclosed array,",
    "unexpected `=` in array",
];
/// The same for a table in braces.
const OPEN_TABLE: &[&str] = &["missing comma between key", "unclosed inline table"];

/// Puts the parser's complaints into words, one a line, in the order of the text.
pub(super) fn explain(text: &str, errors: &[toml::de::Error]) -> Vec<SyntaxError> {
    let start = |error: &&toml::de::Error| error.span().map_or(0, |span| span.start);
    let mut errors: Vec<&toml::de::Error> = errors.iter().collect();
    errors.sort_by_key(start);
    // The rest of a line that was misread once is misread too.
    errors.dedup_by_key(|error| line_start(text, text.floor_char_boundary(start(error))));
    errors.truncate(EXPLAINED_MAX);
    let mut explained: Vec<SyntaxError> = errors
        .into_iter()
        .map(|error| explain_one(text, error))
        .collect();
    // What follows an open bracket is read as if it stood inside.
    if let Some(first) = explained.iter().position(|error| error.runs_on) {
        explained.truncate(first + 1);
    }
    explained
}

fn explain_one(text: &str, error: &toml::de::Error) -> SyntaxError {
    let span = error.span().unwrap_or(0..0);
    let span = text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end);
    let said = error.message();
    let line = &text[line_start(text, span.start)..span.start];
    let harmless = said == "duplicate key";
    let fault = if harmless && line.trim_start().starts_with('[') {
        Fault::new("this table is in the file already").help("put all its keys below one header")
    } else if harmless {
        Fault::new("this key is set already").help("keep one of the two")
    } else {
        in_words(said, text[span.clone()].trim())
    };
    let runs_on = begins(said, OPEN_LIST) || begins(said, OPEN_TABLE);
    let key_at = if runs_on {
        text[..span.start].rfind('=')
    } else {
        None
    };
    SyntaxError {
        key: key_around(text, key_at.unwrap_or(span.start)),
        span,
        fault,
        harmless,
        runs_on,
    }
}

/// What the parser said about `found`, in words. `found` may be half of a password, so it is not
/// repeated.
fn in_words(said: &str, found: &str) -> Fault {
    let begins = |beginnings| begins(said, beginnings);
    if begins(&[
        "string values must be quoted",
        "invalid boolean",
        "invalid float",
    ]) || begins(&["invalid date", "invalid mantissa", "invalid fraction"])
    {
        no_value(found)
    } else if begins(&["unexpected key or value"]) {
        Fault::new("expected the end of the line here")
    } else if begins(&["missing escaped value"]) || said.contains("unicode") {
        Fault::new("a backslash in double quotes has a meaning of its own")
            .help("write `\\\\`, or put the text in single quotes")
    } else if begins(&[
        "invalid basic string",
        "invalid literal string",
        "invalid multi-line",
    ]) {
        Fault::new("the text is not closed")
            .help("write the same quotes at its end as at its start")
    } else if begins(OPEN_LIST) {
        Fault::new("the list before this is not closed, or lacks a comma")
    } else if begins(OPEN_TABLE) {
        Fault::new("the table in braces before this is not closed, or lacks a comma")
    } else if begins(&["unclosed table", "unclosed array table"]) {
        Fault::new("the table's name is not closed").help("write `[name]`, or `[[name]]`")
    } else if begins(&[
        "key with no value",
        "invalid unquoted key",
        "invalid key-value pair",
    ]) {
        Fault::new("expected `key = value` or `[table]`")
    } else if begins(&["unquoted keys cannot be empty"]) {
        Fault::new("a name is missing here")
    } else {
        Fault::new(format!("not valid TOML: {said}"))
    }
}

fn begins(said: &str, beginnings: &[&str]) -> bool {
    beginnings
        .iter()
        .any(|beginning| said.starts_with(beginning))
}

/// Something that stands where a value should.
fn no_value(found: &str) -> Fault {
    let number_with_unit =
        found.starts_with(|c: char| c.is_ascii_digit()) && found.ends_with(char::is_alphabetic);
    match found.to_ascii_lowercase().as_str() {
        "" => Fault::new("the value is missing"),
        "true" | "yes" | "on" => Fault::new("this is not a value").help("write `true`"),
        "false" | "no" | "off" => Fault::new("this is not a value").help("write `false`"),
        "none" | "null" | "nil" => Fault::new("TOML has no empty value").help("leave the key out"),
        _ if number_with_unit => {
            Fault::new("this is not a value").help("times are seconds, without a unit")
        }
        _ => Fault::new("this is not a value").help("put texts in double quotes"),
    }
}

/// The key that a place belongs to, by the nearest header above and what stands before `=`.
pub(super) fn key_around(text: &str, offset: usize) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name = |line: &str| {
        let name = line.trim_start_matches(['[', ' ', '\t']);
        name.split(|c| !bare(c))
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let start = line_start(text, offset);
    let line = text[start..].lines().next().unwrap_or_default().trim();
    if line.starts_with('[') {
        return name(line);
    }
    let is_header = |line: &&str| line.trim_start().starts_with('[');
    let table = text[..start]
        .lines()
        .rev()
        .find(is_header)
        .map(name)
        .unwrap_or_default();
    let is_key = line.contains(['=', ':']) || line.chars().all(bare);
    let key = if is_key { name(line) } else { String::new() };
    match (table.is_empty(), key.is_empty()) {
        (false, false) => format!("{table}.{key}"),
        (false, true) => table,
        (true, _) => key,
    }
}

fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn common_slips_are_explained() {
        for (text, key, message, help) in [
            (
                "[hub]\na = True\n",
                "hub.a",
                "this is not a value",
                Some("write `true`"),
            ),
            (
                "a = None\n",
                "a",
                "TOML has no empty value",
                Some("leave the key out"),
            ),
            ("a = \n", "a", "the value is missing", None),
            (
                "a = hunter2\n",
                "a",
                "this is not a value",
                Some("put texts in double quotes"),
            ),
            (
                "[hub]\na: 1\n",
                "hub.a",
                "expected `key = value` or `[table]`",
                None,
            ),
            (
                "[hub\na = 1\n",
                "hub",
                "the table's name is not closed",
                Some("write `[name]`, or `[[name]]`"),
            ),
            (
                "[a]\nb=1\nb=2\n",
                "a.b",
                "this key is set already",
                Some("keep one of the two"),
            ),
            (
                "[a]\n[b]\n[a]\n",
                "a",
                "this table is in the file already",
                Some("put all its keys below one header"),
            ),
            (
                "[s]\np = \"c:\\users\"\n",
                "s.p",
                "a backslash in double quotes has a meaning of its own",
                Some("write `\\\\`, or put the text in single quotes"),
            ),
        ] {
            let (_, errors) = DeTable::parse_recoverable(text);
            let explained = explain(text, &errors);
            let first = &explained[0];
            assert_eq!(first.key, key, "{text:?}");
            assert_eq!(first.fault.message, message, "{text:?}");
            assert_eq!(first.fault.help.as_deref(), help, "{text:?}");
        }
    }
}
