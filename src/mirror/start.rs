//! Bringing up: networks and the agent first, then every service as soon as what it depends on allows it.
//! Services that do not depend on each other start at the same time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bollard::models::{ContainerCreateBody, EndpointSettings, HostConfig, NetworkingConfig};
use futures_util::future::try_join_all;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::container::{self, Names};
use super::{Mirror, Running, Setup, door, egress, names, network_name, volume_name};
use crate::agent::Call;
use crate::agent::client::Client;
use crate::engine::{Conversation, LABEL_SERVICE, archive};
use crate::mirror::failure::{ServiceFailure, What};
use crate::text::fatal::first_fatal;
use crate::world::addresses::{self, Layout, Subnet};
use crate::world::model::{Condition, Service};

/// Bytes on their way to or from the agent.
const PIPE: usize = 64 * 1024;

/// The agent on its way.
pub(super) type Arrival = JoinHandle<Result<()>>;
/// Turns true when the agent answers for names, its own and those outside, and the door is open.
pub(super) type Answering = watch::Receiver<bool>;

/// How far a service has come, for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Waiting,
    Started,
    Ready,
    Completed,
    Failed,
}

/// How long a service took to come up.
#[derive(Debug, Clone)]
pub struct Started {
    /// Service.
    pub service: String,
    /// When it was begun, since `start` was called.
    pub begun: Duration,
    /// From the engine's start of it until ready (or ended, for a one-shot).
    pub took: Duration,
    /// What went wrong, if it did not come up.
    pub failure: Option<ServiceFailure>,
}

/// The world's networks, and where each is in this run.
pub(super) async fn networks(setup: &Setup) -> Result<BTreeMap<String, Subnet>> {
    let routes = addresses::routes();
    let made = try_join_all(setup.world.networks.iter().map(|(name, network)| {
        let services = setup.world.services.values();
        let inside = services.filter(|service| service.networks.contains_key(name)).count();
        // Each may be there twice while it is swapped; the agent and the tests' containers are there too.
        let layout = Layout::of(network, 2 * inside + 8);
        let on_engine = network_name(setup, name);
        let taken = routes.clone();
        async move {
            let subnet = setup.engine.create_network(&on_engine, &layout, taken).await?;
            Ok::<_, anyhow::Error>((name.clone(), subnet))
        }
    }));
    Ok(made.await?.into_iter().collect())
}

/// A client that can be spoken to at once, while its agent is still being made; and whether that succeeds.
pub(super) fn agent(
    setup: &Setup,
    subnets: &Arc<BTreeMap<String, Subnet>>,
    image: Arrival,
) -> (Client, Arrival, Answering) {
    let ((to_agent, calls), (replies, from_agent)) = (tokio::io::duplex(PIPE), tokio::io::duplex(PIPE));
    let (setup, subnets) = (setup.clone(), Arc::clone(subnets));
    let client = Client::over(from_agent, to_agent);
    let agent = client.clone();
    let (answers, answering) = watch::channel(false);
    let arrival = tokio::spawn(async move {
        image.await??;
        let ((output, input), ()) = tokio::try_join!(make_agent(&setup, &subnets), door::open(&setup, &subnets))?;
        tokio::spawn(pump(output, replies));
        tokio::spawn(pump(calls, input));
        tokio::try_join!(
            names::bear(&setup, &subnets, &agent),
            egress::answer_for_outside(&setup, &subnets, &agent)
        )?;
        if setup.engine.keeps() {
            agent.call(Call::Stay).await?;
        }
        answers.send_replace(true);
        Ok(())
    });
    (client, arrival, answering)
}

/// Carries bytes until one side ends, and tells the other.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    // The client says that the agent is gone.
    let _carried = tokio::io::copy(&mut from, &mut to).await;
    let _told = to.shutdown().await;
}

