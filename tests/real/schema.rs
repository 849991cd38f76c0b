//! The API held against its own description by schemathesis: every check that it has, on every
//! operation, with good requests, bad ones and chains of them.
//!
//! A short run gates a merge. The long one goes by name: `tests/run schema`, with its time in
//! `HUBD_SCHEMA_SECONDS` and another seed in `HUBD_SCHEMA_SEED`; both are printed.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use hub_tests::api::{Api, server_path};
use hub_tests::hub::TestHub;
use hub_tests::setup::{ADMIN_TOKEN, Setup};
use hub_tests::venv::Venv;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

/// Which checks there are, and where the contract goes beyond what a schema can say.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/real/schemathesis.toml");
const SEED: &str = "HUBD_SCHEMA_SEED";
const SECONDS: &str = "HUBD_SCHEMA_SECONDS";
/// The seed unless another one is given.
const FIXED_SEED: u64 = 20_260_101;
/// How long the long run is.
const LONG: u64 = 600;
/// Requests for each operation in the short run, beside those that go along the edges of each schema.
const FEW: u64 = 10;
/// How long one request may take; a start is waited for ten seconds.
const REQUEST_SECONDS: u64 = 60;
/// How much longer than asked for a run may take before it is called stuck.
const SLACK: Duration = Duration::from_mins(15);

#[tokio::test]
async fn the_api_is_as_it_is_described() {
    let Some(venv) = Venv::find() else { return };
    let size = ["--max-examples".to_owned(), FEW.to_string()];
    run(&venv, FIXED_SEED, Duration::ZERO, &size).await;
}

#[tokio::test]
#[ignore = "long; run by name: tests/run schema"]
async fn the_api_is_as_it_is_described_for_long() {
    let Some(venv) = Venv::find() else { return };
    let seconds = number(SECONDS).unwrap_or(LONG);
    let size = ["--max-time".to_owned(), seconds.to_string()];
    let seed = number(SEED).unwrap_or(FIXED_SEED);
    run(&venv, seed, Duration::from_secs(seconds), &size).await;
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

async fn run(venv: &Venv, seed: u64, length: Duration, size: &[String]) {
    let hub = populated().await;
    println!("{SEED}={seed} {}", size.join(" "));
    let report = hub.folder().join("schemathesis.json");
    let mut command = Command::new(venv.program("schemathesis"));
    command
        .args(["--config-file", CONFIG, "run"])
        .arg(format!("{}/hub/api/openapi.json", hub.origin()))
        .args(["--header", &format!("Authorization: token {ADMIN_TOKEN}")])
        .args(["--checks", "all", "--continue-on-failure"])
        .args(["--request-timeout", &REQUEST_SECONDS.to_string()])
        .args(["--seed", &seed.to_string()])
        .arg("--report-json-path")
        .arg(&report)
        .args(size)
        .current_dir(hub.folder())
        .env("COLUMNS", "150")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(length + SLACK, command.output()).await;
    let output = output.expect("schemathesis is stuck").expect("its program");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read(&report).unwrap_or_else(|error| {
        panic!("schemathesis left no report ({error}):\n{said}\n{complaints}")
    });
    let report: Value = serde_json::from_slice(&report).expect("a report in JSON");
    let (cases, operations) = (&report["test_cases"], &report["operations"]);
    println!(
        "schemathesis {}: {} cases of {} operations in {:.0} s from {SEED}={seed}, {} with failures",
        report["schemathesis_version"],
        cases["generated"],
        operations["tested"],
        report["running_time"].as_f64().unwrap_or_default(),
        cases["with_failures"],
    );
    assert!(output.status.success(), "{said}\n{complaints}");
    assert_eq!(cases["with_failures"], 0, "{said}");
    assert_eq!(cases["errored"], 0, "{said}");
    assert_eq!(report["complete"], true, "{said}");
    // A run that meets little proves little.
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    assert_eq!(
        count(&operations["tested"]),
        count(&operations["total"]) - 1,
        "{said}"
    );
    for phase in ["coverage", "fuzzing", "stateful"] {
        assert_eq!(
            report["phases"][phase]["status"], "success",
            "{phase}: {said}"
        );
    }
    assert!(count(&cases["generated"]) > 1000, "{said}");
    assert_eq!(
        hub.admin().get("/health").await.status,
        200,
        "{}",
        hub.log()
    );
}

/// A hub with something behind each name that the configuration of the run knows.
async fn populated() -> TestHub {
    let role = toml::toml! {
        name = "everything-else"
        scopes = ["admin:groups", "admin:services", "proxy", "shutdown"]
        services = ["stories"]
    };
    let group = toml::toml! { name = "staff" users = ["ada"] };
    let hub = Setup::new()
        .add("role", role)
        .add("group", group)
        .set("limits.named_servers_per_user", 5)
        // Each is a process.
        .set("limits.active_servers", 40)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["ada", "ben", "cy", "dot"]).await;
    done(
        &admin,
        Method::POST,
        "/groups/class",
        json!({ "users": ["cy"] }),
    )
    .await;
    for (user, server) in [("ada", "proj"), ("ben", "proj"), ("ben", "lab-2")] {
        done(&admin, Method::PUT, &server_path(user, server), json!({})).await;
    }
    for user in ["ben", "dot"] {
        admin.start(user).await;
        admin.token_for(user).await;
    }
    hub
}

async fn done(api: &Api, method: Method, path: &str, body: Value) {
    let reply = api.call(method, path, Some(&body)).await;
    assert!(reply.status.is_success(), "{path}: {}", reply.text());
}
