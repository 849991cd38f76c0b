//! What a server prints: one file for each server, which the child writes into directly, so that
//! neither a pipe nor a reader can break when the hub goes.
//!
//! It is bounded twice. At a start, a file that has grown over the limit becomes `.1`, over an earlier
//! `.1`. While a server runs, each poll that finds the file over the limit gives the disk back what
//! comes before the last `log_max_bytes`, by a hole at its front:
//!
//! ```text
//!            log_from                                    end
//!  |- - - - - - -|- - - - - hole - - - - - -|=== kept ===|
//!                                           '-- at least log_max_bytes
//! ```
//!
//! The server goes on writing into the same file and notices nothing, no offset changes, and nothing of
//! what is kept can be lost, as it would be between a copy and a truncation. The price is a file that
//! looks larger than it is, until the next start. In between two polls it can grow; where the file
//! system knows no holes (some network shares) it does until the next start, and the log says so.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use spawner_core::ServerId;

use crate::account::private_directory;

/// How much of a log's end is ever read.
const TAIL_BYTES: u64 = 64 << 10;
/// How long a line of it may be, in characters.
const LINE_CHARS: usize = 400;
/// How much of a name one file or directory carries; 255 is what file systems take, `.log.1` included.
const NAME_BYTES: usize = 240;
/// The unit of what a file takes up, see `st_blocks`.
const BLOCK: u64 = 512;
/// Holes are made of whole pages, which are whole blocks to every file system.
const PAGE: u64 = 4096;

/// The log of one server, or of another program that the hub runs.
#[derive(Debug, Clone)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log of `server` below `dir`.
    pub(crate) fn of(dir: &Path, server: &ServerId) -> Self {
        let name = server.object_name();
        let (mut path, mut rest) = (dir.to_owned(), name.as_str());
        // It is ASCII. What is too long for the name of a file goes into directories, in pieces, so that no
        // two servers share a log.
        while rest.len() > NAME_BYTES {
            let (piece, others) = rest.split_at(NAME_BYTES);
            path.push(piece);
            rest = others;
        }
        path.push(format!("{rest}.log"));
        Self { path }
    }

    /// The log of another program, in this file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Opens it for a new run, and says where that run begins. One that has grown over `max_bytes` is
    /// put aside before, in the place of an earlier one.
    pub fn open(&self, max_bytes: u64) -> io::Result<(File, u64)> {
        if let Some(dir) = self.path.parent() {
            private_directory(dir)?;
        }
        let open = || {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&self.path)
        };
        let file = open()?;
        let length = file.metadata()?.len();
        if max_bytes == 0 || length <= max_bytes {
            return Ok((file, length));
        }
        std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        Ok((open()?, 0))
    }

    /// Gives back what comes before the last `max_bytes`, if the file takes up more than that.
    pub fn bound(&self, max_bytes: u64) -> io::Result<()> {
        let found = self.path.symlink_metadata()?;
        let end = found.len().saturating_sub(max_bytes) / PAGE * PAGE;
        if max_bytes == 0 || end == 0 || found.blocks() * BLOCK <= max_bytes {
            return Ok(());
        }
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)?;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(file, hole, 0, end)?)
    }

    /// The last `lines` lines after `from`; none if there is nothing to read.
    pub(crate) fn tail(&self, from: u64, lines: usize) -> Vec<String> {
        self.read_end(from)
            .map(|(bytes, whole)| last_lines(&bytes, whole, lines))
            .unwrap_or_default()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The end of what comes after `from`, and whether that is all of it.
    fn read_end(&self, from: u64) -> io::Result<(Vec<u8>, bool)> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        // The server may have cut its own log short.
        let from = if from > length { 0 } else { from };
        let start = from.max(length.saturating_sub(TAIL_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        // A hole reads as zeros.
        let hole = bytes.iter().take_while(|&&byte| byte == 0).count();
        bytes.drain(..hole);
        Ok((bytes, start == from && hole == 0))
    }
}

/// The last `lines` lines, fit to be shown: `whole` says whether the first one is complete.
fn last_lines(bytes: &[u8], whole: bool, lines: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut all: Vec<&str> = text.lines().collect();
    if !whole && !all.is_empty() {
        all.remove(0);
    }
    let skip = all.len().saturating_sub(lines);
    all[skip..].iter().map(|line| plain(line)).collect()
}

/// A line without colours and other control sequences, cut at a length that a page can show.
fn plain(line: &str) -> String {
    // A progress bar redraws its line; what it showed last is what counts.
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut plain = String::new();
    let mut chars = line.chars().peekable();
    let mut length = 0;
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_escape(&mut chars);
        } else if c == '\t' || !c.is_control() {
            if length == LINE_CHARS {
                plain.push('…');
                break;
            }
            plain.push(c);
            length += 1;
        }
    }
    plain
}

