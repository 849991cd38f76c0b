//! The census of a backend that runs processes of this host.

use crate::ids::ServerId;

/// The processes of this host whose environment holds all of `variables` and says that they belong
/// to `server` (`JUPYTERHUB_USER` and `JUPYTERHUB_SERVER_NAME`), each as its number and command
/// line. Zombies have no environment, so they do not count; nor does, for a moment, a process that is
/// just loading its program.
///
/// ```
/// use spawner_core::conformance::processes_with;
/// use spawner_core::{LaunchId, ServerId, UserName};
///
/// let tee = ServerId::default_of(UserName::new("tee")?);
/// let place = LaunchId::random().to_string();
/// assert!(processes_with(&[("PLACE", &place)], &tee).is_empty());
/// # Ok::<(), spawner_core::NameError>(())
/// ```
///
/// Of processes of other accounts only root can see the environment. Where there is no `/proc` as on
/// Linux the list is empty, which the check `life::the_census_sees_a_server` notices.
pub fn processes_with(variables: &[(&str, &str)], server: &ServerId) -> Vec<String> {
    let wanted: Vec<String> = variables
        .iter()
        .chain(&[
            ("JUPYTERHUB_USER", server.user.as_str()),
            ("JUPYTERHUB_SERVER_NAME", server.server.as_str()),
        ])
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            let has = |variable: &String| {
                environment
                    .split(|&byte| byte == 0)
                    .any(|found| found == variable.as_bytes())
            };
            if !wanted.iter().all(has) {
                return None;
            }
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let words = String::from_utf8_lossy(&line).replace('\0', " ");
            Some(format!("process {pid}: {}", words.trim_end()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::conformance::bench::server_id;
    use crate::ids::LaunchId;

    #[test]
    fn processes_are_found_by_all_of_their_variables() {
        let place = LaunchId::random().to_string();
        let mut child = Command::new("sleep")
            .arg("1000")
            .env("PLACE", &place)
            .env("JUPYTERHUB_USER", "tee")
            .env("JUPYTERHUB_SERVER_NAME", "")
            .spawn()
            .unwrap();
        let here = [("PLACE", place.as_str())];
        let line = format!("process {}: sleep 1000", child.id());
        assert_eq!(processes_with(&here, &server_id("tee", "")), [line]);
        for (place, user, server) in [
            ("elsewhere", "tee", ""),
            (&place, "te", ""),
            (&place, "tee", "two"),
        ] {
            let found = processes_with(&[("PLACE", place)], &server_id(user, server));
            assert!(found.is_empty(), "{found:?}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(processes_with(&here, &server_id("tee", "")).is_empty());
    }
}
