//! `rehearsal up`: brings a mirror of production up, with the candidate in place if asked, and leaves it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::common::refuse;
use super::entry;
use crate::check;
use crate::cli::UpArgs;
use crate::command::common::{code_of, new_id, shown_lines};
use crate::command::entry::{ca_path, write_ca};
use crate::context::Context;
use crate::engine::image::ImageFacts;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::reaper::Reaper;
use crate::engine::sweep::{self, Leftover, Liveness};
use crate::engine::{Engine, pull};
use crate::interrupt::Interrupt;
use crate::lock;
use crate::mirror::border::entrance::{self, OpenedPort};
use crate::mirror::failure::ServiceFailure;
use crate::mirror::names::fronts::Name;
use crate::mirror::restore::Restored;
use crate::mirror::setup::Change;
use crate::mirror::{Mirror, News, Setup};
use crate::prepare::fronts;
use crate::prepare::images::Images;
use crate::prepare::on_engine::{self, Listener, NotHad};
use crate::prepare::{self, Asked, Prepared};
use crate::record::container::ContainerState;
use crate::record::exit_code::ExitCode;
use crate::record::release::Role;
use crate::report::terminal::say;
use crate::text::harmless;
use crate::text::redact::Redactor;
use crate::text::units::seconds;
use crate::world::deploy::Deploy;

/// A log line is shown up to here.
const LINE: usize = 400;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn up(args: &UpArgs, context: &Context, interrupt: &Interrupt) -> Result<ExitCode> {
    let prepared = match prepare(args, context) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let mut up = Up::new(args, context, prepared)?;
    let address = Address::find(context);
    let engine = match up.connect(&address).await {
        Ok(engine) => engine,
        Err(error) => return Ok(up.failed(&error)),
    };
    match up.existing(&engine).await {
        Ok(None) => {}
        Ok(Some(left)) if up.prepared.candidate.is_empty() => return up.tell_of_existing(&engine, &left).await,
        Ok(Some(left)) => return up.take_place(address.as_ref().ok(), &left, interrupt).await,
        Err(error) => return Ok(up.failed(&error)),
    }
    up.go(&engine, address.as_ref().ok(), interrupt).await
}

fn prepare(args: &UpArgs, context: &Context) -> Result<Prepared, Vec<crate::yaml::diagnostic::Diagnostic>> {
    let asked = Asked {
        candidate: args.candidate.clone(),
        production_from: args.production_from.production_from.clone(),
        ..Asked::of(args.config.as_deref())
    };
    if args.with_candidate || !args.candidate.is_empty() {
        prepare::prepare(&asked, context)
    } else {
        prepare::prepare_production(&asked, context)
    }
}

struct Up<'a> {
    args: &'a UpArgs,
    context: &'a Context,
    prepared: Prepared,
    id: String,
    out: PathBuf,
    until: u64,
    redactor: Redactor,
}

impl<'a> Up<'a> {
    fn new(args: &'a UpArgs, context: &'a Context, prepared: Prepared) -> Result<Self> {
        let id = new_id()?;
        let redactor = prepared.redactor();
        let until = OffsetDateTime::now_utc() + args.stay;
        Ok(Self {
            args,
            context,
            prepared,
            id,
            out: context.directory.join(&args.out),
            until: u64::try_from(until.unix_timestamp()).unwrap_or_default(),
            redactor,
        })
    }

    fn failed(&self, error: &anyhow::Error) -> ExitCode {
        say(format!("error: {}", self.line(&format!("{error:#}"))));
        ExitCode::Inconclusive
    }

    fn line(&self, hostile: &str) -> String {
        harmless::line(&self.redactor.clean(hostile), 2 * LINE)
    }

    async fn connect(&self, address: &Result<Address>) -> Result<Engine> {
        let address = address.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let (engine, remark) = on_engine::connect(address, &self.labels(&self.id, self.until)).await?;
        remark.into_iter().for_each(|remark| say(self.line(&remark)));
        Ok(engine)
    }

    fn labels(&self, run: &str, deadline: u64) -> RunLabels {
        RunLabels {
            run: run.to_owned(),
            deadline,
            host: sweep::this_host(),
            lock: sweep::lock_file(&self.context.runs, run),
            kept: Some(self.prepared.settings.file.clone()),
        }
    }

    /// The mirror that this configuration keeps already.
    async fn existing(&self, engine: &Engine) -> Result<Option<Leftover>> {
        let file = self.prepared.settings.file.to_string_lossy().into_owned();
        let mut all = sweep::leftovers(engine).await?.into_iter();
        Ok(all.find(|left| left.liveness == Liveness::Kept && left.kept_for.as_ref() == Some(&file)))
    }

