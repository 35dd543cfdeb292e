//! The mirror on the real engine: what comes up, what does not, and what is known of it then.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::docker::{IMAGE, docker, image};
use crate::stage::{LIMIT, Stage, all_lines, comes_up, says};
use rehearsal::mirror::failure::{ServiceFailure, ServiceFailureKind};
use rehearsal::record::release::Role;
use rehearsal::world::deploy::Deploy;
use rehearsal::world::model::{
    Attachment, Condition, Dependency, Health, Mount, Network, Restart, Service, Source, VolumeOptions, World,
};
use rehearsal::world::replica::Replica;

/// A mirror of these services.
async fn stage_of(services: impl IntoIterator<Item = Service>) -> Stage {
    Stage::of(world(services)).await
}

async fn fails(stage: &Stage) -> ServiceFailure {
    fails_within(stage, LIMIT).await
}

async fn fails_within(stage: &Stage, limit: Duration) -> ServiceFailure {
    let started = stage.mirror.start(limit).await.unwrap().started;
    started
        .into_iter()
        .find_map(|started| started.failure)
        .expect("it came up")
}

pub fn world(services: impl IntoIterator<Item = Service>) -> World {
    let services: BTreeMap<String, Service> = services
        .into_iter()
        .map(|service| (service.name.clone(), service))
        .collect();
    let mounts = services.values().flat_map(|service| &service.mounts);
    let named = mounts.filter_map(|mount| match &mount.source {
        Source::Volume(name) => Some(name.clone()),
        _ => None,
    });
    let volumes: std::collections::BTreeSet<String> = named.collect();
    let networks = BTreeMap::from([("front".to_owned(), Network::default())]);
    World {
        volumes: volumes.into_iter().collect(),
        services,
        networks,
        ..World::default()
    }
}

/// A service that runs a line of shell as process 1 and ends when it is told to.
pub fn service(name: &str, line: &str) -> Service {
    Service {
        name: name.to_owned(),
        image: IMAGE.to_owned(),
        command: Some(["sh", "-c", line].map(str::to_owned).to_vec()),
        networks: BTreeMap::from([("front".to_owned(), Attachment::named([name]))]),
        stop_signal: Some("SIGKILL".to_owned()),
        ..Service::default()
    }
}

fn needs(service: &str, condition: Condition) -> Dependency {
    Dependency {
        service: service.to_owned(),
        condition,
        restart: false,
        optional: false,
    }
}

fn check(words: &[&str]) -> Option<Health> {
    let test = words.iter().map(|word| (*word).to_owned()).collect();
    Some(Health {
        test,
        interval: Some(Duration::from_secs(3)),
        retries: Some(2),
        ..Health::default()
    })
}

/// A health check that counts how often it is asked, and what a line of shell makes of it; production asks it every minute.
fn counted(passes: &str) -> Option<Health> {
    let line = format!("echo asked >>/tmp/asked; n=$(wc -l </tmp/asked); {passes}");
    check(&["CMD-SHELL", &line]).map(|health| Health {
        interval: Some(Duration::from_mins(1)),
        ..health
    })
}

#[tokio::test]
async fn a_check_is_asked_again_long_before_its_interval_and_once_more_after_it_passed() {
    // Passes when it is asked for the third time: at production's own pace in three minutes, far beyond this test's
    // limit. How soon after the truth it is seen, in milliseconds, is a figure of `make bench-mirror`.
    let stage = stage_of([Service {
        health: counted("[ $n -ge 3 ]"),
        ..service("web", "sleep infinity")
    }])
    .await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "web", "wc -l </tmp/asked").await, "4");
    stage.down().await;
}

#[tokio::test]
async fn a_check_that_passes_once_and_does_not_hold_is_not_readiness() {
    let stage = stage_of([Service {
        health: counted("[ $n -ne 2 ]"),
        ..service("web", "sleep infinity")
    }])
    .await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "web", "wc -l </tmp/asked").await, "4");
    stage.down().await;
}

