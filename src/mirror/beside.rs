//! Beside: a further service next to those in place, for as long as two releases are asked in turns. Nobody waits for it,
//! and no release has it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::Mirror;
use super::failure::ServiceFailure;
use super::readiness::{Patience, Volumes};
use crate::world::model::Service;
use crate::world::replica::Replica;

impl Mirror {
    /// Starts it, all of its containers, and waits until they are ready.
    ///
    /// # Errors
    /// It did not come up.
    pub async fn put_beside(&self, service: &Service, within: Duration) -> Result<(), Box<ServiceFailure>> {
        let service = &Arc::new(service.clone());
        let coming = service
            .instances()
            .map(|replica| self.come_beside(replica, service, within));
        try_join_all(coming).await.map(drop).map_err(Box::new)
    }

    async fn come_beside(
        &self,
        replica: Replica,
        service: &Arc<Service>,
        within: Duration,
    ) -> Result<(), ServiceFailure> {
        let made = self.make(&replica, service).await?;
        let patience = Patience::all_of(within, Volumes::Used);
        self.launch(made, patience, || ()).await.map(drop)
    }

    /// Stops and removes it, if it is there.
    pub async fn take_from_beside(&self, service: &str) {
        self.take_away(&[service.to_owned()].into()).await;
    }
}
