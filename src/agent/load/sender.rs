//! The sender: a thread of its own that wakes when a request is due, and hands it to the runtime; no timer of the runtime
//! is as fine. Every request is on its own from then on, so that none waits for another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{COOKIE, HOST, HeaderValue, USER_AGENT};
use tokio::runtime::Handle;
use url::{Position, Url};

use super::super::exchange::Browser;
use super::super::failure::{CallFailure, CallFailureKind};
use super::super::session::{self, lock};
use super::connection::{Connection, Ended, Target, Targets, Unanswered, exchange, key};
use super::ledger::{Exchanged, Ledger};
use super::plan::{LoadPlan, LoadStep};
use super::schedule::{Due, dues, refused, spans};
use super::slice::Slice;
use super::{LoadAnswer, LoadCall, TAKE_LIMIT, trust};

/// Slices of one answer.
const MOST_SLICES: usize = 16;

/// The loads under way.
#[derive(Default)]
pub(in crate::agent) struct Loads(Mutex<HashMap<String, Arc<Load>>>);

/// A load under way.
struct Load {
    ledger: Ledger,
    mixes: Vec<Vec<Shot>>,
    targets: Targets,
    limit: Duration,
    fresh_every: u64,
    most_at_once: usize,
    at_once: AtomicUsize,
    is_stopped: AtomicBool,
}

/// A step, ready to be sent.
struct Shot {
    request: Request<Full<Bytes>>,
    target: Arc<Target>,
}

impl Loads {
    /// Does what is asked.
    pub async fn serve(&self, browser: &Browser, call: LoadCall) -> Result<LoadAnswer, CallFailure> {
        match call {
            LoadCall::Start { load, plan } => self.start(browser, load, plan).await.map(|()| LoadAnswer::Started),
            LoadCall::Take { load, after } => self.take(&load, after).await,
            LoadCall::Stop { load } => {
                if let Some(load) = lock(&self.0).remove(&load) {
                    load.stop();
                }
                Ok(LoadAnswer::Stopped)
            }
        }
    }

    /// The gate has gone: nothing more is sent, also by an agent that stays.
    pub fn end(&self) {
        lock(&self.0).drain().for_each(|(_, load)| load.stop());
    }

    async fn start(&self, browser: &Browser, name: String, plan: LoadPlan) -> Result<(), CallFailure> {
        if let Some(why) = refused(&plan) {
            return Err(CallFailure::request(format!("a load cannot be sent: {why}")));
        }
        let former = lock(&self.0).remove(&name);
        former.iter().for_each(|load| load.stop());
        let targets = former.map(|load| load.targets.clone()).unwrap_or_default();
        let load = Load::new(browser, &plan, targets).await;
        let load = Arc::new(load.map_err(|why| CallFailure::request(format!("a load cannot be sent: {why}")))?);
        lock(&self.0).insert(name, load.clone());
        let handle = Handle::current();
        let paced = std::thread::Builder::new().name("load".to_owned());
        let paced = paced.spawn(move || pace(&load, &plan, &handle));
        paced.map_err(|error| CallFailure::request(format!("no thread for a load: {error}")))?;
        Ok(())
    }

    async fn take(&self, name: &str, after: usize) -> Result<LoadAnswer, CallFailure> {
        let load = lock(&self.0).get(name).cloned();
        let load = load.ok_or_else(|| CallFailure::request(format!("no load named `{name}` is under way")))?;
        let slices: Vec<Slice> = load.ledger.take(after, MOST_SLICES, TAKE_LIMIT).await;
        let of = load.ledger.len();
        Ok(LoadAnswer::Slices { slices, of })
    }
}

