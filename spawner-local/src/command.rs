//! What a server is started with: the program's absolute path, its arguments, its environment, all
//! in the form that `execve` takes.
//!
//! The program is looked for here and not in the child: the path is the one that the server itself
//! will have, entries relative to the working directory (a user's home) are passed over, and a
//! program that is missing is a sentence instead of an error number.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use spawner_core::{Env, SpawnError, SpawnErrorKind};

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program with all it is given.
#[derive(Debug)]
pub(crate) struct Command {
    /// Absolute.
    pub(crate) program: PathBuf,
    pub(crate) argv: Vec<CString>,
    pub(crate) envp: Vec<CString>,
}

impl Command {
    /// Checks and converts. Looks at the file system.
    pub(crate) fn new(
        cmd: &[String],
        args: &[String],
        variables: &Env,
    ) -> Result<Self, SpawnError> {
        let Some(name) = cmd.first() else {
            return Err(refused(
                "There is nothing to start: `cmd` in [spawner] is empty.",
            ));
        };
        let program =
            find(name, variables.get("PATH").unwrap_or(DEFAULT_PATH)).map_err(|error| {
                if cmd.len() == 1 && name.contains(' ') {
                    let hint = "If these are a program and its arguments, write a list: `cmd = \
                            [\"program\", \"argument\"]`.";
                    SpawnError::new(error.kind(), format!("{error} {hint}"))
                } else {
                    error
                }
            })?;
        let words = cmd.iter().chain(args).map(|word| {
            CString::new(word.as_str())
                .map_err(|_| refused(format!("The argument {word:?} holds a NUL character.")))
        });
        Ok(Self {
            program,
            argv: words.collect::<Result<_, _>>()?,
            envp: variables
                .iter()
                .map(|(name, value)| variable(name, value))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// `NAME=value`. The value stays out of every message, because it may be a secret.
fn variable(name: &str, value: &str) -> Result<CString, SpawnError> {
    if name.is_empty() || name.contains(|c: char| c == '=' || c.is_control()) {
        return Err(refused(format!(
            "{name:?} cannot be the name of an environment variable."
        )));
    }
    CString::new(format!("{name}={value}")).map_err(|_| {
        refused(format!(
            "The environment variable {name} holds a NUL character."
        ))
    })
}

/// The absolute path of the program `name`.
fn find(name: &str, path: &str) -> Result<PathBuf, SpawnError> {
    let not_found = |message: String| Err(SpawnError::new(SpawnErrorKind::NotFound, message));
    if name.contains('/') {
        let program = PathBuf::from(name);
        if !program.is_absolute() {
            return Err(refused(format!(
                "The program \"{name}\" has to be a name to look for in PATH, or a path from the \
                 root."
            )));
        }
        return match look(&program) {
            Found::Program => Ok(program),
            Found::NotExecutable => Err(not_executable(&program)),
            Found::Nothing => not_found(format!("There is no program \"{name}\".")),
        };
    }
    let mut not_a_program = None;
    let directories = path.split(':').map(Path::new);
    for directory in directories.filter(|directory| directory.is_absolute()) {
        let program = directory.join(OsStr::from_bytes(name.as_bytes()));
        match look(&program) {
            Found::Program => return Ok(program),
            Found::NotExecutable => not_a_program = not_a_program.or(Some(program)),
            Found::Nothing => {}
        }
    }
    match not_a_program {
        Some(program) => Err(not_executable(&program)),
        None => not_found(format!(
            "There is no program \"{name}\" in the server's PATH ({path}). Install it, or set \
             `cmd` in [spawner] to the right one."
        )),
    }
}

enum Found {
    Program,
    NotExecutable,
    Nothing,
}

fn look(program: &Path) -> Found {
    match program.metadata() {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Found::Program,
        Ok(file) if file.is_file() => Found::NotExecutable,
        _ => Found::Nothing,
    }
}

fn not_executable(program: &Path) -> SpawnError {
    let program = program.display();
    refused(format!(
        "{program} is not executable: `chmod +x {program}` would make it so."
    ))
}

fn refused(message: impl Into<String>) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        let mut env = Env::default();
        for (name, value) in pairs {
            env.set(*name, *value);
        }
        env
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn arguments_and_values_are_taken_byte_for_byte() {
        let odd = words(&["", "a b", "'\"\\$HOME", "%d", "é\n"]);
        let env = env(&[("PATH", "/bin"), ("lower-dash", "$(id) `x` \"' \n")]);
        let command = Command::new(&words(&["sh"]), &odd, &env).unwrap();
        assert_eq!(command.program, Path::new("/bin/sh"));
        let argv: Vec<_> = command.argv.iter().map(|a| a.to_str().unwrap()).collect();
        assert_eq!(argv, ["sh", "", "a b", "'\"\\$HOME", "%d", "é\n"]);
        let envp: Vec<_> = command.envp.iter().map(|a| a.to_str().unwrap()).collect();
        assert_eq!(envp, ["PATH=/bin", "lower-dash=$(id) `x` \"' \n"]);
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused() {
        for name in ["", "A=B", "A\nB", "A\0"] {
            let error = Command::new(&words(&["/bin/sh"]), &[], &env(&[(name, "x")]));
            assert_eq!(error.unwrap_err().kind(), SpawnErrorKind::Refused);
        }
        let error = Command::new(&words(&["/bin/sh"]), &[], &env(&[("A", "canary\0")]));
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains('A') && !message.contains("canary"),
            "{message}"
        );
        assert!(Command::new(&words(&["/bin/sh"]), &words(&["a\0"]), &Env::default()).is_err());
        assert!(Command::new(&[], &[], &Env::default()).is_err());
    }

    #[test]
    fn programs_are_looked_for_in_the_servers_path() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("prog");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let path = format!("::.:relative:/nowhere:{}", dir.path().display());
        let ask = |cmd: &str, path: &str| {
            Command::new(&words(&[cmd]), &[], &env(&[("PATH", path)]))
                .map(|command| command.program)
                .map_err(|error| (error.kind(), error.to_string()))
        };
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o644)).unwrap();
        let (kind, message) = ask("prog", &path).unwrap_err();
        assert_eq!(kind, SpawnErrorKind::Refused);
        assert!(message.contains("not executable"), "{message}");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(ask("prog", &path).unwrap(), script);
        assert_eq!(ask("prog", ".").unwrap_err().0, SpawnErrorKind::NotFound);
        assert_eq!(
            ask("bin/prog", &path).unwrap_err().0,
            SpawnErrorKind::Refused
        );
    }

    #[test]
    fn a_missing_program_is_named_with_the_path() {
        let env = env(&[("PATH", "/usr/bin")]);
        let ask = |cmd: &[&str]| {
            let error = Command::new(&words(cmd), &[], &env).unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::NotFound);
            error.to_string()
        };
        let message = ask(&["no-such-program", "x"]);
        assert!(
            message.contains("\"no-such-program\"") && message.contains("/usr/bin"),
            "{message}"
        );
        assert!(ask(&["jupyter lab --no-browser"]).contains("write a list"));
    }
}
