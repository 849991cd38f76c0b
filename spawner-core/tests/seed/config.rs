//! The knobs that become a command line and an environment.

use std::sync::{Arc, Mutex};

use spawner_core::{EnvValue, SingleuserArgs, Spawner, SpawnerConfig, StopMode, base_env, expand};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::play::{Fault, Show, context, play};

/// Keeps the warnings of a thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let said = format!("{field}={value:?}");
        self.0.lock().unwrap().push(said);
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn with(change: impl FnOnce(&mut SpawnerConfig)) -> SpawnerConfig {
    let mut config = SpawnerConfig::default();
    change(&mut config);
    config
}

/// The seed's `env_keep`: its seven, and nothing else is inherited.
#[test]
fn env_keep() {
    assert_eq!(
        SpawnerConfig::default().env_keep,
        [
            "PATH",
            "PYTHONPATH",
            "CONDA_ROOT",
            "CONDA_DEFAULT_ENV",
            "VIRTUAL_ENV",
            "LANG",
            "LC_ALL"
        ]
    );
    // Cargo sets this one for tests.
    let name = "CARGO_MANIFEST_DIR";
    let env = base_env(&SpawnerConfig::default(), &context());
    assert_eq!(env.get(name), None);
    assert_eq!(env.get("PATH"), std::env::var("PATH").ok().as_deref());
    let config = with(|config| config.env_keep = vec![name.into(), "NOT_SET_ANYWHERE".into()]);
    let env = base_env(&config, &context());
    assert_eq!(env.get(name), std::env::var(name).ok().as_deref());
    assert_eq!(env.get("NOT_SET_ANYWHERE"), None);
    assert_eq!(env.get("PATH"), None);
}

/// The seed's `env`: deprecated, beneath everything else, and it warns.
#[test]
fn env() {
    let config = with(|config| {
        config.env.insert("PATH".into(), "lowest".into());
        config.env.insert("JUPYTERHUB_USER".into(), "lowest".into());
        config.env.insert("BOTH".into(), "lowest".into());
        config.env.insert("ALONE".into(), "kept".into());
        config.environment.insert("BOTH".into(), "highest".into());
    });
    let warnings = Warnings::default();
    let env = tracing::subscriber::with_default(warnings.clone(), || base_env(&config, &context()));
    assert_eq!(env.get("PATH"), std::env::var("PATH").ok().as_deref());
    assert_eq!(env.get("JUPYTERHUB_USER"), Some("tee"));
    assert_eq!(env.get("BOTH"), Some("highest"));
    assert_eq!(env.get("ALONE"), Some("kept"));
    let said = warnings.0.lock().unwrap().join(" ");
    assert!(
        said.contains("deprecated") && said.contains("ALONE"),
        "{said}"
    );
    assert!(!said.contains("kept"), "values are not logged: {said}");
}

/// The seed's `environment`: texts, or functions of the run.
#[test]
fn environment() {
    let config = with(|config| {
        config.environment.insert("TEXT".into(), "as it is".into());
        let who = EnvValue::Computed(Arc::new(|ctx| ctx.server.user.to_string()));
        config.environment.insert("COMPUTED".into(), who);
    });
    let env = base_env(&config, &context());
    assert_eq!(env.get("TEXT"), Some("as it is"));
    assert_eq!(env.get("COMPUTED"), Some("tee"));
}

/// The seed's `get_env`: what the three above say, and the token.
#[test]
fn get_env() {
    let env = play(SpawnerConfig::default()).get_env(&context());
    assert_eq!(env.get("JPY_API_TOKEN"), Some("the-token"));
    assert_eq!(env.get("JUPYTERHUB_API_TOKEN"), Some("the-token"));
}

/// The seed's `cmd`: a text is one program, a list is a program with arguments.
#[tokio::test(start_paused = true)]
async fn cmd() {
    let default = SpawnerConfig::default();
    assert_eq!(default.cmd, ["jupyterhub-singleuser"]);
    let text = default.clone().with_cmd("/opt/my hub/singleuser");
    assert_eq!(text.cmd, ["/opt/my hub/singleuser"]);
    let list = default.with_cmd(vec!["conda", "run", "jupyterhub-singleuser"]);
    let show = Show::new(list, Fault::None);
    show.server.start(context()).await.unwrap();
    let launched = show.stage.lock().unwrap().launched.clone().unwrap();
    assert_eq!(launched.0, ["conda", "run", "jupyterhub-singleuser"]);
    show.server.stop(StopMode::Now).await.unwrap();
}

/// The seed's `args`: after everything else.
#[test]
fn args() {
    let config = with(|config| config.args = vec!["--a b".into(), "--c".into()]);
    let none = play(config.clone()).get_args(&context());
    assert_eq!(none, ["--a b", "--c"]);
    let classic = SpawnerConfig {
        singleuser_args: SingleuserArgs::Classic,
        ..config
    };
    let args = play(classic).get_args(&context());
    assert_eq!(args[args.len() - 2..], ["--a b", "--c"]);
}

