//! Rules of our own over every function, window and `for`, asked of the real promtool; and promtool asked again, rule by
//! rule and moment by moment, whether what was told of them is so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rehearsal::alerts::composed::{Asked, Clock, compose};
use rehearsal::alerts::judged::{Judge, Said};
use rehearsal::alerts::promtool::{Answer, Promtool};
use rehearsal::alerts::rules::{self, Rules};
use rehearsal::alerts::series::{Kind, Labels, Recorder, Recording, Sample};
use rehearsal::alerts::suggest::{Failed, Suggested, Wanted, suggest};
use rehearsal::record::alerts::{Scenario, Told};

/// What must be told of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It fires.
    Fires,
    /// It fires, and its condition holds from this second on, at the latest of the tried places of a scrape.
    FiresFrom(u64),
    /// It does not fire.
    Never,
    /// It fires where nothing has failed, too.
    FalseAlarm,
    /// Nothing can be told, and these words say why.
    NotJudged(&'static str),
}

use Expected::{FalseAlarm, Fires, FiresFrom, Never, NotJudged};

/// Recorded seconds.
const SECONDS: u64 = 60;
/// From this second on half of everything fails.
const FAILS: u64 = 20;
/// From this one on the service is down.
const DOWN: u64 = 40;

const CLOCK: Clock = Clock {
    scrape: Duration::from_secs(5),
    evaluation: Duration::from_secs(15),
    group_wait: Duration::from_secs(30),
};

