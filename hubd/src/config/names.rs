//! Users, scopes, tokens, environment variables, and the names of services, roles and groups.

use spawner_core::{Secret, UserName};
use toml::de::DeValue;

use super::value::{Fault, quote, text};

/// The longest name of a service, role or group, in bytes (JupyterHub's column width).
const NAME_MAX: usize = 255;
/// Lengths of a service's token. The lower bound is JupyterHub's; the upper one is generous for
/// the 64 hex digits that `openssl rand -hex 32` makes.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 8..=64;

/// A user.
pub(super) fn user(value: &DeValue<'_>) -> Result<UserName, Fault> {
    UserName::new(&text(value)?).map_err(|error| Fault::new(error.to_string()))
}

/// A user in `allowed_users`, where people write a star for everybody.
pub(super) fn allowed_user(value: &DeValue<'_>) -> Result<UserName, Fault> {
    if value.as_str() == Some("*") {
        let fault = Fault::new("`*` is not the name of a user");
        return Err(fault.help("to let every user in who can log in, set `allow_all = true`"));
    }
    user(value)
}

/// The name of a service, role or group.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, Fault> {
    let name = text(value)?;
    check_name(&name).map_err(Fault::new)?;
    Ok(name)
}

/// What the name of a service, role or group must be like; the error is a fragment. It appears in
/// addresses and in scope filters, where `/`, `=`, `!` and spaces mean something else.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name cannot be empty".to_owned());
    }
    if name.len() > NAME_MAX {
        return Err(format!("a name has at most {NAME_MAX} characters"));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = |c: char| word(c) || matches!(c, '.' | '@' | '+' | '-');
    if !name.starts_with(word) || !name.chars().all(fits) {
        return Err(format!(
            "a name holds letters a-z and A-Z, digits and . _ @ + -, and begins with a letter, \
             digit or _; {} does not",
            quote(name)
        ));
    }
    Ok(())
}

/// A scope, by its looks: `admin:users`, `read:users!group=class`. Whether there is such a scope
/// is decided where scopes are understood.
pub(super) fn scope(value: &DeValue<'_>) -> Result<String, Fault> {
    let scope = text(value)?;
    let (base, filter) = match scope.split_once('!') {
        Some((base, filter)) => (base, Some(filter)),
        None => (scope.as_str(), None),
    };
    let in_base = |c: char| c.is_ascii_lowercase() || matches!(c, ':' | '_' | '-');
    let in_filter = |c: char| c.is_ascii_graphic() && c != '!';
    let well_formed = !base.is_empty()
        && base.chars().all(in_base)
        && filter.is_none_or(|filter| !filter.is_empty() && filter.chars().all(in_filter));
    if !well_formed {
        return Err(Fault::new(format!("{} is not a scope", quote(&scope)))
            .help("scopes look like `list:users` or `access:servers!group=class`"));
    }
    Ok(scope)
}

/// A service's token. It travels in a header, so it is visible ASCII as in RFC 6750.
pub(super) fn token(token: &str) -> Result<Secret, Fault> {
    let help = "`openssl rand -hex 32` makes a good one";
    let (min, max) = (TOKEN_LENGTH.start(), TOKEN_LENGTH.end());
    if !TOKEN_LENGTH.contains(&token.len()) {
        let length = token.len();
        let message = format!("a token has {min} to {max} characters, this one has {length}");
        return Err(Fault::new(message).help(help));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if !token.chars().all(fits) {
        let message = "a token holds letters, digits and - . _ ~ + / = only";
        return Err(Fault::new(message).help(help));
    }
    Ok(Secret::new(token))
}

/// What a service's token must be like; the error is a fragment without it.
pub(crate) fn check_token(text: &str) -> Result<Secret, String> {
    token(text).map_err(|fault| fault.message)
}

/// The name of an environment variable.
pub(super) fn variable(value: &DeValue<'_>) -> Result<String, Fault> {
    let name = text(value)?;
    check_variable(&name)?;
    Ok(name)
}

/// What no system takes as a variable's name.
pub(super) fn check_variable(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        Err(Fault::new(
            "the name of an environment variable cannot be empty",
        ))
    } else if name.contains(['=', '\0']) {
        let message = "the name of an environment variable cannot hold `=` or NUL";
        Err(Fault::new(message))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<T>(read: fn(&DeValue<'_>) -> Result<T, Fault>, text: &str) -> bool {
        read(&DeValue::String(text.into())).is_ok()
    }

    #[test]
    fn scopes_are_checked_by_their_looks() {
        for scope in [
            "self",
            "admin:users",
            "access:servers!user=alice/proj",
            "read:users!group=a-b",
            "list:users!user",
        ] {
            assert!(accepts(super::scope, scope), "{scope:?}");
        }
        for scope in [
            "",
            "*",
            "admin users",
            "Admin",
            "!user",
            "self!",
            "a!b!c",
            "a!b c",
            "é",
        ] {
            assert!(!accepts(super::scope, scope), "{scope:?}");
        }
    }

    #[test]
    fn names_stay_out_of_the_way_of_addresses_and_filters() {
        for name in ["a", "grader", "CS-101", "a.b_c@d+e"] {
            assert!(accepts(super::name, name), "{name:?}");
        }
        for name in [
            "",
            "..",
            "-a",
            "a/b",
            "a b",
            "a=b",
            "a!b",
            "é",
            "a\n",
            &"x".repeat(256),
        ] {
            assert!(!accepts(super::name, name), "{name:?}");
        }
    }

    #[test]
    fn tokens_have_a_length_and_an_alphabet_and_are_never_quoted() {
        assert!(token("12345678").is_ok());
        assert!(token(&"f".repeat(64)).is_ok());
        for bad in [
            "1234567",
            &"f".repeat(65),
            "1234 5678",
            "12345678\n",
            "12345678é",
        ] {
            let fault = token(bad).unwrap_err();
            assert!(!fault.message.contains(bad), "{}", fault.message);
        }
    }
}
