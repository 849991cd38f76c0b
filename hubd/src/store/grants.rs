//! Tokens that may do something to somebody else: `access:servers!user=ann` in a token of bob.
//!
//! Scopes are written with names, as their clients know them. So that they mean the user, server or
//! group that was there when they were granted, a name leaves all scopes in the commit in which its
//! bearer ends, and follows it in the commit in which it is renamed. What is left is never more than
//! before.

use spawner_core::{ServerName, UserName};

use super::error::StoreError;
use super::ids::TokenId;
use super::rows::{Rows, json, statements, to_json};
use super::tokens::{self, Token};

statements! {
    // The first condition is that of an index.
    NAMING = "SELECT id, scopes FROM tokens WHERE instr(scopes, '=') > 0 AND instr(scopes, ?1) > 0";
    SET_SCOPES = "UPDATE tokens SET scopes = ?2 WHERE id = ?1 RETURNING *";
}

/// A user is gone.
pub(super) fn forget_user(rows: &mut Rows<'_>, user: &UserName) -> Result<(), StoreError> {
    rewrite(rows, user.as_str(), |filter| match target_user(filter) {
        Some((of, _)) if of == *user => Fate::Ends,
        _ => Fate::Stays,
    })
}

/// A user has another name.
pub(super) fn follow_user(
    rows: &mut Rows<'_>,
    old: &UserName,
    new: &UserName,
) -> Result<(), StoreError> {
    rewrite(rows, old.as_str(), |filter| match target_user(filter) {
        Some((of, None)) if of == *old => Fate::Becomes(format!("user={new}")),
        Some((of, Some(server))) if of == *old => Fate::Becomes(format!("server={new}/{server}")),
        _ => Fate::Stays,
    })
}

/// A server is gone for good.
pub(super) fn forget_server(
    rows: &mut Rows<'_>,
    user: &UserName,
    server: &ServerName,
) -> Result<(), StoreError> {
    rewrite(rows, user.as_str(), |filter| match target_user(filter) {
        Some((of, Some(name))) if of == *user && name == server.as_str() => Fate::Ends,
        _ => Fate::Stays,
    })
}

/// A server has another name.
pub(super) fn follow_server(
    rows: &mut Rows<'_>,
    user: &UserName,
    old: &ServerName,
    new: &ServerName,
) -> Result<(), StoreError> {
    rewrite(rows, user.as_str(), |filter| match target_user(filter) {
        Some((of, Some(name))) if of == *user && name == old.as_str() => {
            Fate::Becomes(format!("server={user}/{new}"))
        }
        _ => Fate::Stays,
    })
}

/// A group is gone.
pub(super) fn forget_group(rows: &mut Rows<'_>, group: &str) -> Result<(), StoreError> {
    rewrite(rows, group, |filter| match filter.split_once('=') {
        Some(("group", name)) if name == group => Fate::Ends,
        _ => Fate::Stays,
    })
}

/// A service is gone.
pub(super) fn forget_service(rows: &mut Rows<'_>, service: &str) -> Result<(), StoreError> {
    rewrite(rows, service, |filter| match filter.split_once('=') {
        Some(("service", name)) if name == service => Fate::Ends,
        _ => Fate::Stays,
    })
}

/// What becomes of a scope.
enum Fate {
    Stays,
    Ends,
    /// It has this filter from now on.
    Becomes(String),
}

/// The user whom a filter names, and which of their servers if it is about one.
fn target_user(filter: &str) -> Option<(UserName, Option<&str>)> {
    match filter.split_once('=')? {
        ("user", name) => Some((UserName::new(name).ok()?, None)),
        ("server", id) => {
            let (name, server) = id.split_once('/')?;
            Some((UserName::new(name).ok()?, Some(server)))
        }
        _ => None,
    }
}

