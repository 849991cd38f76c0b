//! The description held against the API that it is of.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::Value;

use super::description;
use crate::api::shares;
use crate::api::testing::Hub;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "patch", "trace"];

fn document() -> Value {
    serde_json::from_str(&description("/").unwrap()).unwrap()
}

/// Path, method and operation of everything that is described.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter()
            .map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.collect()
}

/// A path with names that there are.
fn filled(path: &str) -> String {
    path.replace("{user}", "alice")
        .replace("{server}", "proj")
        .replace("{group}", "staff")
        .replace("{service}", "culler")
        .replace("{token}", "a1")
}

#[test]
fn it_is_one_text_for_each_base_url() {
    assert_eq!(description("/").unwrap(), description("/").unwrap());
    let elsewhere: Value = serde_json::from_str(&description("/jhub/").unwrap()).unwrap();
    assert_eq!(elsewhere["servers"][0]["url"], "/jhub/hub/api");
    assert_eq!(document()["servers"][0]["url"], "/hub/api");
    assert_eq!(elsewhere["openapi"], "3.1.0");
    assert_eq!(elsewhere["paths"], document()["paths"]);
}

#[tokio::test]
async fn it_is_served_to_everybody() {
    let hub = Hub::new().await;
    let reply = hub.get("/openapi.json").send().await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json, document());
}

/// Both ways: what is described is answered, and a path answers no method that is not described.
#[tokio::test]
async fn paths_know_the_methods_that_are_described() {
    let hub = Hub::new().await;
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, item) in paths {
        for method in METHODS {
            let request = hub.request(&method.to_uppercase(), &filled(path)).send();
            let reply = request.await;
            let described = item.get(method).is_some();
            let known = reply.status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(known, described, "{method} {path}: {}", reply.status);
            if !described {
                let allowed = reply.header("allow").unwrap().split(',');
                let allowed: BTreeSet<_> = allowed.map(str::to_lowercase).collect();
                let mut expected: BTreeSet<_> = item.as_object().unwrap().keys().cloned().collect();
                if expected.contains("get") {
                    expected.insert("head".to_owned());
                }
                assert_eq!(allowed, expected, "{path}");
            }
        }
    }
}

/// A route that was added in another way than with its description would be one that nobody is told of.
#[test]
fn only_shares_are_routes_without_a_description() {
    let source = include_str!("../router.rs");
    let (code, _) = source.split_once("#[cfg(test)]").unwrap();
    for (way, times) in [
        (".route(", 1),
        ("router.route(path, any(shares::none))", 1),
        (".route_service(", 0),
        (".nest", 0),
        (".merge(", 0),
    ] {
        assert_eq!(code.matches(way).count(), times, "{way}");
    }
    let document = document();
    for path in shares::PATHS {
        assert!(document["paths"].get(path).is_none(), "{path}");
    }
}

#[tokio::test]
async fn shares_are_a_404_with_a_message() {
    let hub = Hub::new().await;
    for path in shares::PATHS {
        let path = filled(path).replace("{*rest}", "alice/proj");
        for method in ["GET", "POST", "DELETE", "PATCH"] {
            let reply = hub.request(method, &path).admin().send().await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
            assert!(reply.message().contains("no shares"), "{method} {path}");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_words_and_a_place() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} is there twice");
        assert!(operation["summary"].is_string(), "{method} {path}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{name}");
        assert!(!operation["responses"].as_object().unwrap().is_empty());
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path: BTreeSet<_> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
            .collect();
        let expected = path.split('/').filter(|part| part.starts_with('{'));
        let expected: BTreeSet<_> = expected.map(str::to_owned).collect();
        assert_eq!(in_path, expected, "{method} {path}");
    }
}

#[test]
fn what_it_refers_to_is_there() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(entries) => {
                found.extend(entries.get("$ref").and_then(Value::as_str));
                entries.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let names: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(_, _, operation)| &operation["operationId"])
        .filter_map(Value::as_str)
        .collect();
    for (path, _, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap().values();
        let links = answers.filter_map(|answer| answer.get("links")?.as_object());
        for link in links.flat_map(|links| links.values()) {
            let name = link["operationId"].as_str().unwrap();
            assert!(names.contains(name), "{path} leads to {name}");
        }
    }
}

/// The scopes in the descriptions are those that a caller without any is told of.
#[tokio::test]
async fn the_scopes_that_an_operation_names_are_those_that_it_asks_for() {
    let hub = Hub::new().await;
    let nobody = hub.role_token(&[]).await;
    let document = document();
    let mut told = 0;
    for (path, method, operation) in operations(&document) {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = hub.request(method.as_str(), &filled(path));
        let reply = request.token(&nobody).send().await;
        let described = operation["description"].as_str().unwrap_or_default();
        let Some(names) = reply.json["message"]
            .as_str()
            .and_then(|message| message.strip_prefix("This needs "))
        else {
            assert!(!described.contains("Needs `"), "{method} {path}");
            continue;
        };
        told += 1;
        let (names, _) = names.split_once(", and you do not").unwrap();
        let names = names.trim_start_matches("the scope ");
        let names = names.trim_start_matches("one of the scopes ");
        for name in names.split(", ") {
            assert!(
                described.contains(&format!("`{name}`")),
                "{method} {path} needs {name}"
            );
        }
    }
    assert!(told > 30, "{told}");
}
