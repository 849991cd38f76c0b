//! More than one server for one person, where the configuration allows it.

use http::{Method, StatusCode};
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;

#[tokio::test]
async fn a_named_server_lives_beside_the_default_one() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 1)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    admin.start("tee").await;
    let start = admin.post("/users/tee/servers/proj", None).await;
    assert_eq!(start.status, StatusCode::CREATED, "{}", start.text());
    assert_eq!(hub.servers().len(), 2);

    let servers = admin.get("/users/tee").await.json()["servers"].clone();
    let server = &servers["proj"];
    assert_eq!(
        (&server["name"], &server["full_name"]),
        (&json!("proj"), &json!("tee/proj"))
    );
    assert_eq!(
        (&server["url"], &server["ready"]),
        (&json!("/user/tee/proj/"), &json!(true))
    );
    assert_eq!(
        server["progress_url"],
        "/hub/api/users/tee/servers/proj/progress"
    );
    let told = admin
        .send(Method::GET, "/user/tee/proj/env", &[], "")
        .await
        .json();
    assert_eq!(told["JUPYTERHUB_SERVER_NAME"], "proj");
    let other = admin
        .send(Method::GET, "/user/tee/env", &[], "")
        .await
        .json();
    for own in [
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_CLIENT_ID",
        "JUPYTERHUB_SERVICE_URL",
    ] {
        assert_ne!(told[own], other[own], "{own}");
    }

    let again = admin.post("/users/tee/servers/proj", None).await;
    assert_eq!(again.json()["message"], "tee:proj is already running");
    let one_more = admin.post("/users/tee/servers/more", None).await;
    assert_eq!(
        one_more.status,
        StatusCode::BAD_REQUEST,
        "over the limit: {}",
        one_more.text()
    );

    let stop = admin.delete("/users/tee/servers/proj").await;
    assert_eq!(stop.status, StatusCode::NO_CONTENT);
    assert_eq!(hub.servers().len(), 1, "the default one goes on");
    let mut browser = hub.browser();
    browser.log_in("/hub/home", "tee", PASSWORD).await;
    let page = browser.get("/hub/user/tee/proj/lab").await;
    assert_eq!(page.status(), 424, "{:?}", page.trail());

    let remove = json!({ "remove": true });
    let gone = admin
        .call(Method::DELETE, "/users/tee/servers/proj", Some(&remove))
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let gone = admin.delete("/users/tee/servers/proj").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let one_more = admin.post("/users/tee/servers/more", None).await;
    assert_eq!(
        one_more.status,
        StatusCode::CREATED,
        "there is room again: {}",
        one_more.text()
    );
}
