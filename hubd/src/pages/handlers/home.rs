//! `/hub/home`: the visitor's servers, and what there is to do with each.

use axum::response::Response;
use http::StatusCode;
use spawner_core::{ServerId, UserName};

use super::super::failure::Failure;
use super::super::views::{
    CountdownView, HomeView, NamedServer, NewServerForm, ServerState, ServiceLink, VisitRow,
};
use super::admin::rows::{title, when};
use super::instead::Instead;
use super::options::has_form;
use super::over::last_outcome;
use super::visit::{Member, Visit};
use crate::app::App;
use crate::scopes::{ScopeName, Target};
use crate::services::Outlook;
use crate::store::Server;

/// How many visits of others are told.
const VISITS_SHOWN: usize = 5;

/// Shows what is known; nobody is asked.
pub(super) async fn show(visit: Visit) -> Result<Response, Instead> {
    let member = visit.expect_member()?;
    let (app, user) = (visit.app(), member.user);
    let server = ServerId::default_of(user.name.clone());
    let state = state_of(app, &server);
    let stopped = state == ServerState::Stopped;
    let row = app.store.servers().find(&server).filter(|_| stopped);
    let has_form = stopped && has_form(app, &server).await;
    let limit = app.servers.named_servers_per_user();
    let mut watched = Watched::default();
    let countdown = watched.add(&visit, &server, state);
    let mut named = Vec::new();
    if limit > 0 {
        for row in app.store.servers().of(user.id) {
            if !row.name.is_default() {
                named.push(named_server(&visit, &row, &user.name, &mut watched).await);
            }
        }
    }
    let new_server = (limit > 0).then(|| NewServerForm {
        url: visit.links().new_server(),
        count: named.len(),
        limit,
    });
    let view = HomeView {
        server: visit.card(&server, has_form, None),
        state,
        failure: failure_of(app, &server, state),
        stop_reason: row.and_then(|row| row.stop_reason.clone()),
        countdown,
        services: services(&visit, member),
        visits: visits_of(app, &server),
        watch: watched.words.join(" "),
        waits: watched.waits,
        warns_in: watched.warns_in,
        named,
        new_server,
    };
    visit.page(StatusCode::OK, &view)
}

/// What the script goes by to know that the page shows something old.
#[derive(Debug, Default)]
struct Watched {
    /// A word for each server.
    words: Vec<&'static str>,
    /// Whether one of them is on its way.
    waits: bool,
    /// In how many seconds the end of one of them comes near, unless it is used.
    warns_in: Option<u64>,
}

impl Watched {
    /// Takes in a server. Gives the countdown to its end by the hub, if that is near.
    fn add(
        &mut self,
        visit: &Visit,
        server: &ServerId,
        state: ServerState,
    ) -> Option<CountdownView> {
        self.waits |= state.is_passing();
        let outlook = (state == ServerState::Running)
            .then(|| visit.app().culler.outlook(server))
            .flatten();
        match outlook {
            Some(Outlook::Ends(countdown)) => {
                self.words.push("ending");
                let extend_url = visit.links().extend(server);
                Some(CountdownView {
                    words: countdown.words,
                    seconds: countdown.left.as_secs(),
                    extend_url: countdown.can_extend.then_some(extend_url),
                })
            }
            quiet => {
                self.words.push(state.key());
                if let Some(Outlook::Quiet(time)) = quiet {
                    let seconds = time.as_secs() + 1;
                    self.warns_in = Some(self.warns_in.map_or(seconds, |s| s.min(seconds)));
                }
                None
            }
        }
    }
}

/// The services that are shown and that the visitor may use.
fn services(visit: &Visit, member: Member<'_>) -> Vec<ServiceLink> {
    let may_use = |name: &str| {
        let rights = &member.caller.rights;
        let target = Target::Service(name);
        rights.allows(ScopeName::AccessServices, target).is_yes()
    };
    let services = visit.app().services.all().into_iter();
    let shown = services
        .filter(|service| service.display && !service.prefix.is_empty() && may_use(&service.name));
    shown
        .map(|service| ServiceLink {
            url: visit.links().service(&service.name),
            name: service.name,
        })
        .collect()
}

