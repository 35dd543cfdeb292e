//! What each rule says in each scenario: fires and when, never, or not to be told and why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::composed::{Asked, Clock, Input, compose};
use super::expression::{Expression, Need};
use super::promtool::{Answer, Failure, Promtool};
use super::rules::{Group, Makes, Rule, Rules};
use super::series::{Labels, Recording};
use crate::record::alerts::{Firing, Told};

/// A rule that looks further back is not judged: what it would see is made up nearly all.
pub const MOST_WINDOW: Duration = Duration::from_secs(6 * 3600);
/// Scrapes of production's fall anywhere: this many places are tried, and the latest alert counts.
const PHASES: u64 = 3;

/// Production's rules, and what evaluates them.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// When production looks.
    pub clock: &'a Clock,
    /// Who evaluates.
    pub promtool: &'a Promtool,
}

/// How far rules look and how long they wait, together, that are asked together.
const REACHES: [Duration; 3] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// What every alert says in a scenario, by its rule's number.
pub type Said = BTreeMap<usize, Told>;

impl Judge<'_> {
    /// Asks all alerts of a scenario; of `steady` itself, where nothing has failed.
    ///
    /// # Errors
    /// promtool could not be asked.
    pub async fn judge(&self, steady: &Recording, scenario: &Recording) -> Result<Said, Failure> {
        let mut unjudged = self.unjudged(&[steady, scenario]);
        let false_alarms = self.fired(steady, steady, 0, &mut unjudged).await?;
        let mut turns = Vec::new();
        for phase in phases(self.clock, scenario) {
            turns.push(self.fired(steady, scenario, phase, &mut unjudged).await?);
        }
        let alerts = self.rules.alerts().map(|(group, rule)| {
            let told = match unjudged.get(&rule.number) {
                Some(why) => Told::NotJudged(why.clone()),
                None if false_alarms.contains_key(&rule.number) => Told::FalseAlarm,
                None => self.told(group, rule, &turns),
            };
            (rule.number, told)
        });
        Ok(alerts.collect())
    }

    /// The rules that fire, and when their condition holds, seconds from the scenario's beginning; before it where negative.
    /// Those that look far are asked apart: the others need not wait for as long.
    async fn fired(
        &self,
        steady: &Recording,
        scenario: &Recording,
        phase: u64,
        unjudged: &mut BTreeMap<usize, String>,
    ) -> Result<BTreeMap<usize, f64>, Failure> {
        let mut fired = BTreeMap::new();
        for class in self.classes() {
            fired.extend(self.fired_of(&class, steady, scenario, phase, unjudged).await?);
        }
        Ok(fired)
    }

    /// The alerts, by how far they look and how long they wait.
    fn classes(&self) -> Vec<BTreeSet<usize>> {
        let mut classes: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (_, rule) in self.rules.alerts() {
            let window = rule.expression.as_ref().map_or(Duration::ZERO, |read| read.window);
            let reach = window + rule.hold();
            let class = REACHES.iter().filter(|limit| reach > **limit).count();
            classes.entry(class).or_default().insert(rule.number);
        }
        classes.into_values().collect()
    }

    /// Of these alerts. What promtool cannot evaluate is not judged.
    async fn fired_of(
        &self,
        class: &BTreeSet<usize>,
        steady: &Recording,
        scenario: &Recording,
        phase: u64,
        unjudged: &mut BTreeMap<usize, String>,
    ) -> Result<BTreeMap<usize, f64>, Failure> {
        loop {
            let asked = class.iter().filter(|number| !unjudged.contains_key(number));
            let needed = self.rules.needed_by(asked.copied());
            if needed.is_empty() {
                return Ok(BTreeMap::new());
            }
            let all = self.rules.all().map(|(_, rule)| rule.number);
            let without = all.filter(|number| !needed.contains(number) || unjudged.contains_key(number));
            let without: BTreeSet<usize> = without.collect();
            let asked = Asked {
                rules: self.rules,
                without: &without,
                clock: self.clock,
            };
            let input = compose(asked, steady, scenario, phase);
            match self.promtool.ask(&input).await? {
                Answer::Fired(fired) => {
                    let own = fired.into_iter().filter(|(rule, _)| class.contains(rule));
                    return Ok(from_beginning(&input, own.collect()));
                }
                Answer::Refused(refused) => {
                    let more = self.refuse(&refused, unjudged);
                    if more == 0 {
                        return Err(Failure::Unread(format!("{refused:?}")));
                    }
                }
            }
        }
    }

    /// How many rules are not judged for that.
    fn refuse(&self, refused: &BTreeMap<String, String>, unjudged: &mut BTreeMap<usize, String>) -> usize {
        let before = unjudged.len();
        for (_, rule) in self.rules.all() {
            if let Some(why) = refused.get(name(rule)) {
                let why = format!("promtool cannot evaluate it: {why}");
                unjudged.entry(rule.number).or_insert(why);
            }
        }
        unjudged.len() - before
    }

    fn told(&self, group: &Group, rule: &Rule, turns: &[BTreeMap<usize, f64>]) -> Told {
        let began: Option<Vec<f64>> = turns.iter().map(|fired| fired.get(&rule.number).copied()).collect();
        let Some(last) = began.into_iter().flatten().reduce(f64::max) else {
            return Told::Never;
        };
        let condition = Duration::from_secs_f64(last.max(0.0));
        let interval = self.clock.interval(group);
        // A condition holds for so many of the group's turns.
        let turns = rule.hold().as_millis().div_ceil(interval.as_millis().max(1));
        let hold = interval * u32::try_from(turns).unwrap_or(u32::MAX);
        let latest = condition + self.clock.scrape + interval + hold + self.clock.group_wait;
        Told::Fires(Firing {
            condition_ms: millis(condition),
            latest_ms: millis(latest),
        })
    }

    /// Rules of which nothing can be said whatever promtool says, and why.
    fn unjudged(&self, recordings: &[&Recording]) -> BTreeMap<usize, String> {
        let tracks = recordings.iter().flat_map(|recording| &recording.tracks);
        let mut known = Known {
            rules: self.rules,
            series: tracks.map(|track| &track.labels).collect(),
            recorded: BTreeMap::new(),
        };
        let rules = self.rules.all();
        rules
            .filter_map(|(_, rule)| Some((rule.number, known.why_not(rule)?)))
            .collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Production scrapes anywhere between two of its scrapes; within what was recorded.
fn phases(clock: &Clock, scenario: &Recording) -> BTreeSet<u64> {
    let last = scenario.seconds.saturating_sub(1) as u64;
    let interval = clock.scrape.as_secs().max(1);
    (0..PHASES).map(|turn| (interval * turn / PHASES).min(last)).collect()
}

fn from_beginning(input: &Input, fired: BTreeMap<usize, f64>) -> BTreeMap<usize, f64> {
    let offset = input.phase as f64 - input.begins as f64;
    fired.into_iter().map(|(rule, at)| (rule, at + offset)).collect()
}

fn name(rule: &Rule) -> &str {
    match &rule.makes {
        Makes::Series(name) | Makes::Alert { name, .. } => name,
    }
}

/// What the mirror has shown.
struct Known<'a> {
    rules: &'a Rules,
    series: BTreeSet<&'a Labels>,
    /// Series that rules record: why there are none, where that is known.
    recorded: BTreeMap<String, Option<String>>,
}

