//! Dot segments, by every usual reading of a path.
//!
//! A server may decode a path once before it resolves `..`, and may take a backslash for a slash;
//! another does neither. What is let through must stay put for both.

use super::segment::{BadPath, escaped};

/// The hub's own paths never hold a dot segment; browsers resolve them before they ask.
pub(super) fn refuse(path: &str) -> Result<(), BadPath> {
    let is_dots = |segment| matches!(segment, Segment::Here | Segment::Up);
    if are_possible(path) && segments(path, Slashes::Any).any(is_dots) {
        return Err(BadPath::Dots);
    }
    Ok(())
}

/// Whether `..` segments in `rest` climb above its start, by any usual reading: with encoded
/// slashes and backslashes as separators, and without.
pub(super) fn leave(rest: &str) -> bool {
    are_possible(rest)
        && [Slashes::Raw, Slashes::Any].into_iter().any(|slashes| {
            segments(rest, slashes)
                .try_fold(0_usize, |depth, segment| match segment {
                    Segment::Up => depth.checked_sub(1),
                    Segment::Plain => Some(depth + 1),
                    Segment::Here | Segment::Empty => Some(depth),
                })
                .is_none()
        })
}

/// A cheap first look: without a dot or an escape there is no dot segment.
fn are_possible(path: &str) -> bool {
    path.contains("/.") || path.starts_with('.') || path.contains(['%', '\\'])
}

/// Which bytes end a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slashes {
    /// A literal `/` alone.
    Raw,
    /// `/` and `\`, literal or percent-encoded.
    Any,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Empty,
    Here,
    Up,
    Plain,
}

/// The kinds of the segments of `path`, percent-decoded once; broken escapes count as plain text.
fn segments(path: &str, slashes: Slashes) -> impl Iterator<Item = Segment> {
    let mut bytes = path.as_bytes();
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let (mut length, mut dots) = (0_usize, 0_usize);
        loop {
            let Some((&first, behind)) = bytes.split_first() else {
                ended = true;
                break;
            };
            let escape = (first == b'%').then(|| escaped(behind)).flatten();
            bytes = if escape.is_some() {
                &behind[2..]
            } else {
                behind
            };
            let byte = escape.unwrap_or(first);
            let separates = match slashes {
                Slashes::Raw => byte == b'/' && escape.is_none(),
                Slashes::Any => matches!(byte, b'/' | b'\\'),
            };
            if separates {
                break;
            }
            length += 1;
            dots += usize::from(byte == b'.');
        }
        Some(match (length, dots) {
            (0, _) => Segment::Empty,
            (1, 1) => Segment::Here,
            (2, 2) => Segment::Up,
            _ => Segment::Plain,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_prefix_may_wander_but_not_leave() {
        for (rest, expected) in [
            ("", false),
            ("/", false),
            ("/lab/tree/.hidden/..x/x..y/...", false),
            ("/a/../b", false),
            ("/a/b/../..", false),
            ("/%252e%252e/%252e%252e", false),
            ("/files/a%2Fb%5Cc%zz%", false),
            ("/%c0%ae%c0%ae/", false),
            ("/..", true),
            ("/./..", true),
            ("/a/../..", true),
            ("/a/../../bob", true),
            ("/%2e%2e", true),
            ("/a/%2E./.%2e/", true),
            ("/..%2f..%2fbob", true),
            ("/a%2f..%2f..", true),
            ("/a%2fb/../..", true),
            ("/a\\..\\..", true),
            ("/a%5C..%5c..", true),
            ("//..", true),
        ] {
            assert_eq!(leave(rest), expected, "{rest}");
        }
    }
}
