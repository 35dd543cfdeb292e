//! The plan: what will happen, as plain data, printed before anything does. Making it needs no engine and no clock,
//! so the same configuration and seed always give the same plan.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::check;
use crate::config::settings::{CandidateImage, Rollback, Settings};
use crate::mirror::door;
use crate::record::image::ImagePlan;
use crate::record::result::Release;
use crate::record::stage::StageId;
use crate::rehearsal::fidelity;
use crate::world::model::World;

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Always `rehearsal/v1`.
    pub schema: String,
    /// Replays the run.
    pub seed: u64,
    /// The configuration it was made from.
    pub config: String,
    /// What wants to replace production.
    pub candidate: Vec<Release>,
    /// What production runs in those places.
    pub baseline: Vec<Release>,
    /// Every other service.
    pub mirror: Vec<Release>,
    /// Every image that the run needs, and how each is had.
    #[serde(default)]
    pub images: Vec<ImagePlan>,
    /// In order.
    pub stages: Vec<StagePlan>,
    /// What the mirror does not mirror, and what else a reader should know.
    pub notes: Vec<String>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Which.
    pub id: StageId,
    /// Why it is left out, if it is.
    pub skipped: Option<String>,
    /// In order; services of one `start` step come up side by side.
    pub steps: Vec<StepPlan>,
    /// The built-in checks that are answered here.
    pub checks: Vec<CheckPlan>,
}

/// One step of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPlan {
    /// Id, as in events and reports.
    pub id: String,
    /// What it does, for people.
    pub what: String,
}

/// One check of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPlan {
    /// Id from the catalog.
    pub id: String,
    /// Why it is left out, if it is.
    pub skipped: Option<String>,
}

/// What `--only` left: nothing said means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only(pub Vec<String>);

impl Only {
    fn suite(&self, name: &str) -> bool {
        let names_suite =
            |word: &String| StageId::ALL.iter().all(|stage| stage.as_str() != word) && !check::is_known(word);
        !self.0.iter().any(names_suite) || self.0.iter().any(|word| word == name)
    }

    fn stage(&self, id: StageId) -> bool {
        let names_stage = |word: &String| StageId::ALL.iter().any(|stage| stage.as_str() == word);
        id == StageId::Control || !self.0.iter().any(names_stage) || self.0.iter().any(|word| word == id.as_str())
    }

    fn check(&self, id: &str) -> bool {
        !self.0.iter().any(|word| check::is_known(word)) || self.0.iter().any(|word| word == id) || id == "control"
    }
}

/// Makes the plan.
pub fn make(settings: &Settings, world: &World, seed: u64, only: &Only) -> Plan {
    let candidate = settings.candidate.iter().map(|(service, candidate)| Release {
        service: service.clone(),
        image: match &candidate.image {
            CandidateImage::Reference(image) => image.clone(),
            CandidateImage::Build { context, .. } => format!("built from {}", context.display()),
            CandidateImage::Unchanged => image_of(world, service),
        },
        digest: None,
    });
    let release = |service: &String| Release {
        service: service.clone(),
        image: image_of(world, service),
        digest: None,
    };
    let mut notes = door::notes(&settings.policy.allow_egress);
    notes.extend(world.unmirrored.iter().cloned());
    if settings.production.lock.is_none() {
        notes.push(
            "no lock: production's facts are unrecorded, so nothing proves that this mirror equals production"
                .to_owned(),
        );
    }
    if let Some(lock) = &settings.production.lock {
        notes.push(format!("production's facts are those of `{}`", lock.display()));
    }
    if !only.0.is_empty() {
        notes.push(format!(
            "only {} was asked for: a pass says nothing of the rest",
            only.0.join(", ")
        ));
    }
    Plan {
        schema: crate::record::result::SCHEMA.to_owned(),
        seed,
        config: settings.file.display().to_string(),
        candidate: candidate.collect(),
        baseline: settings.candidate.keys().map(release).collect(),
        mirror: world
            .services
            .keys()
            .filter(|name| !settings.candidate.contains_key(*name))
            .map(release)
            .collect(),
        images: Vec::new(),
        stages: StageId::ALL
            .iter()
            .map(|id| stage(*id, settings, world, only))
            .collect(),
        notes,
    }
}

fn image_of(world: &World, service: &str) -> String {
    world
        .services
        .get(service)
        .map(|service| service.image.clone())
        .unwrap_or_default()
}

fn stage(id: StageId, settings: &Settings, world: &World, only: &Only) -> StagePlan {
    let skipped = match (&settings.stages.rollback, id) {
        (Rollback::ForwardOnly(reason), StageId::Rollback) => Some(format!("forward only: {reason}")),
        _ if !only.stage(id) => Some("left out by --only".to_owned()),
        _ => None,
    };
    let mut steps = Steps {
        settings,
        only,
        steps: Vec::new(),
    };
    match id {
        StageId::Control => steps.control(world),
        StageId::Upgrade => steps.upgrade(),
        StageId::Rollback => steps.rollback(),
    }
    let checks = check::of_stage(id, settings)
        .into_iter()
        .map(|(check, skipped)| CheckPlan {
            id: check.to_owned(),
            skipped: skipped.or_else(|| (!only.check(check)).then(|| "left out by --only".to_owned())),
        });
    StagePlan {
        id,
        steps: if skipped.is_some() { Vec::new() } else { steps.steps },
        checks: checks.collect(),
        skipped,
    }
}

