//! `/hub/new-server`: makes a named server of the visitor's own from what they call it, and starts
//! it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use spawner_core::ServerName;

use super::form;
use super::instead::{Instead, redirect};
use super::named::Named;
use super::start::create;
use super::visit::Visit;
use crate::scopes::ScopeName;
use crate::servers::{DISPLAY_NAME_MAX, hides_a_page, is_display_name};

/// The longest name that is made of a title, in bytes: with a number behind it still a name.
const STEM_MAX: usize = 25;

pub(super) async fn submit(visit: Visit, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let title = form.first("display_name").unwrap_or_default();
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() {
        return Err(refused("Give the server a name."));
    }
    if !is_display_name(&title) {
        return Err(no_display_name());
    }
    let member = visit.expect_member()?;
    let app = visit.app();
    let rows = app.store.servers().of(member.user.id);
    let taken = rows.iter().map(|row| row.name.as_str().to_owned());
    let name = name_for(&title, &taken.collect());
    let named = Named::of(member.user.name.clone(), name);
    let goal = visit.goal(named, ScopeName::Servers)?;
    let created = create(&visit, &goal, &title).await;
    created.map_err(|refused| refused.leading_to(visit.links().home()))?;
    let spawn = visit.links().spawn(&goal.server, None);
    Ok(redirect(StatusCode::SEE_OTHER, &spawn))
}

/// The answer to what a server cannot be called.
pub(super) fn no_display_name() -> Instead {
    let message = format!(
        "A server is called by at most {DISPLAY_NAME_MAX} printable characters, without spaces at \
         the ends or two in a row."
    );
    Instead::error(StatusCode::BAD_REQUEST, message)
}

fn refused(message: &str) -> Instead {
    Instead::error(StatusCode::BAD_REQUEST, message)
}

/// A name that is not taken, as much like the title as a name can be: names are parts of addresses,
/// folders and containers, so they are plain.
fn name_for(title: &str, taken: &BTreeSet<String>) -> ServerName {
    let mut stem = String::new();
    for character in title.to_lowercase().chars() {
        if stem.len() == STEM_MAX {
            break;
        }
        match character {
            'a'..='z' => stem.push(character),
            '0'..='9' if !stem.is_empty() => stem.push(character),
            _ if !stem.is_empty() && !stem.ends_with('-') => stem.push('-'),
            _ => {}
        }
    }
    let stem = stem.trim_end_matches('-');
    let stem = if stem.is_empty() { "server" } else { stem };
    let numbered = (2..).map(|number: u32| format!("{stem}-{number}"));
    std::iter::once(stem.to_owned())
        .chain(numbered)
        .filter(|name| !taken.contains(name))
        .filter_map(|name| ServerName::new(&name).ok())
        .find(|name| !hides_a_page(name))
        .expect("letters, digits and single hyphens, and numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::testing::Site;

    #[test]
    fn a_title_becomes_a_name() {
        for (title, name) in [
            ("proj", "proj"),
            ("My first project!", "my-first-project"),
            ("  2024: Data -- & -- Co.  ", "data-co"),
            ("Ünïcode", "n-code"),
            ("日本語", "server"),
            ("taken", "taken-3"),
            ("-", "server"),
            ("Lab", "lab-2"),
            (&"long ".repeat(50), "long-long-long-long-long"),
        ] {
            let taken = ["taken", "taken-2"].map(str::to_owned).into();
            assert_eq!(name_for(title, &taken).as_str(), name, "{title}");
        }
    }

    #[tokio::test]
    async fn what_a_person_calls_it_is_all_they_say() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let home = alice.get("/hub/home").await;
        let forms = home.attributes("#new_server", "action");
        assert_eq!(forms, ["/hub/new-server"]);
        assert!(home.texts("#new_server").join(" ").contains("0 of 2"));
        let reply = alice
            .post(&forms[0], &[("display_name", "My <b>Project</b>")])
            .await;
        assert_eq!(reply.leads(), (303, "/hub/spawn/alice/my-b-project-b"));
        let reply = alice.get(reply.location()).await;
        let pending = "/hub/spawn-pending/alice/my-b-project-b";
        assert_eq!(reply.leads(), (302, pending));
        let home = alice.get("/hub/home").await;
        assert_eq!(home.texts(".server h2"), ["My <b>Project</b>"]);

        for (title, status) in [("", 400), (" \t", 400), (&*"x".repeat(256), 400)] {
            let reply = alice
                .post("/hub/new-server", &[("display_name", title)])
                .await;
            assert_eq!(reply.status, status, "{title:?}");
        }
        alice
            .post("/hub/new-server", &[("display_name", "two")])
            .await;
        let reply = alice
            .post("/hub/new-server", &[("display_name", "three")])
            .await;
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains("at most 2 named servers"));
        let home = alice.get("/hub/home").await;
        assert_eq!(home.texts(".server h2").len(), 2);
        assert!(home.texts("#new_server button").is_empty(), "no room left");
    }

    #[tokio::test]
    async fn a_server_that_is_stopped_can_be_removed() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let mut bob = site.logged_in("bob").await;
        site.start("alice", "proj").await;
        let home = alice.get("/hub/home").await;
        assert_eq!(home.texts(".server .state"), ["Running"]);
        assert_eq!(
            home.attributes("[data-watch]", "data-watch"),
            ["stopped running"]
        );
        let remove = "/hub/remove/alice/proj";
        assert_eq!(alice.post(remove, &[]).await.status, 409);
        let stop = home.attributes(".server form", "action");
        assert_eq!(stop, ["/hub/stop/alice/proj"]);
        alice.post(&stop[0], &[]).await;
        assert_eq!(bob.post(remove, &[]).await.status, 404);
        assert_eq!(alice.post("/hub/remove/alice/none", &[]).await.status, 404);
        let home = alice.get("/hub/home").await;
        let forms = home.attributes(".server form", "action");
        assert_eq!(forms, ["/hub/spawn/alice/proj", remove]);
        assert_eq!(alice.post(remove, &[]).await.leads(), (303, "/hub/home"));
        let home = alice.get("/hub/home").await;
        assert!(home.texts(".server h2").is_empty());
    }
}
