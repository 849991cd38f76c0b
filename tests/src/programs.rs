//! Where the programs of the tests are: beside the test itself, where cargo builds them.

use std::env;
use std::path::PathBuf;

/// The environment variable that names another hub to test, a release build say.
pub const HUBD_BINARY: &str = "HUBD_TEST_BINARY";

/// The hub under test.
pub fn hubd() -> PathBuf {
    env::var_os(HUBD_BINARY).map_or_else(|| built("hubd-under-test"), PathBuf::from)
}

/// A hub of somebody who lets users set environment variables, as the kind `env-form`.
pub fn hubd_with_form() -> PathBuf {
    built("hubd-with-form")
}

/// The pretend single-user server.
pub fn fakesu() -> PathBuf {
    built("fakesu")
}

/// The folder that cargo builds into: `target`, or what `CARGO_TARGET_DIR` says.
pub fn target_dir() -> PathBuf {
    let mut folder = profile_dir();
    folder.pop();
    folder
}

/// `target/debug`: tests run from the folder `deps` in it, binaries from itself.
fn profile_dir() -> PathBuf {
    let mut folder = env::current_exe().expect("the path of this program");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

fn built(name: &str) -> PathBuf {
    let path = profile_dir().join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test -p hub-tests`",
        path.display()
    );
    path
}
