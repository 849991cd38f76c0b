//! Paths in the configuration that browsers are sent to.

use percent_encoding::percent_decode_str;

/// The longest of them, in bytes.
const LENGTH_MAX: usize = 2048;

/// What is wrong with a path; the error is a fragment. Every browser has to read it as a path of the
/// site it is on, and as the one that is written, before and after it is decoded once.
pub(super) fn check_path(text: &str) -> Result<(), &'static str> {
    if !text.starts_with('/') {
        return Err("a path begins with `/`");
    }
    if text.len() > LENGTH_MAX {
        return Err("a path has at most 2048 bytes");
    }
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let decoded: Vec<u8> = percent_decode_str(&text[..end]).collect();
    let repaired = |c: char| c.is_control() || c == '\\';
    if text.contains(repaired) || decoded.iter().any(u8::is_ascii_control) {
        return Err("browsers leave out control characters, and take `\\` for `/`");
    }
    if matches!(decoded.get(1), Some(b'/' | b'\\')) {
        return Err("browsers take what follows `//` for another site");
    }
    let is_dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    if decoded.split(|byte| *byte == b'/').any(is_dots) {
        return Err("browsers take `.` and `..` for other folders");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_it_says() {
        for path in [
            "/",
            "/lab",
            "/lab/tree/%U?reset&x=../y",
            "/tree/{username}#a",
            "/lab/a//b",
            "/.hidden/...",
            "/user/bob/",
        ] {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
        let long = format!("/{}", "a".repeat(LENGTH_MAX));
        for path in [
            "",
            "lab",
            "https:evil",
            "javascript:x",
            "//evil",
            "/\\evil",
            "/%2fevil",
            "/%5Cevil",
            "/\t/evil",
            "/%09/evil",
            "/a\0",
            "/a/../b",
            "/a/%2e%2E/b",
            "/..",
            "/a/.",
            &long,
        ] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }
}