    async fn tell_of_existing(&self, engine: &Engine, left: &Leftover) -> Result<ExitCode> {
        say("this configuration has a mirror already; nothing was started");
        self.tell_ways(engine, left).await;
        Ok(ExitCode::Pass)
    }

    async fn tell_ways(&self, engine: &Engine, left: &Leftover) {
        // One that lost its entrance can still be removed.
        let ways = entrance::opened(engine, &left.run, self.ways())
            .await
            .unwrap_or_default();
        let words = entry::words(&left.run, left.deadline, &ways, self.ca_path().as_deref());
        say(shown_lines(&words, &self.redactor));
    }

    /// Puts the candidate in its place on the mirror that lives. Whatever comes of it, that mirror stays.
    async fn take_place(
        &mut self,
        address: Option<&Address>,
        left: &Leftover,
        interrupt: &Interrupt,
    ) -> Result<ExitCode> {
        say("this configuration has a mirror already: the candidate takes its place there");
        let limit = self.prepared.settings.timeout;
        let placed = tokio::select! {
            placed = self.upgrade_living(address, left) => placed,
            signal = interrupt.wait() => {
                say("interrupted: the mirror stays as it is now");
                return Ok(code_of(signal));
            }
            () = tokio::time::sleep(limit) => Err(anyhow!("not in its place within {}", seconds(limit))),
        };
        match placed {
            Ok(engine) => {
                self.tell_ways(&engine, left).await;
                Ok(ExitCode::Pass)
            }
            Err(error) => {
                let code = self.failed(&error);
                say("the mirror stays as it is now; `rehearsal down` removes it");
                Ok(code)
            }
        }
    }

    async fn upgrade_living(&mut self, address: Option<&Address>, left: &Leftover) -> Result<Engine> {
        let address = address.ok_or_else(|| anyhow!("no container engine was found"))?;
        let engine = Engine::connect(address, &self.labels(&left.run, left.deadline)).await?;
        let mirror = Mirror::adopt(self.setup(&engine).await?).await?;
        self.refuse_or_upgrade(&mirror).await?;
        Ok(engine)
    }

    fn names(&self) -> Vec<Name> {
        fronts::names(&self.prepared.settings, &self.prepared.world)
    }

    fn ways(&self) -> Vec<OpenedPort> {
        entrance::ways(&self.prepared.world, &self.names())
    }

    fn ca_path(&self) -> Option<PathBuf> {
        ca_path(&self.names(), &self.args.out)
    }

    async fn go(&mut self, engine: &Engine, address: Option<&Address>, interrupt: &Interrupt) -> Result<ExitCode> {
        let alive = sweep::Alive::begin(&self.context.runs, &self.id)?;
        let lock = sweep::lock_file(&self.context.runs, &self.id);
        let reaper = Reaper::watch_over(&self.id, &lock, &self.out, address)?;
        let limit = self.prepared.settings.timeout;
        let came_up = tokio::select! {
            came_up = self.bring_up(engine) => came_up.map_err(|error| self.failed(&error)),
            signal = interrupt.wait() => {
                say("interrupted: the mirror is removed");
                Err(code_of(signal))
            }
            () = tokio::time::sleep(limit) => Err(self.failed(&anyhow!("not up within {}", seconds(limit)))),
        };
        let code = match came_up {
            Ok(ways) => {
                for missing in self.missing() {
                    say(format!("note: {}", self.line(&missing)));
                }
                let words = entry::words(&self.id, self.until, &ways, self.ca_path().as_deref());
                say(shown_lines(&words, &self.redactor));
                ExitCode::Pass
            }
            Err(code) => {
                engine.close().await;
                match sweep::remove_run(engine, &self.id).await {
                    Ok(kept) => {
                        if let Some(words) = kept.words() {
                            say(format!("note: {}", self.line(&words)));
                        }
                        code
                    }
                    Err(error) => {
                        // It goes on where we gave up.
                        drop(reaper);
                        return Ok(self.failed(&error));
                    }
                }
            }
        };
        drop(alive);
        reaper.disarm();
        Ok(code)
    }

    fn missing(&self) -> Vec<String> {
        let mut missing = self.prepared.plan.notes.clone();
        missing.retain(|note| !note.is_empty());
        missing.push("no entry of `data` is run: volumes hold what production's images put there".to_owned());
        missing
    }

