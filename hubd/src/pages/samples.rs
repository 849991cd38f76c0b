//! Every page in every state, for the tests that look at all of them.

use http::StatusCode;
use spawner_core::{ExitStatus, ServerId, ServerName, UserName};

use super::failure::{FailedPhase, Failure};
use super::links::Links;
use super::render::Templates;
use super::views::admin::{
    AddForm, AdminView, Choice, DeleteGroupView, DeleteUserView, GroupOfUser, GroupRow, GroupView,
    GroupsView, JoinForm, MemberRow, MembersForm, NewGroupForm, Part, RenameForm, ServerRow,
    Sorting, Tabs, UserRow, UserView,
};
use super::views::audit::{AuditRow, AuditView};
use super::views::{
    Chrome, ClientRow, CountdownView, ErrorView, FailedView, HomeView, LeaveView, Lifetime,
    LoginProvider, LoginView, MadeToken, NamedServer, NewServerForm, NotRunningView, OAuthView,
    PasswordView, PendingView, ScopeRow, ServerCard, ServerState, ServiceLink, SignupRow,
    SignupView, SignupsView, SpawnView, TokenRow, TokenView, View, Viewer, VisitRow, WaitingView,
};
use crate::auth::local_path::LocalPath;

/// What is put into a field in the place of the text given.
pub(super) type Texts<'a> = &'a dyn Fn(&str) -> String;

/// A page with a name that says which one it is.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) html: String,
}

const OPTIONS_FORM: &str = r#"<p><label for="profile">Environment</label>
<select id="profile" name="profile"><option>Python 3, scientific</option><option>R</option></select></p>
<p><label for="memory">Memory (GB)</label> <input id="memory" name="memory" type="number" value="2"></p>
<fieldset><legend>Extras</legend>
<p><input id="gpu" type="checkbox" name="gpu"> <label for="gpu">A GPU</label></p>
<p><input id="old" type="checkbox" name="old" checked> <label for="old">Keep the old environment</label></p>
</fieldset>
<p><label for="env">Environment variables</label>
<textarea id="env" name="env" placeholder="NAME=value"></textarea></p>"#;

const LOG: [&str; 6] = [
    "[I 2026-03-01 12:34:55 ServerApp] Writing Jupyter server cookie secret to /home/alice/.local/share/jupyter/runtime/jupyter_cookie_secret",
    "Traceback (most recent call last):",
    "  File \"/opt/jupyter/bin/jupyterhub-singleuser\", line 5, in <module>",
    "    from jupyterhub.singleuser import main",
    "ModuleNotFoundError: No module named 'jupyterhub'",
    "\x1b[31mexiting\x1b[0m",
];

/// The addresses of a hub at `/`.
pub(super) fn links() -> Links {
    Links::new(path("/"))
}

fn path(text: &str) -> LocalPath {
    LocalPath::root(text).unwrap()
}

pub(super) fn chrome(user: Option<&str>) -> Chrome {
    let user = user.map(|name| Viewer {
        name: name.to_owned(),
        admin: false,
        manages: name == "root",
    });
    Chrome::new(&links(), user, "2|1:0|10:1700000000|5:_xsrf|abc=")
}

pub(super) fn login() -> LoginView {
    let next = path("/user/alice/");
    LoginView {
        username: "alice".to_owned(),
        ..LoginView::new(&links(), Some(&next))
    }
}

fn card(has_form: bool, text: Texts<'_>) -> ServerCard {
    let alice = UserName::new("alice").unwrap();
    let server = ServerId::new(alice.clone(), ServerName::new("").unwrap());
    let next = path("/user/alice/lab?a=1&b=\"><img src=x>");
    let card = ServerCard::new(&links(), &server, Some(&alice), has_form, Some(&next));
    ServerCard {
        label: text(&card.label),
        ..card
    }
}

