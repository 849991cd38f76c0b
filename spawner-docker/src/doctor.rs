//! Whether an engine will do: what it is, what it enforces, its network, its images, and whether
//! servers can reach the hub. That is asked from where they are, by a container that does nothing
//! else. A wrong address of the hub, or a firewall between a bridge and the host, is the commonest
//! reason for servers that start and never become ready, and nothing else shows it.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use spawner_core::{Finding, LaunchId, SpawnError, SpawnErrorKind, Verdict};

use crate::container::ContainerId;
use crate::factory::{DockerFactory, Shared};
use crate::identity::{INSTANCE, Labels};
use crate::limits::{Able, Limits};
use crate::name::ContainerName;
use crate::network::seen_from_inside;
use crate::start::image_is_missing;

/// How long the container has; the programs in it give up earlier.
const PATIENCE: Duration = Duration::from_secs(30);
/// What it exits with when its image has nothing to ask with.
const NO_PROGRAM: i64 = 125;
/// Any answer will do, also one that refuses.
const SCRIPT: &str = r#"
has() { command -v "$1" >/dev/null 2>&1; }
if has curl; then exec curl -sS -m 8 -o /dev/null "$1"
elif has python3; then exec python3 -c '
import sys, urllib.error, urllib.request
try: urllib.request.urlopen(sys.argv[1], timeout=8)
except urllib.error.HTTPError: pass
' "$1"
elif has wget; then wget -q -T 8 -O /dev/null "$1"; code=$?; [ $code = 8 ] || exit $code
elif has bash; then
    at=${1#*://}; at=${at%%/*}; port=${at##*:}; [ "$port" != "$at" ] || port=80
    exec bash -c 'exec 3<>"/dev/tcp/$0/$1"' "${at%:*}" "$port"
else exit 125
fi
"#;

impl DockerFactory {
    /// Asks for `url`, an address of the hub as [`HubUrls::api_url`](spawner_core::HubUrls) has it,
    /// from a short-lived container of the default image on the network of the servers. Returns the
    /// address as servers see it. The sentence of an error says what to look at.
    pub async fn check_hub(&self, url: &str) -> Result<String, SpawnError> {
        let (shared, engine) = (self.shared(), &self.shared().engine);
        let network = shared.network.ensure(engine).await?;
        let gateway = network.gateway.as_deref();
        let seen = gateway.and_then(|gateway| seen_from_inside(url, gateway));
        let seen = seen.unwrap_or_else(|| url.to_owned());
        let words = ["-c", SCRIPT, "hubd", &seen];
        let body = ContainerCreateBody {
            image: Some(shared.settings.images.default_image().to_string()),
            entrypoint: Some(vec!["/bin/sh".to_owned()]),
            cmd: Some(words.map(str::to_owned).to_vec()),
            labels: Some(Labels::from([(
                INSTANCE.to_owned(),
                shared.instance.clone(),
            )])),
            host_config: Some(HostConfig {
                network_mode: Some(shared.network.name().to_owned()),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                pids_limit: Some(64),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let name = ContainerName::of_probe(&LaunchId::random());
        let id = engine
            .create(&name, body)
            .await
            .map_err(|error| error.doing("create a container that asks for the hub"))?;
        let ended = self.run_to_end(&id).await;
        let removed = engine.remove(&id).await;
        let (code, log) = ended?;
        removed.map_err(|error| error.doing("remove the container that asked for the hub"))?;
        match code {
            0 => Ok(seen),
            NO_PROGRAM => Err(SpawnError::other(
                "The image has none of curl, python3, wget and bash, so it cannot be told whether \
                 its servers reach the hub.",
            )),
            _ => {
                let message = format!(
                    "Servers on the network \"{network}\" cannot reach the hub at {seen}: {reason}. \
                     Check that the hub listens there (`bind` in [hub], or `connect_url` for \
                     another address) and that no firewall of this host drops what comes from the \
                     bridge of the network, as ufw and firewalld do by default.",
                    network = shared.network.name(),
                    reason = log.last().map_or("no reason was given", |line| line.trim()),
                );
                Err(SpawnError::new(SpawnErrorKind::Unavailable, message))
            }
        }
    }

    /// One finding after the other; what needs an engine is left out when there is none.
    pub(crate) async fn look_at_everything(&self, hub_url: &str) -> Vec<Finding> {
        let Shared {
            engine,
            network,
            settings,
            ..
        } = self.shared();
        let info = match engine.info().await {
            Ok(info) => info,
            Err(error) => {
                let error = error.doing("say what it can do");
                return vec![Finding::of(Err(error), "")];
            }
        };
        let version = info.server_version.as_deref().unwrap_or("of no version");
        let at = engine.host();
        let mut findings = vec![Finding::new(
            Verdict::Fine,
            format!("Docker Engine {version} answers at {at}"),
        )];
        findings.push(self.look_at_limits(Able::of(&info)));
        // The network of a hub that never ran is made for the look, and removed after it.
        let was_there = network.is_there(engine).await;
        let checked = self.check_network().await;
        let usable = checked.is_ok();
        let name = network.name();
        findings.push(Finding::of(
            checked,
            match settings.network {
                Some(_) => format!("servers are on the network \"{name}\""),
                None => format!(
                    "servers are on the network \"{name}\" of this hub's own, where they cannot \
                     reach each other; it stays when the hub ends, and \"docker network rm {name}\" \
                     removes it from a host that has no hub any more"
                ),
            },
        ));
        let images = self.look_at_images().await;
        let is_here = images.iter().all(|found| found.verdict == Verdict::Fine);
        findings.extend(images);
        if usable && is_here {
            findings.push(match self.check_hub(hub_url).await {
                Ok(seen) => Finding::new(
                    Verdict::Fine,
                    format!("a container on \"{name}\" reaches the hub at {seen}"),
                ),
                Err(error) => Finding::of(Err(error), ""),
            });
        } else {
            let message = "it was not asked whether servers reach the hub: that takes the network \
                           and the default image";
            findings.push(Finding::new(Verdict::Warning, message));
        }
        if usable
            && settings.network.is_none()
            && matches!(was_there, Ok(false))
            && let Err(error) = network.remove(engine).await
        {
            findings.push(Finding::new(Verdict::Warning, error.to_string()));
        }
        findings
    }

    fn look_at_limits(&self, able: Able) -> Finding {
        let Shared {
            config, settings, ..
        } = self.shared();
        let pids = settings.pids_limit.is_some();
        let limits = match Limits::of(config) {
            Ok(limits) => limits,
            Err(error) => return Finding::of(Err(error), ""),
        };
        if limits.memory.is_some() && !able.limits_swap() {
            let message = "this engine cannot limit swap: `mem_limit` holds for memory alone. Boot \
                           with swapaccount=1, or turn swap off";
            return Finding::new(Verdict::Warning, message);
        }
        let fine = "this engine enforces every limit that is set, and pids_limit";
        Finding::of(able.check(limits, pids), fine)
    }

    /// The default image first. One that will be pulled is worth a warning: its first start waits.
    async fn look_at_images(&self) -> Vec<Finding> {
        let policy = self.shared().settings.pull.policy;
        let mut findings = Vec::new();
        for image in self.images() {
            let default = findings.is_empty();
            findings.push(match self.shared().engine.image(image).await {
                Err(error) => Finding::of(Err(error.doing("look for the image")), ""),
                Ok(Some(_)) => Finding::new(Verdict::Fine, format!("the image {image} is here")),
                Ok(None) if policy.pulls() && image.pullable().is_some() => Finding::new(
                    Verdict::Warning,
                    format!(
                        "the image {image} is not here, and the first start of it waits until it \
                         is pulled: \"docker pull {image}\", or pre_pull = true"
                    ),
                ),
                Ok(None) if default => Finding::of(Err(image_is_missing(image)), ""),
                Ok(None) => Finding::new(Verdict::Warning, image_is_missing(image).to_string()),
            });
        }
        findings
    }

    async fn run_to_end(&self, id: &ContainerId) -> Result<(i64, Vec<String>), SpawnError> {
        let engine = &self.shared().engine;
        let failed = "run a container that asks for the hub";
        let run = async {
            engine.start(id).await?;
            let code = engine.wait(id, PATIENCE).await?;
            Ok((code, engine.log_tail(id, 5).await?))
        };
        run.await
            .map_err(|error: crate::error::EngineError| error.doing(failed))
    }
}