    /// Production's services are those of the lock's digests; what the engine lacks is pulled and built.
    async fn have_images(
        &mut self,
        engine: &Engine,
        lock: Option<&lock::Lock>,
        now: OffsetDateTime,
    ) -> Result<HashMap<String, ImageFacts>> {
        let images = Images::of(engine.clone(), self.context, &self.redactor);
        let missing = self.prepared.look(&images, lock, &[], now).await?;
        let had = match missing.is_empty() {
            true => self.prepared.have(&images, &|progress| self.tell_of(progress)).await,
            false => Err(NotHad::Images(missing)),
        };
        had.map_err(|why| match why {
            NotHad::Images(failures) => {
                let words = failures
                    .iter()
                    .map(|failure| format!("{}; {}", failure.title(), failure.help()));
                anyhow!("{}", words.collect::<Vec<_>>().join("\n"))
            }
            NotHad::Build(error) | NotHad::Machine(error) => error,
        })
    }

    fn tell_of(&self, progress: pull::Progress) {
        let detail = progress.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        say(format!(
            "  {} {} {}",
            progress.way,
            progress.state,
            self.line(&format!("{}{detail}", progress.image))
        ));
    }

    /// Everything that a mirror is made from; its images are had.
    async fn setup(&mut self, engine: &Engine) -> Result<Setup> {
        let (production, now) = (&self.prepared.settings.production, OffsetDateTime::now_utc());
        let lock = lock::State::read(production.lock.as_deref(), production.max_lock_age, now);
        let images = self.have_images(engine, lock.lock(), now).await?;
        let listener = Listener {
            redactor: self.redactor.clone(),
            logs: None,
            news: progress(self.redactor.clone()),
        };
        self.prepared.setup(engine, images, lock.lock(), listener)
    }

    async fn bring_up(&mut self, engine: &Engine) -> Result<Vec<OpenedPort>> {
        let setup = self.setup(engine).await?;
        write_ca(&self.out, &setup)?;
        let mirror = Mirror::prepare(setup).await?;
        let brought_up = mirror.start(self.prepared.settings.stages.control.within).await?;
        if let Some(failure) = brought_up.restored.iter().find_map(Restored::failure_line) {
            return Err(anyhow!("{failure}"));
        }
        let started = brought_up.started;
        let failed = started.iter().filter_map(|started| started.failure.as_ref());
        if let Some(failure) =
            failed.min_by_key(|failure| matches!(failure.kind, crate::mirror::failure::ServiceFailureKind::Held(_)))
        {
            return Err(self.service_failed(failure));
        }
        self.refuse_or_upgrade(&mirror).await?;
        entrance::open(engine, &self.prepared.world, self.ways()).await
    }

    async fn refuse_or_upgrade(&self, mirror: &Mirror) -> Result<()> {
        let Prepared {
            settings,
            world,
            candidate,
            ..
        } = &self.prepared;
        match &candidate.refused {
            Some(why) => Err(anyhow!("{}", check::release::refused(why).title)),
            None if candidate.is_empty() => Ok(()),
            None => {
                let deploy = candidate.upgrade(world);
                self.upgrade(mirror, &deploy, settings.stages.upgrade.within).await
            }
        }
    }

    async fn upgrade(&self, mirror: &Mirror, deploy: &Deploy, within: Duration) -> Result<()> {
        say("production is up; now the candidate takes its place");
        let swapped = mirror.swap(deploy, within, Role::Candidate, None).await;
        swapped.map(drop).map_err(|failure| self.service_failed(&failure))
    }

    /// Says its last lines, for its container goes.
    fn service_failed(&self, failure: &ServiceFailure) -> anyhow::Error {
        for line in &failure.log {
            say(format!(
                "  {} | {}",
                failure.replica,
                harmless::line(&self.redactor.clean(line), LINE)
            ));
        }
        anyhow!("{}", failure.line())
    }
}

fn tell_of_change(change: Change, redactor: &Redactor) {
    let Change {
        replica,
        state,
        detail,
        took,
    } = change;
    use ContainerState::{Exited, OutOfMemory, Ready, Restarted, Unhealthy};
    if matches!(state, Ready | Exited | OutOfMemory | Unhealthy | Restarted) {
        let took = took.map(|took| format!(" after {}", seconds(took))).unwrap_or_default();
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        say(format!(
            "  {replica} {state}{took}{}",
            harmless::line(&redactor.clean(&detail), LINE)
        ));
    }
}

/// Says on standard error how services come up.
fn progress(redactor: Redactor) -> UnboundedSender<News> {
    let (news, mut heard) = unbounded_channel::<News>();
    tokio::spawn(async move {
        while let Some(news) = heard.recv().await {
            match news {
                News::Container(change) => tell_of_change(change, &redactor),
                News::Note(text) => say(format!("note: {}", harmless::line(&redactor.clean(&text), LINE))),
            }
        }
    });
    news
}
