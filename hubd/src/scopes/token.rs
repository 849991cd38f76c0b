//! What a token may do.
//!
//! ```text
//! rights of a token = (its scopes + to read its owner's name + to open its issuer)
//!                   ∩ rights of its owner
//! ```
//!
//! This is worked out anew for each request, so a right that the owner loses is lost to all their
//! tokens at once. Invariant: a token never may more than its owner.

use spawner_core::UserName;

use super::{Filter, Issuer, Owner, Scope, ScopeError, ScopeName, ScopeSet, expand};

/// The rights of a token with the scopes `written`, whose owner holds `held`.
///
/// `inherit` gives exactly what the owner holds, whatever stands beside it.
pub(crate) fn token_rights(
    written: &[Scope],
    owner: &Owner,
    issuer: &Issuer,
    held: &ScopeSet,
    is_member: &impl Fn(&UserName, &str) -> bool,
) -> ScopeSet {
    if written.iter().any(|scope| scope.name == ScopeName::Inherit) {
        return held.clone();
    }
    let mut rights = expand(written, owner, issuer);
    rights.extend(expand(&always(owner, issuer), owner, issuer));
    rights.intersect(held, is_member)
}

/// Checks the scopes that somebody asks for in a new token of `owner`, who holds `held`.
///
/// An owner who holds only a part of a scope (theirs is filtered, the asked one is not) does not
/// hold it.
pub(crate) fn check_asked(
    asked: &[Scope],
    owner: &Owner,
    issuer: &Issuer,
    held: &ScopeSet,
    is_member: &impl Fn(&UserName, &str) -> bool,
) -> Result<(), ScopeError> {
    let beyond = expand(asked, owner, issuer).beyond(held, is_member);
    if beyond.is_empty() {
        return Ok(());
    }
    Err(ScopeError::NotHeld {
        owner: owner.to_string(),
        scopes: beyond.texts().join(", "),
    })
}

/// What every token has as far as its owner does: it may say whose it is, and one that a server
/// issued may open that.
fn always(owner: &Owner, issuer: &Issuer) -> Vec<Scope> {
    let mut scopes = match owner {
        Owner::User(_) => vec![
            Scope::of(ScopeName::ReadUsersName, Filter::OwnUser),
            Scope::of(ScopeName::ReadUsersGroups, Filter::OwnUser),
        ],
        Owner::Service(name) => vec![Scope::of(
            ScopeName::ReadServicesName,
            Filter::Service(name.clone()),
        )],
    };
    match issuer {
        Issuer::Hub => {}
        Issuer::Server(_) => scopes.push(Scope::of(ScopeName::AccessServers, Filter::OwnServer)),
        Issuer::Service(_) => scopes.push(Scope::of(ScopeName::AccessServices, Filter::OwnService)),
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::super::testing::{scopes, server, user};
    use super::super::{Roles, ServiceFacts, UserFacts};
    use super::*;

    fn nobody(_: &UserName, _: &str) -> bool {
        false
    }

    fn plain_user(name: &str) -> (Owner, ScopeSet) {
        let name = user(name);
        let facts = UserFacts {
            name: &name,
            admin: false,
            groups: &[],
        };
        let held = Roles::new([]).unwrap().rights_of_user(&facts);
        (Owner::User(name), held)
    }

    #[test]
    fn a_servers_own_token_posts_activity_and_opens_itself() {
        let (owner, held) = plain_user("u1");
        let roles = Roles::new([]).unwrap();
        let issuer = Issuer::Server(server("u1/"));
        let rights = token_rights(roles.server_token_scopes(), &owner, &issuer, &held, &nobody);
        assert_eq!(
            rights.texts(),
            [
                "access:servers!server=u1/",
                "read:users:activity!user=u1",
                "read:users:groups!user=u1",
                "read:users:name!user=u1",
                "users:activity!user=u1",
            ]
        );
    }

    #[test]
    fn a_visitors_token_opens_the_server_that_issued_it() {
        let (owner, held) = plain_user("tee");
        let issuer = Issuer::Server(server("tee/"));
        let rights = token_rights(&[], &owner, &issuer, &held, &nobody);
        assert_eq!(
            rights.to_string(),
            "access:servers!server=tee/ read:users:groups!user=tee read:users:name!user=tee"
        );
    }

    #[test]
    fn a_visitor_without_access_gets_none_from_the_issuer() {
        let (owner, held) = plain_user("mallory");
        let issuer = Issuer::Server(server("tee/"));
        let rights = token_rights(&[], &owner, &issuer, &held, &nobody);
        assert_eq!(
            rights.to_string(),
            "read:users:groups!user=mallory read:users:name!user=mallory"
        );
    }

    #[test]
    fn inherit_is_exactly_the_owners_rights() {
        let (owner, held) = plain_user("alice");
        let written = scopes(&["inherit", "admin:users"]);
        let rights = token_rights(&written, &owner, &Issuer::Hub, &held, &nobody);
        assert_eq!(rights, held);
    }

    #[test]
    fn a_service_may_say_its_name_if_it_may_read_it() {
        let culler = Owner::Service("culler".into());
        let admin = Roles::new([]).unwrap().rights_of_service(&ServiceFacts {
            name: "culler",
            admin: true,
            roles: &[],
        });
        let rights = token_rights(&[], &culler, &Issuer::Hub, &admin, &nobody);
        assert_eq!(rights.to_string(), "read:services:name!service=culler");
        let rights = token_rights(&[], &culler, &Issuer::Hub, &ScopeSet::default(), &nobody);
        assert!(rights.is_empty());
    }

    #[test]
    fn asking_for_more_than_the_owner_holds_is_refused_by_name() {
        let (owner, held) = plain_user("alice");
        let ask =
            |texts: &[&str]| check_asked(&scopes(texts), &owner, &Issuer::Hub, &held, &nobody);
        assert_eq!(ask(&[]), Ok(()));
        assert_eq!(ask(&["inherit"]), Ok(()));
        assert_eq!(ask(&["self"]), Ok(()));
        assert_eq!(ask(&["servers!user", "tokens!user=alice"]), Ok(()));
        assert_eq!(
            ask(&["servers!user", "list:users", "shutdown"])
                .unwrap_err()
                .to_string(),
            "user alice does not hold the scopes list:users, read:users:name, shutdown, \
             so a token cannot have them"
        );
        assert!(ask(&["servers!user=bob"]).is_err());
        assert!(ask(&["inherit", "shutdown"]).is_err());
    }
}
