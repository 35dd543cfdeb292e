//! Notes: what containers asked for outside the mirror, on the way to the one who remembers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// Names that nobody in the mirror bears and that were asked for all the same, and addresses outside that were sought.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AskedAnswer {
    /// By asker, in the order in which each asked first.
    pub asked: Vec<Asked>,
    /// Questions that were answered but not remembered: there were too many.
    pub more: u64,
    /// Why questions do not reach the agent on this engine, if they do not: then the list means nothing.
    pub unheard: Option<String>,
    /// Why raw addresses are not heard though the agent was told to take gateways.
    pub raw_unheard: Option<String>,
}

/// A name or an address outside, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The asker as the engine's DNS names it, the container's name first; empty where it has no name for the address.
    pub by: String,
    /// Its address.
    pub from: IpAddr,
    /// The name: lower case, printable, at most 253 characters. A raw address with its port: `203.0.113.9:443`,
    /// `203.0.113.9:514/udp`.
    pub name: String,
    /// How often it was asked for.
    pub times: u64,
}

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
