//! `/hub/api/oauth2/authorize`: a server or a service wants to know who its visitor is.
//!
//! A page, although it lies below the API: it asks by the login cookie alone, and what it shows is
//! for a person.

use axum::body::Body;
use axum::extract::Query;
use axum::response::Response;
use http::StatusCode;
use url::form_urlencoded;

use super::super::views::{LeaveView, OAuthView, ScopeRow, label};
use super::admin::servers::note_visit;
use super::form;
use super::instead::{Instead, redirect, sentence};
use super::visit::Visit;
use crate::oauth::{Asker, AuthorizeQuery, Consent, Step};
use crate::scopes::{Scope, ScopeName};
use crate::store::audit::{Action, Object};

/// Sends the visitor back at once, or asks whether they want that.
pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    let step = decide(&visit, Consent::NotAsked)?;
    note(&visit, &step).await?;
    answer(&visit, step)
}

/// The visitor said yes. That counts for what the page told them, so all of it must come back.
pub(super) async fn submit(visit: Visit, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let mut step = decide(&visit, Consent::NotAsked)?;
    if let Step::Ask { asker, scopes } = &step {
        let agreed = form.all("scopes");
        if scopes.iter().all(|scope| agreed.contains(scope)) {
            note_grant(&visit, asker, scopes).await?;
            step = decide(&visit, Consent::Given)?;
        }
    }
    note(&visit, &step).await?;
    answer(&visit, step)
}

fn decide(visit: &Visit, consent: Consent) -> Result<Step, Instead> {
    let member = visit.expect_member()?;
    let Query(query): Query<AuthorizeQuery> = Query::try_from_uri(&visit.parts.uri)
        .map_err(|error| Instead::error(StatusCode::BAD_REQUEST, sentence(&error.body_text())))?;
    Ok(visit.app().oauth.authorize(&query, member.caller, consent))
}

/// Notes what a visitor has agreed to, before it counts.
async fn note_grant(visit: &Visit, asker: &Asker, scopes: &[String]) -> Result<(), Instead> {
    let member = visit.expect_member()?;
    let object = match asker {
        Asker::Server(server) => Object::server(None, server),
        Asker::Service(name) => Object::service(name),
    };
    let entry = visit.entry(member, Action::OauthGrant).on(object);
    let entry = entry.concerning(member.user).with_names("scopes", scopes);
    visit.app().store.note(entry).await?;
    Ok(())
}

/// Notes who is let into somebody else's server, before they are: its owner is told.
async fn note(visit: &Visit, step: &Step) -> Result<(), Instead> {
    let Step::Back(to) = step else { return Ok(()) };
    let (_, query) = to.split_once('?').unwrap_or_default();
    let is_let_in = form_urlencoded::parse(query.as_bytes()).any(|(field, _)| field == "code");
    let client = visit.query("client_id").filter(|_| is_let_in);
    if let Some(server) = client.and_then(|id| visit.app().oauth.server_called(&id)) {
        note_visit(visit, visit.expect_member()?, &server).await?;
    }
    Ok(())
}

fn answer(visit: &Visit, step: Step) -> Result<Response, Instead> {
    match step {
        Step::Invalid(why) => Err(Instead::error(StatusCode::BAD_REQUEST, why)),
        Step::Forbidden(asker) => {
            let message = match asker {
                Asker::Server(_) => {
                    "You may not enter this server. Ask its owner or the people who run this hub."
                }
                Asker::Service(_) => {
                    "You may not use this service. Ask the people who run this hub."
                }
            };
            Err(Instead::error(StatusCode::FORBIDDEN, message))
        }
        Step::Ask { asker, scopes } => ask(visit, &asker, scopes),
        Step::Back(to) => {
            let to = visit
                .local(&to)
                .ok_or_else(|| Instead::status(StatusCode::BAD_REQUEST))?;
            Ok(visit.with_cookies(redirect(StatusCode::FOUND, &to), None))
        }
        // A form of our pages leads nowhere else, and its redirects are a part of that for browsers.
        // So the way to another host begins at a page.
        Step::Away(to) => visit.page(StatusCode::OK, &LeaveView { to }),
    }
}

fn ask(visit: &Visit, asker: &Asker, scopes: Vec<String>) -> Result<Response, Instead> {
    let action = visit
        .here()
        .ok_or_else(|| Instead::status(StatusCode::BAD_REQUEST))?;
    let rows = scopes.into_iter().map(|scope| ScopeRow {
        description: describe(&scope, asker),
        scope,
        required: true,
    });
    let view = OAuthView {
        client: match asker {
            Asker::Server(server) => label(server, false),
            Asker::Service(name) => format!("The service {name}"),
        },
        action,
        scopes: rows.collect(),
    };
    visit.page(StatusCode::OK, &view)
}