async fn named_server(
    visit: &Visit,
    row: &Server,
    user: &UserName,
    watched: &mut Watched,
) -> NamedServer {
    let app = visit.app();
    let server = ServerId::new(user.clone(), row.name.clone());
    let state = state_of(app, &server);
    let has_form = state == ServerState::Stopped && has_form(app, &server).await;
    NamedServer {
        title: title(&row.name, &row.display_name),
        name: row.name.to_string(),
        state,
        words: state.words(),
        failure: failure_of(app, &server, state),
        countdown: watched.add(visit, &server, state),
        visits: visits_of(app, &server),
        remove_url: visit.links().remove(&server),
        server: visit.card(&server, has_form, None),
    }
}

fn state_of(app: &App, server: &ServerId) -> ServerState {
    app.servers.look(server).place.into()
}

fn failure_of(app: &App, server: &ServerId, state: ServerState) -> Option<Failure> {
    let outcome = last_outcome(app, server).filter(|_| state == ServerState::Stopped);
    Failure::of(&outcome?)
}

/// Who else opened a server, the latest few.
fn visits_of(app: &App, server: &ServerId) -> Vec<VisitRow> {
    let row = app.store.servers().find(server);
    let visits = row.map(|row| app.store.visits().of(row.id));
    let latest = visits.into_iter().flatten().take(VISITS_SHOWN);
    latest
        .map(|visit| VisitRow {
            visitor: visit.visitor.to_string(),
            at: when(visit.at),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use spawner_core::{ExitStatus, OptionsForm};

    use super::super::super::testing::{Act, Site};
    use crate::servers::Place;

    #[tokio::test]
    async fn one_server_and_one_thing_to_do() {
        let site = Site::new().await;
        let reply = site.browser().get("/hub/home").await;
        assert_eq!(reply.leads(), (302, "/hub/login?next=%2Fhub%2Fhome"));

        let mut alice = site.logged_in("alice").await;
        let home = alice.get("/hub/home").await;
        assert_eq!(home.status, 200);
        assert_eq!(home.texts(".button.primary"), ["Start My Server"]);
        assert_eq!(home.texts(".state"), ["Stopped"]);

        // The button works without a script.
        let action = home.attributes("section:first-child form", "action");
        assert_eq!(action, ["/hub/spawn/alice"]);
        let reply = alice.post(&action[0], &[]).await;
        assert_eq!(reply.leads(), (302, "/hub/spawn-pending/alice"));
        assert_eq!(site.leaves("alice", Place::Starting).await, Place::Ready);
        let home = alice.get("/hub/home").await;
        assert_eq!(home.texts(".state"), ["Running"]);
        assert_eq!(home.attributes(".button.primary", "href"), ["/user/alice/"]);
        assert_eq!(
            home.attributes("section:first-child form", "action"),
            ["/hub/stop/alice"]
        );
    }

    #[tokio::test]
    async fn with_a_form_the_button_leads_there() {
        let site = Site::new().await;
        site.direct(|script| script.form = OptionsForm::Html("<p>Choose.</p>".into()));
        let home = site.logged_in("alice").await.get("/hub/home").await;
        assert_eq!(home.attributes("#start", "href"), ["/hub/spawn/alice"]);
    }

    #[tokio::test]
    async fn a_start_under_way_can_be_watched_and_ended() {
        let site = Site::new().await;
        site.direct(|script| script.act = Act::Hang);
        let mut alice = site.logged_in("alice").await;
        alice.post("/hub/spawn/alice", &[]).await;
        let home = alice.get("/hub/home").await;
        assert_eq!(home.texts(".state"), ["Starting"]);
        let watch = home.attributes(".button.primary", "href");
        assert_eq!(watch, ["/hub/spawn-pending/alice"]);
        let action = home.attributes("section:first-child form", "action");
        let reply = alice.post(&action[0], &[]).await;
        assert_eq!(reply.leads(), (303, "/hub/home"));
        site.leaves("alice", Place::Stopping).await;
        let home = alice.get("/hub/home").await;
        assert_eq!(home.texts(".state"), ["Stopped"]);
        assert!(home.texts(".note").is_empty(), "nothing failed");
    }

    #[tokio::test]
    async fn an_end_that_nobody_wanted_is_told() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        for (status, notes) in [(ExitStatus::Signal(9), 1), (ExitStatus::Code(0), 0)] {
            site.start("alice", "").await;
            site.end(status);
            site.leaves("alice", Place::Ready).await;
            site.leaves("alice", Place::Stopping).await;
            let home = alice.get("/hub/home").await;
            assert_eq!(home.texts(".state"), ["Stopped"]);
            assert_eq!(home.texts(".note").len(), notes, "{status}");
        }
    }
}
