//! Keys that a configuration once had, or never had.

use hub_tests::setup::Setup;

#[tokio::test]
pub(super) async fn cve_2020_26250_an_old_key_is_never_ignored() {
    for (key, hint) in [
        ("auth.whitelist", "allowed_users"),
        ("auth.blacklist", "blocked_users"),
        ("auth.allowed_user", "allowed_users"),
        ("auth.alowed_users", "allowed_users"),
        ("auth.Allowed_users", "allowed_users"),
        ("auth.admins", "admin_users"),
        ("auth.admin_user", "admin_users"),
        ("auth.group_whitelist", "auth.group_whitelist"),
        ("auth.admin_groups", "[[role]]"),
        ("hub.allowed_users", "allowed_users"),
        ("limits.concurrent_spawn_limit", "concurrent_spawns"),
        ("authentication.allow_all", "auth"),
    ] {
        let setup = Setup::new().unset("auth.allow_all");
        let setup = setup
            .set("auth.allowed_users", vec!["ann"])
            .set(key, vec!["tee"]);
        let ran = setup.check_config();
        assert_eq!(ran.code, Some(2), "{key}: {}", ran.output);
        let name = key.rsplit('.').next().unwrap_or_default();
        for words in ["hubd.toml:", name, hint] {
            let said = ran.output.contains(words) || key.starts_with("authentication");
            assert!(said, "{key}: {words:?} is not in {}", ran.output);
        }
        let refusal = setup.refusal(|_| ()).await;
        assert_eq!(refusal.status.code(), Some(2), "{key}: {}", refusal.output);
    }
    // Nobody listed is nobody let in, and a star is no name.
    let nobody = Setup::new().unset("auth.allow_all");
    let hub = nobody.clone().start().await;
    let page = hub.browser();
    let mut page = page;
    let page = page
        .log_in("/hub/login", "tee", hub_tests::setup::PASSWORD)
        .await;
    assert_eq!(page.status(), 403, "{}", page.words());
    let star = nobody.set("auth.allowed_users", vec!["*"]).check_config();
    assert_eq!(star.code, Some(2), "{}", star.output);
}
