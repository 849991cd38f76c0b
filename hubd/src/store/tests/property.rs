//! Whatever happens in whatever order, the mirror equals the rows.

use proptest::prelude::*;

use super::super::ids::GroupId;
use super::super::{Active, Identity, ServerChange, UserChange};
use super::*;

/// Numbers pick among the few users, servers and tokens that there are or have been.
#[derive(Debug, Clone)]
enum Act {
    CreateUser(u8),
    DeleteUser(i64),
    SetAdmin(i64, bool),
    Rename(i64, u8),
    RenameServer(i64, u8),
    Group(u8, i64),
    Join(i64, i64),
    Leave(i64, i64),
    DeleteGroup(i64),
    Ensure(i64, u8),
    Begin(i64, u8),
    SaveState(i64),
    Running(i64),
    Stopping(i64),
    Stopped(i64),
    Remove(i64),
    Token(i64, u8, Option<i64>),
    Revoke(i64),
    LogOut(i64),
    RevokeClient(i64, i64),
    Session(i64, u8),
    Purge(i64),
    Touch(i64, i64),
    Visit(i64, u8, i64),
    Service(u8, u8),
    DeleteService(u8),
    Bind(u8, u8),
    Unbind(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let id = 1..5_i64;
    let pick = 0..4_u8;
    prop_oneof![
        pick.clone().prop_map(Act::CreateUser),
        id.clone().prop_map(Act::DeleteUser),
        (id.clone(), any::<bool>()).prop_map(|(id, admin)| Act::SetAdmin(id, admin)),
        (id.clone(), pick.clone()).prop_map(|(id, name)| Act::Rename(id, name)),
        (id.clone(), pick.clone()).prop_map(|(id, name)| Act::RenameServer(id, name)),
        (pick.clone(), id.clone()).prop_map(|(name, user)| Act::Group(name, user)),
        (id.clone(), id.clone()).prop_map(|(group, user)| Act::Join(group, user)),
        (id.clone(), id.clone()).prop_map(|(group, user)| Act::Leave(group, user)),
        id.clone().prop_map(Act::DeleteGroup),
        (id.clone(), pick.clone()).prop_map(|(user, name)| Act::Ensure(user, name)),
        (id.clone(), pick.clone()).prop_map(|(id, token)| Act::Begin(id, token)),
        id.clone().prop_map(Act::SaveState),
        id.clone().prop_map(Act::Running),
        id.clone().prop_map(Act::Stopping),
        id.clone().prop_map(Act::Stopped),
        id.clone().prop_map(Act::Remove),
        (id.clone(), pick.clone(), proptest::option::of(id.clone()))
            .prop_map(|(user, text, client)| Act::Token(user, text, client)),
        id.clone().prop_map(Act::Revoke),
        id.clone().prop_map(Act::LogOut),
        (id.clone(), id.clone()).prop_map(|(user, client)| Act::RevokeClient(user, client)),
        (id.clone(), pick.clone()).prop_map(|(user, cookie)| Act::Session(user, cookie)),
        (0..9_i64).prop_map(Act::Purge),
        (id.clone(), 0..9_i64).prop_map(|(id, second)| Act::Touch(id, second)),
        (id.clone(), pick.clone(), 0..9_i64)
            .prop_map(|(id, who, second)| Act::Visit(id, who, second)),
        (pick.clone(), pick.clone()).prop_map(|(name, token)| Act::Service(name, token)),
        pick.clone().prop_map(Act::DeleteService),
        (pick.clone(), pick).prop_map(|(subject, name)| Act::Bind(subject, name)),
        id.prop_map(Act::Unbind),
    ]
}

/// Does it; a refusal is as good as anything else.
async fn perform(store: &Store, act: Act) {
    let servers = store.servers();
    let run = |id| {
        let server = servers.by_id(ServerRowId(id));
        server.and_then(|server| server.launch_id.clone())
    };
    match act {
        Act::CreateUser(n) => {
            let names = vec![format!("user{n}").parse().unwrap()];
            drop(store.users().create(names, false, at(0)).await);
        }
        Act::DeleteUser(id) => drop(store.users().delete(UserId(id)).await),
        Act::SetAdmin(id, admin) => drop(store.users().set_admin(UserId(id), admin).await),
        Act::Rename(id, n) => {
            let change = UserChange {
                name: Some(format!("user{n}").parse().unwrap()),
                ..UserChange::default()
            };
            drop(store.users().change(UserId(id), change).await);
        }
        Act::RenameServer(id, n) => {
            let change = ServerChange {
                name: Some(format!("server{n}").parse().unwrap()),
                ..ServerChange::default()
            };
            drop(servers.change(ServerRowId(id), change).await);
        }
        Act::Group(n, user) => {
            let made = store
                .groups()
                .create(vec![format!("group{n}")], vec![UserId(user)]);
            drop(made.await);
        }
        Act::Join(id, user) => drop(store.groups().add(GroupId(id), vec![UserId(user)]).await),
        Act::Leave(id, user) => {
            drop(
                store
                    .groups()
                    .take_out(GroupId(id), vec![UserId(user)])
                    .await,
            );
        }
        Act::DeleteGroup(id) => drop(store.groups().delete(GroupId(id)).await),
        Act::Ensure(user, n) => {
            let name = format!("server{n}").parse().unwrap();
            drop(
                servers
                    .ensure(UserId(user), name, Some(format!("{n}")))
                    .await,
            );
        }
        Act::Begin(id, token) => {
            let launch = launch(ServerRowId(id), &format!("token{token}"));
            drop(servers.begin_launch(ServerRowId(id), launch, at(3)).await);
        }
        Act::SaveState(id) => {
            let run = run(id).unwrap_or_else(LaunchId::random);
            drop(servers.save_state(ServerRowId(id), run, state(1)).await);
        }
        Act::Running(id) => {
            let run = run(id).unwrap_or_else(LaunchId::random);
            let endpoint = spawner_core::Endpoint::Unix { path: "/s".into() };
            let id = ServerRowId(id);
            drop(servers.mark_running(id, run, endpoint, state(2)).await);
        }
        Act::Stopping(id) => drop(servers.mark_stopping(ServerRowId(id)).await),
        Act::Stopped(id) => {
            let failure = Some(json!({"why": id}));
            drop(servers.mark_stopped(ServerRowId(id), failure, at(4)).await);
        }
        Act::Remove(id) => drop(servers.remove(ServerRowId(id)).await),
        Act::Token(user, text, client) => {
            let new = NewToken {
                scopes: vec![
                    format!("servers!user=user{text}"),
                    format!("servers!server=user{text}/server{text}"),
                    format!("servers!group=group{text}"),
                ],
                client_id: client.map(|id| format!("client-{id}")),
                expires_at: Some(at(user)),
                session_id: Some(format!("s{user}")),
                ..token(Owner::User(UserId(user)), &format!("token{text}"))
            };
            drop(store.tokens().create(new, at(1)).await);
        }
        Act::Revoke(id) => drop(store.tokens().revoke(super::super::TokenId(id)).await),
        Act::LogOut(user) => {
            let id = format!("s{user}");
            drop(store.sessions().log_out(UserId(user), &id).await);
        }
        Act::RevokeClient(user, id) => {
            let client = format!("client-{id}");
            drop(store.tokens().revoke_client_of(UserId(user), &client).await);
        }
        Act::Session(user, cookie) => {
            let cookie = format!("cookie{cookie}");
            let new = session(UserId(user), &cookie, &format!("s{user}"), at(user));
            drop(store.sessions().create(new, at(1)).await);
        }
        Act::Purge(second) => {
            drop(store.tokens().purge_expired(at(second)).await);
            drop(store.sessions().purge_expired(at(second)).await);
        }
        Act::Touch(id, second) => {
            let seen = vec![
                (Active::User(UserId(id)), at(second)),
                (Active::Server(ServerRowId(id)), at(second)),
                (Active::Token(super::super::TokenId(id)), at(second)),
            ];
            drop(store.touch_many(seen).await);
        }
        Act::Visit(id, who, second) => {
            let visitor = format!("user{who}").parse().unwrap();
            let noted = store.visits().note(ServerRowId(id), visitor, at(second));
            drop(noted.await);
        }
        Act::Service(n, token) => {
            let (service, client) = service(&format!("service{n}"), &format!("token{token}"));
            drop(store.services().create(service, Some(client)).await);
        }
        Act::DeleteService(n) => drop(store.services().delete(&format!("service{n}")).await),
        Act::Bind(subject, n) => {
            let identity = Identity {
                issuer: "https://login.example.org".to_owned(),
                subject: subject.to_string(),
            };
            let name = format!("user{n}").parse().unwrap();
            drop(store.identities().bind(identity, name, at(1)).await);
        }
        Act::Unbind(id) => drop(store.identities().unbind(UserId(id)).await),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_mirror_equals_the_rows(acts in proptest::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let store = store();
            for act in acts {
                perform(&store, act).await;
            }
            assert_mirror_equals_rows(&store).await;
            // A deleted row took along all that pointed to it.
            let astray = store.write(|rows| Ok(super::super::migrate::astray(rows.connection())?));
            assert!(!astray.await.unwrap());
        });
    }
}
