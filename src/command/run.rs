//! `rehearsal run`: the flow, from a command line to a verdict.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc::unbounded_channel;

use super::out::{LOGS, Out, PLAN, Refusal};
use super::{entry, refused, repository};
use crate::cli::{Color, Format, RunArgs};
use crate::command::common::{code_of, new_id, shown, shown_lines};
use crate::command::entry::{ca_path, write_ca};
use crate::config::settings::{SameRelease, Settings};
use crate::context::Context;
use crate::engine::archive::THIS_PROGRAM;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::pull::failure::PullFailure;
use crate::engine::pull::reference::Reference;
use crate::engine::reaper::Reaper;
use crate::engine::{Engine, sweep};
use crate::interrupt::Interrupt;
use crate::mirror::border::entrance;
use crate::mirror::names::authority::Authority;
use crate::mirror::{News, Setup};
use crate::plan::Plan;
use crate::prepare::candidate::{Candidates, same_as_production};
use crate::prepare::fronts;
use crate::prepare::images::Images;
use crate::prepare::{self, HURL_IMAGE, Prepared, wanted};
use crate::record::event::EventKind;
use crate::record::exit_code::ExitCode;
use crate::record::headline::Headline;
use crate::record::partial::Partial;
use crate::record::recorded::Recorded;
use crate::record::release::EngineRecord;
use crate::record::stage::StageId;
use crate::record::v1::{Counts, Parts, Record, SCHEMA};
use crate::record::verdict::Verdict;
use crate::rehearsal::Rehearsal;
use crate::rehearsal::course::AfterFailure;
use crate::rehearsal::recorder::{EVIDENCE, Recorder};
use crate::rehearsal::scrub;
use crate::report::terminal::{Colour, Terminal, say, tell};
use crate::report::{ReportKind, json};
use crate::text::redact::Redactor;
use crate::verdict::{self, Ended, Judgement};
use crate::world::model::World;
use crate::{check, lock};

/// After the run's own limit: for taking down and for reports.
const AFTER_LIMIT: Duration = Duration::from_secs(600);
/// What is asked to stay stays so long.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(8 * 3600);

/// A run, from its command line to its exit code.
///
/// # Errors
/// Only what is our bug or what left no way to write a report; the caller makes it exit code 70.
pub async fn run(args: &RunArgs, context: &Context, interrupt: &Interrupt) -> Result<ExitCode> {
    let folder = context.directory.join(&args.out);
    // A green report of a former run does not stand beside a configuration that is refused.
    let former = match folder.exists().then(|| Out::claim(&folder)).transpose() {
        Ok(former) => former,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let prepared = match prepare::prepare(&args.what.asked(args.timeout), context) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refused::mistakes(&errors, args.format, context)),
    };
    let out = match former.map_or_else(|| Out::claim(&folder), Ok) {
        Ok(out) => out,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let run = Run::begin(args, context, prepared, out)?;
    let judgement = run.go(interrupt).await?;
    Ok(judgement.exit_code)
}

/// Where nothing can be written nothing is started.
fn refused(refusal: &Refusal) -> ExitCode {
    say(format!("error: {}", shown(refusal, &Redactor::default())));
    match refusal {
        Refusal::Usage(_) => ExitCode::Usage,
        Refusal::Machine(_) => ExitCode::Inconclusive,
    }
}

struct Run<'a> {
    args: &'a RunArgs,
    context: &'a Context,
    settings: Settings,
    world: World,
    candidate: Candidates,
    plan: Plan,
    lock: lock::State,
    id: String,
    out: Out,
    format: Format,
    terminal: Terminal,
    redactor: Redactor,
    started: OffsetDateTime,
    begun: Instant,
}

impl<'a> Run<'a> {
    fn begin(args: &'a RunArgs, context: &'a Context, prepared: Prepared, out: Out) -> Result<Self> {
        let redactor = prepared.redactor();
        let Prepared {
            settings,
            world,
            candidate,
            plan,
        } = prepared;
        let id = new_id()?;
        let format = refused::format(args.format, context);
        let colour = match args.color {
            Color::Always => Colour::On,
            Color::Never => Colour::Off,
            Color::Auto if context.colour() => Colour::On,
            Color::Auto => Colour::Off,
        };
        let started = OffsetDateTime::now_utc();
        let lock = lock::State::read(
            settings.production.lock.as_deref(),
            settings.production.max_lock_age,
            started,
        );
        Ok(Self {
            args,
            context,
            settings,
            world,
            candidate,
            plan,
            lock,
            id,
            out,
            format,
            terminal: Terminal {
                colour,
                width: context.width,
            },
            redactor,
            started,
            begun: Instant::now(),
        })
    }