fn failure(phase: FailedPhase, text: Texts<'_>) -> Failure {
    let log: Vec<String> = LOG.iter().map(|line| text(line)).collect();
    Failure::new(
        phase,
        text("The program “jupyterhub-singleuser” exited with code 1 before it answered."),
    )
    .with_exit(ExitStatus::Code(1))
    .with_log(&log)
    .with_time("2026-03-01T12:34:56Z".parse().unwrap())
}

/// Renders them all, with every text run through `text`.
pub(super) fn pages(templates: &Templates, text: Texts<'_>) -> Vec<Sample> {
    let mut out = Pages {
        templates,
        anonymous: chrome(None),
        chrome: chrome(Some(&text("alice"))),
        samples: Vec::new(),
    };
    login_pages(&mut out, text);
    server_pages(&mut out, text);
    admin_pages(&mut out, text);
    user_pages(&mut out, text);
    group_pages(&mut out, text);
    failed_pages(&mut out, text);
    token_pages(&mut out, text);
    other_pages(&mut out, text);
    account_pages(&mut out, text);
    out.samples
}

struct Pages<'a> {
    templates: &'a Templates,
    anonymous: Chrome,
    chrome: Chrome,
    samples: Vec<Sample>,
}

impl Pages<'_> {
    fn add<V: View>(&mut self, name: &str, chrome: &Chrome, view: &V) {
        let html = self.templates.render(chrome, view);
        self.samples.push(Sample {
            name: name.to_owned(),
            html: html.unwrap_or_else(|error| panic!("{name}: {error}")),
        });
    }

    fn logged_in<V: View>(&mut self, name: &str, view: &V) {
        self.add(name, &self.chrome.clone(), view);
    }

    fn logged_out<V: View>(&mut self, name: &str, view: &V) {
        self.add(name, &self.anonymous.clone(), view);
    }
}

fn login_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    out.logged_out("login", &LoginView::new(&links(), None));
    let refused = LoginView {
        username: text("alice"),
        error: Some(text("Invalid username or password.")),
        ..login()
    };
    out.logged_out("login-refused", &refused);
    let throttled = LoginView {
        wait_seconds: Some(30),
        ..refused
    };
    out.logged_out("login-throttled", &throttled);
    let open = LoginView {
        signup_url: Some(links().signup()),
        ..LoginView::new(&links(), None)
    };
    out.logged_out("login-signup", &open);
    let elsewhere = LoginView {
        provider: Some(LoginProvider {
            login_service: text("Example University"),
            url: links().oauth_login(None),
        }),
        ..LoginView::new(&links(), None)
    };
    out.logged_out("login-provider", &elsewhere);
}

fn account_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    let form = SignupView {
        action: links().signup(),
        username: String::new(),
        error: None,
        minimum_length: 8,
        done: false,
    };
    out.logged_out("signup", &form);
    let refused = SignupView {
        username: text("alice"),
        error: Some(text("A password has at least 8 characters.")),
        ..form
    };
    out.logged_out("signup-refused", &refused);
    let done = SignupView {
        done: true,
        ..refused
    };
    out.logged_out("signup-done", &done);
    let form = PasswordView {
        action: links().password(),
        error: None,
        minimum_length: 12,
    };
    out.logged_in("password", &form);
    let refused = PasswordView {
        error: Some(text("The two new passwords differ.")),
        ..form
    };
    out.logged_in("password-refused", &refused);
    let row = |name: &str| SignupRow {
        name: text(name),
        since: text("2026-03-01 12:34"),
        action: links().signups().join("alice"),
    };
    let rows = vec![row("alice"), row("bob")];
    out.logged_in("signups", &SignupsView { rows });
    out.logged_in("signups-none", &SignupsView { rows: Vec::new() });
}

