//! `/hub/token`: a user's tokens and the applications they let in; a new one, and the end of one.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use spawner_core::FormData;

use super::super::views::{ClientRow, Lifetime, MadeToken, ScopeRow, TokenRow, TokenView, label};
use super::form;
use super::instead::{Instead, redirect, sentence};
use super::visit::{Member, Visit};
use crate::auth::caller::Identity;
use crate::auth::tokens::{Issued, TokenRefused, TokenWish};
use crate::scopes::{ScopeName, Target};
use crate::store::{Owner, Token, TokenKind};

/// What the page offers, shortest first; what is longer than any token may live is left out.
const LIFETIMES: [(i64, &str); 5] = [
    (3_600, "After 1 hour"),
    (86_400, "After 1 day"),
    (7 * 86_400, "After 1 week"),
    (30 * 86_400, "After 30 days"),
    (365 * 86_400, "After 1 year"),
];

/// The form as it was sent, to be filled in again.
#[derive(Debug, Default)]
struct Typed {
    note: String,
    expires_in: String,
    scopes: String,
}

pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    let member = allowed(&visit, ScopeName::ReadTokens)?;
    let view = view(&visit, member, Typed::default());
    visit.page(StatusCode::OK, &view)
}

/// Makes a token. The answer is the only page that ever shows it.
pub(super) async fn request(visit: Visit, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let member = allowed(&visit, ScopeName::Tokens)?;
    let typed = Typed::of(&form);
    let refused = |typed, message: String| {
        let view = TokenView {
            error: Some(sentence(&message)),
            ..view(&visit, member, typed)
        };
        visit.page(StatusCode::BAD_REQUEST, &view)
    };
    let Ok(wish) = typed.wish() else {
        return refused(typed, "choose one of the ends on the list".to_owned());
    };
    let owner = Identity::User(member.user.clone());
    let by = visit.actor(member);
    match visit
        .app()
        .tokens
        .issue(by, &owner, wish, "Requested on the token page")
        .await
    {
        Ok(Issued { text, .. }) => {
            let view = TokenView {
                made: Some(MadeToken {
                    text: text.expose().to_owned(),
                }),
                ..view(&visit, member, Typed::default())
            };
            visit.page(StatusCode::OK, &view)
        }
        Err(TokenRefused::Store(error)) => Err(error.into()),
        Err(error) => refused(typed, error.to_string()),
    }
}

/// Revokes a token, or all that an application was issued. One that is gone already is as good.
pub(super) async fn revoke(visit: Visit, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let member = allowed(&visit, ScopeName::Tokens)?;
    let desk = &visit.app().tokens;
    let token = desk.find(form.first("id").unwrap_or_default());
    let own = token.filter(|token| {
        token.owner == Owner::User(member.user.id) && token.kind != TokenKind::Server
    });
    if let Some(token) = own {
        desk.revoke(visit.actor(member), &token).await?;
    }
    Ok(redirect(StatusCode::SEE_OTHER, &visit.links().tokens()))
}

/// Who is logged in, if they may do this to their own tokens.
fn allowed(visit: &Visit, scope: ScopeName) -> Result<Member<'_>, Instead> {
    let member = visit.expect_member()?;
    let groups = visit.app().directory.groups_of(&member.user.name);
    let own = Target::User {
        name: &member.user.name,
        groups: &groups,
    };
    if member.caller.rights.allows(scope, own).is_yes() {
        return Ok(member);
    }
    Err(Instead::error(
        StatusCode::FORBIDDEN,
        "Tokens are not for you on this hub. Ask the people who run it.",
    ))
}

impl Typed {
    fn of(form: &FormData) -> Self {
        let field = |name| form.first(name).unwrap_or_default().trim().to_owned();
        Self {
            note: field("note"),
            expires_in: field("expires_in"),
            scopes: field("scopes"),
        }
    }

    fn wish(&self) -> Result<TokenWish, std::num::ParseIntError> {
        let expires_in = match self.expires_in.as_str() {
            "" => None,
            seconds => Some(seconds.parse()?),
        };
        let scopes: Vec<String> = self.scopes.split_whitespace().map(str::to_owned).collect();
        Ok(TokenWish {
            note: Some(self.note.clone()),
            expires_in,
            scopes: (!scopes.is_empty()).then_some(scopes),
            roles: None,
        })
    }
}

