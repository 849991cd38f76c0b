//! `kind = "oidc"`: whole logins at a provider that the test is, and everything that is none.

mod browser;
mod keys;
#[allow(dead_code, reason = "other tests need all of it")]
#[path = "../program/mod.rs"]
mod program;
mod provider;

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use browser::Browser;
use keys::{Key, RSA, sign_with_secret, unsigned};
use program::{Ran, Running, run};
use provider::{CLIENT, Forge, Provider, merge};

/// A hub whose people sign in at a provider.
struct Site {
    provider: Provider,
    folder: tempfile::TempDir,
    address: String,
    _hub: Running,
}

impl Site {
    /// With more in [auth], and in [auth.oidc].
    fn new(auth: &str, oidc: &str) -> Self {
        Self::at(Provider::start(Key::ec("ec-1")), auth, oidc)
    }

    fn at(provider: Provider, auth: &str, oidc: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (hub, address) = hub(folder.path(), &provider.issuer(), auth, oidc);
        Self {
            provider,
            folder,
            address,
            _hub: hub,
        }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.address)
    }

    fn command(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
        command.args(arguments).current_dir(self.folder.path());
        run(command, "")
    }

    /// Everybody in the books.
    fn users(&self) -> Vec<String> {
        let ran = self.command(&["user", "list"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let names = ran.stdout.lines().map(|line| line.split('\t').next());
        names.flatten().map(str::to_owned).collect()
    }
}

fn hub(folder: &Path, issuer: &str, auth: &str, oidc: &str) -> (Running, String) {
    let private = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
    };
    private("oidc.secret", &format!("{}\n", CLIENT.1));
    private(
        "hubd.toml",
        &format!(
            "[hub]\nbind = '127.0.0.1:0'\nstate_dir = 'state'\nlog = 'warn'\n\
             [auth]\nkind = 'oidc'\n{auth}\n[spawner]\nkind = 'simple'\n\
             [auth.oidc]\nissuer = '{issuer}'\nclient_id = '{}'\n\
             client_secret_file = 'oidc.secret'\n{oidc}\n",
            CLIENT.0
        ),
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
    command.arg("run").current_dir(folder);
    let hub = Running::start(command);
    let line = hub.line_with("serving at http://");
    let address = line.rsplit("http://").next().unwrap_or_default();
    (hub, address.trim_end_matches('/').to_owned())
}

fn ann() -> Value {
    json!({"sub": "1", "preferred_username": "ann"})
}

#[test]
fn a_whole_login() {
    for key in [RSA.clone(), Key::ec("ec-1")] {
        let provider = Provider::start(key);
        let site = Site::at(provider, "allow_all = true", "login_service = '<Uni> of X'");
        let mut browser = site.browser();
        let page = browser.get("/hub/login?next=%2Fhub%2Ftoken");
        assert!(
            page.body.contains("Sign in with &lt;Uni&gt; of X"),
            "{page:?}"
        );
        assert!(!page.body.contains("type=\"password\""), "{page:?}");
        let button = "/hub/oauth_login?next=%2Fhub%2Ftoken";
        assert!(
            page.body.contains(&format!("href=\"{button}\"")),
            "{page:?}"
        );

        let away = browser.get(button);
        assert_eq!(away.status, 302);
        let cookie = &away.headers("set-cookie")[0];
        assert!(cookie.starts_with("oauthenticator-state="), "{cookie}");
        let rest = "; HttpOnly; SameSite=Lax; Path=/hub/oauth_callback; Max-Age=900";
        assert!(cookie.ends_with(rest), "{cookie}");
        let person = json!({"sub": "1", "preferred_username": " ANN "});
        let back = site.provider.sign_in(&away.location(), person);
        assert!(!browser.is_logged_in());
        let page = browser.get(&back);
        assert_eq!((page.status, page.location().as_str()), (302, "/hub/token"));
        assert!(browser.is_logged_in());
        assert!(!browser.jar.contains_key("oauthenticator-state"));
        assert!(browser.get("/hub/home").body.contains(">ann<"));
        assert_eq!(site.users(), ["ann"]);

        // What the provider says of itself is asked for once.
        let mut again = site.browser();
        assert_eq!(again.log_in(&site.provider, ann()).status, 302);
        let asked = site.provider.state().asked.clone();
        assert_eq!(asked["/realm/.well-known/openid-configuration"], 1);
        assert_eq!((asked["/realm/keys"], asked["/realm/token"]), (1, 2));
        assert!(!asked.contains_key("/realm/userinfo"));

        assert_eq!(browser.get("/hub/logout").location(), "/hub/login");
        assert!(!browser.is_logged_in());
        assert_eq!(browser.get("/hub/home").status, 302);
    }
}

/// CVE-2023-25574 and its kind: a token is what the provider has signed for this hub and this login.
#[test]
fn a_token_that_proves_nothing_is_refused() {
    let site = Site::at(Provider::start(RSA.clone()), "allow_all = true", "");
    let stranger = Key::ec("rsa-1");
    let changed = |change: fn(&mut Value)| -> Forge {
        Arc::new(move |key, mut claims| {
            change(&mut claims);
            key.sign(&key.header(), &claims)
        })
    };
    let with = |make: fn(&Key, Value) -> String| -> Forge { Arc::new(make) };
    let rows: Vec<(&str, Forge)> = vec![
        (
            "no signature",
            with(|_, claims| unsigned(&json!({"alg": "none"}), &claims)),
        ),
        (
            "no signature, by the name of a key",
            with(|key, claims| unsigned(&key.header(), &claims)),
        ),
        (
            "signed with somebody else's key",
            Arc::new(move |key, claims| stranger.sign(&key.header(), &claims)),
        ),
        (
            "signed with the public key as a secret",
            with(|key, claims| {
                let header = json!({"alg": "HS256", "typ": "JWT", "kid": key.kid});
                sign_with_secret(key.pem().as_bytes(), &header, &claims)
            }),
        ),
        (
            "signed with the secret of the client",
            with(|_, claims| {
                sign_with_secret(CLIENT.1.as_bytes(), &json!({"alg": "HS256"}), &claims)
            }),
        ),
        (
            "changed after it was signed",
            with(|key, claims| {
                let token = key.sign(&key.header(), &claims);
                let mut other = claims;
                other["preferred_username"] = json!("root");
                let parts: Vec<&str> = token.split('.').collect();
                let payload = keys::encoded(other.to_string().as_bytes());
                format!("{}.{payload}.{}", parts[0], parts[2])
            }),
        ),
        (
            "of another issuer",
            changed(|claims| claims["iss"] = json!("https://evil.test")),
        ),
        (
            "of an issuer with a slash more",
            changed(|claims| {
                let issuer = format!("{}/", claims["iss"].as_str().unwrap_or_default());
                claims["iss"] = json!(issuer);
            }),
        ),
        (
            "for somebody else",
            changed(|claims| claims["aud"] = json!("another client")),
        ),
        (
            "for others, too",
            changed(|claims| claims["aud"] = json!([CLIENT.0, "another client"])),
        ),
        ("for nobody", changed(|claims| claims["aud"] = json!([]))),
        (
            "for another login",
            changed(|claims| claims["nonce"] = json!("another")),
        ),
        (
            "for no login",
            changed(|claims| drop(claims.as_object_mut().map(|c| c.remove("nonce")))),
        ),
        (
            "of earlier times",
            changed(|claims| claims["exp"] = claims["iat"].clone()),
        ),
        ("about nobody", changed(|claims| claims["sub"] = json!(""))),
    ];
    for (what, forge) in rows {
        site.provider.state().forge = Some(forge);
        let mut browser = site.browser();
        let page = browser.log_in(&site.provider, ann());
        assert_eq!(page.status, 403, "{what}: {page:?}");
        assert!(!browser.is_logged_in(), "{what}");
        assert_eq!(site.users(), Vec::<String>::new(), "{what}");
    }
    // What is no token at all is no answer.
    for text in ["", "x.y.z", "e30.e30.e30"] {
        site.provider.state().forge = Some(Arc::new(move |_, _| text.to_owned()));
        let mut browser = site.browser();
        let page = browser.log_in(&site.provider, ann());
        assert!([403, 503].contains(&page.status), "{text:?}: {page:?}");
        assert!(!browser.is_logged_in(), "{text:?}");
    }
    site.provider.state().forge = None;
    assert_eq!(site.browser().log_in(&site.provider, ann()).status, 302);
}

/// Who comes, and what they are answered.
type Visits = Vec<(Value, u16)>;

/// Who somebody is, and whether they may come in: CVE-2018-7206, CVE-2022-31027, CVE-2024-29033,
/// CVE-2024-37300 and CVE-2026-33175.
#[test]
fn who_may_not_come_in_leaves_no_trace() {
    let email = "username_claim = 'email'";
    let domain = "hosted_domain = ['allowed.edu']\nusername_claim = 'preferred_username'";
    let groups = "claim_groups_key = 'groups'";
    let ann_with = |more: Value| {
        let mut person = ann();
        merge(&mut person, &more);
        person
    };
    let mail =
        |verified: Value| json!({"sub": "1", "email": "ann@x.org", "email_verified": verified});
    let table: Vec<(&str, &str, Visits)> = vec![
        (
            "allowed_groups = ['staff']",
            groups,
            vec![
                (ann(), 403),
                (ann_with(json!({"groups": []})), 403),
                (
                    ann_with(json!({"groups": ["students", "staff2", "STAFF"]})),
                    403,
                ),
                (ann_with(json!({"groups": ["staff"]})), 302),
            ],
        ),
        (
            "allow_all = true",
            email,
            vec![
                (ann(), 403),
                (json!({"sub": "1", "email": "ann@x.org"}), 403),
                (mail(json!(false)), 403),
                (mail(json!("true")), 403),
                (mail(json!(null)), 403),
                (mail(json!(true)), 302),
            ],
        ),
        (
            "allow_all = true\nadmin_users = ['ann']",
            domain,
            vec![
                (ann(), 403),
                (
                    ann_with(json!({"email": "ann@allowed.edu", "email_verified": true})),
                    403,
                ),
                (ann_with(json!({"hd": "evil.edu"})), 403),
                (ann_with(json!({"hd": "allowed.edu"})), 302),
            ],
        ),
        (
            "allow_all = true\nblocked_users = ['eve']\nusername_map = { 'e@x.org' = 'eve' }",
            "",
            vec![
                (json!({"sub": "1", "preferred_username": "eve"}), 403),
                (json!({"sub": "1", "preferred_username": " EVE"}), 403),
                (json!({"sub": "1", "preferred_username": "e@X.org"}), 403),
                (json!({"sub": "1", "preferred_username": "../ann"}), 403),
                (
                    json!({"sub": "1", "preferred_username": "a".repeat(300)}),
                    403,
                ),
                (json!({"sub": "1", "preferred_username": "\u{212a}im"}), 403),
                (json!({"sub": "1", "preferred_username": ""}), 403),
                (json!({"sub": "1"}), 403),
                (ann(), 302),
            ],
        ),
        ("", "", vec![(ann(), 403)]),
    ];
    for (auth, oidc, rows) in table {
        let site = Site::new(auth, oidc);
        let before = site.users();
        for (person, status) in rows {
            let mut browser = site.browser();
            let page = browser.log_in(&site.provider, person.clone());
            assert_eq!(page.status, status, "{auth} {oidc}: {person}: {page:?}");
            assert_eq!(browser.is_logged_in(), status == 302, "{person}");
            if status != 302 {
                assert_eq!(site.users(), before, "{auth} {oidc}: {person}");
            }
        }
    }
}

#[test]
fn an_account_is_one_persons() {
    let token = "0123456789abcdef";
    let service = format!("[[service]]\nname = 'tool'\napi_token = '{token}'\nadmin = true");
    let site = Site::new("allowed_users = ['ann']\nallow_all = true", &service);
    let person = |sub: &str, name: &str| json!({"sub": sub, "preferred_username": name});
    let enter = |sub: &str, name: &str| {
        let mut browser = site.browser();
        let page = browser.log_in(&site.provider, person(sub, name));
        let home = browser.get("/hub/home");
        (page.status, page.body + &home.body)
    };
    let is = |sub: &str, name: &str, user: &str| {
        let (status, body) = enter(sub, name);
        assert_eq!(status, 302, "{body}");
        assert!(body.contains(&format!(">{user}<")), "{body}");
    };
    // The configuration has made her, the first to come is her.
    assert_eq!(site.users(), ["ann"]);
    is("1", "ann", "ann");
    is("2", "bob", "bob");
    for (sub, name) in [("3", "ann"), ("3", "ANN"), ("3", "bob")] {
        let (status, body) = enter(sub, name);
        assert_eq!(status, 403, "{body}");
        let account = name.to_lowercase();
        let sentence = format!("The account {account} belongs to somebody else.");
        assert!(body.contains(&sentence), "{body}");
    }
    // A new name there is none here, also one that is somebody else's or cannot be a name.
    for name in ["ann.smith", "bob", "../x"] {
        is("1", name, "ann");
    }
    // A new name here changes nothing there, and leaves the old one to others.
    let renamed = patch(&site.address, token, "bob", &json!({"name": "bobby"}));
    assert!(renamed.starts_with("HTTP/1.1 200"), "{renamed}");
    is("2", "bob", "bobby");
    is("4", "bob", "bob");
    // Who is deleted has let go of it.
    let deleted = site.command(&["user", "delete", "bobby"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    is("5", "bobby", "bobby");
    assert_eq!(enter("2", "bobby").0, 403);
    // And an account can be taken from its owner, whose login ends with that.
    let mut owner = site.browser();
    assert_eq!(owner.log_in(&site.provider, person("1", "ann")).status, 302);
    let unbind = || site.command(&["user", "unbind", "ann"]);
    assert_eq!(unbind().code, Some(0));
    assert_eq!(owner.get("/hub/home").status, 302);
    let again = unbind();
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.stderr.contains("is nobody's at a login provider"),
        "{again:?}"
    );
    is("6", "ann", "ann");
    assert_eq!(enter("1", "ann").0, 403);
    assert_eq!(site.users(), ["ann", "bob", "bobby"]);
}

fn patch(address: &str, token: &str, user: &str, body: &Value) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    let body = body.to_string();
    let request = format!(
        "PATCH /hub/api/users/{user} HTTP/1.1\r\nHost: {address}\r\nAuthorization: token {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A login is of the browser that has begun it, and happens once.
#[test]
fn states_are_worth_nothing_elsewhere_or_later() {
    let site = Site::new("allow_all = true", "");
    let mut mine = site.browser();
    let back = mine.sign_in(&site.provider, ann());
    let kept = mine.clone();
    let refused = |mut browser: Browser, path: &str, what: &str| {
        let page = browser.get(path);
        assert_eq!(page.status, 403, "{what}: {page:?}");
        assert!(!browser.is_logged_in(), "{what}");
        assert!(page.body.contains("egin again"), "{what}: {page:?}");
    };
    let asked = || site.provider.state().asked.get("/realm/token").copied();

    // By nobody, by somebody who has begun another one, and without its parts.
    refused(site.browser(), &back, "no cookie");
    let mut other = site.browser();
    other.sign_in(
        &site.provider,
        json!({"sub": "2", "preferred_username": "eve"}),
    );
    refused(other.clone(), &back, "the cookie of another login");
    let (path, query) = back.split_once('?').expect("a query");
    let (code, state) = query.split_once("&state=").expect("a state");
    refused(mine.clone(), path, "nothing");
    refused(mine.clone(), &format!("{path}?{code}"), "no state");
    refused(
        mine.clone(),
        &format!("{path}?{code}&state=x"),
        "a made-up state",
    );
    refused(mine.clone(), &format!("{path}?state={state}"), "no code");
    let mut planted = mine.clone();
    if let Some(cookie) = planted.jar.get_mut("oauthenticator-state") {
        cookie.insert(0, '9');
    }
    refused(planted, &back, "a changed cookie");
    assert_eq!(asked(), None, "the provider is not asked before");
    refused(
        mine.clone(),
        &format!("{path}?code=x&state={state}"),
        "a made-up code",
    );
    let head = mine.get(path);
    assert_eq!(head.status, 403);

    // The provider may be as careless as it likes.
    site.provider.state().careless = true;
    assert_eq!(mine.get(&back).location(), "/hub/home");
    refused(kept, &back, "used already");
    // In a browser that is logged in meanwhile it is no error.
    assert_eq!(mine.get(&back).location(), "/hub/home");
}

#[test]
fn next_leads_somewhere_here_or_home() {
    let site = Site::new("allow_all = true", "");
    for (next, expected) in [
        ("%2Fhub%2Fspawn%3Fx%3D1", "/hub/spawn?x=1"),
        ("https%3A%2F%2Fevil.test%2F", "/hub/home"),
        ("%2F%2Fevil.test", "/hub/home"),
        ("%2F%5Cevil.test", "/hub/home"),
        ("javascript%3Aalert(1)", "/hub/home"),
        ("%2Fhub%2F%0D%0ASet-Cookie%3A%20a%3Db", "/hub/home"),
    ] {
        let mut browser = site.browser();
        let away = browser.get(&format!("/hub/oauth_login?next={next}"));
        let back = site.provider.sign_in(&away.location(), ann());
        // What the way back says of it counts for nothing.
        let page = browser.get(&format!("{back}&next=https%3A%2F%2Fevil.test"));
        assert_eq!(page.location(), expected, "{next}");
    }
}

#[test]
fn what_the_provider_refuses_is_shown_as_text() {
    let site = Site::new("allow_all = true", "");
    let mut browser = site.browser();
    let away = browser.get("/hub/oauth_login");
    let back = site.provider.sign_in(&away.location(), ann());
    let (_, state) = back.split_once("&state=").expect("a state");
    let hostile = "%3Cimg+src%3Dx%3E%1b%5B31m%0D%0A".to_owned() + &"x".repeat(3000);
    let path = format!(
        "/hub/oauth_callback?error=access_denied&error_description={hostile}&state={state}"
    );
    let page = browser.get(&path);
    assert_eq!(page.status, 403, "{page:?}");
    assert!(
        page.body.contains("access_denied: &lt;img src=x&gt;"),
        "{page:?}"
    );
    assert!(!page.body.contains("<img src=x") && !page.body.contains('\u{1b}'));
    assert!(!page.body.contains(&"x".repeat(300)));
    // From anywhere else it is not shown at all.
    let page = site.browser().get(&path);
    assert_eq!(page.status, 403);
    assert!(!page.body.contains("access_denied"), "{page:?}");
    assert!(!browser.is_logged_in());
}

#[test]
fn a_provider_that_is_away_keeps_nobody_else_waiting() {
    // A port that nobody listens at, and one where nobody answers.
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let gone = free.local_addr().expect("an address");
    drop(free);
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    for address in [gone, silent.local_addr().expect("an address")] {
        let folder = tempfile::tempdir().expect("a folder");
        let issuer = format!("http://{address}");
        let (_hub, hub) = hub(folder.path(), &issuer, "allow_all = true", "timeout = 0.3");
        let mut browser = Browser::new(&hub);
        assert_eq!(browser.get("/hub/login").status, 200);
        for _ in 0..2 {
            let page = browser.get("/hub/oauth_login?next=%2Fhub%2Fspawn");
            assert_eq!(page.status, 503, "{page:?}");
            assert_eq!(page.headers("retry-after"), ["10"]);
            assert!(
                page.body.contains("cannot be reached at the moment"),
                "{page:?}"
            );
            let again = "href=\"/hub/login?next=%2Fhub%2Fspawn\"";
            assert!(page.body.contains(again), "{page:?}");
            assert_eq!(browser.get("/hub/health").status, 200);
        }
    }
}

#[test]
fn a_provider_that_is_not_what_it_says_is_not_asked_about_anybody() {
    for more in [
        json!({"issuer": "https://evil.test"}),
        json!({"authorization_endpoint": "ftp://evil.test/"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"token_endpoint": null}),
        json!({"jwks_uri": "http://127.0.0.1:1/"}),
    ] {
        let provider = Provider::start(Key::ec("ec-1"));
        provider.state().more = more.clone();
        let site = Site::at(provider, "allow_all = true", "");
        let page = site.browser().get("/hub/oauth_login");
        assert_eq!(page.status, 503, "{more}: {page:?}");
    }
}

#[test]
fn answers_of_the_token_endpoint_that_are_none() {
    let site = Site::new("allow_all = true", "");
    for (status, answer, expected) in [
        (400, json!({"error": "invalid_grant"}), 403),
        (
            401,
            json!({"error": "invalid_client", "error_description": "\u{1b}[31m"}),
            503,
        ),
        (500, json!({}), 503),
        (200, json!({}), 503),
        (200, json!([]), 503),
        (302, json!({}), 503),
        (
            200,
            json!({"access_token": "a", "token_type": "Bearer"}),
            403,
        ),
        (200, json!({"pad": "x".repeat(2 << 20)}), 503),
    ] {
        site.provider.state().token_answer = Some((status, answer));
        let mut browser = site.browser();
        let page = browser.log_in(&site.provider, ann());
        assert_eq!(page.status, expected, "{status}: {page:?}");
        assert!(!browser.is_logged_in(), "{status}");
    }
}

#[test]
fn a_new_key_is_fetched_when_it_is_met() {
    let site = Site::new("allow_all = true", "");
    let asked = || site.provider.state().asked["/realm/keys"];
    assert_eq!(site.browser().log_in(&site.provider, ann()).status, 302);
    site.provider.state().key = Key::ec("ec-2");
    assert_eq!(site.browser().log_in(&site.provider, ann()).status, 302);
    assert_eq!(asked(), 2);
    // One that nobody knows is looked for once.
    let unknown = Key::ec("ec-3");
    site.provider.state().forge = Some(Arc::new(move |_, claims| {
        unknown.sign(&unknown.header(), &claims)
    }));
    assert_eq!(site.browser().log_in(&site.provider, ann()).status, 403);
    assert_eq!(asked(), 3);
}

#[test]
fn what_is_not_in_the_token_is_asked_for() {
    let site = Site::new("allowed_groups = ['staff']", "claim_groups_key = 'groups'");
    let bare = || json!({"sub": "1"});
    let tell = |told: Value| site.provider.state().told = told;
    let enter = |person: Value| site.browser().log_in(&site.provider, person).status;
    for (told, status) in [
        (
            json!({"sub": "2", "preferred_username": "ann", "groups": ["staff"]}),
            403,
        ),
        (
            json!({"preferred_username": "ann", "groups": ["staff"]}),
            403,
        ),
        (json!({"sub": "1", "preferred_username": "ann"}), 403),
        (json!(["sub"]), 503),
        (
            json!({"sub": "1", "preferred_username": "ann", "groups": ["staff"]}),
            302,
        ),
    ] {
        tell(told.clone());
        assert_eq!(enter(bare()), status, "{told}");
    }
    // What is signed goes before what is told.
    tell(json!({"sub": "1", "groups": ["staff"]}));
    let signed = json!({"sub": "1", "preferred_username": "ann", "groups": ["students"]});
    assert_eq!(enter(signed), 403);
}

#[test]
fn the_doctor_says_what_to_register() {
    let site = Site::new("allow_all = true", "");
    let ran = site.command(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (issuer, address) = (site.provider.issuer(), &site.address);
    for part in [
        format!("ok       the login provider {issuer} answers"),
        format!(
            "the redirect URI to register at the provider is http://{address}/hub/oauth_callback"
        ),
    ] {
        assert!(ran.stdout.contains(&part), "{part}: {ran:?}");
    }
    site.provider.state().more = json!({"issuer": "https://evil.test"});
    let ran = site.command(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("unexpected issuer"), "{ran:?}");
}
