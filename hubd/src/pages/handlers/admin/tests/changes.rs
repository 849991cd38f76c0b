//! Users and groups that come, change and go.

use spawner_core::UserName;

use super::{buttons, hub, names};
use crate::pages::testing::{Browser, Reply, id};
use crate::servers::Place;

#[tokio::test]
async fn users_come_and_go() {
    let site = hub([]).await;
    let mut root = site.logged_in("root").await;
    let add = |names| [("names", names)];
    let reply = root
        .post("/hub/admin/users", &add("bob, carol\r\n dave;bob\n"))
        .await;
    assert_eq!(reply.leads(), (303, "/hub/admin?sort=-id"));
    let page = root.get(reply.location()).await;
    assert_eq!(names(&page), ["dave", "carol", "bob", "root"]);
    let reply = root.post("/hub/admin/users", &add("bob erin")).await;
    assert_eq!(reply.status, 303, "who is there stays");
    for (names, status, says) in [
        ("", 400, "at least one name"),
        ("ok ../x", 400, "“../x” cannot be a user name"),
        ("<b>", 400, "“<b>” cannot be a user name"),
        ("bob", 409, "exists already"),
        ("bob root", 409, "exist already"),
        (&*"a\n".repeat(1001), 400, "At most 1000"),
    ] {
        let page = root.post("/hub/admin/users", &add(names)).await;
        assert_eq!(page.status, status, "{names:.20}");
        let error = page.texts("[role=alert]").join(" ");
        assert!(error.contains(says), "{error}");
        assert_eq!(
            page.texts("#names"),
            [names.split_whitespace().collect::<Vec<_>>().join(" ")]
        );
    }
    assert!(
        site.app
            .store
            .users()
            .by_name(&UserName::new("ok").unwrap())
            .is_none()
    );

    let page = root.get("/hub/admin?name_filter=bob").await;
    let edit = page.attributes("[data-user=bob] a", "href");
    let list = "?next=/hub/admin%3Fname_filter%3Dbob";
    assert_eq!(edit, [format!("/hub/admin/user/bob{list}")]);
    let page = root.get(&edit[0]).await;
    assert_eq!(page.heading(), "bob");
    let ask = page.attributes("#ask_delete", "href");
    assert_eq!(ask, [format!("/hub/admin/delete/bob{list}")]);
    site.start("bob", "").await;
    let question = root.get(&ask[0]).await;
    assert_eq!(question.heading(), "Delete bob?");
    assert!(question.texts(".lead")[0].starts_with("One server of theirs is running"));
    assert_eq!(
        names(&root.get("/hub/admin").await).len(),
        5,
        "asking deletes nobody"
    );
    let fields = [("next", "/hub/admin?name_filter=bob")];
    let reply = root.post("/hub/admin/delete/bob", &fields).await;
    assert_eq!(reply.leads(), (303, "/hub/admin?name_filter=bob"));
    assert_eq!(site.app.servers.look(&id("bob", "")).place, Place::Stopped);
    assert_eq!(
        names(&root.get("/hub/admin").await),
        ["carol", "dave", "erin", "root"]
    );
    assert_eq!(root.post("/hub/admin/delete/bob", &[]).await.status, 404);
    assert_eq!(root.post("/hub/admin/delete/root", &[]).await.status, 400);
}