/// What a scope means, to the visitor in whose name it is given.
fn describe(scope: &str, asker: &Asker) -> String {
    let Ok(parsed) = scope.parse::<Scope>() else {
        return "Something that this hub does not know".to_owned();
    };
    match parsed.name {
        _ if parsed == asker.access() => match asker {
            Asker::Server(_) => "Open this server".to_owned(),
            Asker::Service(_) => "Use this service".to_owned(),
        },
        ScopeName::ReadUsersName if parsed.filter.is_some() => "Read your name".to_owned(),
        ScopeName::ReadUsersGroups if parsed.filter.is_some() => {
            "Read which groups you are in".to_owned()
        }
        name => {
            let words = sentence(name.means());
            words.trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::super::super::testing::{Reply, Site};

    const PATH: &str = "/hub/api/oauth2/authorize";

    /// The query as the server of alice sends it, with what is to be different in it.
    fn query(change: &[(&str, Option<&str>)]) -> String {
        let mut fields = vec![
            ("client_id", Some("jupyterhub-user-alice")),
            ("redirect_uri", Some("/user/alice/oauth_callback")),
            ("response_type", Some("code")),
            (
                "code_challenge",
                Some("oJilc5iuFZpRLDHi1zXO-Q38aVH6x-WAgopMJsB-YaI"),
            ),
            ("code_challenge_method", Some("S256")),
            ("state", Some("d0D-I5ACJgojuog1jpEBUw")),
        ];
        fields.retain(|(name, _)| change.iter().all(|(changed, _)| changed != name));
        fields.extend(change);
        let given = fields
            .iter()
            .filter_map(|(name, value)| Some((name, (*value)?)));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(given)
            .finish();
        format!("{PATH}?{query}")
    }

    /// The fields of the query of a redirect to the callback.
    fn sent_back(reply: &Reply) -> Vec<(String, String)> {
        let (path, query) = reply.location().split_once('?').unwrap_or_default();
        assert_eq!((reply.status, path), (302, "/user/alice/oauth_callback"));
        url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    async fn site() -> Site {
        let site = Site::new().await;
        site.logged_in("alice").await;
        site.start("alice", "").await;
        site
    }

    #[tokio::test]
    async fn a_visitor_of_their_own_server_goes_straight_back() {
        let site = site().await;
        let mut alice = site.logged_in("alice").await;
        for path in [query(&[]), query(&[("redirect_uri", None)])] {
            let reply = alice.get(&path).await;
            let fields = sent_back(&reply);
            assert_eq!(fields[0].0, "code");
            assert_eq!(fields[1], ("state".into(), "d0D-I5ACJgojuog1jpEBUw".into()));
            assert_eq!(reply.headers["cache-control"], "no-store");
            assert!(reply.cookies().is_empty());
        }
        // As aiohttp sends it.
        let raw = query(&[]).replace("%2Fuser%2Falice%2F", "/user/alice/");
        assert_eq!(sent_back(&alice.get(&raw).await)[0].0, "code");
        let stateless = alice.get(&query(&[("state", None)])).await;
        assert_eq!(sent_back(&stateless).len(), 1);
        // A browser that was closed has lost the cookie of its session.
        let id = alice.jar.remove("jupyterhub-session-id").unwrap();
        alice.get(&query(&[])).await;
        assert_eq!(alice.jar["jupyterhub-session-id"], id);
    }

    #[tokio::test]
    async fn who_is_not_logged_in_comes_back_afterwards() {
        let site = site().await;
        let path = query(&[]);
        let browser = site.browser();
        let with_token = browser
            .request("GET", &path)
            .header(AUTHORIZATION, "token x");
        let by_script = browser
            .request("GET", &path)
            .header("sec-fetch-mode", "cors");
        for request in [browser.request("GET", &path), with_token, by_script] {
            let reply = site.send(request, "").await;
            let (login, next) = reply.location().split_once("?next=").unwrap();
            assert_eq!((reply.status, login), (302, "/hub/login"));
            let next = url::form_urlencoded::parse(next.as_bytes())
                .next()
                .unwrap()
                .0;
            assert_eq!(next, path);
        }
    }

    #[tokio::test]
    async fn who_cannot_be_trusted_is_never_redirected() {
        let site = site().await;
        let mut alice = site.logged_in("alice").await;
        for change in [
            ("client_id", None),
            ("client_id", Some("")),
            ("client_id", Some("jupyterhub-user-bob")),
            ("redirect_uri", Some("")),
            ("redirect_uri", Some("//evil")),
            (
                "redirect_uri",
                Some("https://evil/user/alice/oauth_callback"),
            ),
            ("redirect_uri", Some("/user/alice/oauth_callback/")),
            ("redirect_uri", Some("/user/alice/oauth_callback#x")),
            ("redirect_uri", Some("/user/bob/oauth_callback")),
        ] {
            let reply = alice.get(&query(&[change])).await;
            assert_eq!(reply.leads(), (400, ""), "{change:?}");
            assert_eq!(reply.heading(), "This did not work");
        }
        let twice = query(&[]) + "&client_id=jupyterhub-user-alice";
        assert_eq!(alice.get(&twice).await.leads(), (400, ""));
        let long = query(&[("state", Some(&"x".repeat(5000)))]);
        assert_eq!(alice.get(&long).await.leads(), (400, ""));
    }

    #[tokio::test]
    async fn a_request_that_is_wrong_goes_back_as_an_error() {
        let site = site().await;
        let mut alice = site.logged_in("alice").await;
        for (change, error) in [
            (("response_type", None), "invalid_request"),
            (
                ("response_type", Some("token")),
                "unsupported_response_type",
            ),
            (("scope", Some("admin:users")), "invalid_scope"),
            (("scope", Some("nonsense")), "invalid_scope"),
            (("code_challenge_method", Some("S512")), "invalid_request"),
        ] {
            let fields = sent_back(&alice.get(&query(&[change])).await);
            assert_eq!(fields[0], ("error".into(), error.into()), "{change:?}");
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["error", "error_description", "state"]);
        }
        let identify = alice.get(&query(&[("scope", Some("identify"))])).await;
        assert_eq!(sent_back(&identify)[0].0, "code");
        // What comes back in a redirect cannot end its header.
        let crlf = alice
            .get(&query(&[("state", Some("x\r\nSet-Cookie: a=b"))]))
            .await;
        assert_eq!(sent_back(&crlf)[1].1, "x\r\nSet-Cookie: a=b");
        assert!(crlf.cookies().is_empty());
    }

    #[tokio::test]
    async fn a_stranger_is_refused_and_a_guest_is_asked() {
        let site = site().await;
        let path = query(&[]);
        let reply = site.logged_in("bob").await.get(&path).await;
        assert_eq!(reply.leads(), (403, ""));

        let mut guest = site.logged_in("guest").await;
        let page = guest.get(&path).await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (200, "Authorize access")
        );
        assert!(page.texts(".lead")[0].starts_with("The server of alice wants to know"));
        let rows = page.texts(".scope span:not(.tag)");
        assert_eq!(
            rows,
            [
                "Open this server access:servers!server=alice/",
                "Read your name read:users:name!user",
                "Read which groups you are in read:users:groups!user",
            ]
        );
        let action = page.attributes("main form", "action").remove(0);
        assert_eq!(action, path);
        let scopes = page.attributes("input[name=scopes]", "value");
        let fields: Vec<(&str, &str)> = scopes.iter().map(|s| ("scopes", s.as_str())).collect();

        // Less than what was shown is no consent.
        let reply = guest.post(&action, &fields[..1]).await;
        assert_eq!(
            (reply.status, reply.heading().as_str()),
            (200, "Authorize access")
        );
        let reply = guest.post(&action, &fields).await;
        assert_eq!(sent_back(&reply)[0].0, "code");
        // Until there is a token that covers it, the question is asked again.
        assert_eq!(guest.get(&path).await.status, 200);
    }

    #[tokio::test]
    async fn consent_comes_from_the_page() {
        let site = site().await;
        let mut guest = site.logged_in("guest").await;
        guest.get(&query(&[])).await;
        guest.jar.insert("_xsrf".into(), "forged".into());
        let scopes = [("scopes", "access:servers!server=alice/")];
        let reply = guest.post(&query(&[]), &scopes).await;
        assert_eq!(reply.leads(), (403, ""));
        let put = guest.request("PUT", PATH);
        assert_eq!(site.send(put, "").await.status, 405);
    }

    #[tokio::test]
    async fn a_client_ends_with_its_server() {
        let site = site().await;
        let mut alice = site.logged_in("alice").await;
        alice.get("/hub/home").await;
        alice.post("/hub/stop/alice", &[]).await;
        let reply = alice.get(&query(&[])).await;
        assert_eq!(reply.leads(), (400, ""));
        let words = "Unknown client: the server may have been stopped meanwhile.";
        assert_eq!(reply.texts(".lead"), [words]);
    }
}