/// Decides about every scope whose filter may hold `name`.
fn rewrite(rows: &mut Rows<'_>, name: &str, fate: impl Fn(&str) -> Fate) -> Result<(), StoreError> {
    let naming = rows.all(NAMING, [name], |row| {
        Ok((
            row.get::<_, TokenId>("id")?,
            json::<Vec<String>>(row, "scopes")?,
        ))
    })?;
    for (id, scopes) in naming {
        let kept = scopes.iter().filter_map(|scope| {
            let Some((base, filter)) = scope.split_once('!') else {
                return Some(scope.clone());
            };
            match fate(filter) {
                Fate::Stays => Some(scope.clone()),
                Fate::Ends => None,
                Fate::Becomes(filter) => Some(format!("{base}!{filter}")),
            }
        });
        let kept: Vec<String> = kept.collect();
        if kept != scopes {
            let kept = to_json("the list of scopes", &kept)?;
            let token = rows.the(SET_SCOPES, (id, kept), Token::from_row)?;
            tokens::changed(rows, token);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_mirror_equals_rows, at, store, token, user};
    use super::super::{NewToken, Owner, ServerChange, Store, UserChange};

    const SCOPES: [&str; 10] = [
        "self",
        "servers!user",
        "servers!user=ann",
        "servers!server=ann/",
        "servers!server=ann/x",
        "servers!user=annika",
        "servers!server=bob/x",
        "servers!group=ann",
        "servers!group=x",
        "servers!service=ann",
    ];

    /// The scopes of bob's token after a job.
    async fn scopes_after<F>(job: impl FnOnce(Store) -> F) -> Vec<String>
    where
        F: Future<Output = Store>,
    {
        let store = store();
        user(&store, "ann").await;
        let bob = user(&store, "bob").await;
        let new = NewToken {
            scopes: SCOPES.map(str::to_owned).to_vec(),
            ..token(Owner::User(bob.id), "bob's")
        };
        let token = store.tokens().create(new, at(1)).await.unwrap();
        let store = job(store).await;
        assert_mirror_equals_rows(&store).await;
        store
            .tokens()
            .by_id(token.id, at(2))
            .unwrap()
            .scopes
            .clone()
    }

    fn without(gone: &[&str]) -> Vec<String> {
        let kept = SCOPES.iter().filter(|scope| !gone.contains(scope));
        kept.map(|scope| (*scope).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_deleted_user_is_no_target_any_more() {
        let left = scopes_after(async |store| {
            let ann = store.users().by_name(&"ann".parse().unwrap()).unwrap();
            store.users().delete(ann.id).await.unwrap();
            store
        });
        let gone = [
            "servers!user=ann",
            "servers!server=ann/",
            "servers!server=ann/x",
        ];
        assert_eq!(left.await, without(&gone));
    }

    #[tokio::test]
    async fn scopes_follow_a_new_name() {
        let left = scopes_after(async |store| {
            let ann = store.users().by_name(&"ann".parse().unwrap()).unwrap();
            let change = UserChange {
                name: Some("eve".parse().unwrap()),
                ..UserChange::default()
            };
            store.users().change(ann.id, change).await.unwrap();
            store
        });
        let expected = SCOPES.map(|scope| {
            let user = scope.replace("user=ann", "user=eve");
            let user = if scope == "servers!user=annika" {
                scope.to_owned()
            } else {
                user
            };
            user.replace("server=ann/", "server=eve/")
        });
        assert_eq!(left.await, expected);
    }

    #[tokio::test]
    async fn servers_and_groups_likewise() {
        let named = async |store: &Store| {
            let ann = store.users().by_name(&"ann".parse().unwrap()).unwrap().id;
            let x = "x".parse().unwrap();
            store.servers().ensure(ann, x, None).await.unwrap().id
        };
        let left = scopes_after(async |store| {
            store.servers().remove(named(&store).await).await.unwrap();
            store
        });
        assert_eq!(left.await, without(&["servers!server=ann/x"]));
        let left = scopes_after(async |store| {
            let change = ServerChange {
                name: Some("y".parse().unwrap()),
                ..ServerChange::default()
            };
            let row = named(&store).await;
            store.servers().change(row, change).await.unwrap();
            store
        });
        let expected = SCOPES.map(|scope| scope.replace("ann/x", "ann/y"));
        assert_eq!(left.await, expected);
        let left = scopes_after(async |store| {
            let made = store.groups().create(vec!["x".to_owned()], Vec::new());
            let id = made.await.unwrap()[0].id;
            store.groups().delete(id).await.unwrap();
            store
        });
        assert_eq!(left.await, without(&["servers!group=x"]));
    }
}