fn server_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    for (name, state) in [
        ("home-stopped", ServerState::Stopped),
        ("home-starting", ServerState::Starting),
        ("home-running", ServerState::Running),
        ("home-stopping", ServerState::Stopping),
        ("home-checking", ServerState::Checking),
    ] {
        out.logged_in(name, &home(state, text));
    }
    let culled = HomeView {
        server: card(true, text),
        stop_reason: Some(text("culled: idle for 60 minutes")),
        services: vec![ServiceLink {
            name: text("whoami"),
            url: links().service("whoami"),
        }],
        ..home(ServerState::Stopped, text)
    };
    out.logged_in("home-culled", &culled);
    for extend_url in [None, Some(path("/hub/extend/alice"))] {
        let name = match extend_url {
            None => "home-too-old",
            Some(_) => "home-idle",
        };
        let view = HomeView {
            services: culled.services.clone(),
            countdown: Some(CountdownView {
                words: text("9 minutes"),
                seconds: 540,
                extend_url,
            }),
            ..home(ServerState::Running, text)
        };
        out.logged_in(name, &view);
    }
    let failed = HomeView {
        server: card(true, text),
        failure: Some(failure(FailedPhase::Starting, text)),
        ..home(ServerState::Stopped, text)
    };
    out.logged_in("home-failed", &failed);
    named_servers(out, text);
    let form = SpawnView {
        server: card(true, text),
        options_form: OPTIONS_FORM.to_owned(),
        display_name: None,
        error: None,
        typed: None,
    };
    out.logged_in("spawn", &form);
    let refused = SpawnView {
        server: ServerCard {
            mine: false,
            ..card(true, text)
        },
        display_name: Some(text("My project")),
        error: Some(text("Memory must be between 1 and 16 GB.")),
        ..form
    };
    out.logged_in("spawn-refused", &refused);
    for has_form in [false, true] {
        let view = NotRunningView {
            server: card(has_form, text),
        };
        out.logged_in(
            if has_form {
                "not-running-form"
            } else {
                "not-running"
            },
            &view,
        );
    }
    let server = ServerId::default_of(UserName::new("alice").unwrap());
    let pending = PendingView {
        server: card(false, text),
        progress: 40,
        messages: [
            "Server requested",
            "Preparing the home directory",
            "Starting jupyterhub-singleuser",
        ]
        .map(text)
        .to_vec(),
        progress_url: links().progress(&server),
    };
    out.logged_in("pending", &pending);
    let first = PendingView {
        progress: 0,
        messages: Vec::new(),
        ..pending
    };
    out.logged_in("pending-first", &first);
    for (name, state) in [
        ("stopping", ServerState::Stopping),
        ("checking", ServerState::Checking),
    ] {
        let view = WaitingView {
            server: card(false, text),
            state,
        };
        out.logged_in(name, &view);
    }
}

fn home(state: ServerState, text: Texts<'_>) -> HomeView {
    HomeView {
        server: card(false, text),
        state,
        failure: None,
        stop_reason: None,
        countdown: None,
        services: Vec::new(),
        visits: Vec::new(),
        watch: state.key().to_owned(),
        waits: state.is_passing(),
        warns_in: (state == ServerState::Running).then_some(600),
        named: Vec::new(),
        new_server: None,
    }
}

fn visits(text: Texts<'_>) -> Vec<VisitRow> {
    vec![VisitRow {
        visitor: text("root"),
        at: "2026-03-01 12:34 UTC".to_owned(),
    }]
}

fn named_servers(out: &mut Pages<'_>, text: Texts<'_>) {
    let states = [
        ServerState::Stopped,
        ServerState::Starting,
        ServerState::Running,
        ServerState::Stopping,
        ServerState::Checking,
    ];
    let named = states.map(|state| NamedServer {
        server: card(state == ServerState::Checking, text),
        title: text("My project"),
        name: text("my-project"),
        state,
        words: state.words(),
        failure: (state == ServerState::Stopped).then(|| failure(FailedPhase::Running, text)),
        countdown: (state == ServerState::Running).then(|| CountdownView {
            words: text("9 minutes"),
            seconds: 540,
            extend_url: Some(path("/hub/extend/alice/my-project")),
        }),
        visits: visits(text),
        remove_url: path("/hub/remove/alice/my-project"),
    });
    let view = HomeView {
        visits: visits(text),
        named: named.to_vec(),
        waits: true,
        watch: "ending stopped starting".to_owned(),
        new_server: Some(NewServerForm {
            url: links().new_server(),
            count: 5,
            limit: 6,
        }),
        ..home(ServerState::Running, text)
    };
    out.logged_in("home-named", &view);
    let full = HomeView {
        named: Vec::new(),
        waits: false,
        new_server: Some(NewServerForm {
            url: links().new_server(),
            count: 1,
            limit: 1,
        }),
        ..view
    };
    out.logged_in("home-full", &full);
}

