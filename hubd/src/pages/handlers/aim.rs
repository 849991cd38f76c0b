//! What `/hub/user/NAME/...` means: a server, and a place in it.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use spawner_core::{ServerId, ServerName, UserName};

use super::instead::Instead;
use super::visit::Visit;
use crate::app::App;
use crate::auth::local_path::LocalPath;
use crate::scopes::{ScopeName, Target};

/// What the path of a request means.
pub(super) struct Aim<'p> {
    pub(super) server: ServerId,
    /// Behind the server's own prefix, as it was sent.
    pub(super) rest: &'p str,
}

/// The server that the path names. One that the visitor may not enter is not found, the same as
/// one that is not there.
pub(super) fn aim(visit: &Visit) -> Result<Aim<'_>, Instead> {
    let app = visit.app();
    let path = visit.parts.uri.path().strip_prefix("/user/");
    path.and_then(|path| Aim::read(app, path))
        .filter(|aim| may_enter(visit, &aim.server))
        .ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))
}

impl<'p> Aim<'p> {
    /// Reads `NAME/SERVER/REST`, where `SERVER` is one only if the user has a server of that name.
    fn read(app: &App, path: &'p str) -> Option<Self> {
        let decode = |segment: &'p str| percent_decode_str(segment).decode_utf8().ok();
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let user = UserName::new(&decode(name)?).ok()?;
        app.store.users().by_name(&user)?;
        let (first, tail) = rest.split_once('/').unwrap_or((rest, ""));
        let named = decode(first)
            .and_then(|name| ServerName::new(&name).ok())
            .filter(|name| !name.is_default())
            .map(|name| ServerId::new(user.clone(), name))
            .filter(|server| app.store.servers().find(server).is_some());
        Some(match named {
            Some(server) => Self { server, rest: tail },
            None => Self {
                server: ServerId::default_of(user),
                rest,
            },
        })
    }

    /// The request's address at the server itself, in this round of being sent there.
    pub(super) fn target(&self, visit: &Visit, round: Option<u32>) -> Option<LocalPath> {
        let query = visit.parts.uri.query().unwrap_or_default();
        let is_ours = |piece: &&str| *piece == "redirects" || piece.starts_with("redirects=");
        let mut pieces: Vec<&str> = query
            .split('&')
            .filter(|piece| !piece.is_empty() && !is_ours(piece))
            .collect();
        let round = round.map(|round| format!("redirects={round}"));
        pieces.extend(round.as_deref());
        let mark = if pieces.is_empty() { "" } else { "?" };
        let (server, query) = (visit.links().server(&self.server), pieces.join("&"));
        visit.local(&format!("{server}{}{mark}{query}", self.rest))
    }
}

fn may_enter(visit: &Visit, server: &ServerId) -> bool {
    let groups = visit.app().directory.groups_of(&server.user);
    let target = Target::Server {
        id: server,
        groups: &groups,
    };
    visit.caller().is_some_and(|caller| {
        caller
            .rights
            .allows(ScopeName::AccessServers, target)
            .is_yes()
    })
}
