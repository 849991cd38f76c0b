//! The admin pages, from what they show to what their buttons do.

mod changes;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use spawner_core::{SpawnError, UserName};

use crate::pages::testing::{Act, Reply, Site};
use crate::servers::Place;

/// A hub with these users beside `root`, who is logged in.
async fn hub(names: impl IntoIterator<Item = String>) -> Site {
    let site = Site::new().await;
    let names = names.into_iter().map(|name| UserName::new(&name).unwrap());
    let (names, now) = (names.collect(), Timestamp::now());
    let created = site.app.store.users().create(names, false, now);
    created.await.unwrap();
    site
}

fn names(page: &Reply) -> Vec<String> {
    page.attributes("[data-user]", "data-user")
}

/// The addresses of the buttons that hold these words.
fn buttons(page: &Reply, words: &str) -> Vec<String> {
    let texts = page.texts("button[formaction]");
    let actions = page.attributes("button[formaction]", "formaction");
    let pairs = texts.iter().zip(actions);
    pairs
        .filter(|(text, _)| text.starts_with(words))
        .map(|(_, action)| action)
        .collect()
}

#[tokio::test]
async fn only_managers_see_it() {
    let site = hub([]).await;
    let reply = site.browser().get("/hub/admin").await;
    assert_eq!(reply.leads(), (302, "/hub/login?next=%2Fhub%2Fadmin"));
    for user in ["alice", "helper"] {
        let mut browser = site.logged_in(user).await;
        assert_eq!(browser.get("/hub/admin").await.status, 403, "{user}");
        assert_eq!(browser.get("/hub/admin/events").await.status, 403);
        for path in ["delete/root", "user/root", "groups", "groups/red"] {
            let path = format!("/hub/admin/{path}");
            assert_eq!(browser.get(&path).await.status, 403, "{path}");
        }
        for path in [
            "users",
            "rights/root",
            "rename/root",
            "join/alice",
            "start/alice",
            "open/alice",
            "delete/root",
            "groups",
            "groups/red/add",
            "groups/red/take-out",
            "groups/red/delete",
        ] {
            let path = format!("/hub/admin/{path}");
            let fields = [("names", "eve"), ("admin", "true")];
            assert_eq!(browser.post(&path, &fields).await.status, 403, "{path}");
        }
        let home = browser.get("/hub/home").await;
        assert_eq!(home.texts("header nav a"), ["Home", "Tokens"]);
    }
    let mut root = site.logged_in("root").await;
    let page = root.get("/hub/admin").await;
    assert_eq!((page.status, &*page.heading()), (200, "Users"));
    assert_eq!(page.texts("header nav a"), ["Home", "Tokens", "Admin"]);
    assert_eq!(page.texts(".tabs a"), ["Users", "Groups", "Audit log"]);
}