/// The agent's container in all networks, and the conversation with it.
async fn make_agent(setup: &Setup, subnets: &BTreeMap<String, Subnet>) -> Result<Conversation> {
    let mut networks = subnets.iter().map(|(name, subnet)| {
        let endpoint = EndpointSettings {
            aliases: Some(setup.borne.iter().map(|borne| borne.host.clone()).collect()),
            ipam_config: Some(subnet.for_agent()),
            ..Default::default()
        };
        (network_name(setup, name), endpoint)
    });
    let name = setup.engine.name(&format!("{}agent", setup.prefix));
    let id = setup
        .engine
        .create_container(&name, "", agent_body(setup, networks.next()))
        .await
        .context("the agent's container could not be made")?;
    for (network, endpoint) in networks {
        setup.engine.connect_network(&network, &id, endpoint).await?;
    }
    setup
        .engine
        .start(&name)
        .await
        .context("the agent could not be started")?;
    setup.engine.converse(&id, &["/rehearsal", "agent", "serve"]).await
}

/// Begins to make the agent's image: it needs nothing of the mirror.
pub(super) fn agent_image(setup: &Setup) -> Arrival {
    let setup = setup.clone();
    tokio::spawn(async move { make_agent_image(&setup).await })
}

async fn make_agent_image(setup: &Setup) -> Result<()> {
    let (name, tag) = ("rehearsal-agent", setup.engine.run());
    if setup.engine.image(&format!("{name}:{tag}")).await?.is_some() {
        return Ok(());
    }
    let program = setup.program.clone();
    let archive = tokio::task::spawn_blocking(move || archive::of_program(&program)).await??;
    let label = |(name, value): (&String, &String)| format!("LABEL {name}={value}");
    setup
        .engine
        .import(name, tag, archive, setup.engine.labels(&[]).iter().map(label).collect())
        .await
}

fn agent_body(setup: &Setup, first: Option<(String, EndpointSettings)>) -> ContainerCreateBody {
    let own = first
        .as_ref()
        .filter(|_| setup.engine.hands_on_unknown_names())
        .and_then(|(_, endpoint)| endpoint.ipam_config.as_ref()?.ipv4_address.clone());
    // It takes its networks' gateway addresses. Every address is its own then: it must neither carry packets from one network
    // to another nor answer a ping to whomever.
    let takes_gateways = own.is_some();
    let quiet = [("net.ipv4.ip_forward", "0"), ("net.ipv4.icmp_echo_ignore_all", "1")];
    let quiet = quiet.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ContainerCreateBody {
        image: Some(format!("rehearsal-agent:{}", setup.engine.run())),
        entrypoint: Some(vec!["/rehearsal".to_owned()]),
        cmd: Some(vec!["agent".to_owned(), "hold".to_owned()]),
        labels: Some(setup.engine.labels(&[])),
        host_config: Some(HostConfig {
            network_mode: Some(
                first
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), |(name, _)| name.clone()),
            ),
            publish_all_ports: Some(false),
            dns_search: own.as_ref().map(|_| vec![".".to_owned()]),
            dns: own.map(|own| vec![own]),
            cap_add: takes_gateways.then(|| vec!["NET_ADMIN".to_owned()]),
            sysctls: takes_gateways.then(|| HashMap::from(quiet)),
            ..Default::default()
        }),
        networking_config: first.map(|endpoint| NetworkingConfig {
            endpoints_config: Some(HashMap::from([endpoint])),
        }),
        ..Default::default()
    }
}

