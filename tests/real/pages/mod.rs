//! The pages as people meet them: in a browser with a script, by mouse and by keyboard, on a desk
//! and on a phone.

mod admin;
mod chromium;
mod doors;
mod ends;
mod inspect;
mod servers;
mod tokens;

use hub_tests::hub::TestHub;
use hub_tests::setup::Setup;

use self::chromium::Chromium;

/// A hub with `root`, named servers, and servers that do what the file of knobs says.
fn setup(knobs: &tempfile::NamedTempFile) -> Setup {
    let path = knobs.path().to_str().expect("UTF-8");
    Setup::new()
        .set("auth.admin_users", vec!["root"])
        .set("limits.named_servers_per_user", 2)
        .server_env("FAKESU_KNOBS", path)
}

fn knobs() -> tempfile::NamedTempFile {
    tempfile::NamedTempFile::new().expect("a temporary file")
}

async fn open(hub: &TestHub, user: &str) -> Option<Chromium> {
    let browser = Chromium::open(hub.origin()).await?;
    browser.log_in(user).await;
    Some(browser)
}
