//! Which configuration file a command takes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::output;
use crate::config::Config;

/// Where it is looked for if none is named, in this order.
const PLACES: [&str; 2] = ["hubd.toml", "/etc/hubd/hubd.toml"];

/// The file that was named, or else the first that there is. The error is a message for the user.
fn find(named: Option<PathBuf>) -> Result<PathBuf, String> {
    find_in(named, &PLACES.map(Path::new))
}

/// The configuration that was named or found. Why there is none has been said when this returns an
/// exit code.
pub(super) fn load(named: Option<PathBuf>) -> Result<(PathBuf, Config), ExitCode> {
    let path = find(named).map_err(|message| output::refuse_without_file(&message))?;
    let config = Config::load(&path).map_err(|errors| output::refuse(errors.findings()))?;
    Ok((path, config))
}

fn find_in(named: Option<PathBuf>, places: &[&Path]) -> Result<PathBuf, String> {
    // A broken link or a folder counts as found: passing over it would start another hub than meant.
    let there = |place: &&&Path| place.symlink_metadata().is_ok();
    let found = named.or_else(|| places.iter().find(there).map(|place| place.to_path_buf()));
    found.ok_or_else(|| {
        let places: Vec<String> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        format!(
            "there is no configuration: neither {} exists\n\
             `hubd print-config > hubd.toml` makes one to start from; set `kind` in its [auth].\n\
             `hubd quickstart` needs none, for trying hubd out.",
            places.join(" nor ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_that_there_is_wins_and_a_named_one_always() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        let find = |named: Option<&str>| {
            find_in(
                named.map(PathBuf::from),
                &[first.as_path(), second.as_path()],
            )
        };
        let message = find(None).unwrap_err();
        assert!(message.contains("first nor "), "{message}");

        fs::write(&second, "").unwrap();
        assert_eq!(find(None).unwrap(), second);
        std::os::unix::fs::symlink("nowhere", &first).unwrap();
        assert_eq!(find(None).unwrap(), first);
        assert_eq!(find(Some("other")).unwrap(), Path::new("other"));
    }
}
