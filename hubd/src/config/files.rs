//! Reading a file that somebody named: never waiting, never more than it may hold.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use spawner_core::Secret;

use super::reader::TableReader;
use super::value::{Fault, quote, some_text, text};

/// A file with a secret that is longer than this holds something else.
const SECRET_FILE_MAX: u64 = 1024;

/// A file's content and permissions.
pub(super) struct FileRead {
    pub(super) bytes: Vec<u8>,
    /// The permission bits.
    pub(super) mode: u32,
}

/// Reads a regular file of at most `max` bytes. The error is a clause that fits behind the file's
/// name and a colon.
///
/// The checks are made on the opened file, so that it cannot be exchanged in between, and opening
/// does not wait for the other end of a FIFO.
pub(super) fn read_regular(path: &Path, max: u64) -> Result<FileRead, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err("it is a folder, not a file".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        return Err(format!("it is longer than {max} bytes"));
    }
    Ok(FileRead {
        bytes,
        mode: metadata.permissions().mode() & 0o7777,
    })
}

/// Reads a file that holds one secret and nothing else, if nobody but its owner could have.
pub(super) fn secret_line(path: &Path) -> Result<String, Fault> {
    let shown = quote(&path.to_string_lossy());
    let about = |message: &str| Fault::new(format!("{shown}: {message}"));
    let file = read_regular(path, SECRET_FILE_MAX).map_err(|message| about(&message))?;
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
    if line.contains(['\n', '\0']) {
        return Err(about("it holds more than one line"));
    }
    Ok(line.to_owned())
}

/// A secret that stands in the key `value` of a table, or in the file that the key `file` names.
pub(super) fn secret_from(
    table: &mut TableReader<'_, '_>,
    value: &'static str,
    file: &'static str,
    check: impl Fn(String) -> Result<Secret, Fault>,
) -> Option<Secret> {
    let written = table.get(value, |value| check(text(value)?));
    let path = table.path(file, some_text);
    let read = match path.map(|path| secret_line(&path).and_then(&check)) {
        Some(Err(fault)) => {
            table.fault(file, fault);
            None
        }
        Some(Ok(secret)) => Some(secret),
        None => None,
    };
    if table.has(value) && table.has(file) {
        let fault = Fault::new(format!("`{value}` is given too")).help("keep one of them");
        table.fault(file, fault);
    }
    written.or(read)
}
