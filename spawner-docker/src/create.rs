//! The container of one run, described to the engine.
//!
//! Hardened unless configuration says otherwise, and never by what a user chose: no capability, no
//! new privileges, bounded processes and log, an init that passes signals on and reaps; no namespace
//! of the host, no privileged mode, no mount that is not in the configuration. It is never removed
//! by the engine itself, which would lose its exit code.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use spawner_core::{Env, Launch, SpawnError, SpawnErrorKind};

use crate::client::ImageInfo;
use crate::container::tcp;
use crate::identity::Labels;
use crate::image::ImageRef;
use crate::limits::{CPU_PERIOD, Limits};
use crate::settings::DockerSettings;

/// How much of a container's log the engine keeps, in two files.
const LOG_SIZE: &str = "10m";

/// What a container is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) settings: &'a DockerSettings,
    pub(crate) limits: Limits,
    pub(crate) launch: &'a Launch,
    /// The launch's environment, as it is right inside a container.
    pub(crate) env: &'a Env,
    pub(crate) image: &'a ImageRef,
    pub(crate) info: &'a ImageInfo,
    pub(crate) network: &'a str,
    /// Where the server listens.
    pub(crate) port: u16,
}

/// The body of the request that makes a container with these labels.
pub(crate) fn create_body(
    plan: Plan<'_>,
    labels: Labels,
) -> Result<ContainerCreateBody, SpawnError> {
    Ok(ContainerCreateBody {
        image: Some(plan.image.to_string()),
        cmd: command(plan.launch, plan.image, plan.info)?,
        env: Some(environment(plan.env)?),
        labels: Some(labels),
        exposed_ports: Some(vec![tcp(plan.port)]),
        host_config: Some(host_config(plan)?),
        ..ContainerCreateBody::default()
    })
}

/// What follows the image's entry point: `cmd`, or the image's own command, then the arguments.
/// `None` leaves the image's command alone.
fn command(
    launch: &Launch,
    image: &ImageRef,
    info: &ImageInfo,
) -> Result<Option<Vec<String>>, SpawnError> {
    if launch.cmd.is_empty() && info.command.is_empty() && info.entry_point.is_empty() {
        let message =
            format!("The image \"{image}\" does not say what to run. An admin can set `cmd`.");
        return Err(SpawnError::new(SpawnErrorKind::Refused, message));
    }
    if launch.cmd.is_empty() && launch.args.is_empty() {
        return Ok(None);
    }
    let cmd = match launch.cmd.as_slice() {
        [] => &info.command,
        cmd => cmd,
    };
    let words = cmd.iter().chain(&launch.args);
    // An engine takes it, and the program that is to become the server fails with "invalid argument".
    if let Some(word) = words.clone().find(|word| word.contains('\0')) {
        let message = format!("The argument {word:?} holds a NUL character.");
        return Err(SpawnError::new(SpawnErrorKind::Refused, message));
    }
    Ok(Some(words.cloned().collect()))
}

fn environment(env: &Env) -> Result<Vec<String>, SpawnError> {
    env.iter()
        .map(|(name, value)| {
            let refused = |message| Err(SpawnError::new(SpawnErrorKind::Refused, message));
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("{name:?} cannot be the name of an environment variable.");
                return refused(message);
            }
            if value.contains('\0') {
                let message = format!("The environment variable {name} holds a NUL character.");
                return refused(message);
            }
            Ok(format!("{name}={value}"))
        })
        .collect()
}