    fn limit(&self) -> Duration {
        self.settings.timeout
    }

    async fn go(mut self, interrupt: &Interrupt) -> Result<Judgement> {
        self.mask_secrets();
        let recorder = self.recorder()?;
        let alive = sweep::Alive::begin(&self.context.runs, &self.id)?;
        let address = Address::find(self.context);
        let mut reaper = self.reaper(address.as_ref().ok(), &recorder);
        let mut ended = Ended::AsPlanned;
        let connected = self.connect(address, &recorder).await;
        let images = connected.map(|engine| Images::of(engine, self.context, &self.redactor));
        let looked = match &images {
            Some(images) => self.look(images).await,
            None => Ok(Vec::new()),
        };
        self.show_plan()?;
        recorder.say(EventKind::RunStarted {
            run: self.id.clone(),
            seed: self.plan.seed,
        });
        let mut engine_facts = None;
        if let Some(images) = images {
            let engine = images.engine();
            engine_facts = engine.describe().await.ok();
            let limit = tokio::time::sleep(self.limit().saturating_sub(self.begun.elapsed()));
            let facts = tokio::select! {
                () = self.rehearse(&images, &recorder, looked) => None,
                signal = interrupt.wait() => Some(Ended::Signal(code_of(signal))),
                () = limit => Some(Ended::TimeOut),
            };
            ended = facts.unwrap_or(Ended::AsPlanned);
            recorder.over();
            self.digests(engine).await;
            if let Down::Left = self.take_down(engine, &recorder, &ended).await {
                // It goes on where we gave up.
                drop(reaper.take());
            }
        }
        drop(alive);
        self.scrub(&recorder);
        let (mut result, mut judgement) = self.judge(&recorder, &ended, engine_facts);
        self.redactor.clean_texts(&mut result);
        if let Err(error) = json::write(&result, &self.out.folder.join(json::RESULT)) {
            without_record(&mut result, &mut judgement, &error);
        }
        recorder.say(EventKind::RunFinished {
            verdict: judgement.verdict,
            cause: result.cause.clone(),
            exit_code: judgement.exit_code.number(),
        });
        self.report(&result);
        if let Some(reaper) = reaper {
            reaper.disarm();
        }
        Ok(judgement)
    }

    fn mask_secrets(&self) {
        if self.format == Format::Github {
            // GitHub would take an ordinary word out of every line of the job.
            let secrets = self.settings.secrets.values().map(String::as_str);
            let secrets = secrets.filter(|secret| !self.redactor.is_ordinary(secret));
            self.warn(refused::job(self.context).mask(secrets, &mut std::io::stdout()));
        }
    }

    /// What was learned on the way goes from what was written before, too.
    fn scrub(&self, recorder: &Recorder) {
        self.warn(scrub::logs(&self.out.folder.join(LOGS), &self.redactor));
        self.warn(scrub::evidence(&self.out.folder.join(EVIDENCE), &self.redactor));
        self.warn(recorder.scrub());
    }

    fn warn(&self, problems: Vec<String>) {
        for problem in problems {
            say(format!("warning: {}", self.redactor.clean(&problem)));
        }
    }

    fn recorder(&self) -> Result<Recorder> {
        let (format, terminal) = (self.format, self.terminal);
        let listener = move |event: &crate::record::event::Event| {
            if format == Format::Json {
                tell(&serde_json::to_string(event).unwrap_or_default());
            } else if let Some(line) = terminal.progress(event) {
                say(line);
            }
        };
        Recorder::begin(&self.out.folder, self.begun, &self.redactor, Box::new(listener))
    }

