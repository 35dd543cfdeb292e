//! `rehearsal run`: the flow, from a command line to a verdict.

mod hazards;
mod logs;
mod room;
pub(super) mod signer;
pub mod told;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::last::Last;
use super::out::{LOGS, Out, PLAN, Refusal};
use super::{entry, refused};
use crate::cli::{Color, Format, RunArgs};
use crate::command::common::{code_of, new_id, shown, shown_lines};
use crate::command::entry::{ca_path, write_ca};
use crate::config::settings::{SameRelease, Settings};
use crate::context::Context;
use crate::engine::build::wanted::CommandFailed;
use crate::engine::image::ImageFacts;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::pull::failure::PullFailure;
use crate::engine::reaper::Reaper;
use crate::engine::{Engine, sweep};
use crate::interrupt::Interrupt;
use crate::mirror::border::entrance;
use crate::mirror::names::authority::Authority;
use crate::mirror::{News, Setup};
use crate::prepare::candidate::same_as_production;
use crate::prepare::fronts;
use crate::prepare::images::Images;
use crate::prepare::on_engine::{self, Listener, NotHad};
use crate::prepare::{self, Asked, HURL_IMAGE, Prepared, wanted};
use crate::record::event::EventKind;
use crate::record::exit_code::ExitCode;
use crate::record::finding::Finding;
use crate::record::inputs::{Input, Inputs};
use crate::record::stage::StageId;
use crate::rehearsal::Rehearsal;
use crate::rehearsal::course::AfterFailure;
use crate::rehearsal::recorder::Recorder;
use crate::report::github::Mistake;
use crate::report::json;
use crate::report::terminal::{Colour, Terminal, say, tell};
use crate::text::redact::Redactor;
use crate::verdict::{Ended, Judgement};
use crate::world::candidates::Scope;
use crate::world::model::Service;
use crate::yaml::file::{self, MOST_TEXT};
use crate::{check, lock};
use signer::Signer;

/// After the run's own limit: for taking down and for reports.
const AFTER_LIMIT: Duration = Duration::from_secs(600);
/// What is asked to stay stays so long.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(8 * 3600);

/// A run, from its command line to its exit code.
///
/// # Errors
/// Only what is our bug or what left no way to write a report; the caller makes it exit code 70.
pub async fn run(args: &RunArgs, context: &Context, interrupt: &Interrupt) -> Result<ExitCode> {
    let folder = context.directory.join(&args.told.out);
    let last = Last::of(&folder);
    // A green report of a former run does not stand beside a configuration that is refused.
    let former = match folder.exists().then(|| Out::claim(&folder)).transpose() {
        Ok(former) => former,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let (signer, context) = match Signer::read(args.told.key.as_ref(), context) {
        Ok(read) => read,
        Err(error) => return Ok(refused(&Refusal::Usage(format!("{error:#}")))),
    };
    let context = context.as_ref();
    let asked = Asked {
        shard: args.shard.clone(),
        ..args.what.asked(args.timeout)
    };
    let prepared = match prepare::prepare(&asked, context) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refused::mistakes(&errors, args.told.format, context)),
    };
    let out = match former.map_or_else(|| Out::claim(&folder), Ok) {
        Ok(out) => out,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let run = Run::begin(args, context, prepared, (out, last), signer)?;
    let judgement = run.go(interrupt).await?;
    Ok(judgement.exit_code)
}

/// Where nothing can be written nothing is started.
pub(super) fn refused(refusal: &Refusal) -> ExitCode {
    say(format!("error: {}", shown(refusal, &Redactor::default())));
    match refusal {
        Refusal::Usage(_) => ExitCode::Usage,
        Refusal::Machine(_) => ExitCode::Inconclusive,
    }
}

struct Run<'a> {
    args: &'a RunArgs,
    context: &'a Context,
    prepared: Prepared,
    lock: lock::State,
    id: String,
    out: Out,
    /// The run before this one.
    last: Arc<Last>,
    format: Format,
    terminal: Terminal,
    redactor: Redactor,
    started: OffsetDateTime,
    begun: Instant,
    engine: Option<Engine>,
    plan_is: Told,
    /// What lets this job's exit code get lost.
    hazards: Vec<Mistake>,
    /// What all of it is made from, by digest.
    inputs: Inputs,
    signer: Option<Signer>,
}

/// Whether something has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    NotYet,
    Already,
}