/// Expression, `for`, and what must be told.
const RULES: &[(&str, &str, Expected)] = &[
    // Instants.
    ("probe_success == 0", "0", FiresFrom(33)),
    ("probe_success == 0", "30s", FiresFrom(33)),
    ("probe_success == 0", "30m", FiresFrom(33)),
    ("probe_success{instance=\"http://web:8080/\"} < 1", "5m", Fires),
    ("up == 0", "0", FiresFrom(48)),
    ("up{job=~\"w.+\"} != 1", "1m", Fires),
    ("up == 1", "1m", FalseAlarm),
    ("up > 1", "0", Never),
    (
        "no_such_metric > 0",
        "0",
        NotJudged("no series has this metric: no_such_metric"),
    ),
    (
        "up{job=\"another\"} == 0",
        "0",
        NotJudged("no series matches up{job=\"another\"}"),
    ),
    ("probe_duration_seconds > 0.5", "15s", FiresFrom(33)),
    ("probe_duration_seconds > bool 0.5 == 1", "15s", Fires),
    ("probe_duration_seconds > 5", "15s", Never),
    ("worker_alive", "0", FalseAlarm),
    ("absent(worker_alive)", "0", FiresFrom(48)),
    ("absent(worker_alive)", "10m", Fires),
    (
        "absent(no_such_metric)",
        "30s",
        NotJudged("absent that the mirror has not"),
    ),
    ("absent_over_time(worker_alive[1m])", "0", Fires),
    // Counters.
    ("rate(http_requests_total{code=\"500\"}[15s]) > 1", "0", Fires),
    ("rate(http_requests_total{code=\"500\"}[1m]) > 1", "1m", Fires),
    ("rate(http_requests_total{code=\"500\"}[5m]) > 4.5", "2m", Fires),
    ("rate(http_requests_total{code=\"500\"}[5m]) > 6", "0", Never),
    ("sum(rate(http_requests_total{code=~\"5..\"}[30m])) > 4", "15m", Fires),
    ("irate(http_requests_total{code=\"500\"}[1m]) > 1", "30s", Fires),
    ("increase(http_requests_total{code=\"500\"}[5m]) > 100", "0", Fires),
    ("increase(http_requests_total{code=\"500\"}[10m]) > 3500", "0", Never),
    (
        "sum by (job) (rate(http_requests_total{code=~\"5..\"}[1m])) / sum by (job) (rate(http_requests_total[1m])) > 0.3",
        "1m",
        Fires,
    ),
    ("sum(rate(http_requests_total{code!=\"500\"}[1m])) < 7", "30s", Fires),
    ("rate(http_requests_total{code=\"200\"}[1m] offset 1m) < 7", "0", Fires),
    (
        "rate(http_requests_total{code=\"200\"}[2m]) < 0.7 * rate(http_requests_total{code=\"200\"}[2m] offset 10m)",
        "0",
        Fires,
    ),
    ("resets(restarting_total[10m]) > 0", "0", Never),
    ("rate(restarting_total[10m]) > 0", "0", Fires),
    // Histograms.
    (
        "histogram_quantile(0.95, sum by (le) (rate(took_bucket[1m]))) > 0.5",
        "0",
        Fires,
    ),
    ("histogram_quantile(0.5, rate(took_bucket[5m])) > 2", "5m", Never),
    ("rate(took_sum[1m]) / rate(took_count[1m]) > 0.3", "1m", Fires),
    // Over time.
    ("avg_over_time(probe_success[1m]) < 0.5", "0", Fires),
    ("min_over_time(probe_success[5m]) == 0", "0", FiresFrom(33)),
    ("max_over_time(probe_success[1m]) == 0", "0", Fires),
    ("sum_over_time(probe_success[30s]) < 3", "0", Fires),
    ("count_over_time(worker_alive[30s]) < 3", "0", Fires),
    ("last_over_time(probe_success[2m]) == 0", "15s", Fires),
    ("present_over_time(worker_alive[1m]) > 1", "0", Never),
    ("quantile_over_time(0.9, probe_duration_seconds[1m]) > 0.5", "0", Fires),
    ("stddev_over_time(probe_duration_seconds[5m]) > 0.1", "0", Fires),
    ("stdvar_over_time(probe_duration_seconds[5m]) > 10", "0", Never),
    (
        "max_over_time(rate(http_requests_total{code=\"500\"}[1m])[10m:1m]) > 1",
        "0",
        Fires,
    ),
    ("changes(started_seconds[15m]) > 0", "0", FiresFrom(48)),
    ("changes(started_seconds[15m]) > 2", "0", Never),
    ("delta(memory_bytes[1m]) > 1e6", "0", Fires),
    ("idelta(memory_bytes[1m]) > 1e6", "0", Fires),
    ("deriv(memory_bytes[1m]) > 5e5", "0", Fires),
    ("predict_linear(memory_bytes[1m], 600) > 5e8", "0", Fires),
    ("memory_bytes / memory_limit_bytes > 0.9", "0", Never),
    ("memory_bytes / on (instance) memory_limit_bytes > 0.6", "0", Fires),
    // Others.
    ("abs(probe_success - 1) > 0", "0", Fires),
    ("clamp_max(probe_duration_seconds, 0.4) >= 0.4", "0", Fires),
    (
        "ceil(probe_duration_seconds) + floor(probe_duration_seconds) + round(probe_duration_seconds) == 2",
        "1m",
        Fires,
    ),
    (
        "sqrt(probe_duration_seconds) > 0.8 and ln(probe_duration_seconds) < 0",
        "0",
        Fires,
    ),
    ("exp(probe_duration_seconds) > 2 unless probe_success == 1", "0", Fires),
    ("probe_success == 0 or no_such_metric > 0", "0", Fires),
    (
        "no_such_metric > 0 or another_one > 0",
        "0",
        NotJudged("no_such_metric"),
    ),
    ("time() - timestamp(up) > 60", "0", Never),
    ("time() - probe_success > 3600", "0", NotJudged("what time it is")),
    (
        "probe_success == 0 and on() hour() >= 8",
        "0",
        NotJudged("what time it is"),
    ),
    ("vector(1) > 0", "1m", FalseAlarm),
    ("count(up == 0) > 0", "0", Fires),
    ("bottomk(1, http_requests_total) by (code) < 0", "0", Never),
    ("topk(1, rate(http_requests_total{code=\"500\"}[1m])) > 1", "0", Fires),
    ("quantile(0.5, probe_duration_seconds) > 0.5", "0", Fires),
    ("label_replace(up, \"a\", \"$1\", \"job\", \"(.*)\") == 0", "0", Fires),
    ("job:errors:rate1m > 1", "1m", Fires),
    (
        "job:nothing:rate1m > 1",
        "1m",
        NotJudged("no series has this metric: no_such_total"),
    ),
    ("ALERTS{alertname=\"A0\", alertstate=\"firing\"} == 1", "0", Fires),
    (
        "rate(http_requests_total{code=\"500\"}[3d]) > 1",
        "0",
        NotJudged("it looks back 72 h"),
    ),
];

fn sample(name: &str, labels: &[(&str, &str)], kind: Kind, value: f64) -> Sample {
    Sample {
        labels: Labels::of(name, labels.iter().copied()).scraped_from(&[("job", "web"), ("instance", "web:8080")]),
        kind,
        value,
    }
}