impl Load {
    async fn new(browser: &Browser, plan: &LoadPlan, mut targets: Targets) -> Result<Self, String> {
        let tls = trust::connector(&trust::Trust {
            insecure: plan.insecure,
            ca: &plan.ca,
        })?;
        let mut mixes = Vec::new();
        for mix in &plan.mixes {
            let mut shots = Vec::new();
            for step in mix {
                let url = Url::parse(&step.url).map_err(|error| format!("`{}` is no URL: {error}", step.name))?;
                let at = step.at.as_deref();
                let target = match targets.get(&key(&url, at)) {
                    Some(known) => known.clone(),
                    None => Arc::new(Target::of(&url, at, &tls, &browser.resolver).await?),
                };
                targets.insert(key(&url, at), target.clone());
                let request = request(step, &url, browser)?;
                shots.push(Shot { request, target });
            }
            mixes.push(shots);
        }
        Ok(Self {
            ledger: Ledger::new(plan, spans(plan)),
            mixes,
            targets,
            limit: Duration::from_millis(plan.timeout_ms.max(1)),
            fresh_every: plan.fresh_every,
            most_at_once: plan.most_at_once,
            at_once: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
        })
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

/// As the server reads it.
fn request(step: &LoadStep, url: &Url, browser: &Browser) -> Result<Request<Full<Bytes>>, String> {
    let body = BASE64_STANDARD.decode(step.body.as_deref().unwrap_or_default());
    let body = body.map_err(|error| format!("the body of `{}` is not base64: {error}", step.name))?;
    let mut request = Request::builder()
        .method(step.method.as_str())
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, super::super::exchange::USER_AGENT);
    for (name, value) in &step.headers {
        request = request.header(name, value);
    }
    let cookies = session::pairs(&browser.sessions.jar(&step.session), url).into_iter();
    let cookies: Vec<String> = cookies.map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        let cookies = HeaderValue::from_str(&cookies.join("; ")).map_err(|error| error.to_string())?;
        request = request.header(COOKIE, cookies);
    }
    let built = request.body(Full::new(Bytes::from(body)));
    built.map_err(|error| format!("`{}` is no request: {error}", step.name))
}

/// Waits for each moment, and sends what is due then.
fn pace(load: &Arc<Load>, plan: &LoadPlan, runtime: &Handle) {
    let began = Instant::now();
    let mixes: Vec<usize> = spans(plan).iter().map(|span| plan.phases[span.phase].mix).collect();
    for due in dues(plan) {
        let at = began + due.at;
        let early = at.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            std::thread::sleep(early);
        }
        if load.is_stopped.load(Ordering::Relaxed) {
            return;
        }
        load.ledger.due(due.slice);
        if load.at_once.fetch_add(1, Ordering::Relaxed) >= load.most_at_once {
            load.at_once.fetch_sub(1, Ordering::Relaxed);
            load.ledger.unsent(due.slice);
        } else {
            runtime.spawn(shoot(load.clone(), mixes[due.slice], due, at));
        }
    }
    load.ledger.over();
}

async fn shoot(load: Arc<Load>, mix: usize, due: Due, at: Instant) {
    let lag = at.elapsed();
    let shot = &load.mixes[mix][due.step];
    let mut opened = 0;
    let limit = tokio::time::Instant::from_std(at + load.limit);
    let answered = tokio::time::timeout_at(limit, send(&load, shot, due.number, &mut opened)).await;
    let exchanged = Exchanged {
        answer: answered.unwrap_or(Err(Unanswered::Failed(CallFailureKind::Timeout))),
        lag,
        latency: at.elapsed(),
        opened,
    };
    load.at_once.fetch_sub(1, Ordering::Relaxed);
    load.ledger.ended(due.slice, due.step, exchanged);
}

/// On a kept connection where one is free, unless it is the turn of a fresh one. What a server has closed meanwhile says
/// nothing of it: then on a new one, and the time goes on.
async fn send(load: &Load, shot: &Shot, number: u64, opened: &mut u64) -> Result<u16, Unanswered> {
    let is_fresh = number.checked_rem(load.fresh_every) == Some(0);
    let mut request = shot.request.clone();
    if !is_fresh && let Some(mut kept) = shot.target.take_kept() {
        match exchange(&mut kept, request).await {
            Ok(status) => return Ok(kept_for_next(&shot.target, kept, status)),
            Err(Ended::Unwritten(back)) => request = *back,
            Err(Ended::Silent) => request = shot.request.clone(),
            Err(Ended::Broken(why)) => return Err(why),
        }
    }
    *opened += 1;
    let mut connection = shot.target.open().await?;
    match exchange(&mut connection, request).await {
        Ok(status) if is_fresh => Ok(status),
        Ok(status) => Ok(kept_for_next(&shot.target, connection, status)),
        Err(Ended::Broken(why)) => Err(why),
        Err(Ended::Unwritten(_) | Ended::Silent) => Err(Unanswered::Failed(CallFailureKind::Reset)),
    }
}

fn kept_for_next(target: &Target, connection: Connection, status: u16) -> u16 {
    target.keep(connection);
    status
}