#[tokio::test]
async fn admins_make_admins() {
    let site = hub(["alice".to_owned()]).await;
    let mut root = site.logged_in("root").await;
    let set = async |browser: &mut Browser<'_>, user: &str, admin: &str| {
        let path = format!("/hub/admin/rights/{user}");
        browser.post(&path, &[("admin", admin)]).await.status
    };
    let words = |page: &Reply| page.texts("#rights");
    let page = root.get("/hub/admin/user/alice").await;
    assert_eq!(words(&page), ["Make Admin"]);
    assert_eq!(set(&mut root, "alice", "perhaps").await, 400);
    assert_eq!(set(&mut root, "alice", "true").await, 303);
    let page = root.get("/hub/admin/user/alice").await;
    assert_eq!(words(&page), ["Remove Admin"]);
    let mut alice = site.logged_in("alice").await;
    let page = alice.get("/hub/admin").await;
    assert_eq!(page.texts(".person .tag"), ["you", "admin", "admin"]);
    // The configuration names root, and nobody takes away their own rights.
    for user in ["root", "alice"] {
        let page = alice.get(&format!("/hub/admin/user/{user}")).await;
        assert!(words(&page).is_empty(), "{user}");
        assert_eq!(set(&mut alice, user, "false").await, 400, "{user}");
    }
    assert_eq!(set(&mut root, "nobody", "true").await, 404);
    assert_eq!(set(&mut root, "alice", "false").await, 303);
    assert_eq!(alice.get("/hub/admin").await.status, 403);
}

#[tokio::test]
async fn users_are_renamed() {
    let site = hub(["alice".to_owned(), "bob".to_owned()]).await;
    let mut root = site.logged_in("root").await;
    let mut bob = site.logged_in("bob").await;
    let page = root.get("/hub/admin/user/bob").await;
    assert_eq!(page.attributes("#rename #name", "value"), ["bob"]);
    let form = page.attributes("#rename", "action");
    assert_eq!(form, ["/hub/admin/rename/bob"]);
    for (name, says) in [
        ("", "empty"),
        ("../x", "not allowed at the start"),
        ("alice", "is taken"),
        ("root", "is taken"),
        ("helper", "The configuration names helper in role.users"),
    ] {
        let page = root.post(&form[0], &[("name", name)]).await;
        assert_eq!(page.status, 400, "{name}");
        let error = page.texts("#rename_error").join(" ");
        assert!(error.contains(says), "{name}: {error}");
        assert_eq!(page.attributes("#rename #name", "value"), [name]);
    }
    site.start("bob", "").await;
    let page = root.post(&form[0], &[("name", "robert")]).await;
    assert!(page.texts("#rename_error")[0].contains("is not stopped"));
    root.post("/hub/stop/bob", &[]).await;
    let reply = root.post(&form[0], &[("name", " Robert ")]).await;
    assert_eq!(reply.leads(), (303, "/hub/admin/user/robert"));
    assert_eq!(root.get("/hub/admin/user/bob").await.status, 404);
    let home = bob.get("/hub/home").await;
    assert_eq!(home.texts(".who .name"), ["robert"], "still logged in");
    // Whom the configuration names keeps the name.
    let page = root.get("/hub/admin/user/root").await;
    assert!(page.texts("#rename").is_empty());
    assert!(page.body.contains("auth.admin_users"));
}

