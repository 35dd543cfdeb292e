//! What happens to containers while the mirror lives, for whoever wants to know.

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::setup::Change;
use super::{Mirror, News, Running};
use crate::engine::watch::{Happened, Happening};
use crate::record::container::ContainerState;
use crate::world::replica::Replica;

impl Mirror {
    /// Says what happens to containers, and reads on in the log of one that was restarted.
    pub(super) fn follow_restarts(&self) {
        let (mirror, news) = (self.clone(), self.inner.watch.news());
        tokio::spawn(hear(news, move |heard| match heard {
            Some(happened) => mirror.take(&happened),
            None => mirror.read_on(),
        }));
    }

    /// What was missed may have been a restart: reads on in the log of every container that had one.
    fn read_on(&self) {
        let restarted = |id: &String| self.inner.watch.of(id).borrow().starts > 1;
        let all: Vec<String> = self.running().values().map(|running| running.id.clone()).collect();
        all.iter()
            .filter(|id| restarted(id))
            .for_each(|id| self.inner.logs.follow(id));
    }

    fn take(&self, happened: &Happened) {
        // The run may have other mirrors with services of the same names.
        let own = |running: &&Running| running.id == happened.container;
        let Some(replica) = self.running().values().find(own).map(|running| running.replica.clone()) else {
            return;
        };
        match happened.what {
            Happening::Start if self.inner.watch.of(&happened.container).borrow().starts > 1 => {
                self.inner.logs.follow(&happened.container);
                self.tell(&replica, ContainerState::Restarted, None, None);
            }
            Happening::Die { code } => {
                let detail = code.map(|code| format!("exit code {code}"));
                self.tell(&replica, ContainerState::Exited, detail, None);
            }
            Happening::OutOfMemory => self.tell(&replica, ContainerState::OutOfMemory, None, None),
            Happening::Unhealthy => self.tell(&replica, ContainerState::Unhealthy, None, None),
            Happening::Start | Happening::Signal(_) | Happening::Healthy => {}
        }
    }

    pub(super) fn note(&self, text: String) {
        // A run that has stopped listening is a run that is going down.
        let _listening = self.inner.setup.news.send(News::Note(text));
    }

    pub(super) fn tell(
        &self,
        replica: &Replica,
        state: ContainerState,
        detail: Option<String>,
        took: Option<Duration>,
    ) {
        // A run that has stopped listening is a run that is going down.
        let _listening = self.inner.setup.news.send(News::Container(Change {
            replica: replica.clone(),
            state,
            detail,
            took,
        }));
    }
}

/// Hands on everything that is told, until nobody tells any more; `None` where so much was told at once that some of it
/// was missed.
async fn hear<T: Clone>(mut news: Receiver<T>, mut take: impl FnMut(Option<T>)) {
    loop {
        match news.recv().await {
            Ok(heard) => take(Some(heard)),
            Err(RecvError::Lagged(_)) => take(None),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hear;

    #[tokio::test]
    async fn who_missed_something_is_told_so_and_goes_on_hearing() {
        let (tell, news) = tokio::sync::broadcast::channel(2);
        for number in 0..5 {
            tell.send(number).unwrap();
        }
        drop(tell);
        let mut heard = Vec::new();
        hear(news, |number| heard.push(number)).await;
        assert_eq!(heard, [None, Some(3), Some(4)]);
    }
}
