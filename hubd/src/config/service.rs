//! `[[service]]`: programs that call the REST API with a token of their own.

use std::path::Path;

use spawner_core::Secret;

use super::files::read_regular;
use super::names::{name, token};
use super::reader::TableReader;
use super::reading::Spot;
use super::spec::{KeySpec, TableSpec};
use super::value::{Fault, flag, quote, some_text, text};

/// A token file longer than this holds something else.
const TOKEN_FILE_MAX: u64 = 1024;

/// One `[[service]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceTable {
    /// Its name; no other service has it.
    pub(crate) name: String,
    /// Its token, from the file itself or from `api_token_file`.
    pub(crate) api_token: Secret,
    /// Whether it may do everything.
    pub(crate) admin: bool,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "service",
    repeated: true,
    about: "A program that calls the REST API with a token of its own; once for each.",
    keys: &[
        KeySpec::unset("name", "\"grader\"", "Its name."),
        KeySpec::unset(
            "api_token_file",
            "\"grader.token\"",
            "File with its token and nothing else, readable by its owner only.\n\
             `umask 077; openssl rand -hex 32 > grader.token` makes one.",
        ),
        KeySpec::unset(
            "api_token",
            "\"0123456789abcdef\"",
            "Its token, if it has to stand in this file.",
        ),
        KeySpec::new(
            "admin",
            "false",
            "Whether it may do everything. A [[role]] gives it less.",
        ),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> ServiceTable {
    let read = ServiceTable {
        name: table.require("name", name).unwrap_or_default(),
        api_token: read_token(&mut table).unwrap_or_else(|| Secret::new("")),
        admin: table.get("admin", flag).unwrap_or_default(),
    };
    table.finish();
    read
}

/// The token, from exactly one of the two places it can stand in.
fn read_token(table: &mut TableReader<'_, '_>) -> Option<Secret> {
    let written = table.get("api_token", |value| token(&text(value)?));
    let path = table.path("api_token_file", some_text);
    match (table.has("api_token"), table.has("api_token_file")) {
        (true, true) => {
            let fault = Fault::new("`api_token` is given too, and a service has one token");
            table.fault("api_token_file", fault.help("keep one of them"));
            None
        }
        (false, false) => {
            let fault =
                Fault::new("the service has no token").help("set `api_token_file`, or `api_token`");
            let key = table.key("api_token_file");
            table.reading().error(Spot::Key(&key), fault);
            None
        }
        (true, false) => written,
        (false, true) => match token_in(&path?) {
            Ok(token) => Some(token),
            Err(fault) => {
                table.fault("api_token_file", fault);
                None
            }
        },
    }
}

/// Reads a token file, if nobody but its owner could have.
fn token_in(path: &Path) -> Result<Secret, Fault> {
    let shown = quote(&path.to_string_lossy());
    let about = |message: &str| Fault::new(format!("{shown}: {message}"));
    let file = read_regular(path, TOKEN_FILE_MAX).map_err(|message| about(&message))?;
    if file.mode & 0o077 != 0 {
        let message = format!(
            "others than its owner can reach it (mode {:04o})",
            file.mode
        );
        return Err(about(&message).help("`chmod 600` it"));
    }
    let text = str::from_utf8(&file.bytes).map_err(|_| about("it is not a text file"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    token(line).map_err(|fault| Fault {
        help: fault.help,
        ..about(&fault.message)
    })
}
