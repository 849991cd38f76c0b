//! What holds for all scopes, tried on random ones over a small world where names often collide.

use proptest::prelude::*;
use proptest::sample::select;
use spawner_core::UserName;

use super::testing::{server, user};
use super::{
    Access, Filter, Issuer, Owner, Scope, ScopeName, ScopeSet, Target, VisibleUsers, check_asked,
    expand, token_rights,
};

const USERS: [&str; 3] = ["a", "b", "c"];
const SERVERS: [&str; 5] = ["a/", "a/x", "b/", "b/x", "c/"];
const GROUPS: [&str; 2] = ["g", "h"];
const SERVICES: [&str; 2] = ["s", "a"];

/// Who is in which group.
#[derive(Debug, Clone)]
struct World(Vec<(UserName, Vec<String>)>);

impl World {
    fn groups_of(&self, name: &UserName) -> &[String] {
        let found = self.0.iter().find(|(user, _)| user == name);
        found.map_or(&[], |(_, groups)| groups)
    }

    fn is_member(&self, name: &UserName, group: &str) -> bool {
        self.groups_of(name).iter().any(|g| g == group)
    }

    /// Calls `check` with every target there is.
    fn each_target(&self, mut check: impl FnMut(Target<'_>)) {
        check(Target::Everything);
        for (name, groups) in &self.0 {
            check(Target::User { name, groups });
        }
        for id in SERVERS.map(server) {
            let groups = self.groups_of(&id.user);
            check(Target::Server { id: &id, groups });
        }
        for name in GROUPS {
            check(Target::Group(name));
        }
        for name in SERVICES {
            check(Target::Service(name));
        }
    }
}

fn world() -> impl Strategy<Value = World> {
    let groups = proptest::sample::subsequence(GROUPS.map(str::to_owned).to_vec(), 0..=2);
    let members = proptest::collection::vec(groups, USERS.len());
    members.prop_map(|groups| World(USERS.map(user).into_iter().zip(groups).collect()))
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        select(&USERS).prop_map(|name| Filter::User(user(name))),
        select(&SERVERS).prop_map(|id| Filter::Server(server(id))),
        select(&GROUPS).prop_map(|name| Filter::Group(name.into())),
        select(&SERVICES).prop_map(|name| Filter::Service(name.into())),
        select(&[Filter::OwnUser, Filter::OwnServer, Filter::OwnService]),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    // A few scopes that matter come up often enough to meet each other.
    const OFTEN: &[ScopeName] = &[
        ScopeName::Servers,
        ScopeName::ListUsers,
        ScopeName::ReadUsers,
    ];
    let name = prop_oneof![select(ScopeName::ALL), select(OFTEN)];
    (name, proptest::option::weighted(0.8, filter())).prop_map(|(name, filter)| Scope {
        name,
        filter: filter.filter(|_| !name.is_metascope()),
    })
}

fn scopes() -> impl Strategy<Value = Vec<Scope>> {
    proptest::collection::vec(scope(), 0..8)
}

fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![
        select(&USERS).prop_map(|name| Owner::User(user(name))),
        select(&SERVICES).prop_map(|name| Owner::Service(name.into())),
    ]
}

fn issuer() -> impl Strategy<Value = Issuer> {
    prop_oneof![
        Just(Issuer::Hub),
        select(&SERVERS).prop_map(|id| Issuer::Server(server(id))),
    ]
}

fn rights() -> impl Strategy<Value = ScopeSet> {
    (scopes(), owner(), issuer())
        .prop_map(|(scopes, owner, issuer)| expand(&scopes, &owner, &issuer))
}

/// Fails unless `narrow` allows nothing that `wide` does not.
fn assert_within(narrow: &ScopeSet, wide: &ScopeSet, world: &World) {
    for &name in ScopeName::ALL {
        world.each_target(|target| {
            assert!(
                !narrow.allows(name, target).is_yes() || wide.allows(name, target).is_yes(),
                "{narrow:?} allows {name} on {target:?}, and {wide:?} does not"
            );
        });
    }
}

