//! The hub's side.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as Named, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::{IncomingStream, Listener};
use axum::{Json, serve};
use serde::Deserialize;
use serde_json::{Value, json};
use spawner_core::{Secret, StopMode, UserName, error_chain};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{Address, Message, Status, account, path};
use crate::app::AppState;
use crate::auth::accounts::{Account, AccountError, Accounts, Added, Deleted, Waiting};
use crate::auth::password::PasswordError;
use crate::auth::tokens::{NewTokenLine, OwnerName, TokenLine, TokenRefused, TokenWish};
use crate::hub::stop::SERVERS_LIMIT;
use crate::servers::{StopRefused, Stopped};
use crate::store::StoreError;
use crate::store::audit::{Actor, AuditQuery, Record};

/// A name and a password fit in many times over.
const BODY_MAX: usize = 64 * 1024;

/// The socket, before it is served.
#[derive(Debug)]
pub(in crate::hub) struct Control {
    socket: Socket,
    path: PathBuf,
}

/// Lets in whom the kernel says to be us or root.
#[derive(Debug)]
struct Socket {
    listener: UnixListener,
    us: u32,
    /// Both who may connect, by name: looking one up may take a while.
    root: Actor,
    own: Actor,
}

/// Whoever has connected.
#[derive(Debug, Clone)]
struct By(Actor);

/// What the handlers share.
#[derive(Debug)]
struct Desk {
    app: AppState,
    accounts: Accounts,
    url: String,
}

#[derive(Deserialize)]
struct NewAccount {
    name: UserName,
    admin: bool,
    password: Secret,
}

#[derive(Deserialize)]
struct NewPassword {
    password: Secret,
}

#[derive(Deserialize)]
struct NewToken {
    owner: OwnerName,
    wish: TokenWish,
}

#[derive(Deserialize)]
struct TokensOf {
    owner: Option<OwnerName>,
}

#[derive(Deserialize)]
struct OneToken {
    id: String,
}

#[derive(Deserialize)]
struct Blocked {
    blocked: bool,
}

/// Why a command is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Token(#[from] TokenRefused),
    #[error(transparent)]
    Stop(#[from] StopRefused),
    #[error(
        "the servers of {0} are still stopping, so nothing is deleted yet: try again in a moment"
    )]
    StillStopping(UserName),
    #[error("{0} is blocked, and the servers of {0} are still stopping")]
    BlockedAndStopping(UserName),
}

impl Control {
    /// Makes the socket in a state directory that this process has claimed.
    pub(in crate::hub) fn bind(state_dir: &Path) -> io::Result<Self> {
        let path = path(state_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = Address::of(state_dir)?;
        let listener = UnixListener::bind(&address.path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let us = rustix::process::geteuid().as_raw();
        let socket = Socket {
            listener,
            us,
            root: account(0),
            own: account(us),
        };
        Ok(Self { socket, path })
    }

    /// Serves commands until `stop`, then takes the socket away. `url` is where the hub serves.
    pub(in crate::hub) async fn serve(self, app: AppState, url: String, stop: CancellationToken) {
        let accounts = Accounts::new(app.store.clone(), Arc::clone(&app.directory));
        let desk = Desk { app, accounts, url };
        let router = router(Arc::new(desk));
        let service = router.into_make_service_with_connect_info::<By>();
        let serving = serve(self.socket, service);
        let served = serving.with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the control socket failed");
        }
        // Still ours: the state directory is let go of later.
        let _ = fs::remove_file(&self.path);
    }
}

impl Listener for Socket {
    type Io = UnixStream;
    type Addr = By;

