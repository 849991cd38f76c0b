//! Starts that cannot succeed, and input that cannot be meant.

use serde_json::{Value, json};

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::Bench;
use crate::conformance::fault::{Checked, Stop, ensure};
use crate::conformance::subject::Plan;
use crate::options::{FormData, UserOptions};
use crate::status::StopMode;

/// The longest sentence that somebody reads.
const SENTENCE_MAX: usize = 400;

/// What is wrong with an error as a sentence for the user; `None` if nothing is.
pub(super) fn not_a_sentence(message: &str) -> Option<&'static str> {
    let debug_of_something = ["Error {", "Os {", "Error(", "Some(", "Kind("];
    if message.trim() != message || message.is_empty() {
        Some("it is empty or padded")
    } else if message.contains(char::is_control) {
        Some("it holds line breaks or control characters")
    } else if message.chars().count() > SENTENCE_MAX {
        Some("it is longer than anybody reads")
    } else if debug_of_something.iter().any(|sign| message.contains(sign)) {
        Some("it is the Debug of something")
    } else if !message.contains(' ') || !message.ends_with(['.', '!', '?']) {
        Some("it is no sentence with an end")
    } else {
        None
    }
}

pub(in super::super) async fn a_missing_program_is_a_sentence(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let plan = subject.plan(Behaviour::Missing).await?;
    let started = subject.try_start(&plan).await?;
    subject.end(StopMode::Now).await?;
    let Err(error) = started else {
        return Err(Stop::Fault(
            "start returned Ok although what it was to start is not there".into(),
        ));
    };
    let message = error.to_string();
    let wrong = not_a_sentence(&message);
    ensure!(
        wrong.is_none(),
        "the error that the user reads is {message:?}: {}",
        wrong.unwrap_or_default()
    );
    Ok(())
}

pub(in super::super) async fn a_failed_start_leaves_nothing(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let plan = subject.plan(Behaviour::Missing).await?;
    let started = subject.try_start(&plan).await?;
    subject.end(StopMode::Now).await?;
    ensure!(
        started.is_err(),
        "start returned Ok although what it was to start is not there"
    );
    subject.is_gone("after a failed start").await?;
    subject.spawner.clear_state();
    subject.run(Behaviour::Serve).await?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn what_cannot_be_passed_on_is_refused(bench: &Bench) -> Checked {
    type Change = fn(&mut Plan);
    let changes: [(&str, Change); 3] = [
        ("a NUL in an argument", |plan| {
            plan.args.push("canary\0argument".to_owned());
        }),
        ("a NUL in a value", |plan| {
            plan.env.set("KIT_NUL", "canary\0value");
        }),
        ("a = in a name", |plan| {
            plan.env.set("KIT_NAME=canary", "value");
        }),
    ];
    for (what, change) in changes {
        let mut subject = bench.subject();
        let mut plan = subject.plan(Behaviour::Serve).await?;
        change(&mut plan);
        match subject.try_start(&plan).await? {
            Err(error) => ensure!(
                !error.to_string().contains("canary\0value"),
                "the value of a variable, which may be a secret, is in the error: {error}"
            ),
            Ok(run) => {
                subject.until_it_answers(&run).await?;
                let inside = run.inside(bench).await?;
                let arrived =
                    |name: &str| inside.env.get(name).map(String::as_str) == plan.env.get(name);
                ensure!(
                    inside.args == plan.args && arrived("KIT_NUL") && arrived("KIT_NAME=canary"),
                    "{what} was neither refused by start nor did it arrive as given"
                );
            }
        }
        subject.end(StopMode::Now).await?;
    }
    Ok(())
}

pub(in super::super) async fn hostile_options_are_refused(bench: &Bench) -> Checked {
    let hostile = bench.backend().hostile();
    if hostile.is_empty() {
        let reason = "the backend names no options to be refused (Backend::hostile)";
        return Err(Stop::Skip(reason.into()));
    }
    let subject = bench.subject();
    for options in hostile {
        let shown = json!(options).to_string();
        let Err(error) = subject.spawner.check_options(&options) else {
            return Err(Stop::Fault(format!("check_options took {shown:.200}")));
        };
        ensure!(
            !error.message.is_empty(),
            "check_options refused {shown:.200} without a word"
        );
    }
    Ok(())
}

pub(in super::super) async fn odd_options_are_survived(bench: &Bench) -> Checked {
    let spawner = bench.subject().spawner;
    // Whether they are taken or refused is the spawner's to say. That it says so is the check: a
    // panic is a failure.
    for form in odd_forms() {
        if let Ok(options) = spawner.options_from_form(form) {
            let _ = spawner.check_options(&options);
        }
    }
    // A REST body reaches check_options without any form.
    for name in ["", "\0", "__proto__", "image", "env", "cmd", "profile"] {
        for value in [
            Value::Null,
            json!(true),
            json!(-1),
            json!(1e300),
            json!(""),
            json!("\0\n\u{202e}"),
            json!("x".repeat(1_000_000)),
            json!([[[]]]),
            json!({"a": {"b": null}}),
        ] {
            let options = UserOptions([(name.to_owned(), value)].into_iter().collect());
            let _ = spawner.check_options(&options);
        }
    }
    Ok(())
}

fn odd_forms() -> Vec<FormData> {
    let form = |fields: &[(&str, &str)]| {
        let fields = fields
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        fields.collect::<FormData>()
    };
    let mut many = FormData::default();
    for number in 0..1000 {
        many.push(format!("field{number}"), "value");
    }
    vec![
        form(&[]),
        form(&[("", "")]),
        form(&[("a", "1"), ("a", "2"), ("a", "")]),
        form(&[("a[]", "1"), ("a[0]", "2"), ("__proto__", "3")]),
        form(&[("na\0me", "val\0ue")]),
        form(&[("big", &"x".repeat(1_000_000))]),
        many,
    ]
}

pub(in super::super) async fn the_log_tail_keeps_its_bound(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    for lines in [0, 1, 2] {
        let tail = bench
            .within("log_tail", subject.spawner.log_tail(lines))
            .await?;
        ensure!(
            tail.len() <= lines,
            "log_tail({lines}) gave {} lines",
            tail.len()
        );
    }
    subject.stop(StopMode::Now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_told_from_other_texts() {
        for message in [
            "There is no program \"x\".",
            "The image \"a/b:1\" was not found. Ask an administrator?",
        ] {
            assert_eq!(not_a_sentence(message), None, "{message}");
        }
        for message in [
            "",
            "no.",
            "No such file or directory (os error 2)",
            "It failed: Os { code: 2, kind: NotFound }.",
            "Two\nlines.",
            "There is no program. ",
            &format!("So {} long.", "very ".repeat(100)),
        ] {
            assert!(not_a_sentence(message).is_some(), "{message}");
        }
    }
}