fn admin_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    let alice = UserName::new("alice").unwrap();
    let server = ServerId::default_of(alice.clone());
    let row = |state| ServerRow {
        name: text("proj"),
        words: ServerState::words(state),
        state,
        failure_url: Some(links().spawn_pending(&server, None)),
        open_url: Some(links().admin_open(&server)),
        start_url: Some(links().admin_start(&server)),
        stop_url: Some(links().stop(&server)),
        remove_url: Some(links().remove(&server)),
    };
    let user = UserRow {
        name: text("alice"),
        stamp: text("=Running"),
        admin: true,
        you: true,
        last_seen: Some("2026-03-01 12:34 UTC".to_owned()),
        groups: vec![text("red"), text("staff")],
        user_url: links().admin_user(&alice),
        servers: vec![row(ServerState::Running), row(ServerState::Starting)],
    };
    let bare = UserRow {
        admin: false,
        you: false,
        last_seen: None,
        groups: Vec::new(),
        servers: Vec::new(),
        ..user.clone()
    };
    let add = AddForm {
        url: links().admin_add(),
        names: text("bob\ncarol"),
        admins: true,
        may_admins: true,
        error: Some(text("“-” cannot be a user name.")),
    };
    let view = AdminView {
        list_url: links().admin(),
        here: path("/hub/admin?offset=50"),
        filter: text("li"),
        states: vec![Choice {
            value: "active",
            label: "With an active server",
            chosen: true,
        }],
        sorts: vec![Sorting {
            label: "Name",
            url: links().admin(),
            current: Some("descending"),
        }],
        sort: "-name",
        rows: vec![user, bare],
        tabs: tabs(),
        part: part(),
        events_url: links().admin_events(),
        add: Some(add),
    };
    out.logged_in("admin", &view);
    let nobody = AdminView {
        rows: Vec::new(),
        part: no_part(),
        add: None,
        ..view
    };
    out.logged_in("admin-nobody", &nobody);
    audit_pages(out, text);
    for running in [0, 1, 2] {
        let view = DeleteUserView {
            name: text("alice"),
            servers: 3,
            running,
            action: links().admin_delete(&alice),
            list_url: links().admin(),
        };
        out.logged_in(&format!("admin-delete-{running}"), &view);
    }
}

fn tabs() -> Tabs {
    Tabs {
        users: links().admin(),
        groups: Some(links().admin_groups()),
        audit: Some(links().admin_audit()),
    }
}

fn part() -> Part {
    Part {
        total: 102,
        first: 51,
        last: 52,
        previous_url: Some(links().admin()),
        following_url: Some(links().admin()),
    }
}

fn no_part() -> Part {
    Part {
        total: 0,
        first: 0,
        last: 0,
        previous_url: None,
        following_url: None,
    }
}

fn user_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    let alice = UserName::new("alice").unwrap();
    let group = |configured| GroupOfUser {
        name: text("red"),
        configured,
        url: Some(links().admin_group("red")),
        take_out_url: (!configured).then(|| links().admin_group_take_out("red")),
    };
    let view = UserView {
        name: text("alice"),
        you: true,
        admin: true,
        created: "2026-03-01 12:34 UTC".to_owned(),
        last_seen: Some("2026-03-01 12:34 UTC".to_owned()),
        roles: vec![text("user"), text("grading")],
        groups: Some(vec![group(false), group(true)]),
        join: Some(JoinForm {
            url: links().admin_join(&alice),
            groups: vec![text("blue")],
        }),
        rename: Some(RenameForm {
            url: links().admin_rename(&alice),
            typed: text("bob"),
            error: Some(text("The name bob is taken.")),
        }),
        named_by: None,
        named_admin: false,
        admin_url: Some(links().admin_rights(&alice)),
        delete_url: Some(links().admin_delete(&alice)),
        here: links().admin_user(&alice),
        list_url: path("/hub/admin?offset=50"),
    };
    out.logged_in("admin-user", &view);
    let plain = UserView {
        admin: false,
        last_seen: None,
        groups: Some(Vec::new()),
        join: None,
        rename: None,
        named_by: Some("auth.allowed_users"),
        ..view.clone()
    };
    out.logged_in("admin-user-plain", &plain);
    let only_seen = UserView {
        groups: None,
        named_admin: true,
        admin_url: None,
        delete_url: None,
        ..plain
    };
    out.logged_in("admin-user-seen", &only_seen);
}

