//! Redaction: no secret leaves, raw or encoded. Only redacted data reaches report and publish.
//!
//! A secret is searched for in the shapes that ordinary software gives it: as it is; percent-encoded; escaped for JSON
//! or HTML, also twice; and inside Base64 of either alphabet at any of the three alignments, as in a Basic header,
//! where it follows the user's name. One that is an ordinary word goes only where it stands as a value (`values.rs`);
//! tokens, codes and cookies go by their shape, whether anybody knows them or not (`tokens.rs`). What deliberately hides a
//! secret (a cipher, hexadecimal) is not found, nor is Base64 that was broken into lines.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::anchors::Anchors;
use super::tokens;
pub use super::values::SHORT;
use super::values::Values;
use crate::record::texts::Texts;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Lines of a multi-line secret that are shorter say nothing (`}`, `-----`).
const LINE: usize = 8;
/// Longer secrets are learned in pieces, which keeps each pattern small.
const PIECE: usize = 2048;

/// Knows the run's secrets and what they look like encoded. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    secrets: BTreeSet<String>,
    /// Those that are ordinary words.
    values: Values,
    /// Names of the plan: a secret that equals one is an ordinary word.
    names: BTreeSet<String>,
    patterns: Vec<Pattern>,
    /// Words of the patterns.
    anchors: Anchors,
}

/// One shape of one secret.
struct Pattern {
    source: String,
    /// Made when the text first holds a word of it; nothing where it cannot be made.
    regex: OnceLock<Regex>,
    edge: Edge,
}

/// What the neighbours of a match mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// Nothing.
    Any,
    /// A neighbouring Base64 character holds some bits of the secret: it goes too.
    Bits,
}

/// Says how many secrets are known and never which.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let count = known.secrets.len() + known.values.len();
        write!(f, "Redactor({count} secrets)")
    }
}

impl Redactor {
    /// Knows these from the beginning.
    pub fn of(secrets: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let redactor = Self::default();
        secrets.into_iter().for_each(|secret| redactor.learn(secret.as_ref()));
        redactor
    }

    /// Knows these beside the names of a plan.
    pub fn marked(
        secrets: impl IntoIterator<Item = impl AsRef<str>>,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let redactor = Self::default();
        let mut known = redactor.known.write().unwrap_or_else(PoisonError::into_inner);
        known.names = names.into_iter().map(Into::into).collect();
        drop(known);
        secrets.into_iter().for_each(|secret| redactor.learn(secret.as_ref()));
        redactor
    }

    /// Learns a secret: from now on each of its forms is replaced. Empty ones are ignored; a multi-line one is also
    /// learned line by line. One that is an ordinary word should be learned together with its user too, as
    /// `user:password`.
    pub fn learn(&self, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let whole = secret.trim();
        if whole.chars().count() < SHORT || known.names.contains(whole) {
            return known.values.add(whole, &whole_shape(whole));
        }
        for piece in pieces(whole) {
            known.add(piece);
        }
        for line in whole
            .lines()
            .map(str::trim)
            .filter(|line| line.len() >= LINE && !line.starts_with("-----"))
        {
            pieces(line).into_iter().for_each(|piece| known.add(piece));
        }
    }

    /// Whether a secret is an ordinary word.
    pub fn is_ordinary(&self, secret: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values.is_one(secret.trim())
    }

