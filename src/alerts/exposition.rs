//! What a service says at `/metrics`, in Prometheus' text format or OpenMetrics'. It is the candidate's, and so hostile:
//! what is no sample is passed over, and nothing is taken beyond a length.

use super::series::{Kind, Labels, Sample};
use std::collections::{BTreeMap, HashMap};

/// Labels of a sample.
const MOST_LABELS: usize = 64;
/// Bytes of a name or a label's value.
const MOST_BYTES: usize = 1024;
/// Samples of one answer.
const MOST_SAMPLES: usize = 50_000;

/// The samples whose name is wanted, in the order in which they stand there.
pub fn read(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Sample> {
    let mut kinds: HashMap<&str, &str> = HashMap::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        match line.strip_prefix('#') {
            Some(comment) => {
                let mut words = comment.split_ascii_whitespace();
                if let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) {
                    kinds.insert(name, kind);
                }
            }
            None => samples.extend(sample(line, &kinds).filter(|sample| wanted(sample.labels.name()))),
        }
        if samples.len() >= MOST_SAMPLES {
            break;
        }
    }
    samples
}

fn sample(line: &str, kinds: &HashMap<&str, &str>) -> Option<Sample> {
    let line = line.trim_start();
    let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return None;
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (BTreeMap::new(), rest),
    };
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let sample = Sample {
        labels: Labels::of(name, pairs),
        kind: kind(name, kinds),
        value,
    };
    value.is_finite().then_some(sample)
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let starts = name.starts_with(|c: char| !c.is_ascii_digit());
    !name.is_empty() && name.len() <= MOST_BYTES && starts && name.chars().all(plain)
}

/// What stands between the braces, and what follows them.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = value(rest.trim_start().strip_prefix('"')?)?;
        let name = name.trim();
        if labels.len() >= MOST_LABELS || !is_name(name) || name.contains(':') || value.len() > MOST_BYTES {
            return None;
        }
        // An empty label is none.
        if !value.is_empty() {
            labels.insert(name.to_owned(), value);
        }
        text = rest;
    }
}

/// A quoted value, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// As its type says; what no type is told of is a counter where its name says so.
fn kind(name: &str, kinds: &HashMap<&str, &str>) -> Kind {
    let parts = ["_bucket", "_count", "_sum", "_total"];
    let family = parts.iter().find_map(|part| name.strip_suffix(part));
    let told = kinds.get(name).or_else(|| kinds.get(family?));
    match told.copied() {
        Some("counter") => Kind::Counter,
        Some("histogram" | "summary") if family.is_some() => Kind::Counter,
        Some("gauge" | "histogram" | "summary" | "info" | "stateset") => Kind::Gauge,
        _ if name.ends_with("_total") || name.ends_with("_bucket") => Kind::Counter,
        _ => Kind::Gauge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Vec<(String, Kind, f64)> {
        let samples = read(text, |_| true).into_iter();
        samples
            .map(|sample| (sample.labels.to_string(), sample.kind, sample.value))
            .collect()
    }

    #[test]
    fn samples_have_their_labels_and_go_on_as_their_type_says() {
        let text = "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"get\",code=\"200\",} 1027 1395066363000\n\
                    # TYPE up_since gauge\nup_since 1.5e3\n\
                    # TYPE took histogram\ntook_bucket{le=\"+Inf\"} 3\ntook_sum 1.25 # {trace_id=\"a\"} 0.5\n\
                    queue_total 4\n# EOF\n";
        let expected = [
            (
                r#"http_requests_total{code="200", method="get"}"#,
                Kind::Counter,
                1027.0,
            ),
            ("up_since{}", Kind::Gauge, 1500.0),
            (r#"took_bucket{le="+Inf"}"#, Kind::Counter, 3.0),
            ("took_sum{}", Kind::Counter, 1.25),
            ("queue_total{}", Kind::Counter, 4.0),
        ];
        let expected = expected.map(|(name, kind, value)| (name.to_owned(), kind, value));
        assert_eq!(read_all(text), expected);
    }

    #[test]
    fn a_value_may_hold_what_ends_a_line_a_label_or_a_sample() {
        let text = r#"a{path="x\"} 3, {\n\\",code="1"} 7"#;
        assert_eq!(
            read_all(text),
            [(r#"a{code="1", path="x\"} 3, {\n\\"}"#.to_owned(), Kind::Gauge, 7.0)]
        );
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        let long = format!("a{{l=\"{}\"}} 1\n", "x".repeat(MOST_BYTES + 1));
        let labels: String = (0..=MOST_LABELS).map(|number| format!("l{number}=\"1\",")).collect();
        let many = format!("a{{{labels}}} 1\n");
        let text = format!("<html>\n9a 1\na{{b=\"c 1\na NaN\na +Inf\na one\na\n{long}{many}ok 1\n");
        assert_eq!(read_all(&text), [("ok{}".to_owned(), Kind::Gauge, 1.0)]);
    }

    #[test]
    fn an_answer_without_an_end_is_cut() {
        assert_eq!(read_all(&"a 1\n".repeat(MOST_SAMPLES + 7)).len(), MOST_SAMPLES);
    }
}