#[tokio::test]
async fn a_check_that_never_passes_is_asked_as_often_as_production_would_ask_it_and_five_times_at_least() {
    let web = Service {
        health: counted("false"),
        ..service("web", "sleep infinity")
    };
    let stage = stage_of([web]).await;
    let within = Duration::from_secs(12);
    let failure = fails_within(&stage, within).await;
    assert!(
        failure.headline().starts_with("`web` was not ready within 12 s"),
        "{failure}"
    );
    // The last question is kept to ask whether it holds.
    let asked = says(&stage.mirror, "web", "wc -l </tmp/asked").await;
    assert!(asked.parse::<u32>().unwrap() <= 4, "{asked}");
    stage.down().await;
}

#[tokio::test]
async fn a_check_that_passes_before_the_declared_port_accepts_from_the_network_is_not_readiness() {
    // As a database does on an empty volume: at first it serves its own scripts alone.
    let line = "httpd -f -p 127.0.0.1:8080 -h /www & sleep 2; kill $!; wait $!; exec httpd -f -p 8080 -h /www";
    let web = Service {
        ports: vec![8080],
        health: check(&["CMD", "true"]),
        ..service("web", line)
    };
    let asks = Service {
        depends_on: vec![needs("web", Condition::Healthy)],
        ..service("asks", "wget -qO- http://web:8080/")
    };
    let stage = stage_of([web, asks]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(all_lines(&stage.mirror, "asks", 1).await, ["fine"]);
    stage.down().await;
}

#[tokio::test]
async fn who_passes_and_accepts_nothing_at_the_declared_port_is_not_ready_and_told_so() {
    let web = Service {
        ports: vec![8080],
        health: check(&["CMD", "true"]).map(|health| Health {
            interval: Some(Duration::from_millis(500)),
            ..health
        }),
        ..service("web", "exec httpd -f -p 127.0.0.1:8080 -h /www")
    };
    let stage = stage_of([web]).await;
    let within = Duration::from_secs(12);
    let failure = fails_within(&stage, within).await;
    let line = failure.line();
    assert!(line.contains("passes, but nothing accepts connections"), "{line}");
    stage.down().await;
}

#[tokio::test]
async fn unhealthy_is_waited_through_at_the_first_start_and_noted() {
    let health = check(&["CMD", "test", "-f", "/data/built"]).map(|health| Health {
        interval: Some(Duration::from_millis(300)),
        ..health
    });
    let index = Service {
        health,
        mounts: vec![Mount {
            target: "/data".to_owned(),
            source: Source::Volume("index".to_owned()),
            read_only: false,
            volume: VolumeOptions::default(),
        }],
        ..service(
            "index",
            "[ -f /data/built ] || sleep 4; touch /data/built; exec sleep infinity",
        )
    };
    let (news, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let stage = Stage::changed(world([index]), |setup| setup.news = news).await;
    comes_up(&stage.mirror).await;
    let mut notes = Vec::new();
    while let Ok(told) = heard.try_recv() {
        if let rehearsal::mirror::News::Note(text) = told {
            notes.push(text);
        }
    }
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("`index` was unhealthy at its first start")),
        "{notes:?}"
    );
    stage.down().await;
}

#[tokio::test]
async fn a_command_that_is_not_in_the_image_is_named() {
    let web = Service {
        command: Some(vec!["/no/such/command".to_owned()]),
        ..service("web", "")
    };
    let stage = stage_of([web]).await;
    let failure = fails(&stage).await;
    assert!(
        matches!(&failure.kind, ServiceFailureKind::NotStarted(words) if words.contains("/no/such/command")),
        "{failure}"
    );
    stage.down().await;
}

#[tokio::test]
async fn a_one_shot_ends_before_what_waits_for_it_starts() {
    let mounts = vec![Mount {
        target: "/data".to_owned(),
        source: Source::Volume("rows".to_owned()),
        read_only: false,
        volume: VolumeOptions::default(),
    }];
    let migrate = Service {
        mounts: mounts.clone(),
        ..service("migrate", "sleep 0.3; echo done >/data/state")
    };
    let depends_on = vec![needs("migrate", Condition::Completed)];
    let stage = stage_of([
        migrate,
        Service {
            mounts,
            depends_on,
            ..service("web", "cat /data/state; sleep infinity")
        },
    ])
    .await;
    comes_up(&stage.mirror).await;
    assert_eq!(all_lines(&stage.mirror, "web", 1).await, ["done"]);
    stage.down().await;
}

