//! The server that a path names, and whether the visitor may do something with it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::StatusCode;
use http::request::Parts;
use spawner_core::{NameError, ServerId, ServerName, UserName};

use super::super::state::PagesState;
use super::super::views::ServerCard;
use super::instead::{Instead, sentence};
use super::visit::{Member, Visit};
use crate::auth::local_path::LocalPath;
use crate::scopes::{ScopeName, Target};
use crate::store::User;

/// `/{user}/{server}` at the end of a path, as far as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) user: Option<UserName>,
    server: ServerName,
}

/// A server that the visitor may do something with.
#[derive(Debug)]
pub(super) struct Goal<'v> {
    pub(super) member: Member<'v>,
    pub(super) owner: Arc<User>,
    pub(super) server: ServerId,
}

impl Named {
    /// This server of this user.
    pub(super) fn of(user: UserName, server: ServerName) -> Self {
        Self {
            user: Some(user),
            server,
        }
    }
}

impl FromRequestParts<PagesState> for Named {
    type Rejection = Instead;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &PagesState,
    ) -> Result<Self, Self::Rejection> {
        // What is not even text names nothing.
        let not_found = Instead::status(StatusCode::NOT_FOUND);
        let Ok(params) = RawPathParams::from_request_parts(parts, state).await else {
            return Err(not_found);
        };
        let param = |wanted| params.iter().find(|(name, _)| *name == wanted);
        let user = match param("user") {
            None => None,
            Some((_, name)) => Some(UserName::new(name).map_err(|_| not_found)?),
        };
        let server = param("server").map_or("", |(_, name)| name);
        let server = ServerName::new(server).map_err(|error: NameError| {
            Instead::error(StatusCode::BAD_REQUEST, sentence(&error.to_string()))
        })?;
        Ok(Self { user, server })
    }
}

impl Visit {
    /// The server that the path names, if somebody is logged in who holds `scope` for it. Without
    /// a user in the path it is the visitor's own.
    pub(super) fn goal(&self, named: Named, scope: ScopeName) -> Result<Goal<'_>, Instead> {
        let member = self.expect_member()?;
        let user = named.user.unwrap_or_else(|| member.user.name.clone());
        let server = ServerId::new(user, named.server);
        let groups = self.app().directory.groups_of(&server.user);
        let target = Target::Server {
            id: &server,
            groups: &groups,
        };
        let may = member.caller.rights.allows(scope, target).is_yes();
        if !may && server.user == member.user.name {
            return Err(Instead::status(StatusCode::FORBIDDEN));
        }
        let owner = self.app().store.users().by_name(&server.user);
        // The same for a user who is not there as for one who is none of the visitor's business.
        let owner = owner
            .filter(|_| may)
            .ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))?;
        Ok(Goal {
            member,
            owner,
            server,
        })
    }

    /// The card of a server for this visitor.
    pub(super) fn card(
        &self,
        server: &ServerId,
        has_form: bool,
        next: Option<&LocalPath>,
    ) -> ServerCard {
        let viewer = self.member().map(|member| &member.user.name);
        ServerCard::new(self.links(), server, viewer, has_form, next)
    }
}
