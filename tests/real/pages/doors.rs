//! The pages on the way in, and those that one comes to by mistake.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use fantoccini::key::Key;
use hub_tests::hub::TestHub;
use hub_tests::programs;
use hub_tests::setup::{PASSWORD, Setup};

use super::chromium::Chromium;
use super::{knobs, open, setup};

#[tokio::test]
async fn whoever_is_wrong_here_is_told_the_way() {
    let knobs = knobs();
    let guest = toml::toml! {
        name = "guest"
        scopes = ["access:servers!user=tee"]
        users = ["ann"]
    };
    let hub = setup(&knobs).add("role", guest).start().await;
    let Some(tee) = Chromium::open(hub.origin()).await else {
        return;
    };
    tee.goto("/hub/home").await;
    tee.until_at("/hub/login?next=%2Fhub%2Fhome").await;
    tee.inspect("login").await;
    tee.type_text("tee").await;
    tee.tab_to("#password_input").await;
    tee.type_text("wrong").await;
    tee.press(Key::Enter).await;
    tee.until_says("[role=alert]", "Invalid username or password")
        .await;
    tee.inspect("login-refused").await;
    tee.log_in("tee").await;

    tee.goto("/hub/nowhere").await;
    tee.until_says("h1", "There is no such page").await;
    tee.inspect("not-found").await;
    tee.goto("/hub/admin").await;
    tee.inspect("forbidden").await;
    tee.goto("/user/tee/lab").await;
    tee.until_says("#start", "Start My Server").await;
    tee.inspect("not-running").await;

    // A stop that takes its time is watched like a start.
    fs::write(knobs.path(), "FAKESU_IGNORE_TERM=1\n").expect("the knobs");
    tee.click("#start").await;
    tee.until_at("/user/tee/lab").await;
    tee.goto("/hub/home").await;
    tee.click("#stop").await;
    tee.until_says(".state", "Stopping").await;
    tee.inspect("home-stopping").await;
    tee.goto("/hub/spawn-pending/tee").await;
    tee.until_says("h1", "is stopping").await;
    tee.inspect("stopping").await;

    // Somebody else who may open it is asked what it may know of them.
    tee.goto("/hub/logout").await;
    tee.log_in("ann").await;
    tee.goto("/hub/api/oauth2/authorize?client_id=jupyterhub-user-tee&response_type=code")
        .await;
    tee.until_says("h1", "Authorize access").await;
    tee.tab_to("#authorize").await;
    tee.inspect("authorize").await;
    tee.close().await;
}

/// Makes the first account, as whoever runs the hub does.
fn add_root(hub: &TestHub) {
    let mut command = Command::new(programs::hubd())
        .args(["user", "add", "root", "--config", "hubd.toml"])
        .current_dir(hub.folder())
        .stdin(Stdio::piped())
        .spawn()
        .expect("hubd");
    let mut stdin = command.stdin.take().expect("a pipe was asked for");
    writeln!(stdin, "{PASSWORD}").expect("hubd reads it");
    drop(stdin);
    assert!(command.wait().expect("it ends").success());
}

#[tokio::test]
async fn an_account_is_asked_for_and_given() {
    let hub = Setup::new()
        .set("auth.kind", "password")
        .unset("auth.dummy")
        .unset("auth.allow_all")
        .set("auth.admin_users", vec!["root"])
        .set("auth.password.allow_signup", true)
        .start()
        .await;
    add_root(&hub);
    let Some(ann) = Chromium::open(hub.origin()).await else {
        return;
    };
    ann.goto("/hub/login").await;
    ann.tab_to("#signup").await;
    ann.press(Key::Enter).await;
    ann.until_at("/hub/signup").await;
    ann.inspect("signup").await;
    ann.tab_to("#username_input").await;
    ann.type_text("ann").await;
    for (field, text) in [
        ("#password_input", PASSWORD),
        ("#again_input", "another password"),
    ] {
        ann.tab_to(field).await;
        ann.type_text(text).await;
    }
    ann.press(Key::Enter).await;
    ann.until_says("[role=alert]", "The two passwords differ")
        .await;
    ann.inspect("signup-refused").await;
    for field in ["#password_input", "#again_input"] {
        ann.tab_to(field).await;
        ann.type_text(PASSWORD).await;
    }
    ann.press(Key::Enter).await;
    ann.until_says(".note", "the administrator decides").await;
    ann.inspect("signup-done").await;

    let root = open(&hub, "root").await.expect("the same browser");
    root.tab_to("header nav a[href='/hub/signups']").await;
    root.press(Key::Enter).await;
    root.until_says("main", "ann").await;
    root.inspect("signups").await;
    root.tab_to("button[value=approve]").await;
    root.press(Key::Enter).await;
    root.until_says("main", "Nobody").await;
    root.close().await;

    ann.log_in("ann").await;
    ann.tab_to("header nav a[href='/hub/password']").await;
    ann.press(Key::Enter).await;
    ann.until_at("/hub/password").await;
    ann.inspect("password").await;
    ann.close().await;
}
