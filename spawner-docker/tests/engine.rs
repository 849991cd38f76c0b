//! Stories with the machine's own Docker Engine. Without one they are skipped, aloud; where `CI` is
//! set that is a failure.

mod pretend;
mod world;

use std::net::Ipv4Addr;
use std::time::Duration;

use bollard::query_parameters::{KillContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use pretend::{Fault, Pretend, Verb};
use serde_json::{Value, json};
use spawner_core::{
    Endpoint, ExitStatus, Finding, FormContext, Known, LaunchId, OptionsForm, PollStatus, ServerId,
    SpawnErrorKind, Spawner, SpawnerConfig, SpawnerFactory as _, SpawnerState, StopMode, UserName,
    UserOptions, Verdict,
};
use spawner_docker::{DockerFactory, DockerSettings, Overrides, Patch};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use world::{Hub, alice, get, launch, launch_of, start, until_it_answers};

const GONE: PollStatus = PollStatus::Exited(ExitStatus::Unknown);

#[tokio::test]
async fn a_server_from_start_to_stop() {
    let Some(hub) = Hub::open().await else { return };
    let config = SpawnerConfig {
        mem_limit: Some(64 << 20),
        cpu_limit: Some(0.5),
        ..SpawnerConfig::default()
    };
    let factory = hub.configured(config, json!({}));
    factory.preflight().await.unwrap();
    let mut spawner = factory.spawner(&alice());
    assert_eq!(spawner.poll().await.unwrap(), GONE);
    assert!(spawner.get_state().is_empty());

    let endpoint = start(&hub, &mut spawner).await;
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    assert_eq!(get(&endpoint, "/").await, "ok\n");
    assert_eq!(spawner.endpoint().await.unwrap(), Some(endpoint.clone()));

    // The server is told where to listen, and inherits nothing of ours but what the image has.
    let env = get(&endpoint, "/env").await;
    for line in [
        "JUPYTERHUB_SERVICE_URL=http://0.0.0.0:8888/user/alice/",
        "JUPYTERHUB_API_TOKEN=the-token",
        &format!("JUPYTER_IMAGE_SPEC={}", hub.image.name),
        "MEM_LIMIT=67108864",
        "CPU_LIMIT=0.5",
    ] {
        assert!(env.lines().any(|found| found == line), "{line} in {env}");
    }
    assert!(!env.contains("CARGO") && !env.contains("LANG="), "{env}");

    let found = hub.inspect().await;
    assert_eq!(found["Name"], format!("/{}-alice", hub.prefix()));
    let labels = &found["Config"]["Labels"];
    assert_eq!(labels["hubd.user"], "alice");
    assert_eq!(labels["hubd.server"], "");
    assert_eq!(labels["hubd.launch"].as_str().map(str::len), Some(32));
    let state = spawner.get_state();
    assert_eq!(state.data["container_id"], found["Id"]);

    let mut log = spawner.log_tail(10).await;
    log.sort();
    assert_eq!(log, ["probe: listening", "probe: uid 0"]);
    assert_eq!(spawner.log_tail(1).await.len(), 1);

    spawner.stop(StopMode::Graceful).await.unwrap();
    assert_eq!(hub.containers().await, [""; 0]);
    assert_eq!(spawner.poll().await.unwrap(), GONE);
    assert!(spawner.get_state().is_empty());
    // A stop of what is stopped is fine.
    spawner.stop(StopMode::Now).await.unwrap();
}

#[tokio::test]
async fn the_end_is_heard_with_its_reason() {
    let Some(hub) = Hub::open().await else { return };
    for (path, expected) in [
        ("/exit/0", ExitStatus::Code(0)),
        ("/exit/3", ExitStatus::Code(3)),
        ("/kill/11", ExitStatus::Signal(11)),
        ("/eat", ExitStatus::OutOfMemory),
    ] {
        let config = SpawnerConfig {
            mem_limit: Some(16 << 20),
            ..SpawnerConfig::default()
        };
        let mut spawner = hub.configured(config, json!({})).spawner(&alice());
        let endpoint = start(&hub, &mut spawner).await;
        let (status, _) = tokio::join!(spawner.exited(), get(&endpoint, path));
        assert_eq!(status, expected, "{path}");
        let polled = spawner.poll().await.unwrap();
        assert_eq!(polled, PollStatus::Exited(expected), "{path}");
        // Both of its outputs, in no order that could be told.
        let log = spawner.log_tail(10).await;
        let said = log.iter().any(|line| line == "probe: exiting");
        assert_eq!(said, path.starts_with("/exit"), "{log:?}");
        spawner.stop(StopMode::Graceful).await.unwrap();
        assert_eq!(hub.containers().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_program_that_is_not_in_the_image_is_named() {
    let Some(hub) = Hub::open().await else { return };
    let config = SpawnerConfig {
        cmd: vec!["/nosuch-program".to_owned()],
        ..SpawnerConfig::default()
    };
    // The probe's image has an entry point, which would take it for an argument.
    let table = json!({"extra_create": {"Entrypoint": []}});
    let mut spawner = hub.configured(config, table).spawner(&alice());
    let launch = launch(&mut spawner, json!({})).await;
    // Whether it has ended when the engine says that it was started is a race.
    let error = match spawner.start(launch).await {
        Err(error) => error,
        Ok(endpoint) => {
            assert_eq!(spawner.exited().await, ExitStatus::Code(127));
            spawner.check_listener(&endpoint).await.unwrap_err()
        }
    };
    assert_eq!(error.kind(), SpawnErrorKind::Exited(ExitStatus::Code(127)));
    let said = "\"/nosuch-program\" cannot be run in the container: No such file";
    assert!(error.to_string().contains(said), "{error}");
    spawner.stop(StopMode::Now).await.unwrap();
}

#[tokio::test]
async fn an_engine_is_looked_at_from_all_sides() {
    let Some(hub) = Hub::open().await else { return };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let url = format!("http://{}/hub/api", listener.local_addr().unwrap());
    let url = url.replace("0.0.0.0", "127.0.0.1");
    let answer = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.0 204 Fine\r\n\r\n").await;
        }
    };
    // On a network of the hub's own, which is not there yet and is not left there.
    let mut settings = json!({"image": hub.image.name, "prefix": hub.prefix()});
    settings["pull_policy"] = json!("never");
    let settings = DockerSettings::from_table(settings.as_object().unwrap()).unwrap();
    let factory = DockerFactory::new(SpawnerConfig::default(), settings, hub.instance.clone());
    let findings = tokio::select! {
        findings = factory.diagnose(&url) => findings,
        () = answer => unreachable!("it answers for ever"),
    };
    let fine = |found: &Finding| found.verdict != Verdict::Problem;
    assert!(findings.iter().all(fine), "{findings:#?}");
    let reaches = |found: &Finding| found.message.contains("reaches the hub at");
    assert!(findings.iter().any(reaches), "{findings:#?}");
    assert_eq!(hub.containers().await, [""; 0]);
    let none = None::<bollard::query_parameters::InspectNetworkOptions>;
    let network = format!("hubd-{}", hub.instance);
    assert!(hub.docker.inspect_network(&network, none).await.is_err());

    // And an engine that is not there.
    let nowhere = hub.factory(json!({"host": "unix:///nonexistent/engine.sock"}));
    let findings = nowhere.diagnose(&url).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict, Verdict::Problem);
    assert!(
        findings[0].message.contains("cannot be reached"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_stubborn_server_is_killed() {
    let Some(hub) = Hub::open().await else { return };
    let mut spawner = hub.spawner(json!({"stop_timeout": 0.2, "remove": false}));
    let mut stubborn = launch(&mut spawner, json!({})).await;
    stubborn.args.push("stubborn".into());
    let endpoint = spawner.start(stubborn).await.unwrap();
    hub.listening().await;
    assert_eq!(get(&endpoint, "/args").await, "stubborn\n");
    spawner.stop(StopMode::Graceful).await.unwrap();
    // Not removed, so that its log can be read.
    let state = hub.inspect().await["State"].clone();
    assert_eq!(state["ExitCode"], 137, "{state}");

    // The next start takes its place, and `Now` asks nobody.
    start(&hub, &mut spawner).await;
    spawner.stop(StopMode::Now).await.unwrap();
    assert_eq!(hub.inspect().await["State"]["Running"], false);
}

#[tokio::test]
async fn another_hub_process_takes_over() {
    let Some(hub) = Hub::open().await else { return };
    let mut before = hub.spawner(json!({}));
    let endpoint = start(&hub, &mut before).await;
    let saved = serde_json::to_string(&before.get_state()).unwrap();
    drop(before);

    let mut after = hub.spawner(json!({}));
    let state: SpawnerState = serde_json::from_str(&saved).unwrap();
    after.load_state(&state).unwrap();
    assert_eq!(after.get_state(), state);
    assert_eq!(after.poll().await.unwrap(), PollStatus::Running);
    let found = after.endpoint().await.unwrap();
    assert_eq!(found.as_ref(), Some(&endpoint));
    assert_eq!(get(&endpoint, "/").await, "ok\n");
    let (status, _) = tokio::join!(after.exited(), get(&endpoint, "/exit/7"));
    assert_eq!(status, ExitStatus::Code(7));
    after.stop(StopMode::Now).await.unwrap();
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn a_paused_server_is_there_and_can_be_stopped() {
    let Some(hub) = Hub::open().await else { return };
    for mode in [StopMode::Graceful, StopMode::Now] {
        let mut spawner = hub.spawner(json!({}));
        start(&hub, &mut spawner).await;
        let id = hub.container().await;
        hub.docker.pause_container(&id).await.unwrap();
        assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
        spawner.stop(mode).await.unwrap();
        assert_eq!(hub.containers().await, [""; 0]);
    }
}

#[tokio::test]
async fn what_happens_behind_our_back_is_noticed() {
    let Some(hub) = Hub::open().await else { return };
    let mut spawner = hub.spawner(json!({}));
    start(&hub, &mut spawner).await;
    let id = hub.container().await;
    let kill = KillContainerOptionsBuilder::default()
        .signal("KILL")
        .build();
    let (status, killed) =
        tokio::join!(spawner.exited(), hub.docker.kill_container(&id, Some(kill)));
    killed.unwrap();
    assert_eq!(status, ExitStatus::Signal(9));

    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    hub.docker
        .remove_container(&id, Some(remove))
        .await
        .unwrap();
    // What was told stays told, and only a hub that was not there knows less.
    let killed = PollStatus::Exited(ExitStatus::Signal(9));
    assert_eq!(spawner.poll().await.unwrap(), killed);
    assert_eq!(spawner.exited().await, ExitStatus::Signal(9));
    assert_eq!(spawner.endpoint().await.unwrap(), None);
    assert!(spawner.log_tail(5).await.is_empty());
    spawner.stop(StopMode::Graceful).await.unwrap();
}

#[tokio::test]
async fn listening_for_the_end_can_be_dropped_and_asked_again() {
    let Some(hub) = Hub::open().await else { return };
    let mut spawner = hub.spawner(json!({}));
    let endpoint = start(&hub, &mut spawner).await;
    for _ in 0..5 {
        tokio::select! {
            status = spawner.exited() => panic!("it ended: {status}"),
            answer = get(&endpoint, "/") => assert_eq!(answer, "ok\n"),
        }
    }
    get(&endpoint, "/exit/5").await;
    // Whether it ends before or after we listen makes no difference.
    assert_eq!(spawner.exited().await, ExitStatus::Code(5));
    assert_eq!(spawner.exited().await, ExitStatus::Code(5));
}

#[tokio::test]
async fn an_older_container_of_ours_gives_way() {
    let Some(hub) = Hub::open().await else { return };
    let mut forgotten = hub.spawner(json!({}));
    start(&hub, &mut forgotten).await;
    let old = hub.container().await;
    drop(forgotten);
    // As after a crash before anything was saved.
    let mut spawner = hub.spawner(json!({}));
    start(&hub, &mut spawner).await;
    assert!(!hub.exists(&old).await);
    assert_ne!(hub.container().await, old);
    // Who knows of no run ends none.
    let mut unknowing = hub.spawner(json!({}));
    unknowing.stop(StopMode::Now).await.unwrap();
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    spawner.stop(StopMode::Now).await.unwrap();
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn what_the_same_launch_has_made_is_taken_up() {
    let Some(hub) = Hub::open().await else { return };
    let mut first = hub.spawner(json!({}));
    let launched = launch(&mut first, json!({})).await;
    let run = launched.ctx.launch_id.clone();
    first.start(launched).await.unwrap();
    let made = hub.container().await;
    drop(first);
    let mut again = hub.spawner(json!({}));
    let mut same = launch(&mut again, json!({})).await;
    same.ctx.launch_id = run;
    let endpoint = again.start(same).await.unwrap();
    hub.listening().await;
    assert_eq!(get(&endpoint, "/").await, "ok\n");
    assert_eq!(hub.container().await, made);
    again.stop(StopMode::Now).await.unwrap();
    assert_eq!(hub.containers().await, [""; 0]);
}

/// As after a crash in the middle of a creation, which the engine ends after the next hub has looked.
#[tokio::test]
async fn a_name_that_the_same_launch_has_taken_is_taken_up() {
    let Some(hub) = Hub::open().await else { return };
    let Some(front) = Pretend::before_the_real_one() else {
        eprintln!("SKIPPED: the engine is not at a socket of this host");
        return;
    };
    front.fail_once(Verb::Create, Fault::Twice);
    let mut spawner = hub.spawner(json!({"host": front.host()}));
    let endpoint = start(&hub, &mut spawner).await;
    assert_eq!(front.calls(Verb::Create).len(), 1, "no other was made");
    assert_eq!(front.calls(Verb::Remove).len(), 0);
    assert_eq!(get(&endpoint, "/").await, "ok\n");
    hub.container().await;
    spawner.stop(StopMode::Now).await.unwrap();
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn what_is_not_in_the_books_is_found_by_its_labels() {
    let Some(hub) = Hub::open().await else { return };
    let factory = hub.factory(json!({}));
    let mut spawner = factory.spawner(&alice());
    let launch = launch(&mut spawner, json!({})).await;
    let known = Known {
        server: alice(),
        launch_id: launch.ctx.launch_id.clone(),
    };
    let endpoint = spawner.start(launch).await.unwrap();
    drop(spawner);
    assert_eq!(
        factory.reap(std::slice::from_ref(&known)).await.unwrap(),
        []
    );
    // Another hub on the same engine.
    let other = Hub::open().await.unwrap();
    assert_eq!(other.factory(json!({})).reap(&[]).await.unwrap(), []);

    let found = factory.reap(&[]).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].server, known.server);
    assert_eq!(found[0].launch_id, known.launch_id);
    let mut adopted = factory.spawner(&alice());
    adopted.load_state(&found[0].state).unwrap();
    assert_eq!(adopted.poll().await.unwrap(), PollStatus::Running);
    assert_eq!(adopted.endpoint().await.unwrap(), Some(endpoint));
    found[0].end(&factory).await.unwrap();
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn a_strangers_container_is_left_alone() {
    let Some(mut hub) = Hub::open().await else {
        return;
    };
    let stranger = hub.stranger(&format!("{}-alice", hub.prefix())).await;
    let mut spawner = hub.spawner(json!({}));
    let launch = launch(&mut spawner, json!({})).await;
    let error = spawner.start(launch).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::Refused);
    assert!(error.to_string().contains("left alone"), "{error}");
    spawner.stop(StopMode::Now).await.unwrap();
    assert!(hub.exists(&stranger).await);

    // Nor is it adopted by a state that names it.
    let state = json!({"version": 1, "data": {
        "launch": LaunchId::random(), "container_id": stranger, "name": "x",
    }});
    spawner
        .load_state(&serde_json::from_value(state).unwrap())
        .unwrap();
    assert_eq!(spawner.poll().await.unwrap(), GONE);
    spawner.stop(StopMode::Now).await.unwrap();
    assert!(hub.exists(&stranger).await);
}

#[tokio::test]
async fn only_allowed_images_run() {
    let Some(hub) = Hub::open().await else { return };
    let image = &hub.image.name;
    let allowed = json!({"Probe": image, "Absent": "hubd-test-absent:1"});
    let table = json!({"allowed_images": allowed, "pull_policy": "never"});
    let mut spawner = hub.spawner(table);
    for options in [
        json!({"image": image}),
        json!({"image": "hubd-test-absent:1"}),
    ] {
        let chosen: UserOptions = serde_json::from_value(options.clone()).unwrap();
        assert!(spawner.check_options(&chosen).is_err(), "{options}");
        // Not even for a caller who forgot to check.
        let launch = launch(&mut spawner, options).await;
        let error = spawner.start(launch).await.unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Refused, "{error}");
    }
    let absent = launch(&mut spawner, json!({"image": "Absent"})).await;
    let error = spawner.start(absent).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::NotFound);
    assert!(
        error.to_string().contains("docker pull hubd-test-absent:1"),
        "{error}"
    );
    assert_eq!(hub.containers().await, [""; 0]);

    let previous: UserOptions = serde_json::from_value(json!({"image": "Probe"})).unwrap();
    let server = alice();
    let form = spawner
        .options_form(&FormContext { server, previous })
        .await;
    let OptionsForm::Html(html) = form.unwrap() else {
        panic!("no form")
    };
    assert!(html.contains("<option value=\"Probe\" selected>"), "{html}");
    let chosen = launch(&mut spawner, json!({"image": "Probe"})).await;
    spawner.start(chosen).await.unwrap();
    assert_eq!(hub.inspect().await["Config"]["Image"], **image);
}

#[tokio::test]
async fn a_start_that_cannot_work_says_why() {
    let Some(hub) = Hub::open().await else { return };
    let no_folder = json!({"volumes": {"/nonexistent/hubd-test": "/data"}});
    let no_network = json!({"network_name": "hubd-test-no-such-network"});
    for (table, part) in [
        (no_folder, "/nonexistent/hubd-test"),
        (no_network.clone(), "hubd-test-no-such-network"),
    ] {
        let mut spawner = hub.spawner(table);
        let launch = launch(&mut spawner, json!({})).await;
        let error = spawner.start(launch).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        // Whatever was made is found and removed.
        spawner.stop(StopMode::Now).await.unwrap();
        assert_eq!(hub.containers().await, [""; 0]);
    }
    // An engine notices a network that is not there as late as that; a hub asks before it serves.
    let error = hub.factory(no_network).preflight().await.unwrap_err();
    assert!(
        error.to_string().contains("docker network create"),
        "{error}"
    );
}

#[tokio::test]
async fn volumes_are_where_the_configuration_puts_them() {
    let Some(mut hub) = Hub::open().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let volume = format!("{}-home", hub.prefix());
    hub.volumes.push(format!("{volume}-alice"));
    let mut spawner = hub.spawner(json!({
        "volumes": {format!("{volume}-{{username}}"): "/home/{username}"},
        "read_only_volumes": {folder: "/data"},
    }));
    start(&hub, &mut spawner).await;
    let mut mounts = hub.inspect().await["Mounts"].as_array().unwrap().clone();
    mounts.sort_by_key(|mount| mount["Type"].to_string());
    assert_eq!(mounts.len(), 2);
    assert_eq!(
        (&mounts[0]["Source"], &mounts[0]["RW"]),
        (&json!(folder), &json!(false))
    );
    assert_eq!(mounts[1]["Name"], format!("{volume}-alice"));
    assert_eq!(mounts[1]["Destination"], "/home/alice");
    spawner.stop(StopMode::Now).await.unwrap();
    // What is in a volume outlives its containers.
    let kept = hub.docker.inspect_volume(&hub.volumes[0]).await;
    assert!(kept.is_ok());
}

#[tokio::test]
async fn a_server_can_be_reached_inside_its_network() {
    let Some(hub) = Hub::open().await else { return };
    let mut spawner = hub.spawner(json!({"use_internal_ip": true}));
    let endpoint = start(&hub, &mut spawner).await;
    assert!(endpoint.to_string().ends_with(":8888"), "{endpoint}");
    assert_eq!(get(&endpoint, "/").await, "ok\n");
    let published = hub.inspect().await["HostConfig"]["PortBindings"].clone();
    assert!(published.as_object().is_none_or(serde_json::Map::is_empty));
}

#[tokio::test]
async fn a_start_dropped_anywhere_leaves_nothing() {
    let Some(hub) = Hub::open().await else { return };
    for patience in [0, 1, 3, 10, 30, 60, 100, 200, 400] {
        let mut spawner = hub.spawner(json!({}));
        let launch = launch(&mut spawner, json!({})).await;
        let start = spawner.start(launch);
        // How far it comes differs from time to time; what is left must not.
        let _ = tokio::time::timeout(Duration::from_millis(patience), start).await;
        spawner.stop(StopMode::Now).await.unwrap();
        assert_eq!(hub.containers().await, [""; 0], "after {patience} ms");
    }
}

#[tokio::test]
async fn servers_of_different_users_are_apart() {
    let Some(hub) = Hub::open().await else { return };
    let factory = hub.factory(json!({"network_name": null}));
    // It makes the network, and then knows where the hub is from there.
    factory.preflight().await.unwrap();
    let bob = ServerId::default_of(UserName::new("bob").unwrap());
    let mut endpoints = Vec::new();
    let mut spawners = Vec::new();
    for server in [alice(), bob] {
        let mut spawner = factory.spawner(&server);
        let launch = launch_of(&mut spawner, &server, json!({})).await;
        endpoints.push(spawner.start(launch).await.unwrap());
        spawners.push(spawner);
    }
    let mut addresses = Vec::new();
    for id in hub.containers().await {
        hub.until_it_listens(&id).await;
        let found = hub.inspect_id(&id).await;
        let networks = &found["NetworkSettings"]["Networks"];
        let networks = networks.as_object().unwrap();
        assert_eq!(networks.len(), 1, "{networks:?}");
        let own = &networks[&format!("hubd-{}", hub.instance)];
        addresses.push(own["IPAddress"].as_str().unwrap().to_owned());
    }
    // The hub reaches both, on the host's side and inside.
    for (endpoint, address) in endpoints.iter().zip(&addresses) {
        assert_eq!(get(endpoint, "/").await, "ok\n");
        let inside = Endpoint::Tcp {
            host: address.clone(),
            port: 8888,
        };
        assert_eq!(get(&inside, "/").await, "ok\n");
    }
    // Each reaches itself and not the other.
    for endpoint in &endpoints {
        let mut answers = Vec::new();
        for address in &addresses {
            answers.push(get(endpoint, &format!("/connect/{address}/8888")).await);
        }
        answers.sort();
        assert_eq!(answers, ["no\n", "yes\n"]);
    }
    // A hub on loopback is told as the gateway.
    let env = get(&endpoints[0], "/env").await;
    let url = env
        .lines()
        .find_map(|line| line.strip_prefix("JUPYTERHUB_API_URL=http://"));
    let (host, path) = url.unwrap().split_once(':').unwrap();
    assert!(host.ends_with(".1") && host != "127.0.0.1", "{url:?}");
    assert_eq!(path, "8000/hub/api");
    for spawner in &mut spawners {
        spawner.stop(StopMode::Now).await.unwrap();
    }
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn a_container_that_stays_is_used_again_with_a_fresh_environment() {
    let Some(hub) = Hub::open().await else { return };
    let stays = |more: &Value| {
        let mut table = json!({"remove": false});
        let more = more.as_object().unwrap().clone();
        table.as_object_mut().unwrap().extend(more);
        table
    };
    let unchanged = json!({});
    let mut container = None;
    // Each by another process of the hub.
    for _ in 0..2 {
        let mut spawner = hub.spawner(stays(&unchanged));
        let launch = launch(&mut spawner, json!({})).await;
        let marker = format!("HUBD_LAUNCH_ID={}", launch.ctx.launch_id);
        let endpoint = spawner.start(launch).await.unwrap();
        until_it_answers(&endpoint).await;
        let env = get(&endpoint, "/env").await;
        let has = |line: &str| env.lines().any(|found| found == line);
        assert!(
            has(&marker) && has("JUPYTERHUB_API_TOKEN=the-token"),
            "{env}"
        );
        // The token is not among what the engine shows.
        assert!(!hub.inspect().await.to_string().contains("the-token"));
        let found = hub.container().await;
        assert_eq!(container.get_or_insert(found.clone()), &found);
        let (status, _) = tokio::join!(spawner.exited(), get(&endpoint, "/exit/3"));
        assert_eq!(status, ExitStatus::Code(3));
        spawner.stop(StopMode::Graceful).await.unwrap();
        let left = hub.factory(stays(&unchanged)).reap(&[]).await.unwrap();
        assert_eq!(left, []);
    }
    let container = container.unwrap();
    // Made from something else: replaced, unless that was ruled out.
    for (table, same) in [
        (json!({"cap_add": ["CHOWN"], "reuse": "always"}), true),
        (json!({"cap_add": ["CHOWN"]}), false),
    ] {
        let mut spawner = hub.spawner(stays(&table));
        let launch = launch(&mut spawner, json!({})).await;
        spawner.start(launch).await.unwrap();
        assert_eq!(hub.container().await == container, same, "{table}");
        spawner.stop(StopMode::Now).await.unwrap();
    }
    let container = hub.container().await;
    let mut spawner = hub.spawner(stays(&json!({"cap_add": ["CHOWN"], "reuse": "never"})));
    start(&hub, &mut spawner).await;
    assert_ne!(hub.container().await, container);
    spawner.stop(StopMode::Now).await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_repeated_takes_what_it_made() {
    let Some(hub) = Hub::open().await else { return };
    let mut spawner = hub.spawner(json!({}));
    let first = launch(&mut spawner, json!({})).await;
    let mut again = launch(&mut spawner, json!({})).await;
    again.ctx = first.ctx.clone();
    let endpoint = spawner.start(first).await.unwrap();
    let container = hub.container().await;
    hub.docker.pause_container(&container).await.unwrap();
    let mut other = hub.spawner(json!({}));
    assert_eq!(other.start(again).await.unwrap(), endpoint);
    assert_eq!(hub.container().await, container);
    assert_eq!(hub.inspect().await["State"]["Paused"], false);
    until_it_answers(&endpoint).await;
    other.stop(StopMode::Now).await.unwrap();
}

#[tokio::test]
async fn raw_settings_and_those_of_one_start_come_last() {
    let Some(hub) = Hub::open().await else { return };
    let table = |table: Value| table.as_object().unwrap().clone();
    let mut spawner = hub.spawner(json!({
        "extra_create": {"Hostname": "configured", "Labels": {"hubd.user": "mallory"}},
        "extra_host_config": {"ShmSize": 1 << 20, "CapAdd": ["KILL"]},
    }));
    let launch = launch(&mut spawner, json!({})).await;
    let patch = Patch::new(
        table(json!({"Hostname": "once"})),
        table(json!({"ShmSize": 2 << 20})),
    );
    let overrides = Overrides {
        image: None,
        patch: patch.unwrap(),
    };
    Box::pin(spawner.start_with(launch, overrides))
        .await
        .unwrap();
    let found = hub.inspect().await;
    assert_eq!(found["Config"]["Hostname"], "once");
    assert_eq!(found["Config"]["Labels"]["hubd.user"], "alice");
    assert_eq!(found["HostConfig"]["ShmSize"], 2 << 20);
    assert_eq!(found["HostConfig"]["CapAdd"], json!(["KILL"]));
    assert_eq!(found["HostConfig"]["CapDrop"], json!(["ALL"]));
    spawner.stop(StopMode::Now).await.unwrap();
}

#[tokio::test]
async fn a_system_user_is_the_one_of_the_host() {
    let Some(hub) = Hub::open().await else { return };
    let homes = tempfile::tempdir().unwrap();
    let home = homes.path().join("daemon");
    std::fs::create_dir(&home).unwrap();
    let factory = hub.factory(json!({
        "system_user": {"host_home": format!("{}/{{username}}", homes.path().display())},
        "mounts": [{"Type": "tmpfs", "Target": "/scratch/{username}"}],
    }));
    // Every system has it, and it is not root.
    let daemon = ServerId::default_of(UserName::new("daemon").unwrap());
    let mut spawner = factory.spawner(&daemon);
    let launch = launch_of(&mut spawner, &daemon, json!({})).await;
    let endpoint = spawner.start(launch).await.unwrap();
    until_it_answers(&endpoint).await;
    let env = get(&endpoint, "/env").await;
    for line in ["NB_USER=daemon", "NB_UID=1", "HOME=/home/daemon"] {
        assert!(env.lines().any(|found| found == line), "{line} in {env}");
    }
    let log = spawner.log_tail(10).await;
    assert!(log.contains(&"probe: uid 1".to_owned()), "{log:?}");
    let found = hub.inspect().await;
    assert_eq!(found["Config"]["WorkingDir"], "/home/daemon");
    let mounts = found["Mounts"].as_array().unwrap();
    let at = |place: &str| mounts.iter().find(|mount| mount["Destination"] == place);
    assert_eq!(at("/home/daemon").unwrap()["Source"], json!(home));
    assert_eq!(at("/scratch/daemon").unwrap()["Type"], "tmpfs");
    spawner.stop(StopMode::Now).await.unwrap();

    let root = ServerId::default_of(UserName::new("root").unwrap());
    let mut spawner = factory.spawner(&root);
    let launch = launch_of(&mut spawner, &root, json!({})).await;
    let error = spawner.start(launch).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::Refused, "{error}");
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn whether_servers_reach_the_hub_can_be_asked() {
    let Some(hub) = Hub::open().await else { return };
    let factory = hub.factory(json!({}));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/hub/api");
    let mut answers = JoinSet::new();
    answers.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{}").await;
        }
    });
    let seen = factory.check_hub(&url).await.unwrap();
    assert!(seen.ends_with(&format!(":{port}/hub/api")) && !seen.contains("127.0.0.1"));
    answers.shutdown().await;
    let error = factory.check_hub(&url).await.unwrap_err();
    assert!(error.to_string().contains("firewall"), "{error}");
    assert_eq!(hub.containers().await, [""; 0]);
}

#[tokio::test]
async fn a_new_volume_is_its_users() {
    let Some(mut hub) = Hub::open().await else {
        return;
    };
    let volume = format!("{}-own", hub.prefix());
    hub.volumes.push(format!("{volume}-alice"));
    let table = json!({
        "volumes": {format!("{volume}-{{username}}"): "/work/{username}"},
        "extra_create": {"User": "1234:567"},
    });
    // The second time it is theirs already.
    for _ in 0..2 {
        let mut spawner = hub.spawner(table.clone());
        let launch = launch(&mut spawner, json!({})).await;
        let endpoint = spawner.start(launch).await.unwrap();
        until_it_answers(&endpoint).await;
        assert_eq!(get(&endpoint, "/owner/work/alice").await, "1234:567\n");
        spawner.stop(StopMode::Now).await.unwrap();
    }
}
