//! Servers that nobody uses, and what their users see of it.

use std::fs;

use fantoccini::key::Key;
use hub_tests::wait::until;

use super::chromium::Chromium;
use super::{knobs, open, setup};

/// The seconds that a countdown shows, if there is one.
async fn left(browser: &Chromium) -> Option<u64> {
    let script = "return document.querySelector('[data-left]')?.textContent ?? ''";
    let shown = browser.ask(script, &[]).await;
    let (minutes, seconds) = shown.as_str()?.split_once(':')?;
    Some(minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?)
}

#[tokio::test]
async fn a_countdown_begins_by_itself_and_is_put_off() {
    let knobs = knobs();
    let setup = setup(&knobs)
        .set("culler.enabled", true)
        .set("culler.every", 0.2)
        .set("culler.timeout", 600)
        .set("culler.warning", 596);
    let hub = setup.start().await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    tee.click("#start").await;
    tee.until_at("/user/tee/").await;
    tee.goto("/hub/home").await;
    tee.until_says(".state", "Running").await;
    assert_eq!(left(&tee).await, None, "not yet");

    // It comes, and counts, without anybody doing anything.
    let first = until("the countdown", async || {
        left(&tee).await.ok_or_else(|| "none".to_owned())
    })
    .await;
    let earlier = async || match left(&tee).await {
        Some(now) if now < first => Ok(()),
        now => Err(format!("{now:?} after {first}")),
    };
    until("the countdown to go on", earlier).await;
    tee.inspect("home-countdown").await;
    tee.tab_to("form[action='/hub/extend/tee'] button").await;
    tee.press(Key::Enter).await;
    until("the countdown to be gone", async || {
        match left(&tee).await {
            None => Ok(()),
            Some(left) => Err(format!("{left} seconds")),
        }
    })
    .await;
    tee.until_says(".state", "Running").await;
    tee.close().await;
}

#[tokio::test]
async fn an_end_for_want_of_use_shows_by_itself() {
    let knobs = knobs();
    fs::write(knobs.path(), "").expect("the knobs");
    let setup = setup(&knobs)
        .set("culler.enabled", true)
        .set("culler.every", 0.2)
        .set("culler.timeout", 5);
    let hub = setup.start().await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    tee.click("#start").await;
    tee.until_at("/user/tee/").await;
    tee.goto("/hub/home").await;
    tee.until_says(".state", "Stopped").await;
    tee.until_says(".note", "culled: idle for").await;
    tee.inspect("home-culled").await;
    tee.close().await;
}
