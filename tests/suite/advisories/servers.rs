//! What a start brings along: options of its user, and the files in their home.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::programs;
use hub_tests::setup::Setup;
use serde_json::{Value, json};

/// Keys that hubs keep for themselves somewhere, or that mean something to what reads them.
const KEYS: [&str; 18] = [
    "__jupyterhub_bytes__",
    "__jupyterhub_datetime__",
    "__proto__",
    "constructor",
    "__class__",
    "$ref",
    "launch_id",
    "state",
    "version",
    "data",
    "endpoint",
    "name",
    "display_name",
    "user_options",
    "\u{0}",
    "",
    "../x",
    "{username}",
];

#[tokio::test]
pub(super) async fn ghsa_hx46_2cv3_mh6g_magic_keys_are_inert() {
    let mut hub = TestHub::start().await;
    let admin = hub.admin();
    let users: Vec<String> = (0..KEYS.len()).map(|number| format!("u{number}")).collect();
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    admin.create(&names).await;
    for (user, key) in users.iter().zip(KEYS) {
        for value in [json!("aGk="), json!({ key: { key: null } }), json!([key])] {
            let options = json!({ "user_options": { key: value } });
            let path = format!("/users/{user}/server");
            let reply = admin.post(&path, Some(&options)).await;
            let fine = reply.status.is_success() || reply.status == StatusCode::BAD_REQUEST;
            assert!(fine, "{key:?}: {} {}", reply.status, reply.text());
            if reply.status.is_success() {
                let model = admin.get(&format!("/users/{user}")).await.json();
                let kept = &model["servers"][""]["user_options"];
                assert_eq!(*kept, options["user_options"], "{key:?} is kept as it came");
                let gone = admin.delete(&path).await;
                assert_eq!(gone.status, StatusCode::NO_CONTENT, "{key:?}");
            }
        }
    }
    for _ in 0..2 {
        let list = admin.get("/users?include_stopped_servers").await;
        assert_eq!(list.status, StatusCode::OK, "{}", list.text());
        assert_eq!(list.json().as_array().map(Vec::len), Some(KEYS.len()));
        hub.kill().await;
        hub.start_again().await;
    }
    // The kept options start it again, and still mean nothing.
    for user in &users {
        let reply = admin.post(&format!("/users/{user}/server"), None).await;
        assert!(reply.status.is_success(), "{user}: {}", reply.text());
    }
    assert_eq!(hub.servers().len(), KEYS.len());
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}

#[tokio::test]
pub(super) async fn cve_2022_39286_nothing_in_a_home_is_run_instead() {
    let homes = tempfile::tempdir().expect("a folder");
    let home = homes.path().join("tee");
    fs::create_dir(&home).expect("a home");
    let marker = homes.path().join("was-run");
    let fakesu = programs::fakesu();
    let name = fakesu.file_name().and_then(|name| name.to_str());
    let name = name.expect("a program");
    let script = format!("#!/bin/sh\necho yes > '{}'\nexit 7\n", marker.display());
    for bait in [
        name,
        "jupyterhub-singleuser",
        "sitecustomize.py",
        "python3",
        "sh",
    ] {
        let path = home.join(bait);
        fs::write(&path, &script).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let programs = fakesu.parent().and_then(|folder| folder.to_str());
    let template = homes.path().join("{username}");
    let usual = env::var("PATH").unwrap_or_default();
    // An empty part of the path means the current folder to many programs.
    for path in [
        format!("{}:{usual}", programs.unwrap_or_default()),
        format!(":.:{}:{usual}:", programs.unwrap_or_default()),
    ] {
        let hub = Setup::new()
            .set("spawner.cmd", name)
            .set(
                "spawner.simple.home_dir_template",
                template.to_str().expect("UTF-8"),
            )
            .hub_env("PATH", &path)
            .start()
            .await;
        hub.admin().create(&["tee"]).await;
        hub.admin().start("tee").await;
        let told = hub.api(None);
        let told = told.send(Method::GET, "/user/tee/process", &[], "").await;
        let told: Value = told.json();
        assert_eq!(told["folder"], home.to_str().expect("UTF-8"), "{told}");
        assert!(!marker.exists(), "{path}");
    }
}
