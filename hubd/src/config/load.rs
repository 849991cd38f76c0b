//! From a file to a [`Config`], or to everything that is wrong with it.

use std::path::Path;
use std::string::FromUtf8Error;
use std::sync::Arc;

use toml::de::DeTable;

use super::files::read_regular;
use super::findings::ConfigErrors;
use super::reading::{Reading, Spot};
use super::root::{self, Config};
use super::source::Source;
use super::syntax;
use super::value::Fault;

/// A configuration file longer than this is none.
const FILE_MAX: u64 = 1024 * 1024;

impl Config {
    /// Reads and checks a file. Relative paths in it start at its folder.
    ///
    /// It opens the file, the token files and the template folder that it names, and changes
    /// nothing.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let file = read_regular(path, FILE_MAX).map_err(|message| {
            let mut reading = Reading::new(Arc::new(Source::unread(&name)), Path::new(""));
            reading.error_in(None, String::new(), Fault::new(message));
            reading.into_errors()
        })?;
        let text = String::from_utf8(file.bytes).map_err(|error| not_utf8(&name, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        read(&text, &name, folder, file.mode)
    }

    /// Reads and checks a text that has no file. Relative paths in it are left as they are.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        read(text, name, Path::new(""), 0o600)
    }
}

fn read(text: &str, name: &str, folder: &Path, mode: u32) -> Result<Config, ConfigErrors> {
    // Editors of some systems begin a file with this mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let source = Arc::new(Source::new(name, text, root.get_ref()));
    let mut reading = Reading::new(source, folder);
    let errors = syntax::explain(text, &errors);
    // After broken syntax a key may seem to stand in another table than it was written in.
    let readable = errors.iter().all(|error| error.harmless);
    for error in errors {
        reading.error_in(Some(error.span), error.key, error.fault);
    }
    if !readable {
        return Err(reading.into_errors());
    }
    check_mode(&mut reading, mode);
    root::read(reading, root.get_ref())
}

/// Points at the first byte that is not UTF-8.
fn not_utf8(name: &str, error: &FromUtf8Error) -> ConfigErrors {
    let offset = error.utf8_error().valid_up_to();
    let byte = error.as_bytes()[offset];
    // Up to that byte the text is as it was.
    let text = String::from_utf8_lossy(error.as_bytes());
    let (root, _) = DeTable::parse_recoverable(&text);
    let source = Source::new(name, &text, root.get_ref());
    let mut reading = Reading::new(Arc::new(source), Path::new(""));
    let fault = Fault::new(format!("the byte 0x{byte:02x} is not UTF-8"));
    let fault = fault.help("save the file in UTF-8");
    reading.error_in(
        Some(offset..offset),
        syntax::key_around(&text, offset),
        fault,
    );
    reading.into_errors()
}

/// Who can write the file decides which commands hubd runs, and who can read it has its tokens.
fn check_mode(reading: &mut Reading, mode: u32) {
    if mode & 0o002 != 0 {
        let message = format!("everybody on this machine can change this file (mode {mode:04o})");
        let fault = Fault::new(message).help("`chmod o-w` it");
        reading.error_in(None, String::new(), fault);
    }
    let secret = reading.source().written_secret().map(str::to_owned);
    if let (Some(key), true) = (secret, mode & 0o004 != 0) {
        let message = format!("everybody on this machine can read it here (mode {mode:04o})");
        let help = "`chmod o-r` this file, or keep secrets in files of their own";
        reading.warn(Spot::Key(&key), Fault::new(message).help(help));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"[hub]
state_dir = "state"
[auth]
kind = "password"
allowed_users = ["alice", "bob"]
[spawner.local]
x = { y = [1, 2.5, 'z'], w = 1979-05-27 }
[[service]]
name = "grader"
api_token_file = "grader.token"
"#;

    #[test]
    fn relative_paths_start_at_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hubd.toml");
        let token = folder.path().join("grader.token");
        fs::write(&path, TEXT).unwrap();
        fs::write(&token, "0123456789abcdef\r\n").unwrap();
        fs::set_permissions(&token, Permissions::from_mode(0o400)).unwrap();

        let config = Config::load(&path).unwrap();
        assert_eq!(config.hub.state_dir, folder.path().join("state"));
        let token = config.services[0].api_token.as_ref().unwrap();
        assert_eq!(token.expose(), "0123456789abcdef");

        fs::write(
            &path,
            "[hub]\nstate_dir = '/srv/hubd'\n[auth]\nkind = 'password'\n",
        )
        .unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.hub.state_dir, Path::new("/srv/hubd"));

        fs::write(&path, "[auth]\nkind = 'password'\n").unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.hub.state_dir, folder.path().join("hubd-state"));
    }

    #[test]
    fn a_byte_order_mark_and_foreign_line_ends_do_no_harm() {
        let text = "\u{feff}[auth]\r\nkind = 'password'\r\nallow_all = 1\r\n";
        let errors = Config::parse(text, "hubd.toml").unwrap_err();
        assert!(
            errors
                .to_string()
                .starts_with("hubd.toml:3:13: auth.allow_all: "),
            "{errors}"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = Config::parse(&text, "hubd.toml").map_err(|errors| errors.to_string());
        }

        /// A real file with a piece cut out and another put in reaches further into the reader.
        #[test]
        fn no_slip_makes_it_panic(
            at in 0..TEXT.len(), cut in 0..12_usize, piece in "[\\[\\]{}='\"\\\\.,#\n a-z0-9é-]{0,6}"
        ) {
            let mut text = TEXT.to_owned();
            text.replace_range(at..(at + cut).min(TEXT.len()), &piece);
            if let Err(errors) = Config::parse(&text, "hubd.toml") {
                for style in [super::super::Style::Plain, super::super::Style::Pretty { colour: true }] {
                    prop_assert!(!errors.findings().render(style).is_empty());
                }
                for line in errors.findings().lines() {
                    prop_assert!(!line.contains('\n'), "{:?}", line);
                    prop_assert!(line.starts_with("hubd.toml:"), "{}", line);
                }
            }
        }
    }
}
