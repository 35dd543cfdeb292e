//! Notes: what containers asked for outside the mirror, on the way to the one who remembers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::AskedAnswer;

/// The way to the one who remembers; what finds no room on it is counted.
#[derive(Clone)]
pub(super) struct Notes {
    pub(super) queue: mpsc::Sender<Note>,
    pub(super) lost: Arc<AtomicU64>,
}

impl Notes {
    /// Somebody asked for a name, or sought an address.
    pub(super) fn asked(&self, from: IpAddr, name: String) {
        if self.queue.try_send(Note::Asked(from, name)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What goes to the one who remembers.
pub(super) enum Note {
    /// Somebody asked for a name, or sought an address.
    Asked(IpAddr, String),
    /// All that was asked before this.
    Tell(oneshot::Sender<AskedAnswer>),
    /// The canary's question has been answered, by whomever, in these words.
    Canary(String),
}
