//! Hearing: the agent is asked what the fronts have seen, and each call is told apart by whose container asked.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

use super::calls::{CallLog, Called, Caller, Calls};
use crate::agent::front::calls::CallSeen;
use crate::mirror::Mirror;
use crate::mirror::border::attempts::origin;

/// A busy engine takes its time to say whose an address is: it is waited for so often, and so long each time.
const NAMED_AFTER: usize = 40;
const PAUSE: Duration = Duration::from_millis(50);

impl Mirror {
    /// The calls of the present stage so far.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn calls(&self) -> Result<Calls> {
        for _ in 0..NAMED_AFTER {
            self.fetch_calls().await?;
            if self.call_log().calls.iter().all(|call| call.by.is_some()) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let log = self.call_log();
        let (begin, end) = (log.stage, log.aside.unwrap_or(log.calls.len()));
        let here = |range: &Option<Range<usize>>| {
            let range = range.clone()?;
            Some(range.start.checked_sub(begin)?..range.end.checked_sub(begin)?)
        };
        Ok(Calls {
            calls: log
                .calls
                .get(begin..end)
                .unwrap_or_default()
                .iter()
                .map(|call| self.called(call))
                .collect(),
            first_sign_in: here(&log.first_sign_in),
            last_sign_in: here(&log.last_sign_in),
            all: self.inner.setup.relays.see_all().then(|| {
                let gates_own = log.calls.iter().filter(|call| self.called(call).is_the_gates_own());
                log.calls.len() - gates_own.count()
            }),
            more: log.more,
            unseen: self.inner.setup.relays.unseen(),
        })
    }

    /// What is asked from now on belongs to another stage.
    pub fn calls_of_stage(&self) {
        let mut log = self.call_log();
        log.stage = log.calls.len();
        (log.first_sign_in, log.last_sign_in, log.aside) = (None, None, None);
    }

    /// What is asked from now on in this stage answers to faults of ours, and is nothing that a release is known to ask.
    pub(in crate::mirror) async fn set_calls_aside(&self) {
        let begun = self.calls_so_far().await;
        self.call_log().aside.get_or_insert(begun);
    }

    /// So many calls until now; an agent that is gone is found by whoever needs its answer.
    pub async fn calls_so_far(&self) -> usize {
        let _told = self.fetch_calls().await;
        self.call_log().calls.len()
    }

    /// A sign-in has ended that began behind the first so many calls.
    pub async fn signed_in(&self, begun: usize) {
        let end = self.calls_so_far().await;
        let range = begun..end.max(begun);
        let mut log = self.call_log();
        if log.aside.is_some() {
            return;
        }
        log.first_sign_in.get_or_insert(range.clone());
        log.last_sign_in = Some(range);
    }

    fn call_log(&self) -> MutexGuard<'_, CallLog> {
        self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for all behind the last that is settled: one that was under way may have its answer by now.
    async fn fetch_calls(&self) -> Result<()> {
        if self.inner.setup.relays.services.is_empty() {
            return Ok(());
        }
        let settled = {
            let log = self.call_log();
            let open = log.calls.iter().position(|call| !call.is_settled());
            open.unwrap_or(log.calls.len())
        };
        let (new, more) = self.agent().calls(settled).await?;
        let mut log = self.call_log();
        log.calls.truncate(settled);
        log.calls.extend(new);
        log.more = more;
        Ok(())
    }

    fn called(&self, call: &CallSeen) -> Called {
        let asker = call.by.as_deref().unwrap_or_default();
        let made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |what: &str| asker.starts_with(&self.engine().name(&format!("{}{what}", self.inner.setup.prefix)));
        let own = self
            .inner
            .subnets
            .values()
            .map(|subnet| IpAddr::from(subnet.agent().v4));
        let is_own = is("agent") || own.into_iter().any(|own| own == call.from);
        let by = match origin(asker, &made) {
            Some(origin) => Caller::Service(origin.service.clone()),
            None if is_own => Caller::Browser,
            None if asker.starts_with("rehearsal-") => Caller::Tests,
            None => Caller::Unknown,
        };
        Called { by, call: call.clone() }
    }
}
