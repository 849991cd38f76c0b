//! Short ways to write the values that the tests of this module need.

use spawner_core::{ServerId, ServerName, UserName};

use super::{Issuer, Owner, Scope, ScopeSet, expand};

pub(super) fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

/// `alice/x`, or `alice/` for the default server.
pub(super) fn server(text: &str) -> ServerId {
    let (name, of_user) = text.split_once('/').unwrap();
    ServerId::new(user(name), ServerName::new(of_user).unwrap())
}

pub(super) fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The rights that concrete scopes amount to, implications included.
pub(super) fn set(texts: &[&str]) -> ScopeSet {
    expand(&scopes(texts), &Owner::Service("test".into()), &Issuer::Hub)
}