    /// The engine, swept of what dead runs left; `None` with a finding where none answers.
    async fn connect(&mut self, address: Result<Address>, recorder: &Recorder) -> Option<Engine> {
        let staying = if self.args.keep { KEPT_FOR } else { Duration::ZERO };
        let deadline = OffsetDateTime::now_utc() + self.limit() + AFTER_LIMIT + staying;
        let labels = RunLabels {
            run: self.id.clone(),
            deadline: u64::try_from(deadline.unix_timestamp()).unwrap_or_default(),
            host: sweep::this_host(),
            lock: sweep::lock_file(&self.context.runs, &self.id),
            kept: self.args.keep.then(|| self.settings.file.clone()),
        };
        let connected = async { Engine::connect(&address?, &labels).await };
        let engine = match connected.await {
            Ok(engine) => engine,
            Err(error) => {
                recorder.finding(check::trouble::machine(StageId::Control, &format!("{error:#}")));
                return None;
            }
        };
        // What stays of them is found by `doctor`.
        let _left = sweep::remove_lock_files(&self.context.runs);
        match sweep::sweep_dead(&engine).await {
            Ok(swept) if swept.is_empty() => {}
            Ok(swept) => recorder.note(format!("removed what {} earlier run(s) had left behind", swept.len())),
            Err(error) => recorder.note(format!("what earlier runs left could not be removed: {error:#}")),
        }
        Some(engine)
    }

    /// Production's services are those of the lock's digests, and of every image it is known how it will be had.
    async fn look(&mut self, images: &Images<'_>) -> Result<Vec<PullFailure>> {
        let tests = wanted::of_tests(&self.settings, &self.plan, self.hurl_image());
        let (world, candidate) = (&mut self.world, &mut self.candidate);
        let (looked, notes) = images
            .look(self.lock.lock(), world, candidate, &tests, self.started)
            .await?;
        self.plan.notes.extend(notes);
        self.plan.images = looked.images;
        self.digests(images.engine()).await;
        Ok(looked.failures)
    }

    fn hurl_image(&self) -> &str {
        self.args.hurl_image.as_deref().unwrap_or(HURL_IMAGE)
    }

    /// Names every release by its digest, as far as the engine knows it.
    async fn digests(&mut self, engine: &Engine) {
        let plan = &mut self.plan;
        for (releases, services) in [
            (&mut plan.candidate, &self.candidate.services),
            (&mut plan.baseline, &self.world.services),
            (&mut plan.mirror, &self.world.services),
        ] {
            for release in releases.iter_mut().filter(|release| release.digest.is_none()) {
                let image = services
                    .get(&release.service)
                    .map(|service| service.image.as_str())
                    .unwrap_or_default();
                let facts = engine.image(image).await.ok().flatten();
                // What is run by its digest is known by it, pulled or not.
                let named = Reference::of(image).digest;
                release.digest = named.or(facts.map(|facts| facts.digest));
            }
        }
    }

    fn show_plan(&self) -> Result<()> {
        let mut plan = serde_json::to_value(&self.plan).context("the plan cannot be written as JSON")?;
        self.redactor.clean_value(&mut plan);
        let json = serde_json::to_string_pretty(&plan).context("the plan cannot be written as JSON")?;
        json::replace(&self.out.folder.join(PLAN), json.as_bytes())?;
        if self.format != Format::Json {
            say(shown_lines(&self.plan.to_text(), &self.redactor));
        }
        Ok(())
    }

    /// Whether every image is on the engine now.
    async fn has_images(&self, images: &Images<'_>, recorder: &Recorder, looked: Result<Vec<PullFailure>>) -> bool {
        let failures = match looked {
            Ok(missing) if missing.is_empty() => {
                let telling = |progress| recorder.pull(progress);
                images.pull(&self.plan.images, &telling).await
            }
            other => other,
        };
        match failures {
            Ok(failures) => {
                for failure in &failures {
                    recorder.finding(check::trouble::no_image(failure));
                }
                failures.is_empty()
            }
            Err(error) => {
                recorder.finding(check::trouble::machine(StageId::Control, &format!("{error:#}")));
                false
            }
        }
    }

