//! A mirror on the real engine, of a test's or the bench's own: how it is made, brought up and taken down.

use std::time::Duration;

use rehearsal::context::Context;
use rehearsal::engine::labels::RunLabels;
use rehearsal::engine::line::address::Address;
use rehearsal::engine::sweep;
use rehearsal::engine::{Engine, build};
use rehearsal::mirror::{Mirror, Setup};
use rehearsal::text::redact::Redactor;
use rehearsal::world::model::{Service, World};

use crate::docker::{image, left_of};
use crate::slot::Slot;

/// Whatever is to come up comes up within this.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A mirror that is taken down at the end of its test, and by the reaper's rules where the test panics.
pub struct Stage {
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
        sweep::remove_run(&self.engine, self.engine.run()).await.unwrap();
        assert_eq!(left_of(self.engine.run()), Vec::<String>::new());
        drop(self.slot);
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
        images: build::resolve(engine, &all).await.unwrap().into(),
        world: world.into(),
        redactor: Redactor::default(),
        logs: None,
        news: tokio::sync::mpsc::unbounded_channel().0,
        fronts: vec![],
        open: vec![],
        program: env!("CARGO_BIN_EXE_rehearsal").into(),
    }
}

/// Starts every service; all of them come up.
pub async fn comes_up(mirror: &Mirror) {
    let started = mirror.start(LIMIT).await.unwrap();
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

/// The lines of a service, once its container has ended and all of them have arrived.
pub async fn all_lines(mirror: &Mirror, service: &str) -> Vec<String> {
    let running = mirror.container_of(service).unwrap();
    mirror.stop(service).await;
    mirror.logs().settled(&running.id).await;
    mirror.logs().of_container(&running.id).lines
}
