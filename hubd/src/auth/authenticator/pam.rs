//! Accounts of the system, as its PAM knows them.

use std::net::IpAddr;
use std::path::PathBuf;

use spawner_core::Secret;
use tracing::warn;

use super::{Claim, Proven};
use crate::auth::login::LoginError;
use crate::auth::names;
use crate::auth::pam::{Answer, Ask, PamError, Workers};
use crate::config::PamTable;

/// The system's PAM.
#[derive(Debug)]
pub(crate) struct Pam {
    workers: Workers,
    table: PamTable,
    wants_groups: bool,
}

impl Pam {
    pub(crate) fn new(helper: PathBuf, mut table: PamTable, wants_groups: bool) -> Self {
        // The helper stands in another folder.
        table.config_dir = table
            .config_dir
            .map(|folder| std::path::absolute(&folder).unwrap_or(folder));
        Self {
            workers: Workers::new(helper, table.workers, table.timeout),
            table,
            wants_groups,
        }
    }

    /// Whether PAM is there and takes the service. To be asked before anybody logs in.
    pub(crate) async fn probe(&self) -> Result<(), PamError> {
        let ask = self.ask(String::new(), &Secret::new(""), None);
        self.workers
            .ask(&Ask { probe: true, ..ask })
            .await
            .map(drop)
    }

    /// Asks PAM about the name that was typed. Who is somebody else to PAM in the end does not get in:
    /// a module may change the name.
    pub(super) async fn check(&self, claim: Claim<'_>) -> Result<Proven, LoginError> {
        let (Some(name), Some(typed)) = (claim.name, names::normal(claim.typed)) else {
            return Err(LoginError::Wrong);
        };
        let ask = self.ask(typed.clone(), &claim.password, Some(claim.ip));
        match self.workers.ask(&ask).await? {
            Answer::Granted { user, groups } if user == typed => Ok(Proven {
                name: name.clone(),
                groups: Some(groups),
                identity: None,
            }),
            Answer::Granted { user, .. } => {
                // Whose files and processes would be meant is for the administrator to say.
                warn!(%name, other = user, "PAM has another name for this user: refused");
                Err(LoginError::Wrong)
            }
            Answer::Denied => Err(LoginError::Wrong),
            Answer::Unusable => Err(LoginError::Unusable),
        }
    }

    fn ask(&self, user: String, password: &Secret, ip: Option<IpAddr>) -> Ask {
        Ask {
            probe: false,
            service: self.table.service.clone(),
            config_dir: self.table.config_dir.clone(),
            user,
            password: password.expose().to_owned(),
            from: ip.map(|ip| ip.to_string()),
            check_account: self.table.check_account,
            groups: self.wants_groups,
        }
    }
}