/// Skips what follows an escape character: `[ ... letter` (colours, cursor), `] ... BEL` (titles),
/// or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            for c in chars.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    break;
                }
            }
        }
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn log(dir: &Path) -> Log {
        let user = spawner_core::UserName::new("tee").unwrap();
        Log::of(&dir.join("logs"), &ServerId::default_of(user))
    }

    #[test]
    fn the_longest_names_have_logs_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let longest = "@".repeat(254);
        for user in [
            "a".repeat(255),
            format!("a{longest}"),
            format!("b{longest}"),
        ] {
            let user = spawner_core::UserName::new(&user).unwrap();
            for server in ["", "a", "b"] {
                let server = spawner_core::ServerName::new(server).unwrap();
                let log = Log::of(dir.path(), &ServerId::new(user.clone(), server));
                for _ in 0..2 {
                    let (mut file, _) = log.open(1).unwrap();
                    file.write_all(b"two bytes").unwrap();
                }
                assert!(seen.insert(log.path().to_owned()));
                assert!(log.path().with_extension("log.1").exists());
            }
        }
    }

    #[test]
    fn files_are_private_and_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        let (mut file, from) = log.open(100).unwrap();
        assert_eq!(from, 0);
        file.write_all(b"first\n").unwrap();
        let (mut file, from) = log.open(100).unwrap();
        assert_eq!(from, 6);
        file.write_all(b"second\nthird\n").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(log.path()), 0o600);
        assert_eq!(mode(log.path().parent().unwrap()), 0o700);
        assert_eq!(log.tail(from, 10), ["second", "third"]);
        assert_eq!(log.tail(from, 1), ["third"]);
        assert_eq!(log.tail(0, 10), ["first", "second", "third"]);
    }

    #[test]
    fn a_large_one_is_put_aside_at_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        log.open(4).unwrap().0.write_all(b"12345").unwrap();
        assert_eq!(log.open(0).unwrap().1, 5);
        assert_eq!(log.open(4).unwrap().1, 0);
        let aside = log.path().with_file_name("tee.log.1");
        assert_eq!(std::fs::read(aside).unwrap(), b"12345");
    }

    #[test]
    fn what_is_over_the_bound_is_given_back_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        let (mut file, _) = log.open(0).unwrap();
        let bound = 4 * PAGE;
        let line = |n: u64| format!("line {n:>10}\n");
        let mut written = 0;
        for round in 1..=3 {
            for n in written..written + 10_000 {
                file.write_all(line(n).as_bytes()).unwrap();
            }
            written += 10_000;
            log.bound(0).unwrap();
            let before = log.path().metadata().unwrap();
            assert!(before.blocks() * BLOCK > bound, "round {round}");
            log.bound(bound).unwrap();
            let after = log.path().metadata().unwrap();
            assert!(after.blocks() * BLOCK <= 2 * bound, "round {round}");
            assert_eq!(after.len(), before.len(), "offsets stay");
            let all = std::fs::read(log.path()).unwrap();
            let kept = &all[all.len() - usize::try_from(bound).unwrap()..];
            assert!(!kept.contains(&0), "round {round}");
            // The whole of what is kept, from the first line that begins in it.
            let shown = log.tail(0, usize::MAX);
            let first = written - u64::try_from(shown.len()).unwrap();
            let expected: Vec<_> = (first..written)
                .map(|n| line(n).trim_end().to_owned())
                .collect();
            assert_eq!(shown, expected);
            assert!(shown.len() as u64 * 16 >= bound - 16, "{}", shown.len());
        }
    }

    #[test]
    fn a_small_one_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        assert!(log.bound(1).is_err(), "there is none");
        log.open(0).unwrap().0.write_all(&[b'x'; 5000]).unwrap();
        for bound in [0, 5000, 1 << 20] {
            log.bound(bound).unwrap();
            assert_eq!(std::fs::read(log.path()).unwrap(), [b'x'; 5000]);
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        drop(log.open(0).unwrap());
        std::fs::remove_file(log.path()).unwrap();
        std::os::unix::fs::symlink(dir.path().join("target"), log.path()).unwrap();
        assert!(log.open(0).is_err());
        let target = dir.path().join("other");
        std::fs::write(&target, vec![b'x'; 10_000]).unwrap();
        std::fs::remove_file(log.path()).unwrap();
        std::os::unix::fs::symlink(&target, log.path()).unwrap();
        let _ = log.bound(1);
        assert_eq!(std::fs::read(&target).unwrap(), vec![b'x'; 10_000]);
        assert!(!dir.path().join("target").exists());
    }

    #[test]
    fn the_tail_is_bounded_and_begins_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        let (mut file, _) = log.open(0).unwrap();
        for n in 0..20_000 {
            writeln!(file, "line {n}").unwrap();
        }
        let lines = log.tail(0, usize::MAX);
        assert!(lines.len() < 10_000, "{}", lines.len());
        assert!(lines.iter().all(|line| line.starts_with("line ")));
        assert_eq!(lines.last().unwrap(), "line 19999");
        assert_eq!(log.tail(u64::MAX, 1), ["line 19999"]);
    }

    #[test]
    fn lines_are_fit_to_be_shown() {
        for (raw, shown) in [
            ("plain é", "plain é"),
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]0;title\u{1b}\\after", "after"),
            ("10%\r20%\r", "20%"),
            ("a\0b\u{8}c\u{9b}d", "abcd"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(plain(raw), shown, "{raw:?}");
        }
        let long = plain(&"x".repeat(1000));
        assert_eq!(long.chars().count(), LINE_CHARS + 1);
        assert_eq!(last_lines(b"\xff\xfe", true, 9), ["\u{fffd}\u{fffd}"]);
    }
}