fn group_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    let row = |configured, members| GroupRow {
        name: text("red"),
        configured,
        url: Some(links().admin_group("red")),
        members,
    };
    let view = GroupsView {
        tabs: tabs(),
        rows: vec![row(true, Some(1)), row(false, None)],
        part: part(),
        add: Some(NewGroupForm {
            url: links().admin_groups(),
            typed: text("a b"),
            error: Some(text("A name cannot have spaces.")),
        }),
    };
    out.logged_in("admin-groups", &view);
    let none = GroupsView {
        rows: Vec::new(),
        part: no_part(),
        add: None,
        ..view
    };
    out.logged_in("admin-groups-none", &none);
    let alice = UserName::new("alice").unwrap();
    let member = |url| MemberRow {
        name: text("alice"),
        url,
    };
    let view = GroupView {
        name: text("red"),
        configured: false,
        roles: vec![text("grading")],
        members: vec![member(Some(links().admin_user(&alice))), member(None)],
        part: part(),
        take_out_url: Some(links().admin_group_take_out("red")),
        add: Some(MembersForm {
            url: links().admin_group_add("red"),
            names: text("alice bob"),
            error: Some(text("There is no user called “bob”.")),
        }),
        delete_url: Some(links().admin_group_delete("red")),
        here: links().admin_group("red"),
        list_url: links().admin_groups(),
    };
    out.logged_in("admin-group", &view);
    let configured = GroupView {
        configured: true,
        members: Vec::new(),
        part: no_part(),
        take_out_url: None,
        add: None,
        delete_url: None,
        ..view
    };
    out.logged_in("admin-group-configured", &configured);
    for members in [0, 1, 2] {
        let view = DeleteGroupView {
            name: text("red"),
            members,
            action: links().admin_group_delete("red"),
            group_url: links().admin_group("red"),
        };
        out.logged_in(&format!("admin-group-delete-{members}"), &view);
    }
}

fn audit_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    let row = |refused| AuditRow {
        at: "2026-03-01 12:34:56 UTC".to_owned(),
        who: text("alice"),
        action: text("user.change"),
        what: text("user bob"),
        means: text("token a9"),
        source: Some(text("10.0.0.1")),
        refused,
        details: format!("{{\"name\":\"{}\"}}", text("robert")),
    };
    let view = AuditView {
        tabs: tabs(),
        list_url: links().admin_audit(),
        user_filter: text("alice"),
        actions: vec![Choice {
            value: "user.change",
            label: "user.change",
            chosen: true,
        }],
        rows: vec![row(false), row(true)],
        latest_url: Some(links().admin_audit()),
        earlier_url: Some(links().admin_audit()),
    };
    out.logged_in("audit", &view);
    let nothing = AuditView {
        rows: Vec::new(),
        latest_url: None,
        earlier_url: None,
        ..view
    };
    out.logged_in("audit-nothing", &nothing);
}