#[tokio::test]
async fn pages_are_cut_sorted_and_searched_here() {
    let site = hub((0..120).map(|n| format!("user{n:03}"))).await;
    let mut root = site.logged_in("root").await;
    let page = root.get("/hub/admin").await;
    assert_eq!(page.texts("#count"), ["1 to 50 of 121"]);
    assert_eq!((names(&page).len(), &*names(&page)[1]), (50, "user000"));
    assert!(page.attributes("#previous", "href").is_empty());
    let page = root.get(&page.attributes("#following", "href")[0]).await;
    let page = root.get(&page.attributes("#following", "href")[0]).await;
    assert_eq!(page.texts("#count"), ["101 to 121 of 121"]);
    assert_eq!(names(&page).last().unwrap(), "user119");
    assert!(page.attributes("#following", "href").is_empty());
    assert_eq!(
        page.attributes("#previous", "href"),
        ["/hub/admin?offset=50"]
    );

    let page = root.get("/hub/admin?name_filter=R11&sort=-name").await;
    assert_eq!(page.texts("#count"), ["1 to 10 of 10"]);
    assert_eq!(names(&page)[0], "user119");
    assert_eq!(page.attributes("#name_filter", "value"), ["R11"]);
    assert_eq!(
        page.attributes("[type=hidden][name=sort]", "value"),
        ["-name"]
    );
    let sorts = page.attributes(".sorting a", "href");
    assert_eq!(
        sorts,
        [
            "/hub/admin?name_filter=R11",
            "/hub/admin?name_filter=R11&sort=-last_activity",
            "/hub/admin?name_filter=R11&sort=-id",
        ]
    );
    let page = root.get("/hub/admin?sort=-id").await;
    assert_eq!(names(&page)[..2], ["root", "user119"]);

    site.start("user007", "").await;
    for (state, shown) in [("ready", vec!["user007"]), ("active", vec!["user007"])] {
        let page = root.get(&format!("/hub/admin?state={state}")).await;
        assert_eq!(names(&page), shown);
    }
    let page = root
        .get("/hub/admin?state=inactive&name_filter=user00")
        .await;
    assert_eq!(names(&page).len(), 9);

    // What nobody asks for on purpose is as if not said; what is behind the end is the end.
    for (query, shown) in [
        ("name_filter=nobody", "Nobody is like that."),
        ("offset=120", "121 to 121 of 121"),
        ("offset=100000", "101 to 121 of 121"),
        ("offset=18446744073709551615", "101 to 121 of 121"),
        ("offset=-1&sort=colour&state=green", "1 to 50 of 121"),
        (
            &format!("name_filter={}", "x".repeat(300)),
            "1 to 50 of 121",
        ),
        (
            "name_filter=%3Csvg%20onload=alert(1)%3E",
            "Nobody is like that.",
        ),
    ] {
        let page = root.get(&format!("/hub/admin?{query}")).await;
        assert_eq!(
            (page.status, page.texts("#count")),
            (200, vec![shown.to_owned()])
        );
        assert!(!page.body.contains("<svg"), "{query}");
    }
}

#[tokio::test]
async fn servers_are_started_stopped_and_removed_in_the_list() {
    let site = hub(["alice".to_owned()]).await;
    let mut root = site.logged_in("root").await;
    let path = "/hub/admin?name_filter=alice";
    let page = root.get(path).await;
    assert_eq!(buttons(&page, "Start"), ["/hub/admin/start/alice"]);
    let back = page.attributes("#act [name=next]", "value");
    assert_eq!(back, [path]);
    let next = [("next", &*back[0])];
    let reply = root.post("/hub/admin/start/alice", &next).await;
    assert_eq!(reply.leads(), (303, path));
    site.leaves("alice", Place::Starting).await;
    let page = root.get(path).await;
    assert_eq!(page.texts(".person .state"), ["Running"]);
    assert_eq!(buttons(&page, "Stop"), ["/hub/stop/alice"]);
    // A second press of a button of an old page.
    let reply = root.post("/hub/admin/start/alice", &next).await;
    assert_eq!(reply.leads(), (303, path));
    let reply = root.post("/hub/stop/alice", &next).await;
    assert_eq!(reply.leads(), (303, path));

    site.direct(|script| script.act = Act::Fail(Arc::new(|| SpawnError::other("No."))));
    let reply = root.post("/hub/admin/start/alice", &next).await;
    assert_eq!(reply.leads(), (303, path));
    site.leaves("alice", Place::Stopping).await;
    let page = root.get(path).await;
    assert_eq!(page.texts(".person .state"), ["Stopped"]);
    let told = page.attributes(".server-row > a", "href");
    assert_eq!(told, ["/hub/spawn-pending/alice"]);

    site.direct(|script| script.act = Act::Run);
    site.start("alice", "proj").await;
    root.post("/hub/stop/alice/proj", &next).await;
    let page = root.get(path).await;
    let remove = buttons(&page, "Remove proj");
    assert_eq!(remove, ["/hub/remove/alice/proj"]);
    assert_eq!(root.post(&remove[0], &next).await.leads(), (303, path));
    assert_eq!(buttons(&root.get(path).await, "Start").len(), 1);

    for missing in ["/hub/admin/start/nobody", "/hub/admin/open/nobody/x"] {
        assert_eq!(root.post(missing, &next).await.status, 404, "{missing}");
    }
    let reply = root
        .post("/hub/stop/alice", &[("next", "https://evil/")])
        .await;
    assert_eq!(reply.leads(), (303, "/hub/home"));
}