    async fn accept(&mut self) -> (UnixStream, By) {
        loop {
            let (stream, _) = Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if may_command(peer.uid(), self.us) => {
                    let by = if peer.uid() == 0 {
                        &self.root
                    } else {
                        &self.own
                    };
                    return (stream, By(by.clone()));
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "a stranger at the control socket"),
                Err(error) => tracing::warn!(%error, "nobody knows who is at the control socket"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<By> {
        Ok(By(self.own.clone()))
    }
}

impl Connected<IncomingStream<'_, Socket>> for By {
    fn connect_info(stream: IncomingStream<'_, Socket>) -> Self {
        stream.remote_addr().clone()
    }
}

fn may_command(peer: u32, us: u32) -> bool {
    peer == us || peer == 0
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/users", get(list).merge(post(add)))
        .route("/users/{name}", axum::routing::delete(delete))
        .route("/users/{name}/password", put(set_password))
        .route("/users/{name}/blocked", put(set_blocked))
        .route("/users/{name}/identity", axum::routing::delete(unbind))
        .route("/signups", get(waiting))
        .route("/signups/{name}", post(approve).delete(decline))
        .route("/tokens", post(new_token))
        .route("/tokens/list", post(tokens))
        .route("/tokens/revoke", post(revoke_token))
        .route("/audit", post(audit))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(desk)
}

async fn status(State(desk): State<Arc<Desk>>) -> Json<Status> {
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        url: desk.url.clone(),
        api_url: desk.app.servers.api_url().to_owned(),
        instance: desk.app.store.instance_id().to_owned(),
    })
}

async fn list(State(desk): State<Arc<Desk>>) -> Json<Vec<Account>> {
    Json(desk.accounts.list())
}

async fn add(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Json(new): Json<NewAccount>,
) -> Result<Json<Added>, Refused> {
    let accounts = &desk.accounts;
    let added = accounts.add(&by, &new.name, new.admin, new.password);
    Ok(Json(added.await?))
}

async fn set_password(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Named(name): Named<UserName>,
    Json(new): Json<NewPassword>,
) -> Result<Json<()>, Refused> {
    desk.accounts.set_password(&by, &name, new.password).await?;
    Ok(Json(()))
}

async fn set_blocked(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Named(name): Named<UserName>,
    Json(new): Json<Blocked>,
) -> Result<Json<()>, Refused> {
    let accounts = &desk.accounts;
    let user = accounts.set_blocked(&by, &name, new.blocked).await?;
    if new.blocked {
        let servers = desk.app.servers.by(by);
        let stopped = servers.stop_all_of(&user, StopMode::Graceful, SERVERS_LIMIT);
        if stopped.await? == Stopped::Pending {
            return Err(Refused::BlockedAndStopping(name));
        }
    }
    Ok(Json(()))
}

async fn waiting(State(desk): State<Arc<Desk>>) -> Json<Vec<Waiting>> {
    Json(desk.accounts.waiting())
}

async fn unbind(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Named(name): Named<UserName>,
) -> Result<Json<()>, Refused> {
    desk.accounts.unbind(by, &name).await?;
    Ok(Json(()))
}

async fn approve(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Named(name): Named<UserName>,
) -> Result<Json<()>, Refused> {
    desk.accounts.approve(by, &name).await?;
    Ok(Json(()))
}

async fn decline(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Named(name): Named<UserName>,
) -> Result<Json<()>, Refused> {
    desk.accounts.decline(by, &name).await?;
    Ok(Json(()))
}

async fn delete(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Named(name): Named<UserName>,
) -> Result<Json<Deleted>, Refused> {
    let user = desk.accounts.find(&name)?;
    let servers = desk.app.servers.by(by);
    match servers.delete_user(&user, SERVERS_LIMIT).await? {
        Stopped::Pending => Err(Refused::StillStopping(name)),
        Stopped::Done => Ok(Json(desk.accounts.deleted(&name))),
    }
}

async fn new_token(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Json(new): Json<NewToken>,
) -> Result<Json<Value>, Refused> {
    let tokens = &desk.app.tokens;
    let NewTokenLine { line, text } = tokens.issue_for(by, new.owner, new.wish).await?;
    // A `NewTokenLine`, with the secret told on purpose.
    Ok(Json(json!({ "line": line, "text": text.expose() })))
}

async fn tokens(
    State(desk): State<Arc<Desk>>,
    Json(of): Json<TokensOf>,
) -> Result<Json<Vec<TokenLine>>, Refused> {
    Ok(Json(desk.app.tokens.list_for(of.owner)?))
}

async fn revoke_token(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(By(by)): ConnectInfo<By>,
    Json(one): Json<OneToken>,
) -> Result<Json<TokenLine>, Refused> {
    Ok(Json(desk.app.tokens.revoke_named(by, &one.id).await?))
}

async fn audit(
    State(desk): State<Arc<Desk>>,
    Json(query): Json<AuditQuery>,
) -> Result<Json<Vec<Record>>, Refused> {
    let records = desk.app.store.audit().list(query).await;
    Ok(Json(records.map_err(AccountError::from)?))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Account(
                AccountError::Unknown(_) | AccountError::NotWaiting(_) | AccountError::NotBound(_),
            )
            | Self::Token(
                TokenRefused::UnknownUser(_)
                | TokenRefused::UnknownService(_)
                | TokenRefused::UnknownToken(_),
            ) => StatusCode::NOT_FOUND,
            Self::Account(
                AccountError::Exists(_)
                | AccountError::NotStopped { .. }
                | AccountError::BlockedByFile(_)
                | AccountError::Store(StoreError::Conflict(_)),
            )
            | Self::StillStopping(_)
            | Self::BlockedAndStopping(_) => StatusCode::CONFLICT,
            Self::Account(AccountError::Password(PasswordError::Rule(_))) => {
                StatusCode::BAD_REQUEST
            }
            Self::Account(AccountError::Password(_) | AccountError::Store(_))
            | Self::Token(TokenRefused::Store(_))
            | Self::Stop(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token(_) => StatusCode::BAD_REQUEST,
        };
        let message = error_chain(&self);
        (status, Json(Message { message })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    use super::*;

    #[test]
    fn only_root_and_the_hubs_own_account_command() {
        for (peer, us, may) in [
            (0, 0, true),
            (0, 7, true),
            (7, 7, true),
            (8, 7, false),
            (8, 0, false),
        ] {
            assert_eq!(may_command(peer, us), may, "{peer} at {us}");
        }
    }

    #[tokio::test]
    async fn what_an_earlier_hub_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let control = Control::bind(folder.path()).unwrap();
            let socket = fs::symlink_metadata(&control.path).unwrap();
            assert!(socket.file_type().is_socket());
            assert_eq!(socket.mode() & 0o777, 0o600);
        }
        fs::remove_file(path(folder.path())).unwrap();
        std::os::unix::fs::symlink("/nowhere", path(folder.path())).unwrap();
        Control::bind(folder.path()).unwrap();
        fs::remove_file(path(folder.path())).unwrap();
        fs::create_dir(path(folder.path())).unwrap();
        Control::bind(folder.path()).unwrap_err();
    }
}
