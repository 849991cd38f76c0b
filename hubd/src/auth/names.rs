//! One form for every name, before anything is compared.
//!
//! ```text
//! " Ann@Example.org " --trim, ASCII lower case--> "ann@example.org" --username_map--> ann --username_pattern--> UserName
//! ```
//!
//! Only ASCII is folded: the Kelvin sign folds to a `k` by the rules of Unicode, and then two names
//! that are not equal would be one account. What is not ASCII is refused by [`UserName`] itself,
//! unless the map gives it another name.

use std::collections::BTreeMap;

use regex::Regex;
use spawner_core::UserName;

use crate::config::AuthTable;

/// The longest name that is looked at, in bytes.
const TYPED_MAX: usize = 1024;

/// The rules for names.
#[derive(Debug)]
pub(super) struct Names {
    map: BTreeMap<String, UserName>,
    pattern: Option<Regex>,
}

impl Names {
    pub(super) fn new(auth: &AuthTable) -> Self {
        Self {
            map: auth.username_map.clone(),
            pattern: auth.username_pattern.clone(),
        }
    }

    /// What the hub calls somebody whom others call `name`; `None` if no account can be called so.
    pub(super) fn ours(&self, name: &str) -> Option<UserName> {
        let name = normal(name)?;
        let ours = match self.map.get(&name) {
            Some(mapped) => mapped.clone(),
            None => UserName::new(&name).ok()?,
        };
        let fits = |pattern: &Regex| pattern.is_match(ours.as_str());
        self.pattern.as_ref().is_none_or(fits).then_some(ours)
    }
}

/// A name as it was typed, in the form in which it is compared.
pub(super) fn normal(name: &str) -> Option<String> {
    (name.len() <= TYPED_MAX).then(|| name.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn ours(rules: &str, name: &str) -> Option<String> {
        let config = format!("[auth]\nkind = 'dummy'\nallow_all = true\n{rules}\n");
        let names = Names::new(&Config::parse(&config, "test").unwrap().auth);
        names.ours(name).map(|name| name.to_string())
    }

    #[test]
    fn every_spelling_is_one_name() {
        for name in ["ann", "ANN", " Ann\t", "\u{3000}ann\n"] {
            assert_eq!(ours("", name).as_deref(), Some("ann"), "{name:?}");
        }
        for name in [
            "",
            " ",
            ".",
            "..",
            "a/b",
            "../ann",
            "a\0nn",
            "ann\u{202e}",
            "\u{212a}im",
            "\u{ff41}nn",
            "a nn",
            "%61nn",
            "~ann",
            "-ann",
            &"a".repeat(256),
            &" ".repeat(2000),
        ] {
            assert_eq!(ours("", name), None, "{name:?}");
        }
    }

    #[test]
    fn names_of_elsewhere_are_mapped_and_then_compared() {
        let rules = "username_map = { 'Ann.Lee@Example.org' = 'ann', 'Zo\u{eb}' = 'zoe' }";
        for (name, expected) in [
            ("ann.lee@example.org", Some("ann")),
            (" ANN.LEE@EXAMPLE.ORG", Some("ann")),
            ("Zo\u{eb}", Some("zoe")),
            ("zo\u{eb}", Some("zoe")),
            ("ann", Some("ann")),
            ("zo\u{eb}x", None),
        ] {
            assert_eq!(ours(rules, name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_pattern_is_about_the_whole_name() {
        let rules = "username_pattern = 'a|[b-c]{2}'\nusername_map = { bob = 'x' }";
        for (name, expected) in [
            ("a", Some("a")),
            ("A", Some("a")),
            ("cb", Some("cb")),
            ("aa", None),
            ("bcb", None),
            // What the name is here counts, not what it was.
            ("bob", None),
        ] {
            assert_eq!(ours(rules, name).as_deref(), expected, "{name:?}");
        }
    }
}
