//! Asking for a new password.

use std::io::{self, BufRead, IsTerminal as _};

use spawner_core::{Secret, UserName};

use crate::auth::password::{LENGTH_MAX, check_rule};

/// Asks twice on a terminal; otherwise takes the first line of standard input. What comes back
/// follows the rule for passwords.
pub(super) fn ask(name: &UserName) -> Result<Secret, String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line(stdin.lock());
    }
    let password = checked(prompt(&format!("New password for {name}: "))?)?;
    if prompt("The same again: ")? != *password.expose() {
        return Err("the two passwords differ; nothing was changed".to_owned());
    }
    Ok(password)
}

fn prompt(text: &str) -> Result<String, String> {
    rpassword::prompt_password(text)
        .map_err(|error| format!("cannot ask for the password: {error}"))
}

fn line(input: impl BufRead) -> Result<Secret, String> {
    // One more than the longest password with its line end: longer ones then break the rule.
    let mut bytes = Vec::new();
    let read = input
        .take(LENGTH_MAX as u64 + 3)
        .read_until(b'\n', &mut bytes);
    read.map_err(|error| format!("cannot read the password from standard input: {error}"))?;
    if bytes.is_empty() {
        return Err("there is no password on standard input".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "the password is not UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    checked(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn checked(password: String) -> Result<Secret, String> {
    check_rule(&password).map_err(|error| error.to_string())?;
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_without_its_end() {
        for input in [
            "correct horse\n",
            "correct horse\r\n",
            "correct horse",
            "correct horse\nmore",
        ] {
            assert_eq!(line(input.as_bytes()).unwrap().expose(), "correct horse");
        }
        assert_eq!(
            line(&b" spaces stay \n"[..]).unwrap().expose(),
            " spaces stay "
        );
        let longest = "x".repeat(LENGTH_MAX);
        let read = line(format!("{longest}\r\n").as_bytes()).unwrap();
        assert_eq!(read.expose(), longest);
    }

    #[test]
    fn what_is_no_password_is_refused_with_the_reason() {
        let long = vec![b'x'; LENGTH_MAX + 1];
        let endless = vec![b'x'; 1 << 20];
        for (input, reason) in [
            (&b""[..], "no password"),
            (b"\n", "at least"),
            (b"short\n", "at least"),
            (b"caf\xe9 au lait\n", "UTF-8"),
            (&long, "at most"),
            (&endless, "at most"),
        ] {
            let message = line(input).unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
    }
}
