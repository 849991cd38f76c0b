//! May they? The whole rights model, as pure functions over names.
//!
//! ```text
//! text --parse--> Scope --expand(owner, issuer)--> ScopeSet --allows(name, target)--> Access
//!                   |                                 |
//!         roles (configuration) or token      ∩ the owner's rights, for tokens
//! ```
//!
//! The model is JupyterHub 6's, spelling included. Invariants:
//! - a [`ScopeSet`] is fully expanded, concrete and reduced;
//! - narrowing never widens: what an intersection allows, both sides allow;
//! - a filtered scope is never enough for "everything", so a right over some users cannot be used
//!   on the collection of all;
//! - nothing is kept between requests: a right that is taken away is gone at the next one.

mod check;
mod expand;
mod name;
#[cfg(test)]
mod properties;
mod reveal;
mod roles;
mod scope;
mod set;
#[cfg(test)]
mod testing;
mod token;

pub(crate) use check::{Access, Target, VisibleNames, VisibleUsers};
pub(crate) use expand::{Issuer, Owner, expand};
pub(crate) use name::ScopeName;
pub(crate) use reveal::UserFields;
pub(crate) use roles::{Role, RoleError, Roles, ServiceFacts, UserFacts};
pub(crate) use scope::{Filter, Scope, ScopeError};
pub(crate) use set::{ScopeSet, Targets};
pub(crate) use token::{check_asked, token_rights};