    async fn rehearse(&self, images: &Images<'_>, recorder: &Recorder, looked: Result<Vec<PullFailure>>) {
        if let lock::State::Unusable { why, evidence, .. } = &self.lock {
            // Whatever the rehearsal showed, it could not be said of production.
            return recorder.finding(check::mirror_fidelity::unusable(why, evidence));
        }
        if !self.has_images(images, recorder, looked).await {
            return;
        }
        let facts = match images.facts(&self.plan.images, &self.world, &self.candidate).await {
            Ok(facts) => facts,
            Err(error) => return recorder.finding(check::trouble::no_build(&format!("{error:#}"))),
        };
        let id = |image: &str| facts.get(image).map(|facts| facts.id.clone()).unwrap_or_default();
        let same = same_as_production(&self.candidate, &self.world, id);
        if !same.is_empty() && self.settings.policy.same_release == SameRelease::Inconclusive {
            return recorder.finding(check::trouble::nothing_to_rehearse(&same));
        }
        let fronts = match fronts::fronts(&self.settings, &self.world, &self.id, self.lock.lock()) {
            Ok(fronts) => fronts,
            Err(error) => return recorder.finding(check::trouble::machine(StageId::Control, &format!("{error:#}"))),
        };
        for warning in check::no_auth::warnings(&self.settings, &self.world, self.lock.lock()) {
            recorder.finding(warning);
        }
        let (news, mut heard) = unbounded_channel::<News>();
        let telling = recorder.clone();
        tokio::spawn(async move {
            while let Some(news) = heard.recv().await {
                match news {
                    News::Container(change) => telling.container(&change),
                    News::Note(text) => telling.note(text),
                }
            }
        });
        let setup = Setup {
            engine: images.engine().clone(),
            prefix: String::new(),
            world: Arc::new(self.world.clone()),
            images: Arc::new(facts),
            redactor: self.redactor.clone(),
            logs: Some(self.out.folder.join(LOGS)),
            news,
            fronts,
            open: self.settings.policy.allow_egress.clone(),
            program: THIS_PROGRAM.into(),
        };
        if self.args.keep {
            let unwritten = write_ca(&self.out.folder, &setup).err();
            self.warn(unwritten.iter().map(|error| format!("{error:#}")).collect());
        }
        let own_ca = setup.authority().map(Authority::pem);
        let company_ca = self.settings.auth.as_ref().and_then(|auth| auth.ca.clone());
        let rehearsal = Rehearsal {
            ca: own_ca.into_iter().chain(company_ca).collect(),
            settings: &self.settings,
            plan: &self.plan,
            lock: &self.lock,
            world: &self.world,
            candidate: &self.candidate.services,
            grounds: &setup,
            pair: self.plan.pair(self.settings.auth_services()),
            recorder: recorder.clone(),
            redactor: self.redactor.clone(),
            hurl_image: self.hurl_image().to_owned(),
            after_failure: match self.args.fail_fast {
                true => AfterFailure::End,
                false => AfterFailure::GoOn,
            },
            deadline: self.begun + self.limit(),
            today: self.started.date(),
        };
        rehearsal.run().await;
    }

    /// Who takes the run down when this process is killed.
    fn reaper(&self, engine: Option<&Address>, recorder: &Recorder) -> Option<Reaper> {
        let lock = sweep::lock_file(&self.context.runs, &self.id);
        let begun = Reaper::watch_over(&self.id, &lock, &self.out.folder, engine);
        begun
            .inspect_err(|error| recorder.note(format!("{error:#}: a killed run needs `rehearsal down`")))
            .ok()
    }

    async fn take_down(&self, engine: &Engine, recorder: &Recorder, ended: &Ended) -> Down {
        // Whoever interrupts wants it gone.
        if self.args.keep && !matches!(ended, Ended::Signal(_)) {
            self.open(engine).await;
            return Down::All;
        }
        engine.close().await;
        match sweep::remove_run(engine, &self.id).await {
            Ok(()) => Down::All,
            Err(error) => {
                recorder.note(format!("{error:#}"));
                Down::Left
            }
        }
    }

    /// Lets the user into the mirror that stays.
    async fn open(&self, engine: &Engine) {
        let names = fronts::names(&self.settings, &self.world);
        let ways = entrance::open(engine, &self.world, entrance::ways(&self.world, &names)).await;
        if let Err(error) = &ways {
            self.warn(vec![format!("there is no way into the mirror: {error:#}")]);
        }
        let ca = ca_path(&names, &self.args.out);
        let until = engine.deadline();
        let words = entry::words(&self.id, until, &ways.unwrap_or_default(), ca.as_deref());
        say(shown_lines(&words, &self.redactor));
    }