/// A service as it is in each second; `None`: nothing has failed.
fn recording(fails: Option<u64>) -> Recording {
    let mut recorder = Recorder::default();
    for second in 0..SECONDS {
        let failing = fails.map_or(0, |from| second.saturating_sub(from)) as f64;
        let down = fails.is_some() && second >= DOWN;
        let is = |value: f64, otherwise: f64| if failing > 0.0 { otherwise } else { value };
        let at = second as f64;
        let counter = |name, labels: &[(&str, &str)], value| sample(name, labels, Kind::Counter, value);
        let gauge = |name, value| sample(name, &[], Kind::Gauge, value);
        let mut samples = vec![
            counter(
                "http_requests_total",
                &[("code", "200")],
                1e3 + 10.0 * at - 5.0 * failing,
            ),
            counter("http_requests_total", &[("code", "500")], 3.0 + 5.0 * failing),
            counter("took_bucket", &[("le", "0.1")], 1e3 + 10.0 * at - 5.0 * failing),
            counter("took_bucket", &[("le", "1")], 1e3 + 10.0 * at),
            counter("took_bucket", &[("le", "+Inf")], 1e3 + 10.0 * at),
            counter("took_sum", &[], 100.0 + at + 4.0 * failing),
            counter("took_count", &[], 1e3 + 10.0 * at),
            counter("restarting_total", &[], if down { at - 40.0 } else { 50.0 }),
            gauge("started_seconds", if down { 1.7e9 + 100.0 } else { 1.7e9 }),
            gauge("memory_bytes", 1e8 + 1e6 * failing),
            gauge("memory_limit_bytes", 2e8),
            gauge("probe_duration_seconds", is(0.05, 0.8)),
            gauge("up", if down { 0.0 } else { 1.0 }),
            Sample {
                labels: Labels::of("probe_success", [("instance", "http://web:8080/"), ("job", "blackbox")]),
                kind: Kind::Gauge,
                value: is(1.0, 0.0),
            },
        ];
        if !down {
            samples.push(gauge("worker_alive", 1.0));
        }
        if failing == 1.0 {
            recorder.failed();
        }
        recorder.second(samples);
    }
    recorder.finish()
}

fn rule_file() -> String {
    let mut text = "groups:\n- name: recorded\n  rules:\n  - {record: 'job:errors:rate1m', expr: 'sum by (job) \
                    (rate(http_requests_total{code=\"500\"}[1m]))'}\n  - {record: 'job:nothing:rate1m', expr: \
                    'rate(no_such_total[1m])'}\n- name: alerts\n  rules:\n"
        .to_owned();
    for (number, (expr, hold, _)) in RULES.iter().enumerate() {
        let expr = expr.replace('\'', "''");
        writeln!(
            text,
            "  - {{alert: A{number}, expr: '{expr}', for: {hold}, labels: {{severity: page}}}}"
        )
        .expect("text");
    }
    text
}

fn rules(folder: &Path) -> Rules {
    let path = folder.join("rules.yaml");
    std::fs::write(&path, rule_file()).expect("written");
    rules::read(&[path]).expect("rules")
}

/// What is told of each rule of [`RULES`].
fn told(rules: &Rules, said: &Said) -> Vec<Told> {
    rules.alerts().map(|(_, rule)| said[&rule.number].clone()).collect()
}

fn is_as_expected(told: &Told, expected: Expected) -> bool {
    match (told, expected) {
        (Told::Fires(_), Fires) | (Told::Never, Never) | (Told::FalseAlarm, FalseAlarm) => true,
        (Told::Fires(firing), FiresFrom(second)) => firing.condition_ms == second * 1000,
        (Told::NotJudged(why), NotJudged(words)) => why.contains(words),
        _ => false,
    }
}

