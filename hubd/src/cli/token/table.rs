//! The list of tokens as text.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use jiff::Timestamp;

use crate::auth::tokens::TokenLine;

/// Columns with a heading.
pub(super) fn of(tokens: &[TokenLine]) -> String {
    if tokens.is_empty() {
        return "There are no tokens; `hubd token new` makes one.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "ID",
        "OWNER",
        "KIND",
        "CREATED (UTC)",
        "LAST USE",
        "EXPIRES",
        "SCOPES",
        "NOTE",
    ]);
    for token in tokens {
        table.add_row([
            token.id.clone(),
            token.owner(),
            token.kind.clone(),
            minutes(token.created),
            token.last_activity.map_or("-".to_owned(), minutes),
            token.expires_at.map_or("never".to_owned(), minutes),
            token.scopes.join(" "),
            token.note.clone(),
        ]);
    }
    let lines = table.to_string();
    lines.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim());
        text
    })
}

fn minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_token() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let tokens = [
            TokenLine {
                id: "a1".to_owned(),
                user: Some("ann".parse().unwrap()),
                service: None,
                kind: "api".to_owned(),
                note: "für mich".to_owned(),
                scopes: vec!["inherit".to_owned()],
                created: at("2026-01-02T03:04:05.678901Z"),
                last_activity: None,
                expires_at: None,
            },
            TokenLine {
                id: "a12".to_owned(),
                user: None,
                service: Some("grader".to_owned()),
                kind: "api".to_owned(),
                note: String::new(),
                scopes: vec!["list:users".to_owned(), "proxy".to_owned()],
                created: at("2026-01-02T03:04:05Z"),
                last_activity: Some(at("2026-02-03T04:05:06Z")),
                expires_at: Some(at("2027-02-03T04:05:06Z")),
            },
        ];
        let text = of(&tokens);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|c| !c.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(lines[0][0], "ID");
        assert_eq!(
            lines[1],
            [
                "a1",
                "user ann",
                "api",
                "2026-01-02 03:04",
                "-",
                "never",
                "inherit",
                "für mich"
            ]
        );
        assert_eq!(lines[2][..2], ["a12", "service grader"]);
        assert_eq!(lines[2][6], "list:users proxy");
        assert!(of(&[]).contains("hubd token new"));
    }
}