impl Mirror {
    /// Makes and starts every service. Stops waiting at the first failure; what had been started by then keeps running
    /// (its log is evidence) until the run is taken down.
    ///
    /// # Errors
    /// The agent did not come up: the machine's doing.
    pub async fn start(&self, limit: Duration) -> Result<Vec<Started>> {
        let arrival = self.inner.arrival.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut arrival) = arrival else {
            return Ok(self.start_services(limit).await);
        };
        let mut services = std::pin::pin!(self.start_services(limit));
        tokio::select! {
            all = &mut services => {
                if all.iter().all(|started| started.failure.is_none()) {
                    arrival.await??;
                }
                Ok(all)
            }
            arrived = &mut arrival => {
                arrived??;
                Ok(services.await)
            }
        }
    }

    async fn start_services(&self, limit: Duration) -> Vec<Started> {
        let begun = Instant::now();
        let services: Vec<Service> = self.world().services.values().cloned().collect();
        let progress: Arc<BTreeMap<String, watch::Sender<Progress>>> = Arc::new(
            services
                .iter()
                .map(|s| (s.name.clone(), watch::Sender::new(Progress::Waiting)))
                .collect(),
        );
        let mut tasks = JoinSet::new();
        for service in services {
            let (mirror, progress) = (self.clone(), Arc::clone(&progress));
            tasks.spawn(async move { mirror.bring_up(service, &progress, begun, limit).await });
        }
        let mut all = Vec::new();
        while let Some(Ok(started)) = tasks.join_next().await {
            let failed = started.failure.is_some();
            all.push(started);
            if failed {
                tasks.abort_all();
            }
        }
        self.look_again(&mut all);
        all.sort_by_key(|started| started.begun);
        all
    }

    /// What has no check is ready when it has started, and may have failed since.
    fn look_again(&self, all: &mut [Started]) {
        for started in all.iter_mut().filter(|started| started.failure.is_none()) {
            let seen = self.seen(&started.service).unwrap_or_default();
            if !seen.running && seen.last_exit().is_some_and(|exit| exit.code != 0) {
                started.failure = Some(self.failure(&started.service, What::Exited));
            }
        }
    }

    async fn bring_up(
        &self,
        service: Service,
        progress: &BTreeMap<String, watch::Sender<Progress>>,
        begun: Instant,
        limit: Duration,
    ) -> Started {
        let name = service.name.clone();
        let say = |state| {
            if let Some(sender) = progress.get(&name) {
                sender.send_replace(state);
            }
        };
        // Made while others start: only the start itself has to wait. What shares a namespace needs the other first.
        let shares = service.shares_network.is_some() || refers_to_service(&service);
        let made = if shares { None } else { Some(self.make(&service).await) };
        let held = self.await_dependencies(&service, progress).await;
        // Names that the agent answers for are asked from the first moment on. Without it the whole start fails.
        let mut answering = self.inner.answering.clone();
        let _gone = answering.wait_for(|answers| *answers).await.map(drop);
        let since = begun.elapsed();
        let result = match (held, made) {
            (Err(failure), _) | (Ok(()), Some(Err(failure))) => Err(failure),
            (Ok(()), Some(Ok(running))) => self.launch(running, limit, || say(Progress::Started)).await,
            (Ok(()), None) => match self.make(&service).await {
                Ok(running) => self.launch(running, limit, || say(Progress::Started)).await,
                Err(failure) => Err(failure),
            },
        };
        let took = begun.elapsed().saturating_sub(since);
        match result {
            Ok(true) => {
                self.inner
                    .completed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name.clone());
                say(Progress::Completed);
            }
            Ok(false) => say(Progress::Ready),
            Err(_) => say(Progress::Failed),
        }
        let failure = result.err().map(|failure| self.with_waiters(failure));
        if failure.is_none() {
            self.tell(&name, "ready", None, Some(took));
        }
        Started {
            service: name,
            begun: since,
            took,
            failure,
        }
    }

    async fn await_dependencies(
        &self,
        service: &Service,
        progress: &BTreeMap<String, watch::Sender<Progress>>,
    ) -> Result<(), ServiceFailure> {
        let shared = service
            .shares_network
            .iter()
            .map(|other| (other.clone(), Condition::Started, false));
        let named = service
            .depends_on
            .iter()
            .map(|need| (need.service.clone(), need.condition, need.optional));
        for (other, condition, optional) in named.chain(shared) {
            let Some(sender) = progress.get(&other) else { continue };
            let wanted = match condition {
                Condition::Started => Progress::Started,
                Condition::Healthy => Progress::Ready,
                Condition::Completed => Progress::Completed,
            };
            let mut receiver = sender.subscribe();
            let reached = receiver.wait_for(|state| *state >= wanted).await.map(|state| *state);
            if !optional && !matches!(reached, Ok(state) if state != Progress::Failed) {
                return Err(self.failure(&service.name, What::Held(other)));
            }
        }
        Ok(())
    }

    /// Makes a service's container, with its files and all its networks, without starting it.
    pub(super) async fn make(&self, service: &Service) -> Result<Running, ServiceFailure> {
        self.try_make(service)
            .await
            .map_err(|error| self.failure(&service.name, What::NotCreated(format!("{error:#}"))))
    }

    async fn try_make(&self, service: &Service) -> Result<Running> {
        let setup = &self.inner.setup;
        let asked = service;
        let service = &self.with_lent(service);
        let ((), trust) = tokio::try_join!(self.make_volumes(service), self.trust(service))?;
        let name = setup
            .engine
            .name(&format!("{}{}-{}", setup.prefix, service.name, self.next_generation()));
        let names = Names {
            network: &|network| network_name(setup, network),
            volume: &|volume| volume_name(setup, volume),
            subnet: &|network| self.subnet(network).cloned(),
            container: &|other| self.container_of(other).map(|running| running.id),
        };
        let labels = setup.engine.labels(&[(LABEL_SERVICE, service.name.as_str())]);
        let mut body = container::body(service, &self.image(&service.image), &names, labels);
        names::leave_to_the_mirror(setup, &mut body);
        self.remember(&name, &service.name);
        if let (Some(host), false) = (body.host_config.as_mut(), service.no_network) {
            self.ask_the_agent(service.networks.keys(), host);
            let subnet = service.networks.keys().find_map(|network| self.subnet(network));
            door::tell_hosts(setup, subnet, host);
        }
        trust.tell_node(&mut body);
        let files = self.files_for(service, &trust);
        let folders = self.make_room(service, &files, &mut body).await?;
        let platform = service.limits.platform.clone().unwrap_or_default();
        let id = setup.engine.create_container(&name, &platform, body).await?;
        self.inner.logs.open(&service.name);
        for (network, attachment) in service.networks.iter().skip(1) {
            let endpoint = container::endpoint(attachment, self.subnet(network));
            setup
                .engine
                .connect_network(&network_name(setup, network), &id, endpoint)
                .await?;
        }
        self.put(service, files, &folders, &id).await?;
        Ok(Running {
            id,
            name,
            service: asked.clone(),
            since: 0,
        })
    }

    /// Starts a container and waits until it is ready. `true`: it was a one-shot and has ended well.
    pub(super) async fn launch(
        &self,
        mut running: Running,
        limit: Duration,
        started: impl FnOnce(),
    ) -> Result<bool, ServiceFailure> {
        let name = running.service.name.clone();
        running.since = self.inner.logs.mark(&name);
        let begun = Instant::now();
        self.running().insert(name.clone(), running.clone());
        if let Err(error) = self.engine().start(&running.name).await {
            return Err(self.failure(&name, What::NotStarted(format!("{error:#}"))));
        }
        self.inner.logs.follow(&running.id, &name);
        self.tell(&name, "started", None, Some(begun.elapsed()));
        self.after_start(&running).await?;
        started();
        self.await_ready(&running, 0, limit).await
    }

    /// Everything known of a service that did not come up.
    pub fn failure(&self, service: &str, what: What) -> ServiceFailure {
        let seen = self.seen(service).unwrap_or_default();
        let exit = seen.last_exit();
        let since = self.container_of(service).map_or(0, |running| running.since);
        let log = self.inner.logs.since(service, since);
        ServiceFailure {
            service: service.to_owned(),
            what,
            waited_by: Vec::new(),
            exit_code: exit.map(|exit| exit.code),
            oom: seen.ended().any(|exit| exit.oom),
            restarts: seen.starts.saturating_sub(1),
            fatal: first_fatal(&log),
            log: log[log.len().saturating_sub(30)..].to_vec(),
        }
    }

    fn with_waiters(&self, mut failure: ServiceFailure) -> ServiceFailure {
        let name = failure.service.clone();
        let waits = |service: &Service| {
            let need = service.depends_on.iter().find(|need| need.service == name)?;
            Some(format!("`{}` waits for {}", service.name, need.condition))
        };
        failure.waited_by = self.world().services.values().filter_map(waits).collect();
        failure
    }
}

fn refers_to_service(service: &Service) -> bool {
    let mut modes = [&service.limits.ipc, &service.limits.pid].into_iter().flatten();
    modes.any(|mode| mode.starts_with("service:"))
}