/// The seed's `get_args`: its flags byte for byte and in its order, where they are asked for.
#[test]
fn get_args() {
    assert_eq!(
        SpawnerConfig::default().singleuser_args,
        SingleuserArgs::None
    );
    let none = play(SpawnerConfig::default()).get_args(&context());
    assert_eq!(
        none,
        Vec::<String>::new(),
        "today's servers refuse the old flags"
    );
    let classic = |change: fn(&mut SpawnerConfig)| {
        let config = with(|config| {
            config.singleuser_args = SingleuserArgs::Classic;
            change(config);
        });
        play(config).get_args(&context())
    };
    let always = [
        "--user=tee",
        "--port=4321",
        "--cookie-name=jupyterhub-user-tee",
        "--base-url=/user/tee/",
        "--hub-host=http://127.0.0.1:8000",
        "--hub-prefix=/hub/",
        "--hub-api-url=http://127.0.0.1:8000/hub/api",
    ];
    assert_eq!(classic(|config| config.ip.clear()), always);
    let all = classic(|config| {
        config.notebook_dir = "~/%U".into();
        config.default_url = "/tree/%U".into();
        (config.debug, config.disable_user_config) = (true, true);
        config.args = vec!["--last".into()];
    });
    assert_eq!(all[..7], always);
    assert_eq!(
        all[7..],
        [
            "--ip=127.0.0.1",
            "--notebook-dir=~/tee",
            "--NotebookApp.default_url=/tree/tee",
            "--debug",
            "--disable-user-config",
            "--last"
        ]
    );
}

/// The seed's `notebook_dir` and `default_url`: `%U`, later `{username}`; `~` is the server's to
/// expand.
#[test]
fn notebook_dir_and_default_url() {
    for (template, expanded) in [
        ("/data/%U/{username}", "/data/tee/tee"),
        ("~/work", "~/work"),
        ("{other} 100%", "{other} 100%"),
        ("", ""),
    ] {
        assert_eq!(expand(template, "tee"), expanded);
        let config = with(|config| {
            (config.notebook_dir, config.default_url) = (template.into(), template.into());
        });
        let env = base_env(&config, &context());
        let expected = Some(expanded).filter(|text| !text.is_empty());
        assert_eq!(env.get("JUPYTERHUB_ROOT_DIR"), expected);
        assert_eq!(env.get("JUPYTERHUB_DEFAULT_URL"), expected);
    }
}

/// The seed's `debug`.
#[test]
fn debug() {
    let env = |debug| base_env(&with(|config| config.debug = debug), &context());
    assert_eq!(env(false).get("JUPYTERHUB_DEBUG"), None);
    assert_eq!(env(true).get("JUPYTERHUB_DEBUG"), Some("1"));
}

/// The seed's `disable_user_config`.
#[test]
fn disable_user_config() {
    let env = |off| base_env(&with(|config| config.disable_user_config = off), &context());
    assert_eq!(env(false).get("JUPYTERHUB_DISABLE_USER_CONFIG"), None);
    assert_eq!(env(true).get("JUPYTERHUB_DISABLE_USER_CONFIG"), Some("1"));
}

/// The seed's `ip`: 127.0.0.1; the server is told where to bind.
#[tokio::test]
async fn ip() {
    let mut spawner = play(with(|config| config.port = 9999));
    let mut ctx = context();
    for (ip, url) in [
        ("127.0.0.1", "http://127.0.0.1:9999/user/tee/"),
        ("", "http://:9999/user/tee/"),
        ("[::1]", "http://[::1]:9999/user/tee/"),
    ] {
        spawner.config.ip = ip.into();
        ctx.listen = Some(spawner.listen_on(&ctx).await.unwrap());
        assert_eq!(ctx.service_url(), url);
    }
    spawner.config.ip = "not an address".into();
    assert!(spawner.listen_on(&ctx).await.is_err());
}

/// JupyterHub's `mem_limit`, `mem_guarantee`, `cpu_limit`, `cpu_guarantee`: the server is told, and
/// a spawner that cannot hold it to them starts nothing.
#[test]
fn limits() {
    let config = with(|config| {
        (config.mem_limit, config.mem_guarantee) = (Some(2), Some(1));
        (config.cpu_limit, config.cpu_guarantee) = (Some(1.5), Some(0.5));
    });
    let env = base_env(&config, &context());
    for (name, value) in [
        ("MEM_LIMIT", "2"),
        ("MEM_GUARANTEE", "1"),
        ("CPU_LIMIT", "1.5"),
        ("CPU_GUARANTEE", "0.5"),
    ] {
        assert_eq!(env.get(name), Some(value));
    }
    let refused = play(config).check_limits().unwrap_err();
    assert!(refused.to_string().contains("mem_limit"), "{refused}");
    assert!(play(SpawnerConfig::default()).check_limits().is_ok());
}