impl<'a> Run<'a> {
    fn begin(
        args: &'a RunArgs,
        context: &'a Context,
        prepared: Prepared,
        (out, last): (Out, Last),
        signer: Option<Signer>,
    ) -> Result<Self> {
        let redactor = prepared.redactor();
        context.token.iter().for_each(|token| redactor.learn(token));
        signer.iter().for_each(|signer| signer.hide(&redactor));
        let id = new_id()?;
        let format = refused::format(args.told.format, context);
        let colour = match args.told.color {
            Color::Always => Colour::On,
            Color::Never => Colour::Off,
            Color::Auto if context.colour() => Colour::On,
            Color::Auto => Colour::Off,
        };
        let started = OffsetDateTime::now_utc();
        let production = &prepared.settings.production;
        let lock = lock::State::read(production.lock.as_deref(), production.max_lock_age, started);
        let inputs = inputs(&prepared.settings);
        Ok(Self {
            args,
            context,
            prepared,
            lock,
            id,
            out,
            last: Arc::new(last),
            format,
            terminal: Terminal {
                colour,
                width: context.width,
            },
            redactor,
            started,
            begun: Instant::now(),
            engine: None,
            plan_is: Told::NotYet,
            hazards: hazards::of_job(context),
            inputs,
            signer,
        })
    }

    fn limit(&self) -> Duration {
        self.prepared.settings.timeout
    }

    async fn go(mut self, interrupt: &Interrupt) -> Result<Judgement> {
        self.mask_secrets();
        self.warn_of_workflow();
        let recorder = self.recorder()?;
        let alive = sweep::Alive::begin(&self.context.runs, &self.id)?;
        let address = Address::find(self.context);
        let mut reaper = self.reaper(address.as_ref().ok(), &recorder);
        let limit = tokio::time::sleep(self.limit());
        let ended = tokio::select! {
            worked = self.work(address, &recorder) => worked.map(|()| Ended::AsPlanned)?,
            signal = interrupt.wait() => Ended::Signal(code_of(signal)),
            () = limit => Ended::TimeOut,
        };
        self.tell_plan(&recorder)?;
        recorder.over();
        if let Down::Left = self.end(&recorder, ended).await {
            // It goes on where we gave up.
            drop(reaper.take());
        }
        drop(alive);
        self.scrub(&recorder);
        let judgement = self.tell(&recorder, ended).await;
        if let Some(reaper) = reaper {
            reaper.disarm();
        }
        Ok(judgement)
    }

    /// All that an interrupt or the run's limit may cut short.
    async fn work(&mut self, address: Result<Address>, recorder: &Recorder) -> Result<()> {
        if self.prepared.alters_nothing() {
            self.tell_plan(recorder)?;
            if let lock::State::Unusable { why, evidence, .. } = &self.lock {
                recorder.finding(check::mirror_fidelity::unusable(why, evidence));
            }
            return Ok(());
        }
        if let Some(finding) = self.undeployable() {
            self.tell_plan(recorder)?;
            recorder.finding(finding);
            return Ok(());
        }
        let Some(engine) = self.connect(address, recorder).await else {
            return self.tell_plan(recorder);
        };
        self.engine = Some(engine.clone());
        let images = Images::of(engine, self.context, &self.redactor);
        let tests = wanted::of_tests(&self.prepared.settings, &self.prepared.plan, self.hurl_image());
        let looked = self.prepared.look(&images, self.lock.lock(), &tests, self.started);
        let looked = looked.await;
        self.tell_plan(recorder)?;
        if let lock::State::Unusable { why, evidence, .. } = &self.lock {
            // Whatever the rehearsal showed, it could not be said of production.
            recorder.finding(check::mirror_fidelity::unusable(why, evidence));
            return Ok(());
        }
        if self.fits(images.engine(), recorder).await.is_break() {
            return Ok(());
        }
        match self.facts(&images, recorder, looked).await {
            Ok(facts) => {
                self.prepared.name_as_had(&facts);
                self.rehearse(&images, recorder, facts).await;
            }
            Err(findings) => findings.into_iter().for_each(|finding| recorder.finding(finding)),
        }
        Ok(())
    }

    /// What is known of the release without any engine: its deploy would be refused, or would change nothing.
    fn undeployable(&self) -> Option<Finding> {
        let release = &self.prepared.candidate;
        let refused = release.refused.as_deref().map(check::release::refused);
        let nothing = || release.is_empty().then(check::trouble::nothing_differs);
        refused.or_else(nothing).or_else(|| self.unseen())
    }

    /// All that the release changes is how many of some services run, beyond what runs here.
    fn unseen(&self) -> Option<Finding> {
        let release = &self.prepared.candidate;
        let mut unseen = release.unseen_scales(&self.prepared.world);
        unseen.retain(|scale| scale.scope == Scope::ScaleAlone);
        let all = !unseen.is_empty() && unseen.len() == release.touched().len();
        all.then(|| check::trouble::scale_unseen(&unseen))
    }

