//! Lists of users, as the API and the admin page ask for them: filtered, sorted, a page at a time.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use spawner_core::UserName;

use super::mirror::Mirror;
use super::servers::Stage;
use super::users::{User, Users};

/// Which users, in which order. The default is all of them by number.
#[derive(Debug, Clone)]
pub(crate) struct UserQuery {
    pub(crate) sort: UserSort,
    pub(crate) descending: bool,
    /// Names that hold this text; case does not matter, because names are lower case.
    pub(crate) name_filter: Option<String>,
    /// Only users whose servers are like that.
    pub(crate) state: Option<UserState>,
    /// Only these: what the asker may see.
    pub(crate) within: Option<HashSet<UserName>>,
    /// How many to leave out at the beginning.
    pub(crate) offset: usize,
    /// How many to return at most.
    pub(crate) limit: usize,
}

/// What a list is sorted by; equals stand by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UserSort {
    #[default]
    Id,
    Name,
    /// Who was never active counts as longest ago.
    LastActivity,
}

/// JupyterHub's three answers to "what are they doing".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserState {
    /// Some server is not stopped.
    Active,
    /// Some server runs.
    Ready,
    /// All servers are stopped, or there is none.
    Inactive,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UserPage {
    pub(crate) users: Vec<Arc<User>>,
    /// How many there are without offset and limit.
    pub(crate) total: usize,
}

impl Default for UserQuery {
    fn default() -> Self {
        Self {
            sort: UserSort::default(),
            descending: false,
            name_filter: None,
            state: None,
            within: None,
            offset: 0,
            limit: usize::MAX,
        }
    }
}

impl Users<'_> {
    /// The page of the list that `query` describes.
    pub(crate) fn list(self, query: &UserQuery) -> UserPage {
        let filter = query.name_filter.as_deref().map(str::to_ascii_lowercase);
        let mut users: Vec<Arc<User>> = self.0.read(|mirror| {
            let users = mirror.users.by_id.values();
            users
                .filter(|user| {
                    filter
                        .as_deref()
                        .is_none_or(|text| user.name.as_str().contains(text))
                        && query.within.as_ref().is_none_or(|s| s.contains(&user.name))
                        && query.state.is_none_or(|state| state.holds(mirror, user))
                })
                .cloned()
                .collect()
        });
        // Sorted after the lock is released, on the records as they were.
        users.sort_unstable_by(|a, b| {
            let order = query.sort.compare(a, b);
            let order = if query.descending {
                order.reverse()
            } else {
                order
            };
            order.then(a.id.cmp(&b.id))
        });
        let total = users.len();
        let page = users.into_iter().skip(query.offset).take(query.limit);
        UserPage {
            users: page.collect(),
            total,
        }
    }
}

impl UserSort {
    fn compare(self, a: &User, b: &User) -> Ordering {
        match self {
            Self::Id => a.id.cmp(&b.id),
            Self::Name => a.name.cmp(&b.name),
            Self::LastActivity => a.last_activity.cmp(&b.last_activity),
        }
    }
}

impl UserState {
    fn holds(self, mirror: &Mirror, user: &User) -> bool {
        let mut servers = mirror.servers.of(user.id);
        match self {
            Self::Active => servers.any(|server| server.stage != Stage::Stopped),
            Self::Ready => servers.any(|server| server.stage == Stage::Running),
            Self::Inactive => servers.all(|server| server.stage == Stage::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, launched, store, user};
    use super::*;
    use crate::store::Store;

    fn listed(store: &Store, query: &UserQuery) -> (Vec<String>, usize) {
        let page = store.users().list(query);
        let names = page.users.iter().map(|user| user.name.to_string());
        (names.collect(), page.total)
    }

    async fn three() -> Store {
        let store = store();
        for name in ["cyd", "ann", "bob"] {
            user(&store, name).await;
        }
        let bob = store.users().by_name(&"bob".parse().unwrap()).unwrap();
        let cyd = store.users().by_name(&"cyd".parse().unwrap()).unwrap();
        store.users().touch(bob.id, at(9)).await.unwrap();
        store.users().touch(cyd.id, at(3)).await.unwrap();
        store
    }

    #[tokio::test]
    async fn orders() {
        let store = three().await;
        for (sort, expected) in [
            (UserSort::Id, ["cyd", "ann", "bob"]),
            (UserSort::Name, ["ann", "bob", "cyd"]),
            (UserSort::LastActivity, ["ann", "cyd", "bob"]),
        ] {
            for descending in [false, true] {
                let mut expected = expected.map(str::to_owned).to_vec();
                if descending {
                    expected.reverse();
                }
                let query = UserQuery {
                    sort,
                    descending,
                    ..UserQuery::default()
                };
                assert_eq!(
                    listed(&store, &query),
                    (expected, 3),
                    "{sort:?} {descending}"
                );
            }
        }
    }

    #[tokio::test]
    async fn pages_and_filters() {
        let store = three().await;
        let by_name = UserQuery {
            sort: UserSort::Name,
            ..UserQuery::default()
        };
        let page = |offset, limit| UserQuery {
            offset,
            limit,
            ..by_name.clone()
        };
        assert_eq!(listed(&store, &page(1, 1)), (vec!["bob".to_owned()], 3));
        assert_eq!(listed(&store, &page(3, 9)), (vec![], 3));
        assert_eq!(listed(&store, &page(usize::MAX, usize::MAX)), (vec![], 3));
        let filter = |text: &str| UserQuery {
            name_filter: Some(text.to_owned()),
            ..by_name.clone()
        };
        assert_eq!(listed(&store, &filter("B")), (vec!["bob".to_owned()], 1));
        assert_eq!(listed(&store, &filter("%")), (vec![], 0));
        let within = UserQuery {
            within: Some(HashSet::from(["ann".parse().unwrap()])),
            ..by_name
        };
        assert_eq!(listed(&store, &within), (vec!["ann".to_owned()], 1));
    }

    #[tokio::test]
    async fn states_follow_the_servers() {
        let store = three().await;
        launched(&store, "ann", "").await;
        let state = |state| UserQuery {
            state: Some(state),
            ..UserQuery::default()
        };
        let ann = vec!["ann".to_owned()];
        assert_eq!(listed(&store, &state(UserState::Active)), (ann, 1));
        assert_eq!(listed(&store, &state(UserState::Ready)), (vec![], 0));
        assert_eq!(listed(&store, &state(UserState::Inactive)).1, 2);
    }
}