#[tokio::test]
async fn groups_come_and_go_and_so_do_their_members() {
    let site = hub((0..60).map(|n| format!("user{n:02}"))).await;
    let mut root = site.logged_in("root").await;
    let page = root.get("/hub/admin/groups").await;
    assert_eq!((page.status, &*page.heading()), (200, "Groups"));
    assert_eq!(page.attributes("[data-group]", "data-group"), ["staff"]);
    assert_eq!(page.texts(".member .tag"), ["in the configuration"]);
    let new = page.attributes("#new_group", "action");
    for (name, status, says) in [
        ("", 400, "cannot be empty"),
        ("a b", 400, "a name holds letters"),
        ("../x", 400, "a name holds letters"),
        ("staff", 409, "staff exists already"),
    ] {
        let page = root.post(&new[0], &[("name", name)]).await;
        assert_eq!(page.status, status, "{name}");
        let error = page.texts("#add_error").join(" ");
        assert!(error.to_lowercase().contains(says), "{error}");
        assert_eq!(page.attributes("#new_group #name", "value"), [name]);
    }
    let reply = root.post(&new[0], &[("name", "red")]).await;
    let red = "/hub/admin/groups/red";
    assert_eq!(reply.leads(), (303, red));

    let page = root.get(red).await;
    assert_eq!(page.texts("#count"), ["Nobody is in it."]);
    let add = page.attributes("#add_members", "action");
    for (names, says) in [
        ("", "at least one name"),
        ("user01 ghost", "no user called “ghost”"),
        ("-", "cannot be a user name"),
    ] {
        let page = root.post(&add[0], &[("names", names)]).await;
        assert_eq!(page.status, 400, "{names}");
        let error = page.texts("#add_error").join(" ");
        assert!(error.contains(says), "{error}");
        assert_eq!(page.texts("#names"), [names]);
    }
    assert_eq!(root.get(red).await.texts("#count"), ["Nobody is in it."]);
    let all: Vec<String> = (0..60).map(|n| format!("user{n:02}")).collect();
    let reply = root.post(&add[0], &[("names", &all.join(", "))]).await;
    assert_eq!(reply.leads(), (303, red));
    let page = root.get(red).await;
    assert_eq!(page.texts("#count"), ["1 to 50 of 60"]);
    let page = root.get(&page.attributes("#following", "href")[0]).await;
    assert_eq!(names(&page).last().unwrap(), "user59");
    let (take_out, next) = (
        buttons(&page, "Take Out"),
        page.attributes("#members [name=next]", "value"),
    );
    assert_eq!(next, [format!("{red}?offset=50")]);
    let fields = [("user", "user59"), ("next", &*next[0])];
    let reply = root.post(&take_out[0], &fields).await;
    assert_eq!(reply.leads(), (303, &*next[0]));
    assert_eq!(root.get(red).await.texts("#count"), ["1 to 50 of 59"]);

    // From the page of a user.
    let user = "/hub/admin/user/user59";
    let page = root.get(user).await;
    assert!(page.texts("[data-group]").is_empty());
    assert_eq!(page.texts("#group option"), ["red"]);
    let join = page.attributes("#join", "action");
    let reply = root
        .post(&join[0], &[("group", "red"), ("next", user)])
        .await;
    assert_eq!(reply.leads(), (303, user));
    let page = root.get(user).await;
    assert_eq!(page.attributes("[data-group]", "data-group"), ["red"]);
    assert!(page.texts("#join").is_empty(), "no other group to join");
    let page = root.get("/hub/admin?name_filter=user59").await;
    assert_eq!(page.texts(".seen"), ["Never seen · In red"]);

    let page = root.get(red).await;
    let question = root.get(&page.attributes("#ask_delete", "href")[0]).await;
    assert_eq!(question.heading(), "Delete the group red?");
    assert!(question.texts(".lead")[0].starts_with("60 users are in it"));
    assert_eq!(root.get(red).await.status, 200, "asking deletes nothing");
    let reply = root.post("/hub/admin/groups/red/delete", &[]).await;
    assert_eq!(reply.leads(), (303, "/hub/admin/groups"));
    assert_eq!(root.get(red).await.status, 404);
    assert_eq!(root.post(&add[0], &[("names", "user01")]).await.status, 404);
}

#[tokio::test]
async fn groups_of_the_configuration_and_of_roles_keep_their_place() {
    let site = hub([]).await;
    let mut root = site.logged_in("root").await;
    let staff = "/hub/admin/groups/staff";
    let page = root.get(staff).await;
    assert_eq!(names(&page), ["zelda"]);
    assert!(
        page.attributes(".member a", "href").is_empty(),
        "no account"
    );
    for offered in ["button[formaction]", "#add_members", "#ask_delete"] {
        assert!(page.texts(offered).is_empty(), "{offered}");
    }
    for (path, field) in [("add", "names"), ("take-out", "user"), ("delete", "x")] {
        let path = format!("{staff}/{path}");
        let reply = root.post(&path, &[(field, "root")]).await;
        assert_eq!(reply.status, 409, "{path}");
        assert!(reply.texts(".lead")[0].contains("is in the configuration"));
    }
    root.post("/hub/admin/groups", &[("name", "graders")]).await;
    let page = root.get("/hub/admin/groups/graders").await;
    assert_eq!(page.texts(".facts dd"), ["grading"]);
    assert!(page.texts("#ask_delete").is_empty());
    let reply = root.post("/hub/admin/groups/graders/delete", &[]).await;
    assert_eq!(reply.status, 409);
    for missing in ["/hub/admin/groups/none", "/hub/admin/groups/%ff"] {
        assert_eq!(root.get(missing).await.status, 404, "{missing}");
    }
}

