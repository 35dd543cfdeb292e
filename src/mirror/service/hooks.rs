//! Commands that production runs in a container after its start and before its stop.

use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::{Mirror, Running};
use crate::record::container::ContainerState;
use crate::world::model::Hook;

impl Mirror {
    /// One after the other; the first that fails is why the service did not come up.
    pub(crate) async fn after_start(&self, running: &Running) -> Result<(), ServiceFailure> {
        for hook in &running.service.post_start {
            if let Err(words) = self.run_hook(running, hook).await {
                return Err(self.failure(&running.replica, ServiceFailureKind::Hook(words)));
            }
        }
        Ok(())
    }

    /// One after the other; a failure is told and stops nothing but the hooks after it, as the service must go.
    pub(crate) async fn before_stop(&self, running: &Running) {
        let up = self.inner.watch.of(&running.id).borrow().running;
        for hook in running.service.pre_stop.iter().filter(|_| up) {
            if let Err(words) = self.run_hook(running, hook).await {
                let detail = format!("its `pre_stop` {words}");
                return self.tell(&running.replica, ContainerState::HookFailed, Some(detail), None);
            }
        }
    }

    async fn run_hook(&self, running: &Running, hook: &Hook) -> Result<(), String> {
        let command = hook.command.join(" ");
        match self.engine().exec_hook(&running.id, hook, None).await {
            Ok(done) if done.exit == 0 => Ok(()),
            Ok(done) => {
                let said = [done.stdout, done.stderr].concat();
                let last = String::from_utf8_lossy(&said)
                    .lines()
                    .last()
                    .map(|line| format!(": `{line}`"));
                let last = last.unwrap_or_default();
                Err(format!("`{command}` ended with code {}{last}", done.exit))
            }
            Err(error) => Err(format!("`{command}` could not be run: {error:#}")),
        }
    }
}
