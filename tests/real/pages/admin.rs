//! The admin pages: users, one of them, groups, and one of those.

use fantoccini::key::Key;
use serde_json::json;

use super::{knobs, open, setup};

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
    root.until_says("h1", "zoe").await;
    root.tab_to("#ask_delete").await;
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
    root.inspect("admin-refused").await;
    root.close().await;
}

#[tokio::test]
async fn users_and_groups_are_changed_by_keyboard() {
    let knobs = knobs();
    let setup = setup(&knobs).add(
        "group",
        toml::toml! {
            name = "staff"
            users = ["teacher"]
        },
    );
    let hub = setup.start().await;
    hub.admin().create(&["alice", "bob", "teacher"]).await;
    let Some(root) = open(&hub, "root").await else {
        return;
    };
    root.goto("/hub/admin").await;
    root.tab_to(".tabs a[href='/hub/admin/groups']").await;
    root.press(Key::Enter).await;
    root.until_says("[data-group=staff]", "in the configuration")
        .await;
    root.tab_to("#name").await;
    root.type_text("red team").await;
    root.press(Key::Enter).await;
    root.until_says("[role=alert]", "A name holds letters")
        .await;
    root.ask("document.querySelector('#name').value = ''", &[])
        .await;
    root.tab_to("#name").await;
    root.type_text("red").await;
    root.press(Key::Enter).await;
    root.until_at("/hub/admin/groups/red").await;

    root.tab_to("#names").await;
    root.type_text("alice nobody").await;
    root.tab_to("#add").await;
    root.press(Key::Enter).await;
    root.until_says("[role=alert]", "no user called “nobody”")
        .await;
    root.inspect("admin-group-refused").await;
    root.ask("document.querySelector('#names').value = 'alice bob'", &[])
        .await;
    root.tab_to("#add").await;
    root.press(Key::Enter).await;
    root.until_says("#count", "1 to 2 of 2").await;
    root.inspect("admin-group").await;
    root.tab_to("[data-user=bob] button").await;
    root.press(Key::Enter).await;
    root.until_says("#count", "1 to 1 of 1").await;
    let red = hub.admin().get("/groups/red").await.json();
    assert_eq!(red["users"], json!(["alice"]));

    root.goto("/hub/admin/groups").await;
    root.until_says("[data-group=red] .seen", "1 member").await;
    root.inspect("admin-groups").await;
    root.goto("/hub/admin/groups/staff").await;
    root.until_says(".lead", "is in the configuration").await;
    root.inspect("admin-group-configured").await;

    // One user: into a group, another name, an admin and no longer one.
    root.goto("/hub/admin/user/bob").await;
    root.tab_to("#group").await;
    root.tab_to("#join button").await;
    root.press(Key::Enter).await;
    root.until_says("[data-group=red]", "red").await;
    root.tab_to("#rights").await;
    root.press(Key::Enter).await;
    root.until_says("#rights", "Remove Admin").await;
    root.inspect("admin-user").await;
    let bob = hub.admin().get("/users/bob").await.json();
    assert_eq!(
        (&bob["admin"], &bob["groups"]),
        (&json!(true), &json!(["red"]))
    );
    root.tab_to("#rights").await;
    root.press(Key::Enter).await;
    root.until_says("#rights", "Make Admin").await;
    root.tab_to("#name").await;
    root.type_text("bobby").await;
    root.press(Key::Enter).await;
    root.until_says("h1", "bobby").await;
    assert_eq!(root.path().await, "/hub/admin/user/bobby");
    root.goto("/hub/admin/user/teacher").await;
    root.until_says("main", "The configuration names teacher in group.users")
        .await;
    root.inspect("admin-user-configured").await;

    root.goto("/hub/admin/groups/red").await;
    root.tab_to("#ask_delete").await;
    root.press(Key::Enter).await;
    root.until_says("h1", "Delete the group red?").await;
    root.inspect("admin-group-delete").await;
    root.tab_to("#delete").await;
    root.press(Key::Enter).await;
    root.until_at("/hub/admin/groups").await;
    root.until_says("#count", "1 to 1 of 1").await;

    // All of that is in the audit log.
    root.tab_to(".tabs a[href='/hub/admin/audit']").await;
    root.press(Key::Enter).await;
    root.until_says("ol .what", "root group.delete group red")
        .await;
    root.inspect("admin-audit").await;
    root.close().await;
}
