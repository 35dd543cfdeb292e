//! A service's container: made with its files and all its networks, and not yet started.

use std::sync::Arc;

use anyhow::Result;

use super::container::{self, EngineNames};
use crate::engine::labels::LABEL_SERVICE;
use crate::mirror::border::door;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::names::serve;
use crate::mirror::{Mirror, Running};
use crate::world::model::Service;
use crate::world::replica::Replica;

impl Mirror {
    /// Makes a service's container, with its files and all its networks, without starting it.
    pub(crate) async fn make(&self, replica: &Replica, service: &Arc<Service>) -> Result<Running, ServiceFailure> {
        if let Some(kind) = self.cannot_mount(service) {
            return Err(self.failure(replica, kind));
        }
        let made = self.try_make(replica, service).await;
        made.map_err(|error| {
            let kind = ServiceFailureKind::of(&error, ServiceFailureKind::NotCreated);
            self.failure(replica, kind)
        })
    }

    /// An engine that does not know parts of volumes mounts all of the volume, and says nothing.
    fn cannot_mount(&self, service: &Service) -> Option<ServiceFailureKind> {
        let mounts = self.with_lent(service).mounts;
        let part = mounts.into_iter().find_map(|mount| mount.volume.subpath)?;
        let words = format!("an engine knows `{part}` of a volume from API 1.45 on (Docker 26)");
        let kind = ServiceFailureKind::NotGiven("a part of a volume (`volume.subpath`)", words);
        (!self.engine().mounts_parts()).then_some(kind)
    }

    async fn try_make(&self, replica: &Replica, asked: &Arc<Service>) -> Result<Running> {
        let setup = &self.inner.setup;
        let service = &setup.directory().assigned(self.with_lent(asked), replica);
        let (places, trust) = tokio::try_join!(self.make_volumes(replica, service), self.trust(service))?;
        let name = setup
            .engine
            .name(&format!("{}{replica}-{}", setup.prefix, self.next_generation()));
        let names = EngineNames {
            network: &|network| setup.network(network),
            volume: &|volume| setup.volume(volume),
            subnet: &|network| self.subnet(network).cloned(),
            place: &|volume| places.get(volume).cloned(),
            container: &|other| self.container_of(other).map(|running| running.id),
            replica,
        };
        let labels = setup.engine.labels(&[(LABEL_SERVICE, service.name.as_str())]);
        let mut body = container::body(service, &self.image(&service.image), &names, labels);
        serve::leave_to_the_mirror(setup, &mut body);
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
        setup.engine.holds(&id, &self.image(&service.image)).await?;
        self.inner.logs.open(&id, replica);
        for (network, attachment) in service.networks.iter().skip(1) {
            let endpoint = container::endpoint(attachment, self.subnet(network));
            setup
                .engine
                .connect_network(&setup.network(network), &id, endpoint)
                .await?;
        }
        self.put(service, files, &folders, &id).await?;
        Ok(Running {
            id,
            name,
            replica: replica.clone(),
            service: Arc::clone(asked),
        })
    }
}