#[tokio::test]
async fn of_every_function_window_and_for_it_is_told_what_promtool_says_and_promtool_says_it_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = rules(folder.path());
    let promtool = Promtool::find().await.expect("promtool: fixtures/tools.sh promtool");
    let judge = Judge {
        rules: &rules,
        clock: &CLOCK,
        promtool: &promtool,
    };
    let (steady, scenario) = (recording(None), recording(Some(FAILS)));
    let said = judge.judge(&steady, &scenario).await.expect("judged");
    let told = told(&rules, &said);
    assert!(RULES.len() > 60);
    let wrong: Vec<String> = std::iter::zip(RULES, &told)
        .filter(|((.., expected), told)| !is_as_expected(told, *expected))
        .map(|((expr, hold, expected), told)| format!("{expr} for {hold}: {expected:?}, and it is {told:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    says_it_again(&rules, &said, &steady, &scenario, folder.path()).await;
}

/// Each rule that fires does so from the moment on that its condition and its `for` give, and not one turn before; each
/// that never does is silent at the end. Asked by promtool's own instants, not by the range that the product reads.
async fn says_it_again(rules: &Rules, said: &Said, steady: &Recording, scenario: &Recording, folder: &Path) {
    let unjudged = said.iter().filter(|(_, told)| matches!(told, Told::NotJudged(_)));
    let without: BTreeSet<usize> = unjudged.map(|(number, _)| *number).chain([1]).collect();
    let asked = Asked {
        rules,
        without: &without,
        clock: &CLOCK,
    };
    let input = compose(asked, steady, scenario, 0);
    let promtool = Promtool::find().await.expect("promtool");
    let Answer::Fired(fired) = promtool.ask(&input).await.expect("an answer") else {
        panic!("it refuses")
    };
    let mut test: serde_json::Value = serde_json::from_str(&input.test).expect("JSON");
    let holds: BTreeMap<usize, u64> = rules
        .alerts()
        .map(|(_, rule)| (rule.number, rule.hold().as_secs()))
        .collect();
    let mut questions = Vec::new();
    for number in said.keys().filter(|number| !without.contains(number)) {
        let expr = format!("group(ALERTS{{alertstate=\"firing\", rehearsal_rule=\"{number}\"}})");
        let mut ask = |at: u64, fires: bool| {
            let samples = if fires {
                serde_json::json!([{"labels": "{}", "value": 1}])
            } else {
                serde_json::json!([])
            };
            questions.push(serde_json::json!({"expr": expr, "eval_time": format!("{at}s"), "exp_samples": samples}));
        };
        match fired.get(number) {
            Some(began) if *began as u64 >= input.begins => {
                let at = *began as u64 + holds[number];
                ask(at, true);
                ask(at - input.evaluation, false);
            }
            Some(_) => ask(input.begins, true),
            None => ask(input.ends, false),
        }
    }
    assert!(questions.len() > 90, "{}", questions.len());
    test["tests"][0]["promql_expr_test"] = questions.into();
    std::fs::write(folder.join("rules.json"), &input.rules).expect("written");
    std::fs::write(folder.join("test.json"), test.to_string()).expect("written");
    let mut command = std::process::Command::new("promtool");
    let output = command
        .current_dir(folder)
        .args(["test", "rules", "test.json"])
        .output()
        .expect("promtool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What is suggested for the only alert of a group.
async fn suggested(expr: &str, before: Option<Duration>) -> Suggested {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yaml");
    std::fs::write(
        &path,
        format!("groups: [{{name: g, rules: [{{alert: A, expr: '{expr}'}}]}}]"),
    )
    .expect("written");
    let rules = rules::read(&[path]).expect("rules");
    let promtool = Promtool::find().await.expect("promtool: fixtures/tools.sh promtool");
    let judge = Judge {
        rules: &rules,
        clock: &CLOCK,
        promtool: &promtool,
    };
    let (steady, scenario) = (recording(None), recording(Some(FAILS)));
    let failed = Failed {
        steady: &steady,
        recording: &scenario,
    };
    let wanted = Wanted {
        scenarios: BTreeMap::from([(Scenario::AuthDown, failed)]),
        before_ms: before.map(|before| before.as_millis() as u64),
    };
    let group = &rules.groups[0];
    suggest(judge, group, &group.rules[0], &wanted)
        .await
        .expect("it is asked")
}

#[tokio::test]
async fn the_loosest_threshold_is_suggested_that_tells_in_time_and_is_silent_where_nothing_fails() {
    // It is 0.05 s where nothing fails, and 0.8 s then.
    match suggested("probe_duration_seconds > 5", None).await {
        Suggested::Threshold(_, value) => assert!((0.79..0.8).contains(&value), "{value}"),
        other => panic!("{other:?}"),
    }
    // Memory grows by 1 MB a second: it must be told when it has grown for some seconds.
    match suggested("memory_bytes > 9e8", Some(Duration::from_secs(80))).await {
        Suggested::Threshold(_, value) => assert!((1.2e8..1.25e8).contains(&value), "{value}"),
        other => panic!("{other:?}"),
    }
    // Nothing can be told before it happens.
    let none = suggested("probe_success < 0.5", Some(Duration::ZERO)).await;
    assert!(matches!(none, Suggested::None(_)), "{none:?}");
}