    /// The plan is on disk and told before anything of it happens, and told once.
    fn tell_plan(&mut self, recorder: &Recorder) -> Result<()> {
        if std::mem::replace(&mut self.plan_is, Told::Already) == Told::Already {
            return Ok(());
        }
        self.show_plan()?;
        let elsewhere = self.prepared.elsewhere.iter();
        self.warn(elsewhere.filter_map(|elsewhere| elsewhere.warning.clone()).collect());
        recorder.say(EventKind::RunStarted {
            run: self.id.clone(),
            seed: self.prepared.plan.seed,
        });
        Ok(())
    }

    fn recorder(&self) -> Result<Recorder> {
        let (format, terminal, quiet) = (self.format, self.terminal, self.args.quiet);
        let last = Arc::clone(&self.last);
        let listener = move |event: &crate::record::event::Event| {
            if format == Format::Json {
                tell(&serde_json::to_string(event).unwrap_or_default());
            } else if let Some(line) = terminal.progress(event).filter(|_| !quiet) {
                say(format!("{line}{}", last.beside(&event.kind)));
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
            kept: self.args.keep.then(|| self.prepared.settings.file.clone()),
        };
        // What stays of them is found by `doctor`.
        let _left = sweep::remove_lock_files(&self.context.runs);
        let connected = async { on_engine::connect(&address?, &labels).await };
        match connected.await {
            Ok((engine, remark)) => {
                remark.into_iter().for_each(|remark| recorder.note(remark));
                Some(engine)
            }
            Err(error) => {
                recorder.finding(check::trouble::machine(StageId::Control, &format!("{error:#}")));
                None
            }
        }
    }

    fn hurl_image(&self) -> &str {
        self.args.hurl_image.as_deref().unwrap_or(HURL_IMAGE)
    }

    fn show_plan(&mut self) -> Result<()> {
        let mut plan = serde_json::to_value(&self.prepared.plan).context("the plan cannot be written as JSON")?;
        self.redactor.clean_value(&mut plan);
        let json = serde_json::to_string_pretty(&plan).context("the plan cannot be written as JSON")?;
        json::replace(&self.out.folder.join(PLAN), json.as_bytes())?;
        self.inputs.plan = Some(Input::of(json.as_bytes()));
        if self.format != Format::Json && !self.args.quiet {
            say(shown_lines(&self.prepared.plan.to_text(), &self.redactor));
        }
        Ok(())
    }

    async fn rehearse(&self, images: &Images<'_>, recorder: &Recorder, facts: HashMap<String, ImageFacts>) {
        let settings = &self.prepared.settings;
        let unasked = check::no_auth::warnings(settings, &self.prepared.world, self.lock.lock());
        for warning in check::release::warnings(&self.prepared.candidate, &self.prepared.world)
            .into_iter()
            .chain(unasked)
        {
            recorder.finding(warning);
        }
        let listener = Listener {
            redactor: self.redactor.clone(),
            logs: Some(self.out.folder.join(LOGS)),
            news: followed(recorder),
        };
        match self.prepared.setup(images.engine(), facts, self.lock.lock(), listener) {
            Ok(setup) => self.rehearse_on(&setup, recorder).await,
            Err(error) => recorder.finding(check::trouble::machine(StageId::Control, &format!("{error:#}"))),
        }
    }

    /// The facts of every image, when all are there and there is something to rehearse; else why not.
    async fn facts(
        &self,
        images: &Images<'_>,
        recorder: &Recorder,
        looked: Result<Vec<PullFailure>>,
    ) -> Result<HashMap<String, ImageFacts>, Vec<Finding>> {
        let had = match looked {
            Ok(missing) if missing.is_empty() => {
                let telling = |progress| recorder.image(progress);
                self.prepared.have(images, &telling).await
            }
            Ok(missing) => Err(NotHad::Images(missing)),
            Err(error) => Err(NotHad::Machine(error)),
        };
        let facts = had.map_err(|why| match why {
            NotHad::Images(failures) => failures.iter().map(check::trouble::no_image).collect(),
            NotHad::Build(error) => vec![self.not_built(&error)],
            NotHad::Machine(error) => vec![check::trouble::machine(StageId::Control, &format!("{error:#}"))],
        })?;
        let id = |image: &str| facts.get(image).map(|facts| facts.id.clone()).unwrap_or_default();
        let same = self.needless(id);
        if !same.is_empty() && self.prepared.settings.policy.same_release == SameRelease::Inconclusive {
            return Err(vec![check::trouble::nothing_to_rehearse(&same)]);
        }
        Ok(facts)
    }

    /// The candidate's doing where a command of its own recipe ended badly, the machine's otherwise.
    fn not_built(&self, error: &anyhow::Error) -> Finding {
        let (world, candidate) = (&self.prepared.world, &self.prepared.candidate);
        let runs = |service: &Service, image: &str| service.image == image;
        match error.downcast_ref::<CommandFailed>() {
            Some(failed)
                if candidate.services.values().any(|own| runs(own, &failed.image))
                    && !world.services.values().any(|own| runs(own, &failed.image)) =>
            {
                check::release::not_built(failed)
            }
            _ => check::trouble::no_build(&format!("{error:#}")),
        }
    }

    /// What somebody named, and is production's own; of a release that is more than services, where that is all of it.
    fn needless(&self, id: impl Fn(&str) -> String) -> Vec<String> {
        let release = &self.prepared.candidate;
        let mut same = same_as_production(release, &self.prepared.world, id);
        let differs = same.len() < release.touched().len();
        let asked = &self.prepared.settings.candidate;
        same.retain(|name| !differs || asked.contains_key(name));
        same
    }

    async fn rehearse_on(&self, setup: &Setup, recorder: &Recorder) {
        if self.args.keep {
            let unwritten = write_ca(&self.out.folder, setup).err();
            self.warn(unwritten.iter().map(|error| format!("{error:#}")).collect());
        }
        let own_ca = setup.authority().map(Authority::pem);
        let company_ca = self.prepared.settings.auth.as_ref().and_then(|auth| auth.ca.clone());
        let rehearsal = Rehearsal {
            ca: own_ca.into_iter().chain(company_ca).collect(),
            settings: &self.prepared.settings,
            plan: &self.prepared.plan,
            lock: &self.lock,
            world: &self.prepared.world,
            candidate: &self.prepared.candidate,
            grounds: setup,
            pair: self.prepared.plan.pair(self.prepared.settings.auth_services()),
            recorder: recorder.clone(),
            redactor: self.redactor.clone(),
            hurl_image: self.hurl_image().to_owned(),
            after_failure: match (self.args.fail_fast, self.args.keep) {
                (_, true) => AfterFailure::Stay,
                (true, false) => AfterFailure::End,
                (false, false) => AfterFailure::GoOn,
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

    /// Takes the mirror down, or lets the user in where it is to stay.
    async fn end(&mut self, recorder: &Recorder, ended: Ended) -> Down {
        let Some(engine) = self.engine.clone() else {
            return Down::All;
        };
        self.prepared.name_digests(&engine).await;
        // Whoever interrupts wants it gone.
        if self.args.keep && !matches!(ended, Ended::Signal(_)) {
            self.open(&engine).await;
            return Down::All;
        }
        engine.close().await;
        match sweep::remove_run(&engine, &self.id).await {
            Ok(kept) => {
                if let Some(words) = kept.words() {
                    recorder.note(words);
                }
                Down::All
            }
            Err(error) => {
                recorder.note(format!("{error:#}"));
                Down::Left
            }
        }
    }

    /// Lets the user into the mirror that stays.
    async fn open(&self, engine: &Engine) {
        let names = fronts::names(&self.prepared.settings, &self.prepared.world);
        let ways = entrance::open(
            engine,
            &self.prepared.world,
            entrance::ways(&self.prepared.world, &names),
        )
        .await;
        if let Err(error) = &ways {
            self.warn(vec![format!("there is no way into the mirror: {error:#}")]);
        }
        let ca = ca_path(&names, &self.args.told.out);
        let until = engine.deadline();
        let words = entry::words(&self.id, until, &ways.unwrap_or_default(), ca.as_deref());
        say(shown_lines(&words, &self.redactor));
    }
}

/// What the configuration is made from; what cannot be read again is told as that.
fn inputs(settings: &Settings) -> Inputs {
    let of = |path: &Path| file::bytes(path, MOST_TEXT).map_or(Input::Unread, |bytes| Input::of(&bytes));
    Inputs {
        configuration: Some(of(&settings.file)),
        lock: settings.production.lock.as_deref().map(of),
        plan: None,
    }
}

/// What taking down came to.
enum Down {
    /// Nothing that was to go is left.
    All,
    /// Something would not go.
    Left,
}

/// What the mirror tells goes to the recorder.
fn followed(recorder: &Recorder) -> UnboundedSender<News> {
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
    news
}