proptest! {
    #[test]
    fn a_scope_reads_back_as_it_is_written(scope in scope()) {
        prop_assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z:_]{1,12}(![a-z]{0,8}(=[a-z/!= ]{0,8})?)?") {
        if let Ok(scope) = text.parse::<Scope>() {
            prop_assert_eq!(scope.to_string(), text.to_ascii_lowercase());
        }
    }

    #[test]
    fn expanding_again_changes_nothing(rights in rights(), owner in owner(), issuer in issuer()) {
        let again: Vec<Scope> = rights.scopes().collect();
        prop_assert_eq!(expand(&again, &owner, &issuer), rights);
    }

    #[test]
    fn a_set_means_what_its_scopes_mean_one_by_one(
        scopes in scopes(), owner in owner(), issuer in issuer(), world in world(),
    ) {
        let together = expand(&scopes, &owner, &issuer);
        let apart: Vec<_> = scopes.iter().map(|scope| expand([scope], &owner, &issuer)).collect();
        for &name in ScopeName::ALL {
            world.each_target(|target| {
                let any = apart.iter().any(|set| set.allows(name, target).is_yes());
                assert_eq!(together.allows(name, target).is_yes(), any);
            });
        }
    }

    /// Whatever a filtered scope implies, it reaches what the filter names and nothing beyond.
    #[test]
    fn a_filter_never_grows(
        name in select(ScopeName::ALL), filter in filter(), owner in owner(), issuer in issuer(), world in world(),
    ) {
        prop_assume!(!name.is_metascope());
        let narrow = expand(&[Scope::of(name, filter.clone())], &owner, &issuer);
        let wide = expand(&[Scope::all(name)], &owner, &issuer);
        assert_within(&narrow, &wide, &world);
        // `proxy` implies nothing, so it tells what the filter alone reaches.
        let plain = expand(&[Scope::of(ScopeName::Proxy, filter)], &owner, &issuer);
        for &implied in ScopeName::ALL {
            world.each_target(|target| {
                let reached = narrow.allows(implied, target).is_yes();
                assert!(!reached || plain.allows(ScopeName::Proxy, target).is_yes());
            });
        }
    }

    #[test]
    fn an_intersection_is_within_both(a in rights(), b in rights(), world in world()) {
        let is_member = |user: &UserName, group: &str| world.is_member(user, group);
        let both = a.intersect(&b, &is_member);
        assert_within(&both, &a, &world);
        assert_within(&both, &b, &world);
        prop_assert_eq!(&both, &b.intersect(&a, &is_member));
        prop_assert_eq!(&both.intersect(&a, &is_member), &both);
        prop_assert_eq!(a.intersect(&a, &is_member), a);
    }

    /// Nothing that both allow is lost, but for what two different groups share.
    #[test]
    fn an_intersection_loses_only_what_two_groups_share(
        a in rights(), b in rights(), world in world(),
    ) {
        let is_member = |user: &UserName, group: &str| world.is_member(user, group);
        let both = a.intersect(&b, &is_member);
        for &name in ScopeName::ALL {
            let by_group = |set: &ScopeSet| {
                set.scopes().any(|s| s.name == name && matches!(s.filter, Some(Filter::Group(_))))
            };
            if by_group(&a) && by_group(&b) {
                continue;
            }
            world.each_target(|target| {
                let each = a.allows(name, target).is_yes() && b.allows(name, target).is_yes();
                assert_eq!(both.allows(name, target).is_yes(), each);
            });
        }
    }

    #[test]
    fn a_token_never_may_more_than_its_owner(
        written in scopes(), owner in owner(), issuer in issuer(), held in rights(), world in world(),
    ) {
        let is_member = |user: &UserName, group: &str| world.is_member(user, group);
        let rights = token_rights(&written, &owner, &issuer, &held, &is_member);
        assert_within(&rights, &held, &world);
    }

    #[test]
    fn what_may_be_asked_for_is_then_had_in_full(
        asked in scopes(), owner in owner(), issuer in issuer(), held in rights(), world in world(),
    ) {
        let is_member = |user: &UserName, group: &str| world.is_member(user, group);
        if check_asked(&asked, &owner, &issuer, &held, &is_member).is_ok() {
            let rights = token_rights(&asked, &owner, &issuer, &held, &is_member);
            assert_within(&expand(&asked, &owner, &issuer), &rights, &world);
        }
    }

    #[test]
    fn a_list_shows_only_users_that_may_be_listed(rights in rights(), world in world()) {
        for (name, groups) in &world.0 {
            let shown = match rights.visible_users() {
                VisibleUsers::All => true,
                VisibleUsers::Only { users, groups: named } => {
                    users.contains(name) || groups.iter().any(|group| named.contains(group))
                }
                VisibleUsers::Nobody => false,
            };
            let allowed = rights.allows(ScopeName::ListUsers, Target::User { name, groups });
            prop_assert!(!shown || allowed == Access::Yes);
        }
    }
}
