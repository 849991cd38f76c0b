//! `hubd user`: the accounts of the password authenticator.

mod password;
mod table;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use spawner_core::UserName;

use super::books::Books;
use super::{one_shot, output};
use crate::auth::accounts::Waiting;
use crate::config::{AuthKind, Config};

/// Add, list, approve, block and delete accounts, and change passwords
///
/// They work while the hub runs and while it does not. Run them as root or as the account that runs
/// the hub. A password is asked for on a terminal; otherwise it is the first line of standard input.
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
    /// Add an account
    Add {
        /// What the user logs in as
        name: UserName,
        /// Make the user an admin
        #[arg(long)]
        admin: bool,
    },
    /// Change a password, and end the user's logins and tokens
    Password {
        /// Whose password
        name: UserName,
    },
    /// List everybody the hub knows
    ///
    /// A table on a terminal. Otherwise one line a user, with tabs between name, admin, created,
    /// last activity, has a password, the state of the default server, and blocked; "-" stands for
    /// never.
    List,
    /// Shut a user out: end their logins and tokens, stop their servers, and let them in no more
    ///
    /// It holds until `hubd user unblock`, whatever the configuration says. Servers are stopped by a
    /// running hub only.
    Block {
        /// Whom
        name: UserName,
    },
    /// Let a user who was blocked log in again
    Unblock {
        /// Whom
        name: UserName,
    },
    /// Take an account from whoever has it at the login provider, with their logins and tokens
    ///
    /// With `kind = "oidc"` an account is that of the first who logs in under its name, also when
    /// the provider gives the name to somebody else. After this the next one is the first.
    Unbind {
        /// Whose account
        name: UserName,
    },
    /// List who has signed up and waits: one line each, with a tab between name and time
    Waiting,
    /// Make an account of a sign-up, and let the user in
    Approve {
        /// Who has signed up
        name: UserName,
    },
    /// Forget a sign-up
    Decline {
        /// Who has signed up
        name: UserName,
    },
    /// Delete an account with its logins and tokens; files stay
    ///
    /// The user's servers are stopped first, which only a running hub can do.
    Delete {
        /// Whose account
        name: UserName,
    },
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let Self { action, config } = self;
        one_shot::run(config, async |config| action.carry_out(config).await)
    }
}

impl Action {
    /// Does it; says what was done, or why not.
    async fn carry_out(self, config: &Config) -> Result<String, String> {
        match self {
            Self::Add { name, admin } => {
                // Asked for before the books are opened, which nobody else can use meanwhile.
                let password = password::ask(&name)?;
                let books = Books::reach_or_make(config).await?;
                let added = books.add(&name, admin, password).await?;
                let other = config.auth.kind.filter(|kind| *kind != AuthKind::Password);
                if let Some(kind) = other {
                    let kind = kind.as_str();
                    output::note(&format!(
                        "`kind = \"{kind}\"` in [auth] does not look at this password"
                    ));
                } else if !added.may_enter {
                    output::note(&format!(
                        "{name} may not log in yet: put the name into `allowed_users` in [auth], or \
                         set `allow_all = true`, and restart the hub"
                    ));
                }
                Ok(format!("{name} has an account now\n"))
            }
            Self::Password { name } => {
                let password = password::ask(&name)?;
                let books = Books::reach(config).await?;
                books.set_password(&name, password).await?;
                Ok(format!("the password of {name} was changed\n"))
            }
            Self::List => {
                let accounts = Books::reach(config).await?.list().await?;
                Ok(if io::stdout().is_terminal() {
                    table::for_people(&accounts)
                } else {
                    table::for_programs(&accounts)
                })
            }
            Self::Block { name } => {
                Books::reach(config).await?.set_blocked(&name, true).await?;
                Ok(format!("{name} is blocked\n"))
            }
            Self::Unblock { name } => {
                let books = Books::reach(config).await?;
                books.set_blocked(&name, false).await?;
                Ok(format!("{name} is not blocked\n"))
            }
            Self::Unbind { name } => {
                Books::reach(config).await?.unbind(&name).await?;
                Ok(format!(
                    "{name} is the account of whoever logs in next under that name\n"
                ))
            }
            Self::Waiting => {
                let waiting = Books::reach(config).await?.waiting().await?;
                let line = |one: &Waiting| format!("{}\t{}\n", one.name, one.since);
                Ok(waiting.iter().map(line).collect())
            }
            Self::Approve { name } => {
                Books::reach(config).await?.approve(&name).await?;
                Ok(format!("{name} may log in now\n"))
            }
            Self::Decline { name } => {
                Books::reach(config).await?.decline(&name).await?;
                Ok(format!("the sign-up of {name} is forgotten\n"))
            }
            Self::Delete { name } => {
                let deleted = Books::reach(config).await?.delete(&name).await?;
                if deleted.is_named {
                    output::note(&format!(
                        "the configuration names {name}, who comes back without a password when the \
                         hub is started: take the name out of [auth]"
                    ));
                }
                Ok(format!("{name} was deleted\n"))
            }
        }
    }
}
