//! JupyterLab in a container, from the choice of its image to its end.

use hub_tests::engine::{Engine, IMAGE};
use hub_tests::hub::TestHub;
use hub_tests::kernel::{Kernel, Protocol};
use hub_tests::setup::Setup;
use hub_tests::tunnel::Tunnel;
use hub_tests::visit::Visitor;

/// The name that a user sees.
const CHOICE: &str = "JupyterLab";

/// A hub whose users choose between two images, of which one is nowhere.
async fn hub(engine: &Engine, tunnel: &Tunnel) -> TestHub {
    let allowed = toml::Table::from_iter([
        ("Absent".to_owned(), "hubd-test-absent:1".into()),
        (CHOICE.to_owned(), IMAGE.into()),
    ]);
    let hub = Setup::new()
        // Inside a container that is its gateway.
        .set(
            "hub.connect_url",
            format!("http://127.0.0.1:{}", tunnel.port()),
        )
        .unset("spawner.cmd")
        .set("spawner.kind", "docker")
        .set("spawner.http_timeout", 120)
        .set("spawner.docker.image", IMAGE)
        .set("spawner.docker.allowed_images", allowed)
        .set("spawner.docker.network_name", engine.network())
        .set("spawner.docker.prefix", engine.prefix())
        .set("spawner.docker.use_internal_ip", false)
        .start()
        .await;
    tunnel.lead_to(hub.origin());
    hub
}

#[tokio::test]
async fn an_image_is_chosen_and_its_server_survives_the_hub() {
    let Some(engine) = Engine::find() else { return };
    let tunnel = Tunnel::open().await;
    let mut hub = hub(&engine, &tunnel).await;
    let mut tee = Visitor::new(hub.browser(), "tee");

    let offer = tee.arrive().await;
    let page = tee.press_start(&offer).await;
    assert_eq!(engine.containers(), [""; 0], "a form starts nothing");
    let form = page.form("/hub/spawn").expect("the form of images");
    let page = tee.browser.submit(&form, &[("image", CHOICE)]).await;
    assert_eq!(page.status(), 200, "{:?}", page.trail());
    let events = tee.watch().await;
    assert!(
        events.is_sorted_by_key(|event| event.progress),
        "{events:#?}"
    );
    let says = |what: &str| {
        let mut texts = events.iter().map(|event| event.data["message"].to_string());
        texts.any(|text| text.contains(what))
    };
    assert!(says(IMAGE) && says("container"), "{events:#?}");

    let page = tee.enter().await;
    assert_eq!((page.status(), page.url.path()), (200, "/user/tee/lab"));
    let text = page.reply.text();
    assert!(text.contains("JupyterLab"), "{text}");
    let kernel = Kernel::start(&mut tee.browser, "/user/tee/").await;
    let mut channel = kernel.connect(&tee.browser, Protocol::V1).await;
    assert_eq!(channel.run("kept = 20 + 1").await, "");
    let uid = "import os; os.getuid()";
    assert_eq!(channel.run(uid).await, "1000", "whoever the image says");
    drop(channel);
    let before = engine.containers();
    assert_eq!(before.len(), 1, "{before:?}");
    let label = r#"{{index .Config.Labels "hubd.user"}}"#;
    assert_eq!(engine.inspect(&before[0], label), "tee");

    hub.kill().await;
    hub.start_again().await;
    hub.admin().until_ready("tee").await;
    assert_eq!(engine.containers(), before, "the same container");
    let page = tee.browser.get("/user/tee/lab").await;
    assert_eq!(page.trail(), ["GET /user/tee/lab 200"]);
    let mut channel = kernel.connect(&tee.browser, Protocol::V1).await;
    assert_eq!(channel.run("kept + 1").await, "22", "the kernel remembers");

    hub.admin().stop("tee").await;
    assert_eq!(engine.containers(), [""; 0], "204 says that it is gone");
}