fn host_config(plan: Plan<'_>) -> Result<HostConfig, SpawnError> {
    let Plan {
        settings,
        limits,
        port,
        ..
    } = plan;
    let server = &plan.launch.ctx.server;
    let volumes = settings
        .volumes
        .iter()
        .map(|volume| Ok(volume.mount(server)));
    let mounts = settings.mounts.iter().map(|mount| mount.mount(server));
    let mounts = volumes.chain(mounts).collect::<Result<_, _>>();
    let published = || {
        let binding = PortBinding {
            host_ip: Some(settings.host_ip.to_string()),
            host_port: None,
        };
        HashMap::from([(tcp(port), Some(vec![binding]))])
    };
    Ok(HostConfig {
        network_mode: Some(plan.network.to_owned()),
        port_bindings: (!settings.is_internal()).then(published),
        mounts: Some(mounts.map_err(garbled_settings)?),
        memory: limits.memory,
        // Equal to the memory, or the engine would allow as much again in swap.
        memory_swap: limits.memory,
        memory_reservation: limits.reservation,
        cpu_period: limits.quota.map(|_| CPU_PERIOD),
        cpu_quota: limits.quota,
        cpu_shares: limits.shares,
        pids_limit: settings.pids_limit.map(|pids| pids.get().into()),
        init: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(
            settings
                .cap_add
                .iter()
                .map(|capability| capability.as_str().to_owned())
                .collect(),
        ),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), LOG_SIZE.to_owned()),
                ("max-file".to_owned(), "2".to_owned()),
            ])),
        }),
        // A server that ended stays ended: whether to start it again is its user's decision.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        auto_remove: Some(false),
        privileged: Some(false),
        ..HostConfig::default()
    })
}

