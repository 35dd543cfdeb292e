//! The ledger: what became of each request, slice by slice. A slice is told when its time is over and the last of its
//! requests has ended; what has been taken is forgotten.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::session::lock;
use super::connection::Unanswered;
use super::plan::{LoadPlan, LoadStep, Phase};
use super::schedule::Span;
use super::slice::{Slice, StepSlice};
use super::times::Times;

/// What became of a request that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchanged {
    /// The status that came, or why none did.
    pub answer: Result<u16, Unanswered>,
    /// From when it was due until it was sent.
    pub lag: Duration,
    /// From when it was due until it ended.
    pub latency: Duration,
    /// Connections that were opened for it.
    pub opened: u64,
}

pub(super) struct Ledger {
    spans: Vec<Span>,
    phases: Vec<Phase>,
    /// By mix and step: the first and the last status of each span of good ones.
    good: Vec<Vec<Vec<(u16, u16)>>>,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Default)]
struct State {
    /// Slices that were begun and not told, from `first` on.
    open: VecDeque<Open>,
    first: usize,
    /// Slices that were told, from `dropped` on.
    done: VecDeque<Slice>,
    dropped: usize,
}

#[derive(Default)]
struct Open {
    planned: u64,
    /// Requests under way.
    out: u64,
    sent: u64,
    is_over: bool,
    lag: Times,
    steps: Vec<StepSlice>,
}

impl Ledger {
    pub fn new(plan: &LoadPlan, spans: Vec<Span>) -> Self {
        let good = |mix: &Vec<LoadStep>| mix.iter().map(|step| step.good.clone()).collect();
        Self {
            spans,
            phases: plan.phases.clone(),
            good: plan.mixes.iter().map(good).collect(),
            state: Mutex::default(),
            told: Notify::new(),
        }
    }

    /// How many slices there will be.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// A request is due; all slices before its own are over.
    pub fn due(&self, slice: usize) {
        let mut state = lock(&self.state);
        self.begin(&mut state, slice);
        if let Some(open) = state.open_at(slice) {
            open.planned += 1;
            open.out += 1;
        }
    }

    /// It could not be sent.
    pub fn unsent(&self, slice: usize) {
        let mut state = lock(&self.state);
        if let Some(open) = state.open_at(slice) {
            open.out -= 1;
        }
        self.tell(&mut state);
    }

    /// It was sent, and has ended.
    pub fn ended(&self, slice: usize, step: usize, exchanged: Exchanged) {
        let good = self.is_good(slice, step, exchanged.answer);
        let mut state = lock(&self.state);
        if let Some(open) = state.open_at(slice) {
            open.out -= 1;
            open.take(step, exchanged, good);
        }
        self.tell(&mut state);
    }

    /// Nothing more is due.
    pub fn over(&self) {
        let mut state = lock(&self.state);
        if let Some(last) = self.spans.len().checked_sub(1) {
            self.begin(&mut state, last);
        }
        state.open.iter_mut().for_each(|open| open.is_over = true);
        self.tell(&mut state);
    }

    /// Those that were told behind so many; waits for the first of them as long as the limit says.
    pub async fn take(&self, after: usize, most: usize, limit: Duration) -> Vec<Slice> {
        let limit = tokio::time::Instant::now() + limit;
        loop {
            let told = self.told.notified();
            let slices = self.told_behind(after, most);
            let waited = !slices.is_empty() || after >= self.len();
            if waited || tokio::time::timeout_at(limit, told).await.is_err() {
                return slices;
            }
        }
    }

    fn told_behind(&self, after: usize, most: usize) -> Vec<Slice> {
        let mut state = lock(&self.state);
        while state.dropped < after && state.done.pop_front().is_some() {
            state.dropped += 1;
        }
        let skipped = after.saturating_sub(state.dropped);
        state.done.iter().skip(skipped).take(most).cloned().collect()
    }

    fn is_good(&self, slice: usize, step: usize, answer: Result<u16, Unanswered>) -> bool {
        let mix = self.spans.get(slice).map(|span| self.phases[span.phase].mix);
        let good = mix.and_then(|mix| self.good.get(mix)?.get(step));
        let holds =
            |status: u16| good.is_some_and(|good| good.iter().any(|(first, last)| (*first..=*last).contains(&status)));
        answer.is_ok_and(holds)
    }

    /// Opens slices up to this one; those before it are over.
    fn begin(&self, state: &mut State, slice: usize) {
        while state.first + state.open.len() <= slice {
            state.open.iter_mut().for_each(|open| open.is_over = true);
            let number = state.first + state.open.len();
            let steps = self
                .spans
                .get(number)
                .map(|span| self.good[self.phases[span.phase].mix].len());
            state.open.push_back(Open {
                steps: vec![StepSlice::default(); steps.unwrap_or_default()],
                ..Open::default()
            });
        }
    }

    fn tell(&self, state: &mut State) {
        let is_complete = |open: &&mut Open| open.is_over && open.out == 0;
        while state.open.front_mut().as_ref().is_some_and(is_complete) {
            let Some(open) = state.open.pop_front() else { return };
            let slice = self.slice(state.first, open);
            state.first += 1;
            state.done.push_back(slice);
            self.told.notify_waiters();
        }
    }

    fn slice(&self, number: usize, open: Open) -> Slice {
        let span = self.spans[number];
        let phase = &self.phases[span.phase];
        let millis = super::super::failure::millis;
        Slice {
            phase: span.phase,
            mix: phase.mix,
            counts: phase.counts,
            start_ms: millis(span.start),
            length_ms: millis(span.length),
            planned: open.planned,
            sent: open.sent,
            lag: open.lag,
            steps: open.steps,
        }
    }
}

impl State {
    fn open_at(&mut self, slice: usize) -> Option<&mut Open> {
        self.open.get_mut(slice.checked_sub(self.first)?)
    }
}

impl Open {
    fn take(&mut self, step: usize, exchanged: Exchanged, good: bool) {
        if exchanged.answer == Err(Unanswered::Unsent) {
            return;
        }
        self.sent += 1;
        self.lag.record(exchanged.lag);
        if let Some(step) = self.steps.get_mut(step) {
            step.take(exchanged, good);
        }
    }
}

impl StepSlice {
    fn take(&mut self, exchanged: Exchanged, good: bool) {
        use super::super::failure::CallFailureKind::Timeout;
        self.sent += 1;
        self.opened += exchanged.opened;
        match exchanged.answer {
            Ok(_) if good => self.good += 1,
            Ok(status) => *self.errors.by_status.entry(status).or_default() += 1,
            Err(Unanswered::Failed(kind)) => *self.errors.by_failure.entry(kind).or_default() += 1,
            Err(Unanswered::Unsent) => {}
        }
        // What fails at once is no fast answer; what never came was waited for.
        if good || exchanged.answer == Err(Unanswered::Failed(Timeout)) {
            self.latency.record(exchanged.latency);
            self.service.record(exchanged.latency.saturating_sub(exchanged.lag));
        }
    }
}
