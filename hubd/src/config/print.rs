//! `hubd print-config`: every key with its default, as a file to start from.

use std::fmt::Write as _;

use super::spec::{Shown, TABLES, header};

/// The text. It reads as the defaults; what has no default is commented out.
pub(crate) fn print() -> String {
    let mut text = String::from(
        "# hubd.toml: every key that hubd knows, with its default.\n\
         # Keep what you change and leave out the rest. Times are in seconds. A line that begins\n\
         # with `#` and no blank shows by example a key that has no default.\n",
    );
    for table in TABLES {
        text.push('\n');
        comment(&mut text, table.about);
        // There is none of a table that can be given several times, so all of it is an example.
        let off = if table.repeated { "#" } else { "" };
        text.extend([off, &header(table), "\n"]);
        for key in table.keys {
            text.push('\n');
            comment(&mut text, key.about);
            let (off, value) = match key.value {
                Shown::Default(value) => (off, value),
                Shown::Example(value) => ("#", value),
            };
            // Writing to a String does not fail.
            let _ = writeln!(text, "{off}{} = {value}", key.name);
        }
    }
    text
}

fn comment(text: &mut String, prose: &str) {
    for line in prose.lines() {
        text.extend(["# ", line, "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Config;
    use super::*;

    #[test]
    fn it_reads_as_the_defaults() {
        let text = print().replace("#kind = \"password\"", "kind = \"password\"");
        let config = Config::parse(&text, "printed").unwrap();
        let mut default = Config::default();
        default.auth.kind = config.auth.kind;
        assert!(config.hub == default.hub);
        assert!(config.auth == default.auth);
        assert!(config.spawner == default.spawner);
        assert!(config.limits == default.limits);
        assert!(config.culler == default.culler);
        assert!(config.audit == default.audit);
        assert!(config.services.is_empty() && config.roles.is_empty() && config.groups.is_empty());
    }

    #[test]
    fn every_key_is_printed_once_and_every_example_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        for (name, secret) in [
            ("grader.token", "0123456789abcdef\n"),
            ("users.password", "correct horse\n"),
            ("oidc.secret", "from the provider\n"),
            (
                "admins.password",
                "a whole sentence that only admins know\n",
            ),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, secret).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        }

        let mut printed = BTreeSet::new();
        let mut table = "";
        let mut uncommented = String::new();
        let text = print();
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let line = line.trim_start_matches('#');
            if line.starts_with('[') {
                table = line.trim_matches(['[', ']']);
            } else if let Some((key, _)) = line.split_once(" = ") {
                assert!(
                    printed.insert((table, key)),
                    "{table}.{key} is printed twice"
                );
            }
            // A secret stands in one place only.
            let twice = [
                "api_token =",
                "user_password =",
                "admin_password =",
                "client_secret =",
            ];
            if !twice.iter().any(|key| line.starts_with(key)) {
                uncommented.extend([line, "\n"]);
            }
        }
        let known: BTreeSet<_> = (TABLES.iter())
            .flat_map(|table| table.keys.iter().map(|key| (table.path, key.name)))
            .collect();
        assert_eq!(printed, known);

        let path = folder.path().join("hubd.toml");
        std::fs::write(&path, uncommented).unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.services[0].name, "grader");
    }

    #[test]
    fn lines_fit_a_terminal() {
        let text = print();
        let long = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None);
    }
}
