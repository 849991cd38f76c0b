//! How people prove who they are: one file for each kind.
//!
//! ```text
//! login form, API --name, password--> Gate --Claim--> Authenticator --Proven--> Gate: may they enter?
//! a trusted proxy's header --------------------------------------Proven-----------^
//! a provider's answer ------------------------------Person---> Gate --Proven------^
//! ```
//!
//! An authenticator says who somebody is and nothing else. Whether they may come in is decided in one
//! place for all of them, by [`Gate`](super::login::Gate). A kind without a password (a proxy's
//! header, a login at another site) does not come by here at all: it makes a [`Proven`] of what it
//! was told and hands that to the gate.

mod dummy;
mod oidc;
mod pam;
mod password;
mod shared_password;

use std::net::IpAddr;
use std::path::PathBuf;

use spawner_core::{Secret, UserName};

use self::dummy::Dummy;
pub(crate) use self::oidc::{Answer, Oidc};
pub(crate) use self::pam::Pam;
use self::password::ByPassword;
use self::shared_password::SharedPassword;
use super::login::LoginError;
use crate::config::{AuthKind, Config};
use crate::store::{Identity, Store, User};

/// The authenticator of a hub.
#[derive(Debug)]
pub(crate) enum Authenticator {
    Dummy(Dummy),
    Password(ByPassword),
    SharedPassword(SharedPassword),
    Pam(Pam),
    /// A trusted proxy says who asks; there is no form.
    Header,
    /// People sign in at a provider elsewhere; there is a button.
    Oidc(Box<Oidc>),
}

/// Who somebody says they are, and their proof.
#[derive(Debug)]
pub(super) struct Claim<'c> {
    /// The name as it was typed.
    pub(super) typed: &'c str,
    /// What the hub would call them; `None` if no account can be called so.
    pub(super) name: Option<&'c UserName>,
    /// Their account, if there is one.
    pub(super) user: Option<&'c User>,
    /// Whether that name belongs to an admin.
    pub(super) is_admin: bool,
    pub(super) password: Secret,
    pub(super) ip: IpAddr,
}

/// Who somebody is, without a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) name: UserName,
    /// The groups that they are in elsewhere; `None` where the hub's own count.
    pub(crate) groups: Option<Vec<String>>,
    /// Who they are at a provider, where the name may change; the account is theirs alone.
    pub(crate) identity: Option<Identity>,
}

/// Why a kind of authenticator cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAuthenticator {
    #[error("no authenticator is configured")]
    None,
    #[error(
        "`kind = \"pam\"` needs a hubd program to run PAM in: name one with `HubBuilder::pam_helper`"
    )]
    NoHelper,
    #[error("`kind = \"oidc\"` needs `issuer`, `client_id` and a client secret in [auth.oidc]")]
    NoProvider,
}

impl Authenticator {
    /// The one that the configuration asks for. `helper` is a hubd program.
    pub(crate) fn new(
        config: &Config,
        store: &Store,
        helper: Option<PathBuf>,
    ) -> Result<Self, NoAuthenticator> {
        let auth = &config.auth;
        Ok(match auth.kind.ok_or(NoAuthenticator::None)? {
            AuthKind::Dummy => Self::dummy(auth.dummy_password.clone()),
            AuthKind::Password => Self::Password(ByPassword::new(store.clone())),
            AuthKind::SharedPassword => {
                Self::SharedPassword(SharedPassword::new(auth.shared_password.clone()))
            }
            AuthKind::Pam => {
                let helper = helper.ok_or(NoAuthenticator::NoHelper)?;
                let wants_groups = !auth.allowed_groups.is_empty();
                Self::Pam(Pam::new(helper, auth.pam.clone(), wants_groups))
            }
            AuthKind::Header => Self::Header,
            AuthKind::Oidc => {
                let oidc = Oidc::new(config, store).ok_or(NoAuthenticator::NoProvider)?;
                Self::Oidc(Box::new(oidc))
            }
        })
    }

    /// One that takes any name with this password, or with any.
    pub(crate) fn dummy(password: Option<Secret>) -> Self {
        Self::Dummy(Dummy::new(password))
    }

    /// Whether there is something to type in.
    pub(crate) fn has_form(&self) -> bool {
        !matches!(self, Self::Header | Self::Oidc(_))
    }

    /// The provider where people sign in, if this hub has one.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        match self {
            Self::Oidc(oidc) => Some(oidc),
            _ => None,
        }
    }

    /// The passwords of the books, if this hub has them.
    pub(super) fn by_password(&self) -> Option<&ByPassword> {
        match self {
            Self::Password(by_password) => Some(by_password),
            _ => None,
        }
    }

    /// Checks a name and a password.
    pub(super) async fn check(&self, claim: Claim<'_>) -> Result<Proven, LoginError> {
        match self {
            Self::Dummy(dummy) => dummy.check(&claim),
            Self::Password(by_password) => by_password.check(claim).await,
            Self::SharedPassword(shared) => shared.check(&claim),
            Self::Pam(pam) => pam.check(claim).await,
            Self::Header | Self::Oidc(_) => Err(LoginError::NoForm),
        }
    }
}

impl Claim<'_> {
    /// The claim is true, by the hub's own groups.
    fn granted_if(&self, right: bool) -> Result<Proven, LoginError> {
        let name = self.name.filter(|_| right).ok_or(LoginError::Wrong)?;
        Ok(Proven {
            name: name.clone(),
            groups: None,
            identity: None,
        })
    }
}

/// Whether two passwords are equal, in a time that does not tell where they differ.
fn same(expected: &Secret, given: &Secret) -> bool {
    use subtle::ConstantTimeEq as _;
    let (expected, given) = (expected.expose().as_bytes(), given.expose().as_bytes());
    expected.ct_eq(given).into()
}