impl Known<'_> {
    fn why_not(&mut self, rule: &Rule) -> Option<String> {
        match &rule.expression {
            Ok(expression) => self.of_expression(expression),
            Err(why) => Some(format!("its expression cannot be read: {why}")),
        }
    }

    fn of_expression(&mut self, expression: &Expression) -> Option<String> {
        if expression.window > MOST_WINDOW {
            let hours = expression.window.as_secs() / 3600;
            return Some(format!(
                "it looks back {hours} h, and no more than {} h are made up",
                MOST_WINDOW.as_secs() / 3600
            ));
        }
        self.unheard(&expression.needs)
            .or_else(|| self.missing(&expression.needs))
    }

    /// `absent()` of what the mirror does not record would fire merely because of that.
    fn unheard(&mut self, need: &Need) -> Option<String> {
        match need {
            Need::Absent(selector) => {
                let why = self.missing(&Need::Series(selector.clone()))?;
                Some(format!(
                    "it asks whether something is absent that the mirror has not: {why}"
                ))
            }
            Need::Clock => Some("it asks what time it is, and a mirror has no time of day".to_owned()),
            Need::Series(_) => None,
            Need::All(needs) | Need::Any(needs) => needs.iter().find_map(|need| self.unheard(need)),
        }
    }

    /// Why it can say nothing.
    fn missing(&mut self, need: &Need) -> Option<String> {
        match need {
            Need::Absent(_) | Need::Clock => None,
            Need::All(needs) => needs.iter().find_map(|need| self.missing(need)),
            Need::Any(needs) => {
                let mut missing: Vec<_> = needs.iter().map(|need| self.missing(need)).collect();
                match missing.iter().all(Option::is_some) {
                    true => missing.swap_remove(0),
                    false => None,
                }
            }
            Need::Series(selector) => {
                let prometheus = ["ALERTS", "ALERTS_FOR_STATE"];
                if prometheus.iter().any(|name| selector.may_select(name)) {
                    return None;
                }
                if self.series.iter().any(|labels| selector.selects(labels)) {
                    return None;
                }
                let recorded = self.recorded_for(selector);
                match recorded {
                    Some(why) => why,
                    None if self.series.iter().any(|labels| selector.may_select(labels.name())) => {
                        Some(format!("no series matches {selector}"))
                    }
                    None => Some(format!("no series has this metric: {selector}")),
                }
            }
        }
    }

    /// Of the rules that record what is selected: why none of them can. Nothing where none does.
    fn recorded_for(&mut self, selector: &super::expression::Selector) -> Option<Option<String>> {
        let rules = self.rules;
        let records = |rule: &&Rule| matches!(&rule.makes, Makes::Series(name) if selector.may_select(name));
        let recording = rules.groups.iter().flat_map(|group| &group.rules).filter(records);
        let mut found: Option<Option<String>> = None;
        for rule in recording {
            let why = self.of_recording(rule);
            found = Some(match found {
                None => why,
                Some(other) => other.and(why),
            });
        }
        found
    }

    fn of_recording(&mut self, rule: &Rule) -> Option<String> {
        if let Some(known) = self.recorded.get(name(rule)) {
            return known.clone();
        }
        // A series that needs itself is asked once.
        let circle = Some(format!("`{}` is recorded from itself", name(rule)));
        self.recorded.insert(name(rule).to_owned(), circle);
        let why = self.why_not(rule);
        self.recorded.insert(name(rule).to_owned(), why.clone());
        why
    }
}
