//! A server that ends by itself. The hub polls once an hour here, so what it notices it heard.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::visit::Visitor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[tokio::test]
async fn an_exit_is_noticed_and_the_route_goes() {
    let hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    let said = tee
        .browser
        .fetch(Method::GET, "/user/tee/exit?code=3", None)
        .await;
    assert_eq!(said.status, StatusCode::OK);
    gone(&hub, &mut tee).await;
}

#[tokio::test]
async fn a_kill_is_noticed_and_the_route_goes() {
    let hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.start().await;
    let server = hub.servers().pop().expect("one server");
    kill(Pid::from_raw(server.pid), Signal::SIGKILL).unwrap();
    gone(&hub, &mut tee).await;
}

async fn gone(hub: &TestHub, tee: &mut Visitor) {
    hub.admin().until_stopped("tee").await;
    let page = tee.browser.get("/user/tee/").await;
    let hops = [
        "GET /user/tee/ 302 /hub/user/tee/",
        "GET /hub/user/tee/ 424",
    ];
    assert_eq!(page.trail(), hops, "the proxy asks the hub");
    assert_eq!(hub.servers(), []);
    // The next start is a start like any other.
    tee.press_start(&page).await;
    tee.watch().await;
    assert_eq!(tee.enter().await.status(), 200);
}
