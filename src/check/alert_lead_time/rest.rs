//! Rest: after a failure that was made of a release itself, it begins anew, and with it all that crashed.

use std::time::Duration;

use super::drill::Drill;
use crate::check::At;
use crate::record::outcome::{Lost, Part};

/// So often the release is asked until users get what they want, and how long between.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Neither what it was asked for nor how it ended stays with the release.
///
/// # Errors
/// It does not come back.
pub(super) async fn rest(drill: &Drill<'_>) -> Result<(), Lost> {
    let at = drill.at;
    let anew = anew(at);
    for service in anew.iter().rev() {
        at.ground.stop(service).await;
    }
    for service in &anew {
        at.ground.start_again(service).await?;
    }
    for _ in 0..TRIES {
        if drill.is_good().await? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    let why = "production's release does not answer any more, even begun anew";
    Err(Lost::new(Part::Step, why))
}

/// The services of production that the release changes, and those that do not run any more, in the order of their needs.
fn anew(at: &At<'_>) -> Vec<String> {
    let changed = at.case.candidates();
    let is_down = |name: &str| {
        let service = [name.to_owned()];
        let mut replicas = at.case.replicas(&service).into_iter();
        replicas.any(|replica| {
            let history = at.ground.history(&replica);
            !history.running && history.last_exit().is_some_and(|exit| exit.code != 0)
        })
    };
    let order = at.case.world.in_dependency_order().into_iter();
    let wanted = order.filter(|name| changed.iter().any(|one| one == name) || is_down(name));
    wanted.map(str::to_owned).collect()
}