fn view(visit: &Visit, member: Member<'_>, typed: Typed) -> TokenView {
    let app = visit.app();
    let tokens = app.store.tokens();
    let tokens = tokens.of(&Owner::User(member.user.id), Timestamp::now());
    // Newest first: what was just made is on top.
    let (granted, own): (Vec<_>, Vec<_>) = tokens
        .iter()
        .rev()
        .partition(|token| token.kind == TokenKind::Oauth);
    let mut clients: BTreeMap<&str, ClientRow> = BTreeMap::new();
    for token in granted {
        let (Some(client), Some(server)) = (&token.client_id, app.callers.server_of(token)) else {
            continue;
        };
        let row = clients.entry(client).or_insert_with(|| ClientRow {
            id: token.id.to_string(),
            name: label(&server, server.user == member.user.name),
            created: String::new(),
            last_used: None,
            scopes: Vec::new(),
        });
        // The first one comes last.
        row.created = minutes(token.created);
        row.last_used = row.last_used.take().max(token.last_activity.map(minutes));
        for scope in &token.scopes {
            if !row.scopes.contains(scope) {
                row.scopes.push(scope.clone());
            }
        }
    }
    let held = member.caller.rights.scopes().map(|scope| ScopeRow {
        description: sentence(scope.name.means())
            .trim_end_matches('.')
            .to_owned(),
        scope: scope.to_string(),
        required: false,
    });
    TokenView {
        action: visit.links().tokens(),
        revoke_url: visit.links().revoke_token(),
        lifetimes: lifetimes(app.tokens.max_age(), &typed.expires_in),
        note: typed.note,
        scopes: typed.scopes,
        held: held.collect(),
        error: None,
        made: None,
        tokens: own.into_iter().map(|token| row(token)).collect(),
        clients: clients.into_values().collect(),
    }
}

fn row(token: &Token) -> TokenRow {
    TokenRow {
        id: token.id.to_string(),
        note: token.note.clone(),
        created: minutes(token.created),
        last_used: token.last_activity.map(minutes),
        ends: token.expires_at.map(minutes),
        of_server: token.kind == TokenKind::Server,
        scopes: token.scopes.clone(),
    }
}

/// What the form offers, with one of them chosen.
fn lifetimes(max: Option<SignedDuration>, chosen: &str) -> Vec<Lifetime> {
    let fits = |seconds: &i64| max.is_none_or(|max| SignedDuration::from_secs(*seconds) < max);
    let offered = LIFETIMES.iter().filter(|(seconds, _)| fits(seconds));
    let mut offered: Vec<Lifetime> = offered
        .map(|(seconds, words)| Lifetime {
            seconds: seconds.to_string(),
            words: (*words).to_owned(),
            chosen: false,
        })
        .collect();
    offered.push(Lifetime {
        seconds: String::new(),
        words: match max {
            None => "Never".to_owned(),
            Some(max) => format!("As late as this hub allows ({max:#})"),
        },
        chosen: false,
    });
    let at = offered.iter().position(|life| life.seconds == chosen);
    let at = at.unwrap_or(offered.len() - 1);
    offered[at].chosen = true;
    offered
}

