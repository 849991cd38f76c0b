//! Every statement against a fresh file: a misspelt column is found here and not by a user.

use super::super::{
    activity, audit, clients, grants, groups, identities, launches, meta, servers, services,
    sessions, signups, tokens, users, visits, writer,
};
use super::*;

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let families = [
        ("activity", activity::STATEMENTS),
        ("audit", audit::STATEMENTS),
        ("clients", clients::STATEMENTS),
        ("grants", grants::STATEMENTS),
        ("groups", groups::STATEMENTS),
        ("identities", identities::STATEMENTS),
        ("launches", launches::STATEMENTS),
        ("meta", meta::STATEMENTS),
        ("servers", servers::STATEMENTS),
        ("services", services::STATEMENTS),
        ("sessions", sessions::STATEMENTS),
        ("signups", signups::STATEMENTS),
        ("tokens", tokens::STATEMENTS),
        ("users", users::STATEMENTS),
        ("visits", visits::STATEMENTS),
        ("writer", writer::STATEMENTS),
    ];
    let store = store();
    let prepare_all = store.write(move |rows| {
        for (family, statements) in families {
            for (name, sql) in statements {
                let prepared = rows.connection().prepare(sql.0);
                assert!(prepared.is_ok(), "{family}::{name}: {prepared:?}");
            }
        }
        Ok(())
    });
    prepare_all.await.unwrap();
}

/// The writes that every start, stop and request waits for must not read whole tables.
#[tokio::test]
async fn deletions_use_an_index() {
    let statements: Vec<_> = [
        tokens::STATEMENTS,
        sessions::STATEMENTS,
        signups::STATEMENTS,
        identities::STATEMENTS,
        clients::STATEMENTS,
        groups::STATEMENTS,
        services::STATEMENTS,
    ]
    .concat()
    .into_iter()
    .filter(|(_, sql)| sql.0.starts_with("DELETE"))
    .collect();
    let store = store();
    let explain_all = store.write(move |rows| {
        for (name, sql) in statements {
            let explain = format!("EXPLAIN QUERY PLAN {}", sql.0);
            let mut plan = rows.connection().prepare(&explain)?;
            let steps = plan
                .raw_query()
                .mapped(|row| row.get::<_, String>("detail"));
            let steps = steps.collect::<Result<Vec<_>, _>>()?;
            let scans: Vec<_> = steps.iter().filter(|s| s.starts_with("SCAN")).collect();
            assert!(scans.is_empty(), "{name}: {steps:?}");
        }
        Ok(())
    });
    explain_all.await.unwrap();
}
