//! A server from its form to its failure, as its user sees it.

use std::fs;

use fantoccini::key::Key;
use hub_tests::programs;
use hub_tests::setup::Setup;
use serde_json::json;

use super::{knobs, open, setup};

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
    tee.tab_to(".server form[action^='/hub/stop'] button").await;
    tee.press(Key::Enter).await;
    tee.until_says(".server .state", "Stopped").await;
    tee.tab_to(".server form[action^='/hub/remove'] button")
        .await;
    tee.press(Key::Enter).await;
    tee.until_says("#new_server", "0 of 2").await;
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

#[tokio::test]
async fn a_place_in_line_changes_while_one_looks() {
    let knobs = knobs();
    fs::write(knobs.path(), "FAKESU_NEVER_LISTEN=1\n").expect("the knobs");
    let setup = setup(&knobs).set("limits.concurrent_spawns", 1);
    let hub = setup.set("spawner.http_timeout", 600).start().await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    // Two are there before.
    let mut others = Vec::new();
    for name in ["ann", "bob"] {
        let mut visitor = hub_tests::visit::Visitor::new(hub.browser(), name);
        let offer = visitor.arrive().await;
        visitor.press_start(&offer).await;
        others.push(visitor);
    }
    tee.click("#start").await;
    tee.until_at("/hub/spawn-pending/tee").await;
    tee.until_says("#progress_message", "2nd in line").await;
    tee.ask("window.sameDocument = true", &[]).await;
    tee.inspect("pending-in-line").await;
    hub.admin().delete("/users/bob/server").await;
    tee.until_says("#progress_message", "1st in line").await;
    hub.admin().delete("/users/ann/server").await;
    tee.until_says("#progress_log li:last-child", "answer")
        .await;
    assert_eq!(tee.ask("return window.sameDocument", &[]).await, true);
    tee.tab_to("#stop").await;
    tee.press(Key::Enter).await;
    tee.until_at("/hub/home").await;
    tee.close().await;
}