    fn judge(&self, recorder: &Recorder, ended: &Ended, engine: Option<EngineRecord>) -> (Record, Judgement) {
        let mut recorded = recorder.recorded(&self.plan);
        // Before anything is cut: half a secret would not be known any more.
        self.redactor.clean_texts(&mut recorded);
        let pair = self.plan.pair(self.settings.auth_services()).short();
        let partial = self.partial(&recorded);
        let judgement = verdict::judge(
            &recorded,
            verdict::Run {
                policy: &self.settings.policy,
                ended: *ended,
                pair: &pair,
                partial: &partial,
            },
        );
        recorded
            .findings
            .sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.stage, finding.check));
        let mut parts = Parts::from(&recorded);
        repository::name_places(&mut parts.tests, self.context);
        let mut notes = self.plan.notes.clone();
        notes.extend(recorded.notes);
        let mut result = Record {
            schema: SCHEMA.to_owned(),
            verdict: judgement.verdict.into(),
            cause: judgement.headline.to_string(),
            headline: judgement.headline.clone(),
            again: (judgement.verdict == Verdict::Block).then(|| self.again()),
            partial: partial.iter().map(|part| part.word().to_owned()).collect(),
            exit_code: judgement.exit_code.number(),
            started: self.started.format(&Rfc3339).unwrap_or_default(),
            duration_ms: crate::text::units::millis(self.begun.elapsed()),
            seed: self.plan.seed,
            rehearsal: env!("CARGO_PKG_VERSION").to_owned(),
            candidate: self.plan.candidate.clone(),
            baseline: self.plan.baseline.clone(),
            mirror: self.plan.mirror.clone(),
            lock: self.lock.record(),
            counts: Counts::default(),
            fidelity: parts.fidelity,
            stages: parts.stages,
            findings: parts.findings,
            tests: parts.tests,
            checks: parts.checks,
            engine,
            notes,
        };
        result.counts = Counts::of(&result);
        (result, judgement)
    }

    /// The command that brings the moment back: the mirror with the candidate in place.
    fn again(&self) -> String {
        let what = &self.args.what;
        let config = what.config.as_ref().map(|file| format!(" --config {}", file.display()));
        let mut candidates = what
            .candidate
            .iter()
            .map(|(name, image)| format!(" --candidate {name}={image}"));
        let candidate = match candidates.next() {
            Some(first) => std::iter::once(first).chain(candidates).collect(),
            None => " --with-candidate".to_owned(),
        };
        format!("rehearsal up{}{candidate}", config.unwrap_or_default())
    }

    /// What was left out, and what somebody has signed for.
    fn partial(&self, recorded: &Recorded) -> Vec<Partial> {
        let mut partial = self.plan.partial.clone();
        for finding in recorded.findings.iter().filter(|finding| finding.waived.is_some()) {
            let waived = Partial::Waived(finding.check);
            if !partial.contains(&waived) {
                partial.push(waived);
            }
        }
        partial
    }

    /// Reports never change the verdict: what cannot be written is a warning, and only what is there is named.
    fn report(&self, result: &Record) {
        let written = json::write_all(result, &self.out.folder);
        self.warn(written.problems);
        self.warn(further(result, &self.args.report, &self.context.directory));
        if self.format == Format::Github {
            self.warn(refused::job(self.context).publish(result, &self.args.out, &mut std::io::stdout()));
        }
        if self.format != Format::Json {
            let reports = self.out.reports(&self.args.out);
            say(format!("\n{}", self.terminal.summary(result, &reports)));
        }
        // Nobody reading any more is no reason for another exit code.
        let _flushed = std::io::stdout().flush();
    }
}

/// No record, no pass: nobody could ever see what was rehearsed.
fn without_record(result: &mut Record, judgement: &mut Judgement, error: &anyhow::Error) {
    if judgement.verdict != Verdict::Pass {
        return;
    }
    judgement.verdict = Verdict::Inconclusive;
    judgement.exit_code = ExitCode::Inconclusive;
    judgement.headline = Headline::plain(&format!(
        "nothing red was seen, but the record could not be kept: {error:#}"
    ));
    result.verdict = judgement.verdict.into();
    result.exit_code = judgement.exit_code.number();
    result.headline = judgement.headline.clone();
    result.cause = judgement.headline.to_string();
}

/// What taking down came to.
enum Down {
    /// Nothing that was to go is left.
    All,
    /// Something would not go.
    Left,
}

/// `--report KIND=PATH`.
pub fn further(result: &Record, wanted: &[(ReportKind, PathBuf)], directory: &Path) -> Vec<String> {
    let one = |(kind, path): &(ReportKind, PathBuf)| json::replace(&directory.join(path), &kind.write(result)?);
    let failed = wanted.iter().filter_map(|report| one(report).err());
    failed.map(|error| format!("{error:#}")).collect()
}
