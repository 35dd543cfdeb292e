//! What load sends: the requests of a suite that may be sent again and again, filled in with what a run of it captured.

use std::fmt;

use super::request::Request;
use super::run::{Captures, SuiteRun};
use super::template::Scope;
use crate::agent::load::plan::LoadStep;
use crate::config::settings::{RequestStep, StatusPattern};

/// Requests of suites, each as often as it is to be sent.
#[derive(Debug, Clone, Default)]
pub struct Mix {
    /// What is sent.
    pub steps: Vec<LoadStep>,
    /// What is not: the step's name, and why.
    pub left_out: Vec<(String, LeftOut)>,
    /// Certificates are not verified.
    pub insecure: bool,
    /// Further CAs, PEM.
    pub ca: Vec<String>,
}

/// Why a step is no part of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// It is sent once only: it may change something, or says so.
    Once,
    /// It follows redirects, and would be several requests.
    Follows,
    /// It needs what nobody captured.
    NotCaptured(String),
    /// It has no address.
    NoAddress(String),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => {
                f.write_str("it is no GET and does not say `repeatable: true`, or it says `repeatable: false`")
            }
            Self::Follows => f.write_str("it follows redirects"),
            Self::NotCaptured(name) => write!(f, "nothing was captured as `{name}`"),
            Self::NoAddress(why) => f.write_str(why),
        }
    }
}

impl Mix {
    /// Takes in the requests of a suite that has run: `run` is as it was given, `left` what it left.
    pub fn add(&mut self, run: &SuiteRun<'_>, left: &Captures) {
        self.insecure |= run.body.tls.insecure;
        for pem in run.ca.iter().chain(&run.body.tls.ca) {
            if !self.ca.contains(pem) {
                self.ca.push(pem.clone());
            }
        }
        for step in &run.body.requests {
            match load_step(run, step, left) {
                Ok(step) => self.steps.push(step),
                Err(why) => self.left_out.push((format!("{} / {}", run.subject, step.name), why)),
            }
        }
    }
}

fn load_step(run: &SuiteRun<'_>, step: &RequestStep, left: &Captures) -> Result<LoadStep, LeftOut> {
    if !step.is_repeatable() {
        return Err(LeftOut::Once);
    }
    if step.follow {
        return Err(LeftOut::Follows);
    }
    let scope = Scope {
        values: &left.values,
        run: run.run,
    };
    let call = Request::new(run, step).call(scope, &left.session);
    let call = call.map_err(|missing| LeftOut::NotCaptured(missing.0))?;
    let call = call.map_err(LeftOut::NoAddress)?;
    Ok(LoadStep {
        name: format!("{} / {}", run.subject, step.name),
        session: call.session,
        method: call.method,
        url: call.url,
        headers: call.headers,
        body: call.body,
        good: good(&step.expect.status),
        at: None,
    })
}

/// Statuses as spans; nothing said is any 2xx.
fn good(expected: &[StatusPattern]) -> Vec<(u16, u16)> {
    let span = |pattern: &StatusPattern| match *pattern {
        StatusPattern::Exact(status) => (status, status),
        StatusPattern::Class(class) => (u16::from(class) * 100, u16::from(class) * 100 + 99),
    };
    match expected {
        [] => vec![(200, 299)],
        some => some.iter().map(span).collect(),
    }
}
