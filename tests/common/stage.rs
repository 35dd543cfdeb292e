//! A mirror on the real engine, of a test's or the bench's own: how it is made, brought up and taken down.

use std::time::Duration;

use rehearsal::context::Context;
use rehearsal::engine::labels::RunLabels;
use rehearsal::engine::line::address::Address;
use rehearsal::engine::network::Gateway;
use rehearsal::engine::sweep;
use rehearsal::engine::{Engine, build};
use rehearsal::mirror::{Mirror, Setup};
use rehearsal::text::redact::Redactor;
use rehearsal::world::model::{Service, World};

use crate::docker::{image, left_behind, remove};
use crate::slot::Slot;

/// Whatever is to come up comes up within this.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A mirror that is taken down at the end of its test, and by the engine's own command where the test panics.
pub struct Stage {
    #[expect(dead_code, reason = "holds its lock")]
    slot: Slot,
    pub mirror: Mirror,
    pub engine: Engine,
    pub setup: Setup,
}

impl Stage {
    /// Made in a slot, and not yet started.
    pub async fn of(world: World) -> Self {
        Self::changed(world, |_| {}).await
    }

    /// The same, of a setup that is changed first.
    pub async fn changed(world: World, change: impl FnOnce(&mut Setup)) -> Self {
        image();
        let slot = Slot::wait();
        let engine = connect(&run_name()).await;
        let mut setup = setup(&engine, world).await;
        change(&mut setup);
        let mirror = Mirror::prepare(setup.clone()).await.unwrap();
        Self {
            slot,
            mirror,
            engine,
            setup,
        }
    }

    /// Nothing of it is left afterwards.
    pub async fn down(self) {
        self.engine.close().await;
        // What the engine has miscounted is not left by us.
        let _kept = sweep::remove_run(&self.engine, self.engine.run()).await.unwrap();
        assert_eq!(left_behind(self.engine.run()), Vec::<String>::new());
    }
}

impl Drop for Stage {
    /// A test that fails leaves nothing to the next ones: no other run takes this one for dead.
    fn drop(&mut self) {
        if std::thread::panicking() {
            remove(self.engine.run());
        }
    }
}

/// A name that no other run has.
pub fn run_name() -> String {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).unwrap();
    format!("test{:08x}", u32::from_ne_bytes(bytes))
}

/// The engine, for a run of no machine: no other run's sweep takes it for dead.
pub async fn connect(run: &str) -> Engine {
    let labels = RunLabels {
        run: run.to_owned(),
        deadline: u64::MAX,
        host: "tests".to_owned(),
        ..RunLabels::of_none()
    };
    let address = Address::find(&Context::read().unwrap()).unwrap();
    Engine::connect(&address, &labels).await.unwrap()
}

/// What a mirror of a world is made from; its images are on the engine.
pub async fn setup(engine: &Engine, world: World) -> Setup {
    let all: Vec<&Service> = world.services.values().collect();
    Setup {
        engine: engine.clone(),
        prefix: String::new(),
        images: build::resolve(engine, &all, &|_| {}).await.unwrap().into(),
        world: world.into(),
        redactor: Redactor::default(),
        logs: None,
        restores: vec![],
        news: tokio::sync::mpsc::unbounded_channel().0,
        fronts: vec![],
        relays: Default::default(),
        ends_tls: None,
        signer: None,
        open: vec![],
        gateway: Gateway::Agent,
        program: env!("CARGO_BIN_EXE_rehearsal").into(),
        shown: std::sync::Arc::default(),
    }
}

/// Starts every service; all of them come up.
pub async fn comes_up(mirror: &Mirror) {
    let started = mirror.start(LIMIT).await.unwrap().started;
    let failures: Vec<String> = started
        .iter()
        .filter_map(|one| Some(one.failure.as_ref()?.line()))
        .collect();
    assert_eq!(failures, Vec::<String>::new());
}

/// What a line of shell prints in a service's container.
pub async fn says(mirror: &Mirror, service: &str, command: &str) -> String {
    let words = ["sh", "-c", command].map(str::to_owned);
    let output = mirror.exec(service, &words, None).await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The lines of a service, once it has said so many and its container has been stopped: one that has just started, or
/// counts as ready before its program ran, has not said them yet.
pub async fn all_lines(mirror: &Mirror, service: &str, awaited: usize) -> Vec<String> {
    let running = mirror.container_of(service).unwrap();
    let said = || mirror.logs().of_container(&running.id).lines;
    let enough = async {
        while said().len() < awaited {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // What is missing then is told by whoever compares.
    let _ = tokio::time::timeout(LIMIT, enough).await;
    mirror.stop(service).await;
    mirror.logs().settled(&running.id).await;
    said()
}
