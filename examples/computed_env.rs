//! Environment variables that are computed at each start, from who it is for and what was chosen. It
//! shows `environment` with functions in the place of texts, which a configuration file cannot hold: a
//! program sets them before it builds its backend.
//!
//! `cargo run -p hubd-examples --example computed_env`

use std::sync::Arc;

use spawner_core::{BackendSetup, EnvValue, SetupError, SpawnContext, SpawnerFactory};
use spawner_local::LocalFactory;

/// A value of one start.
type Compute = fn(&SpawnContext) -> String;

/// A local backend that computes a few variables.
fn build(mut setup: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
    let variables: [(&str, Compute); 3] = [
        ("COURSE_DIR", |ctx| {
            // A name of a user can hold what a name of a folder should not.
            format!("/srv/courses/{}", ctx.server.object_name())
        }),
        ("GIT_AUTHOR_NAME", |ctx| ctx.server.user.to_string()),
        ("PROFILE", |ctx| {
            let chosen = ctx.options.text("profile").ok().flatten();
            chosen.unwrap_or("small").to_owned()
        }),
    ];
    for (name, compute) in variables {
        let value = EnvValue::Computed(Arc::new(compute));
        setup.config.environment.insert(name.to_owned(), value);
    }
    Ok(Arc::new(LocalFactory::simple(setup)?))
}

#[tokio::main]
async fn main() -> Result<(), hubd::HubError> {
    hubd_examples::serve("computed-env", build).await
}

#[cfg(test)]
mod tests {
    use hubd_examples::{hub, rehearse};
    use serde_json::json;
    use spawner_core::UserOptions;

    use super::*;

    #[tokio::test]
    async fn each_start_computes_them() {
        hub("computed-env", build).unwrap().check().unwrap();
        for (options, profile) in [
            (json!({}), "small"),
            (json!({"profile": "large"}), "large"),
            (json!({"profile": 7}), "small"),
        ] {
            let options: UserOptions = serde_json::from_value(options).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let given = rehearse(build, dir.path(), options).await.unwrap();
            assert!(given.env["COURSE_DIR"].starts_with("/srv/courses/tee"));
            assert_eq!(given.env["GIT_AUTHOR_NAME"], "tee");
            assert_eq!(given.env["PROFILE"], profile);
        }
    }
}
