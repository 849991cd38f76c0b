//! The list of users as text.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use jiff::Timestamp;

use crate::auth::accounts::Account;

/// Columns with a heading.
pub(super) fn for_people(accounts: &[Account]) -> String {
    if accounts.is_empty() {
        return "There are no users yet; `hubd user add NAME` adds one.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "NAME",
        "ADMIN",
        "CREATED (UTC)",
        "LAST ACTIVITY",
        "PASSWORD",
        "SERVER",
        "BLOCKED",
    ]);
    let minutes = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M").to_string();
    for account in accounts {
        table.add_row(cells(account, minutes));
    }
    let lines = table.to_string();
    lines.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim());
        text
    })
}

/// A line a user, cells apart by tabs.
pub(super) fn for_programs(accounts: &[Account]) -> String {
    let lines = accounts
        .iter()
        .map(|account| cells(account, |time| time.to_string()).join("\t") + "\n");
    lines.collect()
}

fn cells(account: &Account, time: impl Fn(Timestamp) -> String) -> [String; 7] {
    let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
    [
        account.name.to_string(),
        yes(account.admin),
        time(account.created),
        account.last_activity.map_or("-".to_owned(), time),
        yes(account.has_password),
        account.server.clone(),
        yes(account.blocked),
    ]
}

#[cfg(test)]
mod tests {
    use spawner_core::UserName;

    use super::*;

    fn accounts() -> Vec<Account> {
        let account = |name, admin, last_activity: Option<&str>| Account {
            name: UserName::new(name).unwrap(),
            admin,
            created: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
            last_activity: last_activity.map(|time| time.parse().unwrap()),
            has_password: !admin,
            blocked: last_activity.is_some(),
            server: "stopped".to_owned(),
        };
        vec![
            account("ann", true, None),
            account("benjamin", false, Some("2026-02-03T04:05:06Z")),
        ]
    }

    #[test]
    fn people_see_columns() {
        let expected = [
            "NAME      ADMIN  CREATED (UTC)     LAST ACTIVITY     PASSWORD  SERVER   BLOCKED",
            "ann       yes    2026-01-02 03:04  -                 no        stopped  no",
            "benjamin  no     2026-01-02 03:04  2026-02-03 04:05  yes       stopped  yes",
        ];
        assert_eq!(
            for_people(&accounts()).lines().collect::<Vec<_>>(),
            expected
        );
        assert!(for_people(&[]).contains("hubd user add"));
    }

    #[test]
    fn programs_see_tabs_and_whole_times() {
        assert_eq!(
            for_programs(&accounts()),
            "ann\tyes\t2026-01-02T03:04:05.678901Z\t-\tno\tstopped\tno\n\
             benjamin\tno\t2026-01-02T03:04:05.678901Z\t2026-02-03T04:05:06Z\tyes\tstopped\tyes\n"
        );
        assert_eq!(for_programs(&[]), "");
    }
}
