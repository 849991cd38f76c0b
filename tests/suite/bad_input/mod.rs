//! Input that no friend would send: each case gets a 4xx with a sentence, nothing is made or lost,
//! and the hub goes on.

mod bodies;
mod credentials;
mod doors;
mod forms;
mod names;
pub(crate) mod redirects;
mod server_names;
mod tokens;
mod urls;

use hub_tests::http::Reply;
use hub_tests::hub::TestHub;

/// A refusal of the API: a 4xx whose body says so in the API's own way.
fn assert_refused(reply: &Reply, case: &str) {
    assert!(
        reply.status.is_client_error(),
        "{case}: {} {}",
        reply.status,
        reply.text()
    );
    let body = reply.json();
    assert_eq!(body["status"], reply.status.as_u16(), "{case}: {body}");
    assert!(
        body["message"].is_string() || body["message"].is_null(),
        "{case}: {body}"
    );
}

/// The hub is well, and knows exactly these users.
async fn assert_unharmed(hub: &TestHub, users: &[&str]) {
    let list = hub.admin().get("/users").await.json();
    let list = list.as_array().expect("a list of users");
    let names: Vec<_> = list
        .iter()
        .filter_map(|user| user["name"].as_str())
        .collect();
    assert_eq!(names, users);
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}
