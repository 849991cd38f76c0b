//! `/hub/spawn[/USER[/SERVER]]`: the options form, and the start.
//!
//! A GET shows the form. Where there is none it starts the server, as links to
//! `/hub/spawn?next=...` expect; fields of its query are options then. A `display_name` in it is what
//! a named server is called that does not exist yet.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use spawner_core::FormData;

use super::form;
use super::instead::{Instead, redirect};
use super::named::{Goal, Named};
use super::new_server::no_display_name;
use super::options;
use super::start::{Brought, expect_allowed, form_page, in_the_way, start};
use super::visit::Visit;
use crate::scopes::ScopeName;
use crate::servers::{Place, is_display_name};

/// Fields that are never options.
const RESERVED: [&str; 3] = ["_xsrf", "next", "display_name"];

pub(super) async fn show(visit: Visit, named: Named) -> Result<Response, Instead> {
    let goal = visit.goal(named, ScopeName::Servers)?;
    let (app, links, server) = (visit.app(), visit.links(), &goal.server);
    let next = visit.next();
    match app.servers.look(server).place {
        Place::Ready => {
            let to = next.unwrap_or_else(|| links.server(server));
            return Ok(redirect(StatusCode::FOUND, &to));
        }
        Place::Starting | Place::Stopping | Place::Checking => {
            let to = links.spawn_pending(server, next.as_ref());
            return Ok(redirect(StatusCode::FOUND, &to));
        }
        Place::Stopped => {}
    }
    expect_allowed(&visit, &goal)?;
    let display_name = new_name(&visit, &goal, visit.query("display_name"))?;
    if let Some(form) = options::form(app, server, None).await? {
        let brought = Brought {
            display_name,
            ..Brought::default()
        };
        return form_page(&visit, &goal, form, next.as_ref(), brought);
    }
    visit.expect_intent()?;
    let query = form::fields(visit.parts.uri.query().unwrap_or_default())?;
    let options = match options_of_query(&query) {
        None => Ok(None),
        Some(form) => app
            .servers
            .spawner(server)
            .options_from_form(form)
            .map(Some),
    };
    let brought = Brought {
        display_name,
        ..Brought::default()
    };
    start(&visit, &goal, options, brought, next).await
}

pub(super) async fn submit(visit: Visit, named: Named, body: Body) -> Result<Response, Instead> {
    let mut form = form::read(&visit.parts.headers, body, form::LARGE).await?;
    visit.check_xsrf(&form)?;
    let goal = visit.goal(named, ScopeName::Servers)?;
    let (app, server) = (visit.app(), &goal.server);
    let next = visit.next();
    // One that is ready may have died unnoticed; the start finds out.
    if app.servers.look(server).place == Place::Starting {
        return Err(in_the_way(
            &visit,
            &goal,
            "is starting already",
            next.as_ref(),
        ));
    }
    let display_name = form.first("display_name").map(str::to_owned);
    let display_name = new_name(&visit, &goal, display_name)?;
    for field in RESERVED {
        form.remove(field);
    }
    let typed = Some(form.clone());
    let options = app.servers.spawner(server).options_from_form(form);
    let brought = Brought {
        display_name,
        typed,
        refused: None,
    };
    start(&visit, &goal, options.map(Some), brought, next).await
}

/// What a server is to be called that does not exist yet. One that does keeps its name, and the
/// default server has none.
fn new_name(
    visit: &Visit,
    goal: &Goal<'_>,
    given: Option<String>,
) -> Result<Option<String>, Instead> {
    let server = &goal.server;
    let given = given.filter(|given| !given.is_empty() && !server.server.is_default());
    let is_new = || visit.app().store.servers().find(server).is_none();
    match given.filter(|_| is_new()) {
        Some(name) if !is_display_name(&name) => Err(no_display_name()),
        name => Ok(name),
    }
}

