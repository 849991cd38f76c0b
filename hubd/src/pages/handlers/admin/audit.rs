//! The audit log, for admins. It tells of everybody, so the scopes of the list are not enough.

use axum::response::Response;
use http::StatusCode;

use super::super::super::views::admin::Choice;
use super::super::super::views::audit::{AuditRow, AuditView};
use super::super::instead::Instead;
use super::super::visit::Visit;
use super::part::tabs;
use crate::auth::local_path::LocalPath;
use crate::store::audit::{Action, AuditQuery, Cursor, Record};

/// How many entries a page shows.
const PAGE: usize = 50;
/// The longest name that is looked for, in bytes; no name is longer.
const NAME_MAX: usize = 255;

pub(in super::super) async fn show(visit: Visit) -> Result<Response, Instead> {
    let member = visit.expect_member()?;
    if !visit.app().directory.is_admin(member.user) {
        return Err(Instead::status(StatusCode::FORBIDDEN));
    }
    // What the query says wrongly counts as not said.
    let name = visit.query("user").unwrap_or_default();
    let name = name.trim();
    let name = if name.len() <= NAME_MAX { name } else { "" };
    let word = visit.query("action").unwrap_or_default();
    let action = Action::ALL.iter().map(|action| action.as_str());
    let action = action.clone().find(|known| *known == word);
    let before: Option<Cursor> = visit.query("before").and_then(|text| text.parse().ok());

    let query = AuditQuery {
        name: (!name.is_empty()).then(|| name.to_owned()),
        action: action.map(str::to_owned),
        since: None,
        before,
        // One more tells whether there is another page.
        limit: PAGE + 1,
    };
    let mut records = visit.app().store.audit().list(query).await?;
    let more = records.len() > PAGE;
    records.truncate(PAGE);
    let log = visit.links().admin_audit();
    let last = records.last().filter(|_| more);
    let earlier = last.map(|record| record.cursor().to_string());
    let link = |before: &str| {
        let fields = [
            ("user", name),
            ("action", action.unwrap_or_default()),
            ("before", before),
        ];
        log.with_query(fields.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    let view = AuditView {
        tabs: tabs(&visit, member),
        user_filter: name.to_owned(),
        actions: choices(action),
        rows: records.iter().map(row).collect(),
        latest_url: before.map(|_| link("")),
        earlier_url: earlier.as_deref().map(link),
        list_url: LocalPath::clone(&log),
    };
    visit.page(StatusCode::OK, &view)
}

fn choices(chosen: Option<&str>) -> Vec<Choice> {
    let every = Choice {
        value: "",
        label: "Every action",
        chosen: chosen.is_none(),
    };
    let one = |action: &Action| Choice {
        value: action.as_str(),
        label: action.as_str(),
        chosen: chosen == Some(action.as_str()),
    };
    std::iter::once(every)
        .chain(Action::ALL.iter().map(one))
        .collect()
}

fn row(record: &Record) -> AuditRow {
    let means = match &record.token {
        Some(token) => format!("{} {token}", record.means),
        None if record.means == "none" => String::new(),
        None => record.means.clone(),
    };
    AuditRow {
        at: record.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        who: record.who(),
        action: record.action.clone(),
        what: record.what(),
        means,
        source: record.source.clone(),
        refused: record.outcome == "refused",
        details: record.details(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::testing::{PASSWORD, Site};
    use super::PAGE;

    #[tokio::test]
    async fn an_admin_sees_who_did_what_to_whom() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.browser().log_in("alice", "wrong").await;
        site.browser().log_in("my secret", PASSWORD).await;
        alice.post("/hub/spawn", &[]).await;
        alice.post("/hub/stop/alice", &[]).await;
        let mut root = site.logged_in("root").await;
        let list = root.get("/hub/admin").await;
        let tab = r#".tabs a[href="/hub/admin/audit"]"#;
        assert_eq!(list.texts(tab), ["Audit log"]);
        let page = root.get("/hub/admin/audit").await;
        assert_eq!((page.status, page.heading().as_str()), (200, "Audit log"));
        let rows = page.texts("ol .what");
        assert_eq!(
            rows,
            [
                "root login user root",
                "hub login user.create user root",
                "alice server.stop server alice",
                "alice server.start server alice",
                "Somebody login hub refused",
                "Somebody login user alice refused",
                "alice login user alice",
                "hub login user.create user alice",
            ]
        );
        assert!(
            !page.body.contains("my secret"),
            "what was typed may be a password"
        );
        let how = &page.texts("ol .fine")[2];
        assert!(how.ends_with("UTC, by session, from 10.0.0.1"), "{how}");
        let page = root.get("/hub/admin/audit?user=alice&action=login").await;
        let rows = page.texts("ol .what");
        assert_eq!(
            rows,
            [
                "Somebody login user alice refused",
                "alice login user alice"
            ]
        );
        assert_eq!(page.attributes("#user", "value"), ["alice"]);
        assert_eq!(
            page.attributes("#action option[selected]", "value"),
            ["login"]
        );
        let page = root
            .get("/hub/admin/audit?user=nobody&action=%00&before=x")
            .await;
        assert_eq!(page.texts("ol li"), ["There are no such entries."]);
    }

    #[tokio::test]
    async fn it_is_turned_over_page_by_page() {
        let site = Site::new().await;
        let mut root = site.logged_in("root").await;
        for _ in 0..PAGE {
            site.logged_in("alice").await;
        }
        let first = root.get("/hub/admin/audit?user=alice").await;
        assert_eq!(first.texts("ol li").len(), PAGE);
        assert_eq!(first.attributes("#latest", "href").len(), 0);
        let earlier = first.attributes("#earlier", "href").remove(0);
        let second = root.get(&earlier).await;
        let rows = second.texts("ol .what");
        assert_eq!(rows, ["hub login user.create user alice"]);
        assert_eq!(
            second.attributes("#latest", "href"),
            ["/hub/admin/audit?user=alice"]
        );
        assert_eq!(second.attributes("#earlier", "href").len(), 0);
    }

    #[tokio::test]
    async fn it_is_for_admins_alone() {
        let site = Site::new().await;
        let login = "/hub/login?next=%2Fhub%2Fadmin%2Faudit";
        assert_eq!(
            site.browser().get("/hub/admin/audit").await.leads(),
            (302, login)
        );
        for who in ["alice", "helper"] {
            let mut browser = site.logged_in(who).await;
            assert_eq!(browser.get("/hub/admin/audit").await.status, 403, "{who}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_leaves_a_number() {
        let site = Site::new().await;
        let mut root = site.logged_in("root").await;
        for number in 0..40 {
            site.browser()
                .log_in(&format!("user{number}"), "guess")
                .await;
        }
        site.app.gate.tell_refused().await;
        let page = root.get("/hub/admin/audit?action=login").await;
        let rows = page.texts("ol .what");
        let refused = rows.iter().filter(|row| row.ends_with("refused"));
        assert_eq!(refused.count(), 11, "{rows:?}");
        assert_eq!(rows[0], "hub login login hub refused");
        assert_eq!(page.texts("ol li:first-child code")[1], r#"{"count":30}"#);
    }
}
