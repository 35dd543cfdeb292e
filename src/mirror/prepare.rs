//! Preparing: networks and the agent, before any of production's services is made.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use anyhow::Result;

use super::agent;
use super::logs::Logs;
use super::{Inner, Mirror, Setup, networks};
use crate::engine::watch::Watch;

impl Mirror {
    /// Makes networks, and begins to make the agent. Starts none of production's services.
    ///
    /// # Errors
    /// The engine refused something: the machine's doing.
    pub async fn prepare(setup: Setup) -> Result<Self> {
        let image = agent::image(&setup);
        let (watch, subnets) = tokio::try_join!(Watch::begin(&setup.engine), networks::make(&setup))?;
        let logs = Logs::new(&setup.engine, &setup.redactor, setup.logs.clone(), setup.news.clone());
        let subnets = Arc::new(subnets);
        let agent = agent::begin(&setup, &subnets, image);
        let services = Arc::new(setup.world.services.clone());
        let inner = Inner {
            setup,
            watch,
            logs,
            subnets,
            agent,
            running: Mutex::default(),
            generation: AtomicU32::new(0),
            services: Mutex::new(services),
            swapped: Mutex::default(),
            completed: Mutex::default(),
            usual_exits: Mutex::default(),
            volumes: tokio::sync::Mutex::default(),
            trusts: Mutex::default(),
            made: Mutex::default(),
            calls: Mutex::default(),
        };
        let mirror = Self { inner: Arc::new(inner) };
        mirror.follow_restarts();
        Ok(mirror)
    }
}
