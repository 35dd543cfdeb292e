//! Laws of text: nothing of a secret is left, hostile text is harmless, and what is written is read as the same.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use rehearsal::text::harmless;
use rehearsal::text::redact::{REDACTED, Redactor};
use rehearsal::yaml::env_file::{self, Format};
use rehearsal::yaml::span::Source;
use rehearsal::yaml::{tree, write};
use serde_json::Value;

/// A secret of at least six characters, as people and machines choose them.
fn secret() -> impl Strategy<Value = String> {
    let letters = prop_oneof![6 => "[a-zA-Z0-9]", 3 => "[ -~]", 1 => "[éß€漢😀\t\n]"];
    let long = prop::collection::vec(letters, 6..40).prop_map(|letters| letters.concat());
    long.prop_filter("learned without what is around it", |secret| secret.trim() == secret)
}

/// What stands beside a secret and is none of it: a boundary for every encoding.
fn beside() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "<", "> ", "GET /items/", "\u{2028}", "log: ", "\"", "(é)"]).prop_map(str::to_owned)
}

/// A secret as ordinary software writes it.
type Writing = fn(&str) -> String;

const WRITINGS: &[Writing] = &[
    str::to_owned,
    json,
    |secret| json(&json(secret)),
    ascii_json,
    form,
    |secret| form(secret).replace('+', "%20"),
    |secret| form(&form(secret)),
    percent,
    percent_lower,
    html,
    |secret| html(&html(secret)),
    |secret| secret.replace('\n', "\r\n"),
];

fn json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn ascii_json(text: &str) -> String {
    let escaped = |letter: char| match letter {
        '"' | '\\' => format!("\\{letter}"),
        ' '..='~' => letter.to_string(),
        _ => letter
            .encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect(),
    };
    text.chars().map(escaped).collect()
}

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Every byte but letters and digits.
fn percent(text: &str) -> String {
    percent_with(text, |byte| format!("%{byte:02X}"))
}

fn percent_lower(text: &str) -> String {
    percent_with(text, |byte| format!("%{byte:02x}"))
}

fn percent_with(text: &str, escaped: fn(u8) -> String) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        _ => escaped(byte),
    };
    text.bytes().map(byte).collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("a number", |number| number.is_finite())
            .prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Text with everything that means something somewhere.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{0,6}",
        2 => prop::sample::select(crate::samples::NASTY.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["no", "1_0", "0x1f", "1e3", "~", "- ", ": ", " #", "|", "!reset", "<<", "\u{1b}", "\u{9b}", "\n", "::", "##["]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn source(text: String) -> Arc<Source> {
    Arc::new(Source {
        path: "input".into(),
        text,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_a_secret_is_written_it_is_gone_and_what_is_beside_it_stays(
        secret in secret(), before in beside(), after in beside(), writing in prop::sample::select(WRITINGS),
    ) {
        let text = format!("{before}{}{after}", writing(&secret));
        let clean = Redactor::of([&secret]).clean(&text);
        prop_assert_eq!(clean, format!("{before}{REDACTED}{after}"), "{}", text);
    }

    /// Of a character of Base64 with a bit of the secret in it nothing stays.
    #[test]
    fn within_base64_at_any_place_no_bit_of_a_secret_is_left(
        secret in secret(), before in "[a-z]{0,5}:?", after in "[a-z]{0,5}",
    ) {
        let text = format!("{before}{secret}{after}");
        for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text), STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            let clean = Redactor::of([&secret]).clean(&format!("Authorization: Basic {encoded} end"));
            let (head, tail) = clean.split_once(REDACTED).expect("a secret was found");
            let head = head.strip_prefix("Authorization: Basic ").expect("what is before stays");
            let tail = tail.strip_suffix(" end").expect("what is after stays");
            prop_assert!(head.len() <= 8 * before.len() / 6, "{head} of {encoded} is left");
            // The last byte's bits may begin in the middle of a character; padding says nothing.
            prop_assert!(tail.trim_end_matches('=').len() <= (8 * after.len()).div_ceil(6), "{tail} of {encoded} is left");
            prop_assert!(!clean.contains(&secret));
        }
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is(text in "[a-m ]{0,60}", secret in "[n-z]{6,20}") {
        prop_assert_eq!(Redactor::of([&secret]).clean(&text), text);
    }

    #[test]
    fn redacted_text_is_clean(secret in secret(), writing in prop::sample::select(WRITINGS), text in any_text()) {
        let redactor = Redactor::of([&secret]);
        let clean = redactor.clean(&format!("{text}{}{text}", writing(&secret)));
        prop_assert_eq!(redactor.clean(&clean), clean);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_harmless_line_is_short_plain_and_one_line(text in any_text(), most in 8..200usize) {
        let line = harmless::line(&text, most);
        prop_assert!(line.len() <= most);
        prop_assert!(!line.contains(|letter: char| letter.is_control() || letter == '\u{2028}' || letter == '\u{202e}'), "{line:?}");
        prop_assert_eq!(harmless::line(&line, most), line);
    }

    #[test]
    fn a_harmless_block_is_short_and_plain(text in any_text(), most in 100..300usize) {
        let block = harmless::block(&text.repeat(9), most);
        prop_assert!(block.len() <= most);
        prop_assert!(!block.contains(|letter: char| letter.is_control() && letter != '\n' && letter != '\t'), "{block:?}");
        prop_assert_eq!(harmless::block(&block, most), block);
    }

    #[test]
    fn no_line_of_a_text_is_a_workflow_command(text in any_text()) {
        let defused = harmless::no_commands(&text);
        prop_assert!(!defused.contains("##["), "{defused:?}");
        prop_assert!(!defused.lines().any(|line| line.trim_start().starts_with("::")), "{defused:?}");
        prop_assert_eq!(harmless::no_commands(&defused), defused);
    }

    #[test]
    fn data_written_as_yaml_is_read_as_the_same(value in any_json()) {
        let written = write::yaml(&value);
        let read = tree::parse(source(written.clone())).map_err(|error| error.to_string());
        prop_assert_eq!(read.map(|node| node.to_json()), Ok(value), "{}", written);
    }

    /// Between single quotes everything stands for itself, line ends and `$` too.
    #[test]
    fn a_quoted_value_of_an_env_file_is_what_stands_there(values in prop::collection::vec("[^'\\\\]{0,12}", 0..5)) {
        let variables: Vec<_> = values.iter().enumerate().map(|(at, value)| (format!("V{at}"), value.clone())).collect();
        let text: String = variables.iter().map(|(name, value)| format!("export {name}='{value}' # '\n")).collect();
        let read = env_file::parse(source(text), Format::Dotenv, &|_| None).map_err(|error| error.to_string());
        prop_assert_eq!(read, Ok(variables));
    }
}