/// The options in the query of a link, with or without `opt-` before their names.
fn options_of_query(query: &FormData) -> Option<FormData> {
    let mut form = FormData::default();
    let fields = query.iter().filter(|(name, _)| !RESERVED.contains(name));
    let mut some = false;
    for (name, values) in fields {
        let name = name.strip_prefix("opt-").unwrap_or(name);
        for value in values {
            form.push(name, value);
            some = true;
        }
    }
    some.then_some(form)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use spawner_core::{ExitStatus, OptionsForm, SpawnError, SpawnErrorKind};

    use super::super::super::testing::{Act, Browser, Site};
    use super::*;

    const FORM: &str = r#"<label for="image">Image</label><input id="image" name="image">"#;

    fn with_form(site: &Site) {
        site.direct(|script| script.form = OptionsForm::Html(FORM.into()));
    }

    fn hang(site: &Site) {
        site.direct(|script| script.act = Act::Hang);
    }

    async fn leads(browser: &mut Browser<'_>, path: &str) -> (u16, String) {
        let reply = browser.get(path).await;
        (reply.status, reply.location().to_owned())
    }

    #[tokio::test]
    async fn without_a_form_a_visit_starts_the_server() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let watch = "/hub/spawn-pending/alice?next=%2Fuser%2Falice%2Flab%3Fa%3D1";
        let path = "/hub/spawn?next=%2Fuser%2Falice%2Flab%3Fa%3D1";
        assert_eq!(leads(&mut alice, path).await, (302, watch.into()));
        assert_eq!(site.leaves("alice", Place::Starting).await, Place::Ready);
        assert_eq!(site.started(), [json!({})]);
        let lab = "/user/alice/lab?a=1";
        for (path, to) in [
            (path, lab),
            (watch, lab),
            ("/hub/spawn", "/user/alice/"),
            ("/hub/spawn/alice?next=//evil", "/user/alice/"),
            ("/hub/spawn/ALICE", "/user/alice/"),
        ] {
            assert_eq!(leads(&mut alice, path).await, (302, to.into()), "{path}");
        }
        assert_eq!(site.started().len(), 1);
    }

    #[tokio::test]
    async fn a_start_that_takes_longer_is_watched_elsewhere() {
        let site = Site::new().await;
        hang(&site);
        let mut alice = site.logged_in("alice").await;
        let watch = (302, "/hub/spawn-pending/alice".to_owned());
        assert_eq!(leads(&mut alice, "/hub/spawn").await, watch);
        assert_eq!(
            leads(&mut alice, "/hub/spawn").await,
            watch,
            "it is under way"
        );
        assert_eq!(site.started().len(), 1);
    }

    #[tokio::test]
    async fn the_query_of_a_link_holds_options() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let path =
            "/hub/spawn/alice?opt-image=a&cpu=1&cpu=2&next=%2Fhub%2Fhome&display_name=x&_xsrf=t";
        assert_eq!(alice.get(path).await.status, 302);
        assert_eq!(site.started(), [json!({"image": ["a"], "cpu": ["1", "2"]})]);
        for query in ["image=%zz", "image=%ff", "=x", &"a=1&".repeat(2000)] {
            let reply = site
                .logged_in("bob")
                .await
                .get(&format!("/hub/spawn?{query}"))
                .await;
            assert_eq!(reply.status, 400, "{query:.20}");
        }
        let reply = site
            .logged_in("bob")
            .await
            .get("/hub/spawn?image=bad")
            .await;
        assert_eq!((reply.status, site.started().len()), (400, 1));
        assert_eq!(reply.texts(".lead"), ["There is no image [\"bad\"]."]);
    }

    #[tokio::test]
    async fn a_link_says_what_a_new_server_is_called() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let called = async |alice: &mut Browser<'_>| {
            let home = alice.get("/hub/home").await;
            home.texts(".server h2").join(", ")
        };
        let link = "/hub/spawn/alice/one?display_name=My%20%3Cb%3EProject";
        for path in ["/hub/spawn/alice/one?display_name=two%20%20spaces", link] {
            let reply = alice.get(path).await;
            let status = if path == link { 302 } else { 400 };
            assert_eq!(reply.status, status, "{}", reply.body);
        }
        assert_eq!(called(&mut alice).await, "My <b>Project");
        assert_eq!(site.started(), [json!({})], "it is no option");
        // By the form it goes along; a server that is there keeps its name.
        with_form(&site);
        let page = alice.get("/hub/spawn/alice/two?display_name=Two").await;
        let hidden = page.attributes("#spawn_form [name=display_name]", "value");
        assert_eq!(hidden, ["Two"]);
        assert_eq!(called(&mut alice).await, "My <b>Project");
        let fields = [("image", "bad"), ("display_name", "Two")];
        let page = alice.post("/hub/spawn/alice/two", &fields).await;
        let hidden = page.attributes("#spawn_form [name=display_name]", "value");
        assert_eq!((page.status, hidden), (400, vec!["Two".to_owned()]));
        let fields = [("image", "a"), ("display_name", "Two")];
        assert_eq!(
            alice.post("/hub/spawn/alice/two", &fields).await.status,
            302
        );
        assert_eq!(called(&mut alice).await, "My <b>Project, Two");
        alice.post("/hub/stop/alice/two", &[]).await;
        let page = alice.get("/hub/spawn/alice/two?display_name=Other").await;
        assert!(page.attributes("[name=display_name]", "value").is_empty());
    }

    #[tokio::test]
    async fn nobody_starts_a_server_by_looking() {
        let site = Site::new().await;
        let alice = site.logged_in("alice").await;
        let prefetch = alice.request("GET", "/hub/spawn");
        for request in [
            alice.request("HEAD", "/hub/spawn"),
            prefetch.header("sec-purpose", "prefetch"),
        ] {
            assert_eq!(site.send(request, "").await.status, 403);
        }
        assert!(site.started().is_empty());
    }

    #[tokio::test]
    async fn the_form_is_shown_filled_and_sent() {
        let site = Site::new().await;
        with_form(&site);
        let mut alice = site.logged_in("alice").await;
        let page = alice
            .get("/hub/spawn?next=%2Fuser%2Falice%2Flab&opt-image=x")
            .await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (200, "Server options")
        );
        assert!(page.body.contains(FORM));
        assert!(
            site.started().is_empty(),
            "a form is never filled by a link"
        );
        let action = page.attributes("#spawn_form", "action").remove(0);
        let reply = alice
            .post(&action, &[("image", "a b"), ("gpu", "on"), ("gpu", "2")])
            .await;
        let watch = "/hub/spawn-pending/alice?next=%2Fuser%2Falice%2Flab";
        assert_eq!(reply.leads(), (302, watch));
        site.leaves("alice", Place::Starting).await;
        assert_eq!(
            site.started(),
            [json!({"image": ["a b"], "gpu": ["on", "2"]})]
        );
    }

    #[tokio::test]
    async fn options_that_are_refused_show_the_form_again() {
        let site = Site::new().await;
        with_form(&site);
        let mut alice = site.logged_in("alice").await;
        let fields = [("image", "bad\"><img src=x onerror=alert(1)>")];
        let reply = alice
            .post("/hub/spawn/alice?next=%2Fhub%2Fhome", &fields)
            .await;
        assert_eq!(reply.status, 400);
        let action = reply.attributes("#spawn_form", "action");
        assert_eq!(action, ["/hub/spawn/alice?next=%2Fhub%2Fhome"]);
        assert!(reply.texts("[role=alert]")[0].starts_with("There is no image"));
        assert!(!reply.body.contains("<img src=x"));
        let typed = reply.attributes("#spawn_form", "data-typed").remove(0);
        let typed: serde_json::Value = serde_json::from_str(&typed).unwrap();
        assert_eq!(
            typed,
            json!({"image": [fields[0].1]}),
            "the script puts it back"
        );
        assert!(site.started().is_empty());
    }

    #[tokio::test]
    async fn what_runs_already_is_not_started_again() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        let reply = alice.post("/hub/spawn/alice", &[]).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.texts(".lead"), ["Your server is already running."]);
        assert_eq!(
            reply.attributes(".primary", "href"),
            ["/hub/spawn-pending/alice"]
        );
        // One that died unnoticed does not run, whatever the books say.
        hang(&site);
        site.end(ExitStatus::Code(1));
        site.leaves("alice", Place::Ready).await;
        site.leaves("alice", Place::Stopping).await;
        assert_eq!(alice.post("/hub/spawn/alice", &[]).await.status, 302);
        let reply = alice.post("/hub/spawn/alice", &[]).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.texts(".lead"), ["Your server is starting already."]);
        assert_eq!(site.started().len(), 2);
    }

    #[tokio::test]
    async fn a_failure_at_once_shows_at_once() {
        for (kind, status) in [
            (SpawnErrorKind::Refused, 400),
            (SpawnErrorKind::NotFound, 500),
        ] {
            let site = Site::new().await;
            let error = move || SpawnError::new(kind, "There is no <program>.");
            site.direct(|script| script.act = Act::Fail(Arc::new(error)));
            let mut alice = site.logged_in("alice").await;
            for reply in [
                alice.get("/hub/spawn").await,
                alice.post("/hub/spawn/alice", &[]).await,
                alice.get("/hub/spawn-pending/alice").await,
            ] {
                assert_eq!(reply.status, status);
                assert_eq!(reply.heading(), "Your server did not start");
                assert_eq!(reply.texts("[role=alert]"), ["There is no <program>."]);
                let phase = &reply.texts(".facts dd")[0];
                assert!(phase.starts_with("While the server's program was starting."));
            }
        }
    }

    #[tokio::test]
    async fn named_servers_are_started_within_the_limit() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        for (path, status) in [
            ("/hub/spawn/alice/one", 302),
            ("/hub/spawn/alice/two", 302),
            ("/hub/spawn/alice/three", 400),
            ("/hub/spawn/alice/Bad_Name", 400),
            ("/hub/spawn/alice/%2e%2e", 400),
            ("/hub/spawn/alice/one/more", 404),
        ] {
            assert_eq!(alice.post(path, &[]).await.status, status, "{path}");
        }
        assert_eq!(site.started().len(), 2);
    }

    #[tokio::test]
    async fn a_start_that_cannot_be_saved_is_not_begun() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.app.store.close().await.unwrap();
        let reply = alice.post("/hub/spawn/alice", &[]).await;
        assert_eq!((reply.status, site.started().len()), (503, 0));
    }

    #[test]
    fn options_of_a_query_leave_out_what_is_ours() {
        let options = |query| {
            let form = options_of_query(&form::fields(query).unwrap())?;
            Some(serde_json::to_value(form.into_options()).unwrap())
        };
        assert_eq!(options(""), None);
        assert_eq!(options("next=/x&display_name=d&_xsrf=t"), None);
        assert_eq!(
            options("opt-image=a&image=b&opt-next=n&next=/x"),
            Some(json!({"image": ["b", "a"], "next": ["n"]}))
        );
    }
}