#[tokio::test]
async fn a_one_shot_that_fails_is_the_cause_and_says_who_waited() {
    let depends_on = vec![needs("migrate", Condition::Completed)];
    let migrate = service("migrate", "echo FATAL: no such table; exit 3");
    let stage = stage_of([
        migrate,
        Service {
            depends_on,
            ..service("web", "sleep infinity")
        },
    ])
    .await;
    let failure = fails(&stage).await;
    assert_eq!(
        failure.line(),
        "`migrate` exited with code 3 (`web` waits for service_completed_successfully): `FATAL: no such table`"
    );
    stage.down().await;
}

#[tokio::test]
async fn what_exits_well_and_is_not_restarted_has_come_up() {
    let stage = stage_of([service("once", "echo hello")]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(all_lines(&stage.mirror, "once", 1).await, ["hello"]);
    stage.down().await;
}

#[tokio::test]
async fn every_line_is_kept_once_across_restarts() {
    // The last line of each life has no end.
    let line = "echo x >>/data/lives; n=$(wc -l </data/lives); echo begin $n; printf 'end %s' $n; [ $n -gt 2 ] || exit 1; sleep infinity";
    let mounts = vec![Mount {
        target: "/data".to_owned(),
        source: Source::Volume("rows".to_owned()),
        read_only: false,
        volume: VolumeOptions::default(),
    }];
    let health = check(&["CMD-SHELL", "[ $(wc -l </data/lives) = 3 ]"]);
    let flaky = Service {
        mounts,
        health,
        restart: Restart::OnFailure(Some(5)),
        ..service("flaky", line)
    };
    let stage = stage_of([flaky]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(stage.mirror.history(&Replica::only("flaky")).unwrap().exits.len(), 2);
    // What has no end is heard when its container has ended.
    assert_eq!(
        all_lines(&stage.mirror, "flaky", 5).await,
        ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
    );
    stage.down().await;
}

#[tokio::test]
async fn retries_that_are_used_up_are_a_failure() {
    let web = Service {
        restart: Restart::OnFailure(Some(1)),
        ..service("web", "sleep 0.1; echo cannot start; exit 4")
    };
    let health = check(&["CMD", "true", "never"]);
    let health = health.map(|health| Health {
        test: vec!["CMD".to_owned(), "false".to_owned()],
        ..health
    });
    let stage = stage_of([Service { health, ..web }]).await;
    let failure = fails(&stage).await;
    assert_eq!((failure.exit_code, failure.restarts), (Some(4), 1), "{failure}");
    stage.down().await;
}

#[tokio::test]
async fn a_service_in_anothers_network_is_reached_at_its_address() {
    let health = check(&["CMD", "wget", "-qO-", "http://127.0.0.1:8080/"]);
    let web = Service {
        health,
        ..service("web", "exec httpd -f -p 8080 -h /www")
    };
    let side = Service {
        networks: BTreeMap::new(),
        shares_network: Some("web".to_owned()),
        ..service("side", "sleep infinity")
    };
    let depends_on = vec![needs("web", Condition::Healthy)];
    let stage = stage_of([web, Service { depends_on, ..side }]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(
        says(&stage.mirror, "side", "wget -qO- http://127.0.0.1:8080/").await,
        "fine"
    );
    stage.down().await;
}

#[tokio::test]
async fn what_the_kernel_kills_for_memory_is_told_so() {
    let line = "sleep 0.1; exec tail -c 1000000000 /dev/zero";
    let mut greedy = Service {
        health: check(&["CMD", "false"]),
        ..service("greedy", line)
    };
    greedy.limits.memory = Some(16 * 1024 * 1024);
    greedy.limits.memory_swap = Some(16 * 1024 * 1024);
    let stage = stage_of([greedy]).await;
    let failure = fails(&stage).await;
    assert!(failure.oom, "{failure}");
    assert_eq!(failure.exit_code, Some(137));
    stage.down().await;
}

#[tokio::test]
async fn a_terminal_is_no_hindrance_to_reading_a_log() {
    let mut web = service("web", "echo one; printf '\\001two\\n'; printf three");
    web.limits.tty = true;
    let stage = stage_of([web]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(all_lines(&stage.mirror, "web", 3).await, ["one", "\u{1}two", "three"]);
    stage.down().await;
}

/// An image without a shell.
fn shell_less() -> &'static str {
    const NAME: &str = "rehearsal-test/no-shell:1";
    if docker(&["images", "--quiet", NAME]).is_empty() {
        let script = format!("docker run --rm {IMAGE} tar -c -C / bin/busybox | docker import - {NAME}");
        assert!(
            std::process::Command::new("sh")
                .args(["-c", &script])
                .status()
                .unwrap()
                .success()
        );
    }
    NAME
}

#[tokio::test]
async fn a_check_that_needs_no_shell_works_in_an_image_without_one() {
    image();
    let words = |text: &str| Some(text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let health = check(&["CMD", "/bin/busybox", "true"]);
    let command = words("/bin/busybox sleep infinity");
    let stage = stage_of([Service {
        image: shell_less().to_owned(),
        health,
        command,
        ..service("web", "")
    }])
    .await;
    comes_up(&stage.mirror).await;
    stage.down().await;
}

#[tokio::test]
async fn a_check_that_needs_a_shell_which_is_not_there_is_unhealthy() {
    image();
    let health = check(&["CMD-SHELL", "true"]).map(|health| Health {
        interval: Some(Duration::from_millis(300)),
        ..health
    });
    let command = Some(["/bin/busybox", "sleep", "infinity"].map(str::to_owned).to_vec());
    let stage = stage_of([Service {
        image: shell_less().to_owned(),
        health,
        command,
        ..service("web", "")
    }])
    .await;
    let failure = fails(&stage).await;
    assert!(
        matches!(failure.kind, ServiceFailureKind::Unhealthy(Some(_))),
        "{failure}"
    );
    stage.down().await;
}

#[tokio::test]
async fn a_check_that_hangs_at_first_is_asked_again() {
    let line = "mkdir /tmp/first && exec sleep infinity";
    let health = check(&["CMD-SHELL", "rmdir /tmp/first && exec sleep infinity; test -d /www"]);
    let health = health.map(|health| Health {
        timeout: Some(Duration::from_secs(1)),
        ..health
    });
    let stage = stage_of([Service {
        health,
        ..service("web", line)
    }])
    .await;
    comes_up(&stage.mirror).await;
    stage.down().await;
}

#[tokio::test]
async fn a_dependency_that_is_not_in_the_world_holds_nobody_up() {
    let depends_on = vec![Dependency {
        optional: true,
        ..needs("cache", Condition::Healthy)
    }];
    let stage = stage_of([Service {
        depends_on,
        ..service("web", "sleep infinity")
    }])
    .await;
    comes_up(&stage.mirror).await;
    stage.down().await;
}

#[tokio::test]
async fn a_service_without_a_check_is_ready_when_its_port_accepts() {
    let web = Service {
        ports: vec![8080],
        ..service("web", "sleep 0.5; exec httpd -f -p 8080 -h /www")
    };
    let stage = stage_of([web, service("asks", "exec sleep infinity")]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "asks", "wget -qO- http://web:8080/").await, "fine");
    stage.down().await;
}

#[tokio::test]
async fn who_waits_for_the_health_of_what_has_no_check_is_not_started_as_compose_would_have_it() {
    let waits = |health: Option<Health>, optional: bool| {
        let web = Service {
            health,
            ..service("web", "sleep infinity")
        };
        let depends_on = vec![Dependency {
            optional,
            ..needs("web", Condition::Healthy)
        }];
        let asks = Service {
            depends_on,
            ..service("asks", "sleep infinity")
        };
        [web, asks]
    };
    for health in [None, check(&["NONE"])] {
        let stage = stage_of(waits(health, false)).await;
        let failure = fails(&stage).await;
        assert_eq!(
            failure.headline(),
            "`asks` was not started because it waits until `web` is healthy, and `web` has no healthcheck configured"
        );
        stage.down().await;
    }
    let stage = stage_of(waits(None, true)).await;
    comes_up(&stage.mirror).await;
    stage.down().await;
}

#[tokio::test]
async fn a_release_that_takes_away_a_check_which_others_wait_for_does_not_come_up() {
    let web = Service {
        health: check(&["CMD", "true"]),
        ..service("web", "sleep infinity")
    };
    let asks = Service {
        depends_on: vec![needs("web", Condition::Healthy)],
        ..service("asks", "sleep infinity")
    };
    let stage = stage_of([web.clone(), asks]).await;
    comes_up(&stage.mirror).await;
    let release = Service { health: None, ..web };
    let deploy = Deploy::of([("web".to_owned(), release)].into(), &stage.setup.world);
    let swapped = stage.mirror.swap(&deploy, LIMIT, Role::Candidate, None).await;
    let failure = swapped.unwrap_err();
    assert_eq!(failure.replica.service, "asks");
    assert!(
        failure.headline().contains("has no healthcheck configured"),
        "{failure}"
    );
    // The way back is open.
    let back = Deploy::of(
        [("web".to_owned(), stage.setup.world.services["web"].clone())].into(),
        &stage.setup.world,
    );
    stage.mirror.swap(&back, LIMIT, Role::Baseline, None).await.unwrap();
    stage.down().await;
}

#[tokio::test]
async fn what_productions_release_has_ended_well_the_new_one_may_end_too_and_nothing_else() {
    // Ready when its port accepts, long before it ends.
    let until_told = "httpd -p 8080 -h /www; until [ -e /tmp/go ]; do sleep 0.1; done";
    let serves = |name: &str| Service {
        ports: vec![8080],
        ..service(name, until_told)
    };
    let stage = stage_of(["once", "always"].map(serves)).await;
    comes_up(&stage.mirror).await;
    says(&stage.mirror, "once", "touch /tmp/go").await;
    let once = stage.mirror.container_of("once").unwrap().replica;
    let mut seen = stage.mirror.follow(&once).unwrap();
    seen.wait_for(|seen| !seen.running).await.unwrap();
    let ends = |name: &str| {
        let release = Service {
            command: Some(["sh", "-c", "exit 0"].map(str::to_owned).to_vec()),
            ..serves(name)
        };
        Deploy::of([(name.to_owned(), release)].into(), &stage.setup.world)
    };
    let once = stage.mirror.swap(&ends("once"), LIMIT, Role::Candidate, None).await;
    once.unwrap_or_else(|failure| panic!("{failure}"));
    let always = stage.mirror.swap(&ends("always"), LIMIT, Role::Candidate, None).await;
    assert_eq!(always.unwrap_err().headline(), "`always` exited with code 0");
    stage.down().await;
}

#[tokio::test]
async fn a_declared_port_at_which_only_a_neighbour_in_the_same_network_listens_holds_nobody_up() {
    let app = Service {
        ports: vec![8443],
        health: check(&["CMD", "true"]),
        ..service("app", "sleep infinity")
    };
    let proxy = Service {
        networks: BTreeMap::new(),
        shares_network: Some("app".to_owned()),
        depends_on: vec![needs("app", Condition::Healthy)],
        ..service("proxy", "exec httpd -f -p 8443 -h /www")
    };
    let stage = stage_of([app, proxy]).await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "proxy", "wget -qO- http://app:8443/").await, "fine");
    stage.down().await;
}

#[tokio::test]
async fn a_service_that_was_stopped_comes_up_again() {
    let health = check(&["CMD", "test", "-f", "/tmp/ready"]);
    let stage = stage_of([Service {
        health,
        ..service("web", "touch /tmp/ready; echo up; exec sleep infinity")
    }])
    .await;
    comes_up(&stage.mirror).await;
    stage.mirror.stop("web").await;
    stage.mirror.start_again("web", LIMIT).await.unwrap();
    assert_eq!(all_lines(&stage.mirror, "web", 2).await, ["up", "up"]);
    stage.down().await;
}

#[tokio::test]
async fn a_candidate_crashes_at_its_second_exit() {
    let health = check(&["CMD", "test", "-f", "/tmp/ready"]);
    let web = Service {
        health: health.clone(),
        restart: Restart::Always,
        ..service("web", "touch /tmp/ready; exec sleep infinity")
    };
    let stage = stage_of([web.clone()]).await;
    comes_up(&stage.mirror).await;
    let broken = ["sh", "-c", "echo FATAL: no key; exit 1"].map(str::to_owned).to_vec();
    let releases = BTreeMap::from([(
        "web".to_owned(),
        Service {
            command: Some(broken),
            ..web
        },
    )]);
    let deploy = Deploy::of(releases, &stage.setup.world);
    let failure = stage
        .mirror
        .swap(&deploy, LIMIT, Role::Candidate, None)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind.clone(), failure.exit_code),
        (ServiceFailureKind::Exited, Some(1))
    );
    assert_eq!(failure.fatal.as_deref(), Some("FATAL: no key"));
    stage.down().await;
}

