//! The observer of one connection: finds out what is spoken, and reads along. It never changes a byte and never waits.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::calls::{Carried, Client, Said};
use super::http_watch::{HttpWatch, is_http};
use super::ldap_watch::{LdapWatch, Turn};
use super::tls_watch::TlsWatch;

/// The first byte of a TLS handshake, and of every message of LDAP.
const HANDSHAKE: u8 = 0x16;
const SEQUENCE: u8 = 0x30;

/// Reads a connection along.
pub(super) struct Observer {
    client: Client,
    carried: Carried,
    speech: Speech,
}

/// What is spoken.
enum Speech {
    /// What the client has said so far does not tell.
    Unknown(Vec<u8>),
    Http(Box<HttpWatch>),
    Ldap(LdapWatch),
    Tls(TlsWatch),
    /// Nothing more is read.
    Unread,
}

impl Observer {
    pub(super) fn new(client: Client, carried: Carried) -> Self {
        Self {
            client,
            carried,
            speech: Speech::Unknown(Vec::new()),
        }
    }

    /// The client has said this.
    pub(super) fn asks(&mut self, bytes: &[u8]) {
        if let Speech::Unknown(said) = &mut self.speech {
            said.extend_from_slice(bytes);
            let said = said.clone();
            if let Some(speech) = self.known(&said) {
                self.speech = speech;
                self.hears(&said);
            }
        } else {
            self.hears(bytes);
        }
    }

    fn hears(&mut self, bytes: &[u8]) {
        let turn = match &mut self.speech {
            Speech::Http(http) => http.asks(bytes).map_or(Turn::Lost, |()| Turn::On),
            Speech::Ldap(ldap) => ldap.asks(bytes),
            Speech::Tls(tls) => {
                tls.asks(bytes);
                Turn::On
            }
            Speech::Unknown(_) | Speech::Unread => Turn::On,
        };
        self.turn(turn);
    }

    /// The service has said this.
    pub(super) fn answers(&mut self, bytes: &[u8]) {
        let turn = match &mut self.speech {
            Speech::Http(http) => http.answers(bytes).map_or(Turn::Lost, |()| Turn::On),
            Speech::Ldap(ldap) => ldap.answers(bytes),
            Speech::Tls(tls) => {
                tls.answers(bytes);
                Turn::On
            }
            // A service that speaks first speaks neither of these.
            Speech::Unknown(_) => {
                self.speech = self.other();
                Turn::On
            }
            Speech::Unread => Turn::On,
        };
        self.turn(turn);
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::On => {}
            Turn::Tls => self.speech = Speech::Tls(TlsWatch::new(self.client.clone())),
            Turn::Lost => {
                self.ends();
                self.speech = Speech::Unread;
            }
        }
    }

    /// The connection is over: whoever waits for an answer gets none.
    pub(super) fn ends(&mut self) {
        match &mut self.speech {
            Speech::Http(http) => http.ends(),
            Speech::Ldap(ldap) => ldap.ends(),
            Speech::Tls(tls) => tls.ends(),
            Speech::Unknown(_) | Speech::Unread => {}
        }
    }

    fn known(&self, said: &[u8]) -> Option<Speech> {
        match *said.first()? {
            HANDSHAKE => Some(Speech::Tls(TlsWatch::new(self.client.clone()))),
            SEQUENCE => Some(Speech::Ldap(LdapWatch::new(self.client.clone(), self.carried))),
            _ if is_http(said)? => Some(Speech::Http(Box::new(HttpWatch::new(self.client.clone())))),
            _ => Some(self.other()),
        }
    }

    fn other(&self) -> Speech {
        let ticket = self.client.begins(Said::Other);
        self.client.settles(ticket);
        Speech::Unread
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.ends();
    }
}

/// A client's connection that is read along: what is read from it is asked, what is written to it is the answer.
pub(super) struct Observed<S> {
    stream: S,
    observer: Observer,
    /// So many bytes of the next writing have been read along already: the observer is told before the client.
    told: usize,
}

impl<S> Observed<S> {
    pub(super) fn new(stream: S, observer: Observer) -> Self {
        Self {
            stream,
            observer,
            told: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            self.observer.asks(new);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let new = buf.get(self.told..).unwrap_or_default();
        if !new.is_empty() {
            self.observer.answers(new);
            self.told = buf.len();
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(length)) = &written {
            self.told = self.told.saturating_sub(*length);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
