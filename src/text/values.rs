//! Secrets that are ordinary words: too short to be told from one, or equal to a name of the plan. Taken out wherever
//! their letters stand they would make reports unreadable (`[redacted]: GET /items` for a service `web`), so they go only
//! where they stand as a value: a string in JSON, a header's value, a parameter of a query or a form, `KEY=value`, and
//! the password in a URL's authority. As they are or encoded, but whole.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

/// Shorter ones are ordinary words to everybody.
pub const SHORT: usize = 6;

/// The ordinary words that are secret.
#[derive(Default)]
pub(super) struct Values {
    known: BTreeMap<String, Regex>,
}

impl Values {
    /// From now on it is one; `shape` is a regular expression for every form of it.
    pub fn add(&mut self, secret: &str, shape: &str) {
        if !secret.is_empty() && !self.known.contains_key(secret) {
            self.known.insert(secret.to_owned(), as_a_value(shape));
        }
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether the whole text is one.
    pub fn is_one(&self, text: &str) -> bool {
        self.known.contains_key(text)
    }

    /// Where they stand as values, in no order.
    pub fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        self.known.values().flat_map(|value| all(value, bytes)).collect()
    }
}

fn all(value: &Regex, bytes: &[u8]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(found) = value.captures_at(bytes, from) {
        let whole = found.get(0).map_or(0..0, |whole| whole.range());
        // What ends one value begins the next.
        from = whole.start + 1;
        let value = found
            .iter()
            .skip(1)
            .flatten()
            .next()
            .map_or(0..0, |value| value.range());
        if !is_a_key(&bytes[whole.end..]) {
            spans.push(value);
        }
    }
    spans
}

/// In JSON, what is followed by a colon names another value.
fn is_a_key(rest: &[u8]) -> bool {
    rest.trim_ascii_start().first() == Some(&b':')
}

#[expect(clippy::expect_used, reason = "every part is escaped, and ordinary words are short")]
fn as_a_value(shape: &str) -> Regex {
    let value = format!("({shape})");
    let parameter = format!(r#"[\w\].-](?:=|%3[dD])(?:\\*["'])?{value}(?:\\*["']|\r?$|[&;,\s)}}\]#]|%26)"#);
    let json = format!(r#"[:\[,]\s*\\*["']{value}\\*["']"#);
    let header = format!(
        r#"(?:^|[\s"'\[{{,])(?:[A-Za-z0-9]+-[A-Za-z0-9-]+|(?i:authorization|cookie|token|password|passwd|secret|apikey)):[ \t]*{value}[ \t]*(?:\r?$|["'\]])"#
    );
    let authority = format!(r#"//[^\s/:@"']*:{value}@"#);
    RegexBuilder::new(&format!("{parameter}|{json}|{header}|{authority}"))
        .multi_line(true)
        .size_limit(1 << 28)
        .build()
        .expect("a pattern of ours")
}

#[cfg(test)]
mod tests {
    use super::super::redact::{REDACTED, Redactor};

    fn knowing(secret: &str) -> Redactor {
        Redactor::marked([secret], ["web", "control", "passed"])
    }

    #[test]
    fn a_secret_that_is_a_word_goes_where_it_stands_as_a_value() {
        for secret in ["web", "abc", "p w5", "control", "passed"] {
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for (text, value) in [
                (r#"{"pw": "VALUE", "n": 1}"#, secret),
                (r#"{\"pw\":\"VALUE\"}"#, secret),
                (r#"["a", "VALUE"]"#, secret),
                ("X-Api-Key: VALUE", secret),
                ("a\nPassword: VALUE\nb", secret),
                ("GET /x?pw=VALUE&page=2 HTTP/1.1", &form),
                ("user=alice&pw=VALUE", &form),
                ("DB_PASSWORD=VALUE", secret),
                ("DB_PASSWORD='VALUE' next", secret),
                ("postgres://shop:VALUE@db/shop", &form),
            ] {
                let clean = knowing(secret).clean(&text.replace("VALUE", value));
                assert_eq!(clean, text.replace("VALUE", REDACTED), "{secret}");
            }
        }
    }

    #[test]
    fn a_secret_that_is_a_word_stays_everywhere_else() {
        for text in [
            "web abc web:8080 control passed",
            "http://web:8080/abc",
            "web: GET /items answered 500",
            "suite control / web passed",
            r#"{"web": 1, "control": {"abc": 2}}"#,
            "image=web:1.0 /web=1",
            "DELIVERY of abcdef",
        ] {
            for secret in ["web", "abc", "control", "passed"] {
                assert_eq!(knowing(secret).clean(text), text, "{secret}");
            }
        }
    }

    #[test]
    fn a_secret_of_six_characters_that_is_no_name_goes_everywhere() {
        assert_eq!(knowing("hunter").clean("xhunterx"), format!("x{REDACTED}x"));
        assert_eq!(knowing("hunte").clean("xhuntex"), "xhuntex");
    }
}