#[tokio::test]
async fn a_service_that_fails_after_it_was_ready_has_not_come_up() {
    let health = check(&["CMD-SHELL", "sleep 0.4"]);
    let slow = Service {
        health,
        ..service("slow", "exec sleep infinity")
    };
    let stage = stage_of([slow, service("brief", "echo cannot go on; exit 9")]).await;
    let failure = fails(&stage).await;
    assert_eq!(
        (failure.replica.service.as_str(), failure.exit_code),
        ("brief", Some(9))
    );
    stage.down().await;
}

/// Says in a shared book when it starts and when it is told to stop; ready once it has.
fn in_the_book(name: &str) -> Service {
    let line = format!(
        "trap 'echo stop {name} >>/book/lines; exit 0' TERM; echo start {name} >>/book/lines; touch /tmp/up; while :; do sleep \
         1 & wait $!; done"
    );
    Service {
        stop_signal: None,
        health: check(&["CMD", "test", "-f", "/tmp/up"]),
        mounts: vec![Mount {
            target: "/book".to_owned(),
            source: Source::Volume("book".to_owned()),
            read_only: false,
            volume: VolumeOptions::default(),
        }],
        ..service(name, &line)
    }
}

#[tokio::test]
async fn a_deploy_gives_way_together_starts_in_order_and_runs_what_has_ended_again() {
    let restarting = Dependency {
        restart: true,
        ..needs("db", Condition::Healthy)
    };
    let migrate = Service {
        command: Some(
            ["sh", "-c", "echo start migrate >>/book/lines"]
                .map(str::to_owned)
                .to_vec(),
        ),
        health: None,
        ..in_the_book("migrate")
    };
    let web = Service {
        depends_on: vec![needs("db", Condition::Healthy), needs("migrate", Condition::Completed)],
        ..in_the_book("web")
    };
    let proxy = Service {
        depends_on: vec![restarting],
        ..in_the_book("proxy")
    };
    let others = [in_the_book("db"), in_the_book("beside"), in_the_book("gone")];
    let stage = stage_of(others.into_iter().chain([web, proxy, migrate])).await;
    comes_up(&stage.mirror).await;
    let before = ["proxy", "beside", "migrate"].map(|name| stage.mirror.container_of(name).unwrap().id);
    says(&stage.mirror, "beside", "rm /book/lines").await;
    let changed = |name: &str| {
        let mut release = stage.setup.world.services[name].clone();
        release.env.insert("RELEASE".to_owned(), Some("2".to_owned()));
        (name.to_owned(), release)
    };
    let mut deploy = Deploy::of(["db", "web"].map(changed).into(), &stage.setup.world);
    std::sync::Arc::make_mut(&mut deploy.services).remove("gone");
    deploy.gone.insert("gone".to_owned());
    let swapped = stage.mirror.swap(&deploy, LIMIT, Role::Candidate, None).await.unwrap();
    let names: std::collections::BTreeSet<&str> = swapped.iter().map(|one| one.replica.service.as_str()).collect();
    assert_eq!(names, ["db", "web"].into());
    let told = says(&stage.mirror, "beside", "cat /book/lines").await;
    let lines: Vec<&str> = told.lines().collect();
    let place = |line: &str| {
        lines
            .iter()
            .position(|one| *one == line)
            .unwrap_or_else(|| panic!("{line}: {told}"))
    };
    // What goes, goes first; who is to be restarted with the database before it; and all that gives way before anything comes.
    let stops = ["stop gone", "stop proxy", "stop db", "stop web"].map(place);
    assert_eq!(stops, [0, 1, 2, 3], "{told}");
    let starts = ["start db", "start migrate", "start web", "start proxy"].map(place);
    assert!(
        starts[0] < starts[2] && starts[1] < starts[2] && starts[0] < starts[3],
        "{told}"
    );
    assert_eq!(lines.len(), 8, "{told}");
    // Restarted and run again are the same containers.
    let after = ["proxy", "beside", "migrate"].map(|name| stage.mirror.container_of(name).unwrap().id);
    assert_eq!(before, after);
    assert!(stage.mirror.container_of("gone").is_none());
    stage.down().await;
}