    /// The text without secrets.
    pub fn clean(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.replaced(text.as_bytes())).into_owned()
    }

    /// The bytes without secrets.
    pub fn clean_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.replaced(bytes).into_owned()
    }

    /// Cleans every string and key. Numbers stay: a count that happens to equal a PIN is a count.
    pub fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.put(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_value(item)),
            Value::Object(map) => {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, mut item)| {
                        self.clean_value(&mut item);
                        (self.clean(&key), item)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Cleans a document whose values are somebody's own: one that is an ordinary word and secret goes too.
    pub fn clean_document(&self, document: &mut Value) {
        self.hide_values(document);
        self.clean_value(document);
    }

    fn hide_values(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
                if known.values.is_one(text) {
                    REDACTED.clone_into(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_values(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.hide_values(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Cleans every free text of a record or of a part of it.
    pub fn clean_texts(&self, of: &mut impl Texts) {
        of.each_text(&mut |text| self.put(text));
    }

    fn put(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.replaced(text.as_bytes()) {
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }

    fn replaced<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.known.read().unwrap_or_else(PoisonError::into_inner).spans(bytes);
        if spans.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            Cow::Owned(cut_out(bytes, &spans))
        }
    }
}

impl Known {
    fn add(&mut self, secret: &str) {
        if secret.is_empty() || !self.secrets.insert(secret.to_owned()) {
            return;
        }
        self.anchors.add(self.patterns.len(), [secret]);
        self.patterns.push(Pattern::new(shape(secret), Edge::Any));
        let cores = base64_cores(secret);
        self.anchors.add(self.patterns.len(), cores.iter().map(String::as_str));
        let shapes: Vec<_> = cores.iter().map(|core| base64_shape(core)).collect();
        self.patterns.push(Pattern::new(shapes.join("|"), Edge::Bits));
    }

    /// Where secrets stand, in order, those that touch or overlap taken together.
    fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let patterns = self.anchors.patterns_in(bytes);
        let patterns = patterns.into_iter().map(|pattern| &self.patterns[pattern]);
        let mut spans: Vec<_> = patterns.flat_map(|pattern| pattern.spans(bytes)).collect();
        spans.extend(self.values.spans(bytes));
        let is_gone = |span: &Range<usize>| bytes[span.clone()].starts_with(REDACTED.as_bytes());
        spans.extend(tokens::spans(bytes).into_iter().filter(|span| !is_gone(span)));
        spans.sort_by_key(|span| span.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                _ => merged.push(span),
            }
        }
        merged
    }
}

impl Pattern {
    fn new(source: String, edge: Edge) -> Self {
        let regex = OnceLock::new();
        Self { source, regex, edge }
    }

    #[expect(
        clippy::expect_used,
        reason = "every part is escaped, and the size is bounded by PIECE"
    )]
    fn regex(&self) -> &Regex {
        let made = || RegexBuilder::new(&self.source).size_limit(1 << 28).build();
        self.regex.get_or_init(|| made().expect("a pattern of ours"))
    }

    fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let regex = self.regex();
        let mut spans = Vec::new();
        let mut from = 0;
        while let Some(found) = regex.find_at(bytes, from).filter(|found| !found.is_empty()) {
            // Not from the end of the match: `abab` stands twice in `ababab`.
            from = found.start() + 1;
            spans.extend(self.edge.span(bytes, found.range()));
        }
        spans
    }
}

impl Edge {
    fn span(self, bytes: &[u8], found: Range<usize>) -> Option<Range<usize>> {
        let before = found.start.checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(found.end);
        let bits = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        match self {
            Self::Any => Some(found),
            Self::Bits => Some(
                found.start - usize::from(before.filter(bits).is_some())
                    ..found.end + usize::from(after.filter(bits).is_some()),
            ),
        }
    }
}

fn cut_out(bytes: &[u8], spans: &[Range<usize>]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for span in spans {
        clean.extend_from_slice(&bytes[from..span.start]);
        clean.extend_from_slice(REDACTED.as_bytes());
        from = span.end;
    }
    clean.extend_from_slice(&bytes[from..]);
    clean
}

fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE {
        // Two equal halves of what is left at the end, so that no piece is too short to be found safely.
        let want = if rest.len() < 2 * PIECE { rest.len() / 2 } else { PIECE };
        let (head, tail) = rest.split_at(rest.floor_char_boundary(want));
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

/// A regular expression for every form of a text that stands alone.
fn whole_shape(text: &str) -> String {
    let encoded = base64_shape(&STANDARD_NO_PAD.encode(text));
    format!("(?:{})|(?:{encoded})={{0,2}}", shape(text))
}

/// A regular expression for the text as it is and as escapers leave it, which all spare ASCII letters and digits.
fn shape(text: &str) -> String {
    text.chars()
        .map(|ch| {
            if ch.is_ascii_alphanumeric() {
                ch.to_string()
            } else {
                shape_of(ch)
            }
        })
        .collect()
}

fn shape_of(ch: char) -> String {
    let code = u32::from(ch);
    let utf16 = ch
        .encode_utf16(&mut [0; 2])
        .iter()
        .map(|unit| format!(r"(?i:\\+u{unit:04x})"))
        .collect::<String>();
    let percent = ch
        .encode_utf8(&mut [0; 4])
        .bytes()
        .map(|byte| format!("(?i:%(?:25)*{byte:02x})"))
        .collect();
    let entity = format!("(?i:&(?:amp;)*#(?:0*{code}|x0*{code:x});)");
    let literal = regex::escape(&ch.to_string());
    let mut ways = vec![utf16, percent, entity];
    ways.extend(special_ways(ch).iter().map(|way| (*way).to_owned()));
    ways.push(literal);
    format!("(?:{})", ways.join("|"))
}

fn special_ways(ch: char) -> &'static [&'static str] {
    match ch {
        '"' => &[r#"\\+""#, "&(?:amp;)*quot;"],
        '\'' => &[r"\\+'", "&(?:amp;)*apos;"],
        '&' => &["&(?:amp;)+"],
        '<' => &["&(?:amp;)*lt;"],
        '>' => &["&(?:amp;)*gt;"],
        '\\' => &[r"\\+"],
        '/' => &[r"\\+/"],
        ' ' => &[r"\+", "(?i:%(?:25)*2b)"],
        '\n' => &[r"\r\n", r"(?:\\+r)?\\+n", "(?i:%0d%0a)"],
        '\r' => &[r"\\+r"],
        '\t' => &[r"\\+t"],
        _ => &[],
    }
}

/// The parts of a longer Base64 text that depend on the secret alone, at each alignment; also where it was
/// percent-encoded first, as OAuth wants it in a Basic header, or escaped for JSON.
fn base64_cores(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = Value::from(secret).to_string();
    let texts = BTreeSet::from([
        secret.to_owned(),
        form.replace('+', "%20"),
        form,
        json[1..json.len() - 1].to_owned(),
    ]);
    texts
        .iter()
        .flat_map(|text| (0..3).map(|shift| base64_core(text.as_bytes(), shift)))
        .collect()
}

fn base64_core(secret: &[u8], shift: usize) -> String {
    let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(secret.iter().copied()).collect();
    let encoded = STANDARD_NO_PAD.encode(&shifted);
    // Six bits a character: the first one that holds nothing of what stands before, the last of what follows.
    encoded[(8 * shift).div_ceil(6)..8 * shifted.len() / 6].to_owned()
}

fn base64_shape(core: &str) -> String {
    core.replace('+', "(?:\u{1}|-|%2[bB])")
        .replace('/', r"(?:\\*/|_|%2[fF])")
        .replace('\u{1}', r"\+")
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;
    use crate::record::alerts::{Says, Scenario};
    use crate::record::fidelity::FidelityState;
    use crate::report::samples;

    const SECRET: &str = "p@ss w0rd/+\"<&>\\é€'x";

    fn knowing(secrets: &[&str]) -> Redactor {
        Redactor::of(secrets)
    }

    #[test]
    fn a_raw_secret_is_replaced_and_the_rest_stays() {
        assert_eq!(
            knowing(&["hunter22"]).clean("a hunter22 b hunter22."),
            "a [redacted] b [redacted]."
        );
    }

    #[test]
    fn clones_share_what_they_know() {
        let redactor = Redactor::default();
        let clone = redactor.clone();
        redactor.learn("hunter22");
        assert_eq!(clone.clean("hunter22"), REDACTED);
    }

    #[test]
    fn base64_is_found_at_every_alignment_in_both_alphabets() {
        let redactor = knowing(&[SECRET, "hunter22"]);
        for secret in [SECRET, "hunter22"] {
            for before in ["", "u", "us", "use", "alice:"] {
                for after in ["", "\n", "zz", "zzz"] {
                    let text = format!("{before}{secret}{after}");
                    for encoded in [
                        STANDARD.encode(&text),
                        URL_SAFE.encode(&text),
                        URL_SAFE_NO_PAD.encode(&text),
                    ] {
                        let clean = redactor.clean(&format!("proof {encoded} end"));
                        assert!(clean.contains(REDACTED), "{text:?} as {encoded}: {clean}");
                        let left = clean.replace(REDACTED, "");
                        let kept = left.len() - "proof  end".len();
                        let around = 4 * (before.len() + after.len()).div_ceil(3) + 4;
                        assert!(kept <= around, "{kept} characters of {encoded} are left in {clean}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_client_secret_that_was_percent_encoded_before_base64_is_found() {
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let header = STANDARD.encode(format!("shop:{form}"));
        assert!(knowing(&[SECRET]).clean(&header).contains(REDACTED));
    }

    #[test]
    fn base64_that_was_percent_encoded_is_found() {
        let encoded = STANDARD.encode("k>>>?k>>>?");
        let query: String = url::form_urlencoded::byte_serialize(encoded.as_bytes()).collect();
        assert!(query.contains('%'), "{query}");
        let clean = knowing(&["k>>>?k>>>?"]).clean(&format!("/x?t={query}"));
        assert!(clean.starts_with("/x?t=[redacted]"), "{clean}");
    }

    #[test]
    fn percent_json_and_html_forms_are_found_also_when_applied_twice() {
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let json = Value::from(SECRET).to_string().trim_matches('"').to_owned();
        let html = SECRET
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        let twice: String = url::form_urlencoded::byte_serialize(form.as_bytes()).collect();
        let forms = [
            form.clone(),
            form.replace('+', "%20").to_lowercase().replace("%c3%a9", "%C3%A9"),
            twice,
            Value::from(json.as_str()).to_string().trim_matches('"').to_owned(),
            json,
            "p@ss w0rd\\/+\\u0022\\u003c\\u0026\\u003E\\\\\\u00e9\\u20ac'x".to_owned(),
            html.replace('\'', "&#39;"),
            html.replace('\'', "&#x27;").replace("&lt;", "&amp;lt;"),
        ];
        for text in forms {
            assert_eq!(knowing(&[SECRET]).clean(&format!("<{text}>")), "<[redacted]>", "{text}");
        }
    }

    #[test]
    fn nothing_is_redacted_where_nothing_is_secret() {
        let redactor = knowing(&["", "   ", "swordfish"]);
        let text = "DELIVERY of 12 fish by sword, c3dvcmQ=, %20, &amp;";
        assert_eq!(redactor.clean(text), text);
    }

    #[test]
    fn overlapping_secrets_leave_nothing_of_either() {
        let redactor = knowing(&["abcdef", "xyzabc", "hunter22", "hunter22-long"]);
        assert_eq!(redactor.clean("xyzabcdef"), REDACTED);
        assert_eq!(redactor.clean("hunter22-long"), REDACTED);
        assert_eq!(knowing(&["ababab"]).clean("abababab"), REDACTED);
    }

    #[test]
    fn a_multi_line_secret_is_found_whole_line_by_line_and_escaped() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
        let redactor = knowing(&[key]);
        assert_eq!(redactor.clean("log: MIIEvQIBADANBgkq"), "log: [redacted]");
        assert_eq!(redactor.clean(&format!("<{}>", key.trim())), "<[redacted]>");
        assert_eq!(redactor.clean(&Value::from(key.trim()).to_string()), "\"[redacted]\"");
        assert_eq!(redactor.clean(&key.trim().replace('\n', "\r\n")), REDACTED);
        assert_eq!(redactor.clean("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }

    #[test]
    fn a_very_long_secret_is_found_too() {
        let secret: String = (0..2000).map(|n| format!("{n}-é/")).collect();
        let clean = knowing(&[&secret]).clean(&format!("a{secret}b"));
        assert!(clean.replace(REDACTED, "") == "ab", "{clean}");
    }

    #[test]
    fn json_values_are_cleaned_with_their_keys_but_numbers_stay() {
        let mut value = serde_json::json!({"hunter22": ["x hunter22", {"n": 12345, "b": true}]});
        knowing(&["hunter22", "12345"]).clean_value(&mut value);
        assert_eq!(
            value,
            serde_json::json!({"[redacted]": ["x [redacted]", {"n": 12345, "b": true}]})
        );
    }

    #[test]
    fn no_text_of_a_record_keeps_a_secret() {
        let mut result = samples::hostile_with("the hunter22 canary");
        // Words of the vocabulary: no run writes another there.
        result.partial.clear();
        result
            .fidelity
            .iter_mut()
            .for_each(|row| row.state = FidelityState::Same.into());
        for load in &mut result.load {
            load.errors.clear();
            load.limits.clear();
        }
        result.slowdowns.clear();
        for alert in &mut result.alerts {
            (alert.scenario, alert.says) = (Scenario::Upgrade.into(), Says::Never.into());
        }
        knowing(&["hunter22"]).clean_texts(&mut result);
        let json = serde_json::to_string(&result).expect("JSON");
        assert!(
            !json.contains("hunter22") && json.contains("the [redacted] canary"),
            "{json}"
        );
    }

    #[test]
    fn a_secret_that_is_a_word_of_the_schema_leaves_the_record_readable() {
        let mut result = samples::block();
        knowing(&["control", "failed", "block", "rehearsal", "auth-login"]).clean_texts(&mut result);
        let json = serde_json::to_value(&result).expect("JSON");
        assert_eq!(json["schema"], "rehearsal/v1");
        serde_json::from_value::<crate::record::v1::Record>(json).expect("still a record");
    }

    #[test]
    fn debug_output_names_no_secret() {
        assert_eq!(format!("{:?}", knowing(&["hunter22"])), "Redactor(1 secrets)");
    }
}