/// The error of raw settings that passed when they were read, and do not fit now.
pub(crate) fn garbled_settings(error: serde_json::Error) -> SpawnError {
    let message = "The raw settings of the configuration do not fit together.";
    SpawnError::new(SpawnErrorKind::Refused, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use spawner_core::{
        HubUrls, LaunchId, OauthClient, Secret, ServerId, SpawnContext, UserName, UserOptions,
    };

    use super::*;

    fn launch(cmd: &[&str], args: &[&str], env: &[(&str, &str)]) -> Launch {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut variables = Env::default();
        for (name, value) in env {
            variables.set(*name, *value);
        }
        let ctx = SpawnContext {
            server: ServerId::default_of(UserName::new("a_b").unwrap()),
            launch_id: LaunchId::random(),
            token: Secret::new("t"),
            options: UserOptions::default(),
            listen: None,
            hub: HubUrls {
                base_url: "/".into(),
                api_url: "http://hub:1/hub/api".into(),
                host: String::new(),
                public_url: None,
            },
            oauth: OauthClient {
                client_id: "c".into(),
                access_scopes: vec![],
                allowed_scopes: vec![],
            },
        };
        Launch::new(texts(cmd), texts(args), variables, ctx)
    }

    fn info(command: &[&str], has_entrypoint: bool) -> ImageInfo {
        ImageInfo {
            command: command.iter().map(|text| (*text).to_owned()).collect(),
            entry_point: if has_entrypoint {
                vec!["/entry".to_owned()]
            } else {
                Vec::new()
            },
            id: String::new(),
            user: String::new(),
        }
    }

    fn body(table: &Value, launch: &Launch, info: &ImageInfo) -> Result<Value, SpawnError> {
        let table: &Map<String, Value> = table.as_object().unwrap();
        let settings = DockerSettings::from_table(table).unwrap();
        let labels = Labels::from([("hubd.user".to_owned(), "a_b".to_owned())]);
        let image = settings.images.default_image().clone();
        let limits = Limits {
            memory: Some(1 << 30),
            quota: Some(50_000),
            ..Limits::default()
        };
        let plan = Plan {
            settings: &settings,
            limits,
            launch,
            env: &launch.env,
            image: &image,
            info,
            network: "hub-net",
            port: 8888,
        };
        create_body(plan, labels).map(|body| serde_json::to_value(body).unwrap())
    }

    #[test]
    fn hardened_by_default() {
        let body = body(
            &json!({"image": "lab"}),
            &launch(&[], &[], &[]),
            &info(&["x"], false),
        );
        let host = body.unwrap()["HostConfig"].take();
        for (key, value) in [
            ("Init", json!(true)),
            ("CapDrop", json!(["ALL"])),
            ("CapAdd", json!([])),
            ("SecurityOpt", json!(["no-new-privileges"])),
            ("PidsLimit", json!(512)),
            ("Privileged", json!(false)),
            ("AutoRemove", json!(false)),
            ("NetworkMode", json!("hub-net")),
            ("Mounts", json!([])),
        ] {
            assert_eq!(host[key], value, "{key}");
        }
        assert_eq!(host["LogConfig"]["Config"]["max-size"], "10m");
        let binding = &host["PortBindings"]["8888/tcp"][0];
        assert_eq!(binding["HostIp"], "127.0.0.1");
        for absent in ["Binds", "PidMode", "IpcMode", "UsernsMode", "Devices"] {
            assert!(host.get(absent).is_none_or(Value::is_null), "{absent}");
        }
    }

    #[test]
    fn what_is_configured_arrives() {
        let table = json!({
            "image": "lab", "network_name": "hub-net",
            "volumes": {"home-{username}": "/home/jovyan"}, "cap_add": ["CHOWN"], "pids_limit": 0,
        });
        let body = body(&table, &launch(&[], &[], &[]), &info(&["x"], false)).unwrap();
        let host = &body["HostConfig"];
        assert_eq!(host["Memory"], json!(1 << 30));
        assert_eq!(host["MemorySwap"], json!(1 << 30));
        assert_eq!(host["CpuQuota"], json!(50_000));
        assert_eq!(host["CapAdd"], json!(["CHOWN"]));
        assert_eq!(host["NetworkMode"], "hub-net");
        assert!(host.get("PortBindings").is_none_or(Value::is_null));
        assert!(host.get("PidsLimit").is_none_or(Value::is_null));
        assert_eq!(host["Mounts"][0]["Source"], "home-a-5fb");
        assert_eq!(body["Labels"]["hubd.user"], "a_b");
    }

    #[test]
    fn commands() {
        let table = json!({"image": "lab"});
        for (cmd, args, image, expected) in [
            (&[][..], &[][..], info(&["start"], false), json!(null)),
            (&[], &[], info(&[], true), json!(null)),
            (
                &[],
                &["-v"],
                info(&["start", "x"], false),
                json!(["start", "x", "-v"]),
            ),
            (&[], &["-v"], info(&[], true), json!(["-v"])),
            (
                &["own"],
                &["-v"],
                info(&["start"], true),
                json!(["own", "-v"]),
            ),
            (&["own"], &[], info(&[], false), json!(["own"])),
        ] {
            let body = body(&table, &launch(cmd, args, &[]), &image).unwrap();
            assert_eq!(
                body.get("Cmd").unwrap_or(&Value::Null),
                &expected,
                "{cmd:?} {args:?}"
            );
        }
        for (launch, part) in [
            (launch(&["a"], &["b\0"], &[]), "argument"),
            (launch(&[], &[], &[("KEY", "secret\0")]), "KEY holds a NUL"),
            (
                launch(&[], &[], &[("A=B", "secret")]),
                "name of an environment",
            ),
        ] {
            let error = body(&table, &launch, &info(&["x"], false)).unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::Refused);
            let said = error.to_string();
            assert!(said.contains(part) && !said.contains("secret"), "{said}");
        }
        let error = body(&table, &launch(&[], &["-v"], &[]), &info(&[], false)).unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Refused);
    }

    #[test]
    fn variables_that_cannot_be_passed_are_refused() {
        let (table, image) = (json!({"image": "lab"}), info(&["x"], false));
        let fine = body(&table, &launch(&[], &[], &[("A", "1=2\n%d $H \"")]), &image).unwrap();
        assert_eq!(fine["Env"], json!(["A=1=2\n%d $H \""]));
        for (name, value) in [("", "1"), ("A=B", "1"), ("A", "\0"), ("A\0", "1")] {
            let error = body(&table, &launch(&[], &[], &[(name, value)]), &image).unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::Refused, "{name:?}");
        }
    }
}