fn minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Reply, Site};
    use super::*;

    fn notes(page: &Reply) -> Vec<String> {
        page.texts(".rows .what")
    }

    #[tokio::test]
    async fn a_token_is_made_shown_once_and_revoked() {
        let site = Site::new().await;
        let login = site.browser().get("/hub/token").await;
        assert_eq!(login.leads(), (302, "/hub/login?next=%2Fhub%2Ftoken"));
        let mut alice = site.logged_in("alice").await;
        let page = alice.get("/hub/token").await;
        assert_eq!((page.status, page.heading()), (200, "Tokens".to_owned()));
        assert!(notes(&page).is_empty());

        let fields = [
            ("note", "for <b>tests</b>"),
            ("expires_in", "3600"),
            ("scopes", " read:users!user  servers!user=alice "),
        ];
        let made = alice.post("/hub/token", &fields).await;
        assert_eq!(made.status, 200);
        assert_eq!(made.headers["cache-control"], "no-store");
        let text = made.attributes("#new_token", "value").remove(0);
        assert_eq!(text.len(), 64);
        assert_eq!(notes(&made), ["for <b>tests</b>"]);
        let scopes = made.texts(".rows dd code");
        assert_eq!(scopes, ["read:users!user", "servers!user=alice"]);
        let page = alice.get("/hub/token").await;
        assert!(!page.body.contains(&text), "it is shown once");

        let id = page.attributes(".rows [name=id]", "value").remove(0);
        let gone = alice.post("/hub/token/revoke", &[("id", &id)]).await;
        assert_eq!(gone.leads(), (303, "/hub/token"));
        let again = alice.post("/hub/token/revoke", &[("id", &id)]).await;
        assert_eq!(again.leads(), (303, "/hub/token"));
        assert!(notes(&alice.get("/hub/token").await).is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_is_said_and_kept() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        alice.get("/hub/token").await;
        let long = "x".repeat(1001);
        for (field, value, words) in [
            ("scopes", "admin:users", "does not hold"),
            ("scopes", "read:user", "did you mean"),
            ("scopes", "servers!user=bob", "does not hold"),
            ("expires_in", "0", "more than 0"),
            ("expires_in", "-1", "more than 0"),
            ("expires_in", "1e99", "on the list"),
            ("expires_in", "true", "on the list"),
            ("note", "a\nb", "one line"),
            ("note", &long, "1000 characters"),
        ] {
            let page = alice.post("/hub/token", &[(field, value)]).await;
            assert_eq!(page.status, 400, "{field}={value}");
            let error = page.texts("[role=alert]").remove(0);
            assert!(error.contains(words), "{field}={value}: {error}");
            assert!(notes(&page).is_empty());
        }
        let page = alice
            .post("/hub/token", &[("scopes", "admin:users"), ("note", "kept")])
            .await;
        assert_eq!(page.attributes("#token_note", "value"), ["kept"]);
        assert_eq!(page.attributes("#token_scopes", "value"), ["admin:users"]);
    }

    #[tokio::test]
    async fn only_the_owners_own_page_works() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let mut bob = site.logged_in("bob").await;
        alice.get("/hub/token").await;
        bob.get("/hub/token").await;
        alice.post("/hub/token", &[("note", "hers")]).await;
        let page = alice.get("/hub/token").await;
        let id = page.attributes(".rows [name=id]", "value").remove(0);
        bob.post("/hub/token/revoke", &[("id", &id)]).await;
        assert_eq!(notes(&alice.get("/hub/token").await), ["hers"]);
        alice.jar.insert("_xsrf".into(), "forged".into());
        for path in ["/hub/token", "/hub/token/revoke"] {
            assert_eq!(alice.post(path, &[("id", &id)]).await.status, 403);
        }
        assert_eq!(bob.get("/hub/token/revoke").await.status, 405);
    }

    #[tokio::test]
    async fn a_server_and_what_it_was_issued() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        let page = alice.get("/hub/token").await;
        assert_eq!(page.attributes(".rows form", "action").len(), 0);
        assert!(page.body.contains("With its server"));
        let id = site.grant("alice", "alice").await;
        let page = alice.get("/hub/token").await;
        assert_eq!(notes(&page)[1], "Your server");
        assert_eq!(
            page.attributes(".rows [name=id]", "value"),
            std::slice::from_ref(&id)
        );
        alice.post("/hub/token/revoke", &[("id", &id)]).await;
        assert_eq!(notes(&alice.get("/hub/token").await).len(), 1);
    }

    #[test]
    fn no_end_is_offered_that_would_be_refused() {
        let words = |max: Option<i64>| -> Vec<String> {
            let max = max.map(SignedDuration::from_secs);
            let offered = lifetimes(max, "3600").into_iter();
            offered.map(|life| life.seconds).collect()
        };
        assert_eq!(words(None).len(), LIFETIMES.len() + 1);
        assert_eq!(words(Some(86_400)), ["3600", ""]);
        assert_eq!(words(Some(60)), [""]);
        assert!(lifetimes(None, "nonsense").last().unwrap().chosen);
        assert!(lifetimes(None, "3600")[0].chosen);
    }
}
