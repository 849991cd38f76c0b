//! Environment variables that a user chose: which names and values are let through.
//!
//! Options can come from a REST body, so a layer that puts some of them into a server's
//! environment checks them in `layer_check`, whatever its form looks like.

use crate::options::OptionsError;

/// The longest name, in bytes; longer ones are mistakes.
const NAME_MAX: usize = 255;
/// The longest value, in bytes. Linux refuses to run a program with a string of 128 KiB or more;
/// this leaves room for the rest of the environment.
const VALUE_MAX: usize = 32 * 1024;

/// Names that decide which program runs, as whom, or how its libraries are found.
const RESERVED: [&str; 24] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "CPU_GUARANTEE",
    "CPU_LIMIT",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "HOME",
    "IFS",
    "LOCPATH",
    "LOGNAME",
    "MEM_GUARANTEE",
    "MEM_LIMIT",
    "NODE_OPTIONS",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "TMPDIR",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// Families of such names, and what the hub itself tells the server.
const RESERVED_PREFIXES: [&str; 7] = [
    "BASH_FUNC_",
    "DYLD_",
    "HUBD_",
    "JPY_",
    "JUPYTER",
    "LD_",
    "PYTHON",
];

/// Refuses an environment variable that a user must not set: a name that is none, one that would
/// change what runs (`PATH`, `LD_PRELOAD`, `PYTHONPATH`) or what the hub told the server
/// (`JUPYTERHUB_*`), and a value that no environment can hold. The error names `field`, the option
/// that the variable came from.
///
/// ```
/// use spawner_core::check_user_variable;
///
/// assert!(check_user_variable("env", "COURSE", "physics").is_ok());
/// let error = check_user_variable("env", "LD_PRELOAD", "/tmp/x.so").unwrap_err();
/// assert_eq!(error.field.as_deref(), Some("env"));
/// assert_eq!(error.message, "\"LD_PRELOAD\" cannot be set here.");
/// ```
pub fn check_user_variable(field: &str, name: &str, value: &str) -> Result<(), OptionsError> {
    let refused = |message| Err(OptionsError::field(field, message));
    if name.is_empty() {
        return refused("A variable needs a name.".to_owned());
    }
    if name.len() > NAME_MAX {
        return refused(format!(
            "The name of a variable has at most {NAME_MAX} characters, one here has {}.",
            name.len()
        ));
    }
    let first_is_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if first_is_digit || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return refused(format!(
            "{name:?} is no name for a variable: letters, digits and _, no digit first."
        ));
    }
    let family = RESERVED_PREFIXES.iter().any(|p| name.starts_with(p));
    if family || RESERVED.contains(&name) {
        return refused(format!("\"{name}\" cannot be set here."));
    }
    if value.contains('\0') {
        return refused(format!("The value of \"{name}\" holds a NUL character."));
    }
    if value.len() > VALUE_MAX {
        return refused(format!(
            "The value of \"{name}\" has {} bytes, at most {VALUE_MAX} are possible.",
            value.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_variables_pass() {
        let long = "x".repeat(VALUE_MAX);
        for (name, value) in [
            ("A", ""),
            ("_x9", "two\nlines"),
            ("path", "/not/PATH"),
            ("MY_LD_FLAGS", "=="),
            ("LONG", &long),
        ] {
            assert_eq!(check_user_variable("env", name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_field() {
        let long = "N".repeat(NAME_MAX + 1);
        let names = [
            "",
            "A=B",
            "A\nB",
            "A\0",
            "9A",
            "A B",
            "Ä",
            "-A",
            &long,
            "PATH",
            "HOME",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "PYTHONPATH",
            "BASH_ENV",
            "BASH_FUNC_ls%%",
            "JUPYTERHUB_API_TOKEN",
            "JUPYTERHUB_",
            "JUPYTER_CONFIG_DIR",
            "JPY_API_TOKEN",
            "HUBD_LAUNCH_ID",
            "MEM_LIMIT",
        ];
        for name in names {
            let error = check_user_variable("env", name, "x").unwrap_err();
            assert_eq!(error.field.as_deref(), Some("env"), "{name:?}");
            assert!(!error.message.contains(['\n', '\0']), "{:?}", error.message);
        }
        for value in ["a\0b".to_owned(), "x".repeat(VALUE_MAX + 1)] {
            let error = check_user_variable("env", "A", &value).unwrap_err();
            assert!(error.message.contains("\"A\""), "{error}");
        }
    }
}