/// Steps, as they are added.
struct Steps<'a> {
    settings: &'a Settings,
    only: &'a Only,
    steps: Vec<StepPlan>,
}

impl Steps<'_> {
    fn add(&mut self, id: impl Into<String>, what: impl Into<String>) {
        self.steps.push(StepPlan {
            id: id.into(),
            what: what.into(),
        });
    }

    fn control(&mut self, world: &World) {
        self.add("mirror", "make closed networks, volumes and the agent");
        for name in world.in_dependency_order() {
            self.add(format!("start {name}"), format!("start {}", image_of(world, name)));
        }
        if self.settings.production.lock.is_some() && self.only.check(check::mirror_fidelity::ABOUT.id) {
            self.add(fidelity::STEP, "ask the mirror what the lock says of production");
        }
        self.suites();
        self.data("data.seed", self.settings.data.seed.is_some());
        self.data("data.verify", self.settings.data.verify.is_some());
    }

    fn upgrade(&mut self) {
        self.swap("the candidate takes the baseline's place, under traffic");
        self.suites();
        self.data("data.verify", self.settings.data.verify.is_some());
    }

    fn rollback(&mut self) {
        self.data("data.write", self.settings.data.write.is_some());
        self.data("data.verify_write", self.settings.data.verify_write.is_some());
        self.swap("the baseline comes back, against the clock");
        self.suites();
        self.data("data.verify", self.settings.data.verify.is_some());
        self.data(
            "data.verify_write after the rollback",
            self.settings.data.verify_write.is_some(),
        );
        if self.settings.auth.is_some() && self.only.check("auth-exercised") {
            self.add(
                "without auth",
                "stop the authentication dependency: something must notice",
            );
        }
    }

    fn swap(&mut self, what: &str) {
        let services: Vec<&str> = self.settings.candidate.keys().map(String::as_str).collect();
        self.add(format!("swap {}", services.join(" ")), what);
    }

    fn suites(&mut self) {
        for suite in self.settings.suites.iter().filter(|suite| self.only.suite(&suite.name)) {
            self.add(
                format!("suite {}", suite.name),
                format!("at least {} tests", suite.body.min_tests),
            );
        }
        if self.settings.auth.as_ref().is_some_and(|auth| auth.login.is_some()) && self.only.check("auth-login") {
            self.add("login", "sign in as the test user");
        }
    }

    fn data(&mut self, id: &str, present: bool) {
        if present {
            self.add(id, "");
        }
    }
}

impl Plan {
    /// The stage with this id.
    pub fn stage(&self, id: StageId) -> Option<&StagePlan> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// Whether a stage has a step.
    pub fn has_step(&self, id: StageId, step: &str) -> bool {
        self.stage(id)
            .is_some_and(|stage| stage.steps.iter().any(|planned| planned.id == step))
    }

    /// As a tree, for people.
    pub fn to_text(&self) -> String {
        let mut text = format!("plan  seed {}  {}\n", self.seed, self.config);
        let rows = [
            ("candidate", &self.candidate),
            ("baseline", &self.baseline),
            ("mirror", &self.mirror),
        ];
        for (role, releases) in rows {
            for release in releases.iter() {
                let digest = release.digest.as_deref().unwrap_or("digest not known yet");
                // Writing to a String cannot fail.
                let _written = writeln!(text, "  {role:<9}  {}  {}  {digest}", release.service, release.image);
            }
        }
        for image in &self.images {
            image.write(&mut text);
        }
        for stage in &self.stages {
            stage.write(&mut text);
        }
        for note in &self.notes {
            let _written = writeln!(text, "  note: {note}");
        }
        text
    }
}

impl StagePlan {
    fn write(&self, text: &mut String) {
        let _written = match &self.skipped {
            Some(reason) => writeln!(text, "  {} (skipped: {reason})", self.id),
            None => writeln!(text, "  {}", self.id),
        };
        for step in &self.steps {
            let what = if step.what.is_empty() {
                String::new()
            } else {
                format!("  {}", step.what)
            };
            let _written = writeln!(text, "  ├─ {}{what}", step.id);
        }
        let check = |check: &CheckPlan| match &check.skipped {
            Some(reason) => format!("{} (skipped: {reason})", check.id),
            None => check.id.clone(),
        };
        let checks: Vec<String> = self.checks.iter().map(check).collect();
        let _written = writeln!(text, "  └─ checks: {}", checks.join(", "));
    }
}