#[tokio::test]
async fn who_opens_anothers_server_is_told_to_its_owner() {
    let site = hub([]).await;
    let mut alice = site.logged_in("alice").await;
    site.start("alice", "").await;
    let mut root = site.logged_in("root").await;
    let page = root.get("/hub/admin?name_filter=alice").await;
    assert_eq!(buttons(&page, "Open"), ["/hub/admin/open/alice"]);
    assert!(alice.get("/hub/home").await.texts(".visits li").is_empty());
    for _ in 0..2 {
        let reply = root.post("/hub/admin/open/alice", &[]).await;
        assert_eq!(reply.leads(), (303, "/user/alice/"));
    }
    let told = alice.get("/hub/home").await.texts(".visits li");
    assert_eq!(told.len(), 1, "the last visit of each: {told:?}");
    assert!(told[0].starts_with("root, last on 20"), "{told:?}");

    // Also by another way in: the address, and the question of the server.
    let mut guest = site.logged_in("guest").await;
    let authorize = "/hub/api/oauth2/authorize?client_id=jupyterhub-user-alice&response_type=code";
    let question = guest.get(authorize).await;
    assert_eq!(question.heading(), "Authorize access");
    assert_eq!(alice.get("/hub/home").await.texts(".visits li").len(), 1);
    let scopes = question.attributes("[name=scopes]", "value");
    let fields: Vec<_> = scopes.iter().map(|scope| ("scopes", &**scope)).collect();
    assert_eq!(guest.post(authorize, &fields).await.status, 302);
    assert_eq!(alice.get("/hub/home").await.texts(".visits li").len(), 2);
    // Nobody is told of themselves.
    assert_eq!(alice.get(authorize).await.status, 302);
    assert_eq!(alice.get("/hub/home").await.texts(".visits li").len(), 2);
}

/// The next event of a stream.
async fn heard(body: &mut Body) -> BTreeMap<String, String> {
    loop {
        let frame = body.frame().await.unwrap().unwrap();
        let piece = String::from_utf8(frame.into_data().unwrap().into()).unwrap();
        if let Some(json) = piece.strip_prefix("data: ") {
            return serde_json::from_str(json).unwrap();
        }
    }
}

#[tokio::test]
async fn the_stream_tells_whose_row_is_old() {
    let site = hub(["bob".to_owned()]).await;
    let mut alice = site.logged_in("alice").await;
    let mut root = site.logged_in("root").await;
    let page = root.get("/hub/admin").await;
    let stream = page.attributes("[data-events-url]", "data-events-url");
    assert_eq!(stream, ["/hub/admin/events?user=alice&user=bob&user=root"]);
    let mut events = site.listen(root.request("GET", &stream[0])).await;
    let stamps = |page: &Reply| -> BTreeMap<String, String> {
        let stamps = page.attributes("[data-stamp]", "data-stamp");
        names(page).into_iter().zip(stamps).collect()
    };
    assert_eq!(
        heard(&mut events).await,
        stamps(&page),
        "at first all of them"
    );

    site.direct(|script| script.act = Act::Hang);
    alice.post("/hub/spawn/alice", &[]).await;
    let news = heard(&mut events).await;
    assert_eq!(news.keys().collect::<Vec<_>>(), ["alice"]);
    let page = root.get("/hub/admin").await;
    assert_eq!(stamps(&page)["alice"], news["alice"]);
    assert_eq!(page.texts("[data-user=alice] .state"), ["Starting"]);
    alice.post("/hub/stop/alice", &[]).await;
    let mut last = heard(&mut events).await;
    while last["alice"] != "=Stopped" {
        last = heard(&mut events).await;
    }
    // Who is nobody's business has no row, whatever the address says.
    let odd = "/hub/admin/events?user=nobody&user=%2e%2e&x=y";
    let mut events = site.listen(root.request("GET", odd)).await;
    assert_eq!(
        heard(&mut events).await,
        [("nobody".to_owned(), String::new())].into()
    );
}
