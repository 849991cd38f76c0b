//! `hubd token`: tokens of users and services.

mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use spawner_core::UserName;

use super::books::Books;
use super::{one_shot, output};
use crate::auth::tokens::{OwnerName, TokenWish};
use crate::config::Config;

/// Make, list and revoke tokens for the REST API
///
/// They work while the hub runs and while it does not. Run them as root or as the account that runs
/// the hub.
///
/// Exit code: 0 if it was done; 1 if not; 2 if the arguments or the configuration cannot be used.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The configuration file [default: ./hubd.toml, else /etc/hubd/hubd.toml]
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and print it, this once
    ///
    /// Standard output gets the token and nothing else, so TOKEN=$(hubd token new --user NAME) works.
    New {
        #[command(flatten)]
        owner: SomeOwner,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// After how many seconds it ends [default: as late as the configuration allows]
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..))]
        expires_in: Option<i64>,
        /// What it may do, once for each scope [default: all that its owner may do]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// List the tokens of everybody, or of one user or service
    List {
        #[command(flatten)]
        owner: AnyOwner,
        /// Print a JSON list instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token
    ///
    /// One that a server was given for its visitor takes along the others of that visitor and server.
    Revoke {
        /// Which one, as the list names it: a9
        id: String,
    },
}

/// Whose token is made.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct SomeOwner {
    /// The user whose token it is
    #[arg(long, value_name = "NAME")]
    user: Option<UserName>,
    /// The service of the configuration whose token it is
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

/// Whose tokens are listed.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct AnyOwner {
    /// Only those of this user
    #[arg(long, value_name = "NAME")]
    user: Option<UserName>,
    /// Only those of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let Self { action, config } = self;
        one_shot::run(config, async |config| action.carry_out(config).await)
    }
}

impl Action {
    /// Does it; says what standard output gets, or why it was not done.
    async fn carry_out(self, config: &Config) -> Result<String, String> {
        match self {
            Self::New {
                owner,
                note,
                expires_in,
                scopes,
            } => {
                let owner = named(owner.user, owner.service).ok_or("whose token is it to be?")?;
                let wish = TokenWish {
                    note,
                    expires_in,
                    scopes: (!scopes.is_empty()).then_some(scopes),
                    roles: None,
                };
                let made = Books::reach(config).await?.new_token(owner, wish).await?;
                let end = match made.line.expires_at {
                    Some(end) => format!("ends {}", end.strftime("%Y-%m-%d %H:%M UTC")),
                    None => "does not end by itself".to_owned(),
                };
                output::note(&format!(
                    "this is token {id} of {owner}, which {end}; it is not shown again, and \
                     `hubd token revoke {id}` ends it",
                    id = made.line.id,
                    owner = made.line.owner(),
                ));
                Ok(format!("{}\n", made.text.expose()))
            }
            Self::List { owner, json } => {
                let owner = named(owner.user, owner.service);
                let tokens = Books::reach(config).await?.tokens(owner).await?;
                if json {
                    let text = serde_json::to_string_pretty(&tokens);
                    return text.map(|text| text + "\n").map_err(|e| e.to_string());
                }
                Ok(table::of(&tokens))
            }
            Self::Revoke { id } => {
                let gone = Books::reach(config).await?.revoke_token(&id).await?;
                output::note(&format!("token {id} of {} was revoked", gone.owner()));
                Ok(String::new())
            }
        }
    }
}

fn named(user: Option<UserName>, service: Option<String>) -> Option<OwnerName> {
    let service = service.map(OwnerName::Service);
    user.map(OwnerName::User).or(service)
}
