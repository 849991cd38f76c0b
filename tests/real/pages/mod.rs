//! The pages as people meet them: in a browser with a script, by mouse and by keyboard, on a desk
//! and on a phone.

mod chromium;

use std::fs;

use fantoccini::key::Key;
use hub_tests::hub::TestHub;
use hub_tests::programs;
use hub_tests::setup::Setup;
use serde_json::json;

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

#[tokio::test]
async fn admins_see_what_happens_as_it_happens() {
    let knobs = knobs();
    let hub = setup(&knobs).start().await;
    hub.admin().create(&["alice", "bob", "zoe"]).await;
    let Some(root) = open(&hub, "root").await else {
        return;
    };
    root.tab_to("header nav a[href='/hub/admin']").await;
    root.press(Key::Enter).await;
    root.until_at("/hub/admin").await;

    // By mouse: the page comes back with the row on its way, and goes on without being loaded again.
    root.click("[data-user=alice] [formaction='/hub/admin/start/alice']")
        .await;
    root.until_says("[data-user=alice] .state", "Running").await;
    root.inspect("admin").await;

    // What others do is seen without doing anything, and who is on a button stays in its row.
    root.ask("window.sameDocument = true", &[]).await;
    let bob = "[data-user=bob] [formaction='/hub/admin/start/bob']";
    root.tab_to(bob).await;
    hub.admin().start("bob").await;
    root.until_says("[data-user=bob] .state", "Running").await;
    root.until_says("#news", "bob: Running").await;
    let script = "return [window.sameDocument === true,
         document.activeElement.closest('[data-user]')?.dataset.user]";
    assert_eq!(root.ask(script, &[]).await, json!([true, "bob"]));
    hub.admin().stop("bob").await;
    root.until_says("[data-user=bob] .state", "Stopped").await;
    assert_eq!(root.ask("return window.sameDocument", &[]).await, true);

    // By keyboard.
    root.tab_to("[data-user=alice] [formaction='/hub/stop/alice']")
        .await;
    root.press(Key::Enter).await;
    root.until_says("[data-user=alice] .state", "Stopped").await;
    hub.admin().until_stopped("alice").await;
    assert_eq!(root.path().await, "/hub/admin");

    root.tab_to("#name_filter").await;
    root.type_text("zo").await;
    root.press(Key::Enter).await;
    root.until_at("/hub/admin?name_filter=zo&state=").await;
    root.until_says("#count", "1 to 1 of 1").await;
    root.tab_to("[data-user=zoe] a").await;
    root.press(Key::Enter).await;
    root.until_says("h1", "Delete zoe?").await;
    root.inspect("admin-delete").await;
    root.tab_to("#delete").await;
    root.press(Key::Enter).await;
    root.until_says("#count", "Nobody is like that.").await;

    root.tab_to("#names").await;
    root.type_text("carol dave").await;
    root.tab_to("#add").await;
    root.press(Key::Enter).await;
    root.until_at("/hub/admin?sort=-id").await;
    root.until_says("[data-user]", "dave").await;
    root.tab_to("#names").await;
    root.type_text("-").await;
    root.click("#add").await;
    root.until_says("[role=alert]", "cannot be a user name")
        .await;
    root.close().await;
}

#[tokio::test]
async fn a_start_is_watched_and_ended() {
    let knobs = knobs();
    fs::write(knobs.path(), "FAKESU_NEVER_LISTEN=1\n").expect("the knobs");
    let hub = setup(&knobs).start().await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    tee.inspect("home").await;
    tee.tab_to("#start").await;
    tee.press(Key::Enter).await;
    tee.until_at("/hub/spawn-pending/tee").await;
    tee.until_says("#progress_log li:last-child", "answer")
        .await;
    let bar = "return document.getElementById('progress').value > 0";
    assert_eq!(tee.ask(bar, &[]).await, true);
    let role = "return document.getElementById('progress_message').role";
    assert_eq!(tee.ask(role, &[]).await, "status");
    tee.inspect("pending").await;
    tee.tab_to("#stop").await;
    tee.press(Key::Enter).await;
    tee.until_at("/hub/home").await;
    tee.until_says(".state", "Stopped").await;

    // The page hears of the end of the start and goes on to the server by itself.
    fs::write(knobs.path(), "FAKESU_DELAY_MS=1500\n").expect("the knobs");
    tee.until_says("#start", "Start My Server").await;
    tee.click("#start").await;
    tee.until_at("/user/tee/").await;

    tee.goto("/hub/home").await;
    tee.until_says(".state", "Running").await;
    tee.tab_to("#display_name").await;
    tee.type_text("Second one").await;
    tee.press(Key::Enter).await;
    tee.until_at("/user/tee/second-one/").await;
    tee.goto("/hub/home").await;
    tee.until_says(".server .state", "Running").await;
    tee.inspect("home-named").await;
    tee.close().await;
}

#[tokio::test]
async fn a_failure_is_read_and_tried_again() {
    let knobs = knobs();
    let say = "FAKESU_EXIT=3\nFAKESU_SAY=no such thing as a very long line of a log that does not fit a phone: /opt/jupyter/bin/jupyterhub-singleuser/with/a/path\n";
    fs::write(knobs.path(), say).expect("the knobs");
    let hub = setup(&knobs).start().await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    tee.click("#start").await;
    tee.until_says("h1", "Your server did not start").await;
    tee.until_says("pre.log", "no such thing").await;
    let focus = "return document.activeElement.getAttribute('role')";
    assert_eq!(tee.ask(focus, &[]).await, "alert", "it is read first");
    tee.inspect("failed").await;
    fs::write(knobs.path(), "").expect("the knobs");
    tee.tab_to("#start").await;
    tee.press(Key::Enter).await;
    tee.until_at("/user/tee/").await;
    tee.close().await;
}

#[tokio::test]
async fn a_form_is_filled_and_comes_back_as_it_was() {
    let hub = Setup::with_binary(programs::hubd_with_form())
        .set("spawner.kind", "env-form")
        .set("spawner.cmd", programs::fakesu().to_str().expect("UTF-8"))
        .start()
        .await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    tee.click("#start").await;
    tee.until_at("/hub/spawn/tee").await;
    tee.inspect("spawn").await;
    tee.tab_to("[name=env]").await;
    tee.type_text("no variable").await;
    tee.tab_to("[name=flavour]").await;
    tee.type_text("sour").await;
    tee.press(Key::Enter).await;
    tee.until_says("[role=alert]", "NAME=value").await;
    let typed = "return ['env', 'flavour'].map((n) => document.querySelector(`[name=${n}]`).value)";
    assert_eq!(tee.ask(typed, &[]).await, json!(["no variable", "sour"]));
    tee.inspect("spawn-refused").await;
    tee.ask("document.querySelector('[name=env]').value = 'A=b'", &[])
        .await;
    tee.tab_to("#start").await;
    tee.press(Key::Enter).await;
    tee.until_at("/user/tee/").await;
    tee.close().await;
}
