//! One segment of a path after the other, and whether it reads the same to everyone.

use std::borrow::Cow;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadPath {
    NotAPath,
    Empty,
    Escape,
    NotUtf8,
    Slash,
    Control,
    Dots,
}

impl BadPath {
    /// A sentence for whoever asked.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NotAPath => "The request target is not a path.",
            Self::Empty => "The path has an empty segment where a server is named.",
            Self::Escape => "The path has a % that is not followed by two hexadecimal digits.",
            Self::NotUtf8 => "The path names a server in bytes that are not UTF-8.",
            Self::Slash => "The path has an encoded slash or a backslash in a server's name.",
            Self::Control => "The path has a control character in a server's name.",
            Self::Dots => "The path has a . or .. segment that leads elsewhere.",
        }
    }
}

/// The raw segments of a path.
pub(super) struct Walk<'p> {
    path: &'p str,
    /// Where the next segment starts.
    pub(super) at: usize,
    /// Where the last one ended.
    pub(super) end: usize,
}

impl<'p> Walk<'p> {
    pub(super) fn new(path: &'p str) -> Result<Self, BadPath> {
        if !path.starts_with('/') {
            return Err(BadPath::NotAPath);
        }
        Ok(Self {
            path,
            at: 1,
            end: 0,
        })
    }

    pub(super) fn next(&mut self) -> Option<&'p str> {
        let rest = self.path.get(self.at..)?;
        let length = rest.find('/').unwrap_or(rest.len());
        self.end = self.at + length;
        self.at = self.end + 1;
        Some(&rest[..length])
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at > self.path.len()
    }
}

/// One segment, percent-decoded once, if it can be (part of) a name.
pub(super) fn decode(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    let text = if raw.contains('%') {
        let mut bytes = Vec::with_capacity(raw.len());
        let mut rest = raw.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            if byte == b'%' {
                bytes.push(escaped(behind).ok_or(BadPath::Escape)?);
                rest = &behind[2..];
            } else {
                bytes.push(byte);
                rest = behind;
            }
        }
        Cow::Owned(String::from_utf8(bytes).map_err(|_| BadPath::NotUtf8)?)
    } else {
        Cow::Borrowed(raw)
    };
    check(&text)?;
    Ok(text)
}

/// Whether decoded text reads the same to everyone.
pub(super) fn check(text: &str) -> Result<(), BadPath> {
    match text {
        "." | ".." => Err(BadPath::Dots),
        _ if text.contains(['/', '\\']) => Err(BadPath::Slash),
        _ if text.contains(char::is_control) => Err(BadPath::Control),
        _ => Ok(()),
    }
}

/// The byte that two hexadecimal digits at the front of `digits` stand for.
pub(super) fn escaped(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(*high)? * 16 + value(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_once() {
        for (raw, expected) in [
            ("", Ok("")),
            ("a+b@c", Ok("a+b@c")),
            ("a%2Bb%40c", Ok("a+b@c")),
            ("%2561", Ok("%61")),
            ("%c3%a9", Ok("é")),
            ("%e9", Err(BadPath::NotUtf8)),
            ("%2F", Err(BadPath::Slash)),
            ("%2e", Err(BadPath::Dots)),
            ("%0A", Err(BadPath::Control)),
            ("%u0041", Err(BadPath::Escape)),
        ] {
            assert_eq!(decode(raw).as_deref(), expected.as_deref(), "{raw}");
        }
    }

    #[test]
    fn a_walk_keeps_the_last_empty_segment() {
        let mut walk = Walk::new("/a//b/").unwrap();
        let seen: Vec<_> = std::iter::from_fn(|| Some((walk.next()?, walk.end))).collect();
        assert_eq!(seen, [("a", 2), ("", 3), ("b", 5), ("", 6)]);
        assert!(walk.is_at_end());
    }
}
