//! The last lines of a container's log.
//!
//! The engine sends the two outputs interleaved, in pieces that need not end where lines do; each
//! output is put together for itself, and a line takes its place when it is complete.

use std::collections::VecDeque;

/// The longest line that is kept; the rest of a longer one is dropped.
const LINE_MAX: usize = 4096;

/// Which output a piece came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output, or a terminal.
    Out,
    /// Standard error.
    Err,
}

/// Keeps the last lines of what is pushed.
#[derive(Debug)]
pub(crate) struct LogTail {
    keep: usize,
    lines: VecDeque<String>,
    open: [Vec<u8>; 2],
}

impl LogTail {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            keep,
            lines: VecDeque::new(),
            open: [Vec::new(), Vec::new()],
        }
    }

    /// Takes a piece.
    pub(crate) fn push(&mut self, output: Output, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let open = &mut self.open[output as usize];
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LINE_MAX.saturating_sub(open.len());
            open.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                let line = std::mem::take(open);
                self.keep_line(&line);
            }
        }
    }

    /// The lines, oldest first, with what was left unfinished at the end.
    pub(crate) fn finish(mut self) -> Vec<String> {
        for open in std::mem::take(&mut self.open) {
            if !open.is_empty() {
                self.keep_line(&open);
            }
        }
        self.lines.into()
    }

    fn keep_line(&mut self, line: &[u8]) {
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        if self.keep > 0 {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.lines
                .push_back(String::from_utf8_lossy(line).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(keep: usize, pieces: &[(Output, &[u8])]) -> Vec<String> {
        let mut tail = LogTail::new(keep);
        for (output, piece) in pieces {
            tail.push(*output, piece);
        }
        tail.finish()
    }

    #[test]
    fn outputs_do_not_mix_within_a_line() {
        let pieces: [(Output, &[u8]); 5] = [
            (Output::Out, b"one\ntw"),
            (Output::Err, b"bad"),
            (Output::Out, b"o\r\n"),
            (Output::Err, b" luck\n"),
            (Output::Out, b"rest"),
        ];
        assert_eq!(tail(9, &pieces), ["one", "two", "bad luck", "rest"]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let pieces: [(Output, &[u8]); 1] = [(Output::Out, b"1\n2\n\n3\n")];
        assert_eq!(tail(2, &pieces), ["", "3"]);
        assert!(tail(0, &pieces).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut log = LogTail::new(1);
        for _ in 0..100 {
            log.push(Output::Out, &[b'x'; 1000]);
        }
        assert_eq!(log.finish(), ["x".repeat(LINE_MAX)]);
    }

    #[test]
    fn what_is_no_text_stays_readable() {
        assert_eq!(tail(1, &[(Output::Err, b"a\xffb\n")]), ["a\u{fffd}b"]);
    }
}