/// A manager who is no admin sees and does what the role says.
#[tokio::test]
async fn what_is_offered_follows_the_scopes() {
    let site = hub(["alice".to_owned(), "bob".to_owned(), "tutor".to_owned()]).await;
    let mut root = site.logged_in("root").await;
    for group in ["red", "blue"] {
        root.post("/hub/admin/groups", &[("name", group)]).await;
    }
    let names_field = [("names", "bob")];
    root.post("/hub/admin/groups/red/add", &names_field).await;
    let mut tutor = site.logged_in("tutor").await;
    let page = tutor.get("/hub/admin").await;
    assert_eq!(names(&page), ["bob"], "list:users!group=red");
    assert!(page.texts("#add_users").is_empty());
    assert!(page.texts(".tabs").join(" ").contains("Groups"));
    let page = tutor.get("/hub/admin/groups").await;
    assert_eq!(page.attributes("[data-group]", "data-group"), ["red"]);
    assert!(page.texts("#new_group").is_empty());
    let page = tutor.get("/hub/admin/groups/red").await;
    assert_eq!((names(&page), page.status), (vec!["bob".to_owned()], 200));
    assert!(page.texts("#ask_delete").is_empty());
    assert_eq!(tutor.get("/hub/admin/groups/blue").await.status, 404);
    assert_eq!(tutor.get("/hub/admin/user/alice").await.status, 404);
    let page = tutor.get("/hub/admin/user/bob").await;
    for offered in ["#rename", "#rights", "#ask_delete", "#join"] {
        assert!(page.texts(offered).is_empty(), "{offered}");
    }
    assert_eq!(buttons(&page, "Take Out").len(), 1);
    for (path, field, value, status) in [
        ("groups", "name", "green", 403),
        ("groups/blue/add", "names", "alice", 404),
        ("groups/red/delete", "x", "y", 404),
        ("join/alice", "group", "blue", 404),
        ("rename/bob", "name", "rob", 404),
        ("rights/bob", "admin", "true", 404),
        ("delete/bob", "x", "y", 404),
        ("users", "names", "eve", 403),
        ("groups/red/add", "names", "alice", 303),
    ] {
        let path = format!("/hub/admin/{path}");
        let reply = tutor.post(&path, &[(field, value)]).await;
        assert_eq!(reply.status, status, "{path}");
    }
    assert_eq!(names(&tutor.get("/hub/admin").await), ["alice", "bob"]);
}

/// The scope to make users is no way to the rights that the configuration gives to a name.
#[tokio::test]
async fn accounts_that_the_configuration_gives_more_to_are_made_by_admins() {
    let site = hub(["registrar".to_owned()]).await;
    let mut registrar = site.logged_in("registrar").await;
    for (fields, status) in [
        (&[("names", "eve")][..], 303),
        (&[("names", "zelda")], 403),
        (&[("names", "max"), ("admins", "true")], 403),
    ] {
        let reply = registrar.post("/hub/admin/users", fields).await;
        assert_eq!(
            reply.status,
            status,
            "{fields:?}: {:?}",
            reply.texts(".note")
        );
    }
    let mut root = site.logged_in("root").await;
    let reply = root.post("/hub/admin/users", &[("names", "zelda")]).await;
    assert_eq!(reply.status, 303);
}