fn failed_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    for (name, phase) in [
        ("failed-preparing", FailedPhase::Preparing),
        ("failed-starting", FailedPhase::Starting),
        ("failed-connecting", FailedPhase::Connecting),
        ("failed-running", FailedPhase::Running),
        ("failed-stopping", FailedPhase::Stopping),
    ] {
        let view = FailedView {
            server: card(name == "failed-preparing", text),
            failure: failure(phase, text),
        };
        out.logged_in(name, &view);
    }
    let view = FailedView {
        server: card(false, text),
        failure: Failure::new(FailedPhase::Preparing, text("The hub has no room for it.")),
    };
    out.logged_in("failed-bare", &view);
}

fn token_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    let token = TokenRow {
        id: text("a7"),
        note: text("Backup script of the laptop at home"),
        created: "2026-03-01 12:34 UTC".to_owned(),
        last_used: Some("2026-03-02 08:00 UTC".to_owned()),
        ends: Some("2026-06-01 12:34 UTC".to_owned()),
        of_server: false,
        scopes: [
            "read:users!user",
            "access:servers!server=alice/a-server-with-a-long-name",
        ]
        .map(text)
        .to_vec(),
    };
    let own = TokenRow {
        note: text("Server at /user/alice/"),
        last_used: None,
        ends: None,
        of_server: true,
        scopes: Vec::new(),
        ..token.clone()
    };
    let view = TokenView {
        action: links().tokens(),
        revoke_url: links().revoke_token(),
        lifetimes: [("3600", "After 1 hour"), ("", "Never")]
            .map(|(seconds, words)| Lifetime {
                seconds: text(seconds),
                words: text(words),
                chosen: seconds.is_empty(),
            })
            .to_vec(),
        note: String::new(),
        scopes: String::new(),
        held: vec![ScopeRow {
            scope: text("access:servers!user=alice"),
            description: text("Open servers and work in them"),
            required: false,
        }],
        error: None,
        made: None,
        tokens: Vec::new(),
        clients: Vec::new(),
    };
    out.logged_in("token-none", &view);
    let full = TokenView {
        made: Some(MadeToken {
            text: text("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        }),
        tokens: vec![token, own],
        clients: vec![ClientRow {
            id: text("a9"),
            name: text("The server of bob"),
            created: "2026-03-01 12:34 UTC".to_owned(),
            last_used: None,
            scopes: vec![text("access:servers!server=bob/")],
        }],
        ..view.clone()
    };
    out.logged_in("token", &full);
    let refused = TokenView {
        note: text("Backup"),
        scopes: text("admin:users"),
        error: Some(text("User alice does not hold the scopes admin:users.")),
        made: None,
        ..full
    };
    out.logged_in("token-refused", &refused);
}

fn other_pages(out: &mut Pages<'_>, text: Texts<'_>) {
    for status in [400, 403, 404, 405, 424, 429, 500, 502, 503] {
        let view = ErrorView::new(StatusCode::from_u16(status).unwrap());
        out.logged_in(&format!("error-{status}"), &view);
    }
    let view = ErrorView {
        reference: Some(text("7f3a9c")),
        retry_url: Some(path("/hub/home")),
        ..ErrorView::with_message(
            StatusCode::INTERNAL_SERVER_ERROR,
            text("The database did not answer."),
        )
    };
    out.logged_out("error-full", &view);
    out.logged_out("error-anonymous", &ErrorView::new(StatusCode::NOT_FOUND));
    let rows = [
        ("access:servers!server=bob/", "Open the server of bob", true),
        ("read:users:name!user", "Read your name", true),
        (
            "read:users:groups!user",
            "Read which groups you are in",
            false,
        ),
    ];
    let view = OAuthView {
        client: text("The server of bob"),
        action: path("/hub/api/oauth2/authorize?client_id=jupyterhub-user-bob"),
        scopes: rows
            .map(|(scope, description, required)| ScopeRow {
                scope: text(scope),
                description: text(description),
                required,
            })
            .to_vec(),
    };
    out.logged_in("oauth", &view);
    let nothing = OAuthView {
        scopes: Vec::new(),
        ..view
    };
    out.logged_in("oauth-no-scopes", &nothing);
    let view = LeaveView {
        to: "https://grader.example.org/oauth_callback?code=x&state=y".to_owned(),
    };
    out.logged_in("leave", &view);
}
