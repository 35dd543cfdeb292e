//! `rehearsal alerts suggest`: better thresholds for the rules that must fire, from what a run has recorded.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use super::common::{refuse, shown};
use crate::alerts::judged::Judge;
use crate::alerts::promtool::Promtool;
use crate::alerts::rules::{self, Group, Rule, Rules};
use crate::alerts::series::Recording;
use crate::alerts::suggest::{Failed, Suggested, Threshold, Wanted, patched, suggest};
use crate::check::alert_lead_time::clock;
use crate::cli::{AlertsArgs, AlertsCommand, SuggestArgs};
use crate::config::alerts::Alerts;
use crate::context::Context;
use crate::prepare::{Asked, prepare};
use crate::record::alerts::Scenario;
use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;
use crate::text::units::millis;
use crate::yaml::file::{self, MOST_CONTENT};

/// Lines around one that is changed.
const AROUND: usize = 3;

pub async fn alerts(args: &AlertsArgs, context: &Context) -> Result<ExitCode> {
    let AlertsCommand::Suggest(args) = &args.command;
    let prepared = match prepare(&Asked::of(args.config.as_deref()), context) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let Some(alerts) = &prepared.settings.stages.alerts else {
        return Ok(wrong("the configuration has no `stages.alerts`"));
    };
    let recordings = match recordings(args) {
        Ok(recordings) => recordings,
        Err(why) => return Ok(wrong(&why)),
    };
    let promtool = match Promtool::find().await {
        Ok(promtool) => promtool,
        Err(failure) => return Ok(wrong(&failure.to_string())),
    };
    let rules = match rules::read(&alerts.rules) {
        Ok(rules) => rules,
        Err(error) => return Ok(refuse(&[error])),
    };
    suggest_all(alerts, &rules, &recordings, &promtool).await
}

/// What an error of the user's is said with.
fn wrong(why: &str) -> ExitCode {
    say(format!("error: {}", shown(why, &Redactor::default())));
    ExitCode::Usage
}

/// What is kept of a run, as far as it is read here.
#[derive(Default, Deserialize)]
struct Kept {
    recordings: BTreeMap<Scenario, Recording>,
    #[serde(default)]
    before: BTreeMap<Scenario, Recording>,
}

impl Kept {
    /// A scenario in which something failed, and production before it.
    fn failed(&self, scenario: Scenario) -> Option<Failed<'_>> {
        let recording = self.recordings.get(&scenario)?;
        recording.harm()?;
        let steady = self.before.get(&scenario).or(self.recordings.get(&Scenario::Control))?;
        Some(Failed { steady, recording })
    }
}

/// Everything that the run in a folder has recorded.
fn recordings(args: &SuggestArgs) -> Result<Kept, String> {
    let folder = args.out.join("evidence");
    let entries = std::fs::read_dir(&folder).map_err(|error| {
        let help = "run `rehearsal run` first, or name its folder with `--out`";
        format!("`{}` cannot be read: {error}; {help}", folder.display())
    })?;
    let mut all = Kept::default();
    let prefix = format!("{}-", CheckId::AlertLeadTime);
    for entry in entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
    {
        let more = kept(&entry.path())?;
        all.recordings.extend(more.recordings);
        all.before.extend(more.before);
    }
    match all.recordings.contains_key(&Scenario::Control) {
        true => Ok(all),
        false => Err(format!(
            "the run in `{}` has recorded nothing for alerts",
            args.out.display()
        )),
    }
}

fn kept(path: &Path) -> Result<Kept, String> {
    let bytes =
        file::bytes(path, MOST_CONTENT).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("`{}` is not what a run writes: {error}", path.display()))
}

async fn suggest_all(alerts: &Alerts, rules: &Rules, recordings: &Kept, promtool: &Promtool) -> Result<ExitCode> {
    let clock = clock(alerts);
    let judge = Judge {
        rules,
        clock: &clock,
        promtool,
    };
    let mut missing = false;
    for (group, rule) in rules.alerts() {
        let Some(wanted) = wanted(alerts, rule, recordings) else {
            continue;
        };
        match suggest(judge, group, rule, &wanted).await {
            Ok(suggested) => missing |= is_missing(&suggested, group, rule),
            Err(failure) => return Ok(wrong(&failure.to_string())),
        }
    }
    Ok(if missing {
        ExitCode::Inconclusive
    } else {
        ExitCode::Pass
    })
}

/// What is wanted of an alert; nothing where it need not fire in anything that was recorded.
fn wanted<'a>(alerts: &Alerts, rule: &Rule, recordings: &'a Kept) -> Option<Wanted<'a>> {
    let named = alerts
        .must_fire
        .iter()
        .filter(|wanted| Some(wanted.alert.as_str()) == rule.alert());
    let scenarios = named.flat_map(|wanted| &wanted.scenarios);
    let failed = scenarios.filter_map(|scenario| Some((*scenario, recordings.failed(*scenario)?)));
    let scenarios: BTreeMap<Scenario, Failed<'_>> = failed.collect();
    (!scenarios.is_empty()).then(|| Wanted {
        scenarios,
        before_ms: alerts.before.map(millis),
    })
}

/// Says what was found, and prints the patch; whether there is none.
fn is_missing(suggested: &Suggested, group: &Group, rule: &Rule) -> bool {
    let name = shown(rule.alert().unwrap_or_default(), &Redactor::default());
    let (words, missing) = match suggested {
        Suggested::Threshold(threshold, value) => {
            tell(patch(group, rule, threshold, *value).trim_end());
            (format!("{value} instead of {}", threshold.value), false)
        }
        Suggested::AsItIs(threshold) => (format!("{} is right", threshold.value), false),
        Suggested::None(threshold) => {
            let why = "no threshold tells every failure in time and is silent in control: look at its `for`, its window and \
                       its group's interval";
            (format!("{}: {why}", threshold.value), true)
        }
        Suggested::NotOne => (
            "it has not exactly one number to compare with: nothing is suggested".to_owned(),
            true,
        ),
    };
    say(format!("{name}: {words}"));
    missing
}

/// A unified difference of the one line.
fn patch(group: &Group, rule: &Rule, threshold: &Threshold, value: f64) -> String {
    let old = &rule.span.source.text;
    let new = patched(old, threshold, value);
    let at = old[..threshold.place.start].matches('\n').count();
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let last = old_lines.len() - usize::from(old.ends_with('\n'));
    let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(last));
    let path = group.file.display();
    let mut text = format!("--- {path}\n+++ {path}\n@@ -{0},{1} +{0},{1} @@\n", from + 1, to - from);
    for (number, line) in old_lines.iter().enumerate().take(to).skip(from) {
        match number == at {
            true => text += &format!("-{line}\n+{}\n", new_lines[number]),
            false => text += &format!(" {line}\n"),
        }
        if number + 1 == old_lines.len() {
            text += "\\ No newline at end of file\n";
        }
    }
    text
}
