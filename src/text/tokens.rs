//! Tokens by their shape: what nobody marked as a secret and nobody could learn in time, because it stands in the very
//! line that tells of it. Codes and tokens by the names that OAuth 2.0 (RFC 6749, 7521, 7636, 8628), OpenID Connect and
//! SAML give their parameters; cookies; credentials of an `Authorization` header (RFC 7235); JSON Web Tokens (RFC 7519).
//!
//! A name that people use for other things too (`code`, `state`) counts in a query or a form only: `exit code=1` stays.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use regex::bytes::{Captures, Regex};

/// Names that say it wherever they stand.
const SURE: &str = "(?:access|refresh|id|logout|subject|actor|auth|session|csrf|xsrf)[_-]?token|id_token_hint|client_secret|\
                    client_assertion|code_verifier|saml_?response|samlart|csrfmiddlewaretoken";
/// Names that say it in a query or a form.
const IN_QUERY: &str = "code|state|nonce|session_state|ticket|assertion|device_code|user_code|token|password|passwd";
/// A value in a query, a form or a line.
const VALUE: &str = r#"[^\s&"'<>;,)}|\\]+"#;

/// Most lines hold nothing of all this, and are let go at once.
static WORTH_A_LOOK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "(?i)token|secret|code|state|nonce|ticket|assertion|verifier|saml|passw|cookie|authorization|bearer|dpop|basic|eyj",
    )
});

/// Each has the value as its group 1.
static SHAPES: LazyLock<[Shape; 8]> = LazyLock::new(|| {
    [
        (format!(r#"(?i)(?:\b|_)(?:{SURE})(?:=|%3d)(?:\\*["'])?({VALUE})"#), Is::Given),
        (
            format!(r#"(?i)["'](?:{SURE}|token)\\*["']\s*[:=]\s*\[?\s*\\*["']([^"'\s\\]+)"#),
            Is::Given,
        ),
        (
            format!(r"(?i)(?:[?&]|&amp;|%3f|%26)(?:{IN_QUERY})(?:=|%3d)({VALUE})"),
            Is::Given,
        ),
        (format!(r#"(?i)(?:^|[\s"'=:`])(?:{IN_QUERY})=({VALUE})&"#), Is::Given),
        (
            format!(
                r#"(?i)\bauthorization\\*["']?\s*[:=]\s*\[?\s*\\*["']?(?:bearer|basic|digest|negotiate|ntlm|dpop|token)\s+({VALUE})"#
            ),
            Is::Given,
        ),
        (r"(?i)\b(?:bearer|dpop)\s+([a-z0-9._~+/-]{16,}=*)".to_owned(), Is::Token),
        (r"(?i)\bbasic\s+([a-z0-9+/_-]{4,}={0,2})".to_owned(), Is::Basic),
        (
            r"(eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,3})".to_owned(),
            Is::Given,
        ),
    ]
    .map(|(pattern, is)| Shape {
        regex: regex(&pattern),
        is,
    })
});

static COOKIES: LazyLock<Regex> = LazyLock::new(|| regex(r#"(?i)\b(set-)?cookie\\*["']?\s*[:=]\s*\[?\s*\\*["']?"#));
static COOKIE: LazyLock<Regex> = LazyLock::new(|| regex(r#"^[\w.!#$%&*+^`|~-]+=([^;\s"',\\]*)(?:;[ \t]*)?"#));

struct Shape {
    regex: Regex,
    is: Is,
}

/// What tells a value from a word that happens to stand there.
#[derive(Clone, Copy)]
enum Is {
    /// Its name.
    Given,
    /// What it is made of: `Bearer authentication_required` and `Bearer realm="x"` name none.
    Token,
    /// It is `user:password` in Base64: `Basic authentication` is not.
    Basic,
}

#[expect(clippy::expect_used, reason = "the patterns stand above, and a test compiles each")]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of ours")
}

/// Where tokens stand, in no order; they may overlap.
pub(super) fn spans(bytes: &[u8]) -> Vec<Range<usize>> {
    if !WORTH_A_LOOK.is_match(bytes) {
        return Vec::new();
    }
    let mut spans: Vec<_> = SHAPES.iter().flat_map(|shape| shape.spans(bytes)).collect();
    spans.extend(COOKIES.captures_iter(bytes).flat_map(|found| cookies(bytes, &found)));
    spans
}

impl Shape {
    fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        let mut from = 0;
        while let Some(value) = self.regex.captures_at(bytes, from).and_then(|found| found.get(1)) {
            // The `&` behind one parameter stands before the next.
            from = value.end();
            if self.is.met(value.as_bytes(), bytes.get(value.end())) {
                spans.push(value.start()..unescaped_end(bytes, value.range()));
            }
        }
        spans
    }
}

/// A URL inside another one: its parameters are separated by `%26`.
fn unescaped_end(bytes: &[u8], value: Range<usize>) -> usize {
    let inside = bytes[..value.start].ends_with(b"%3D") || bytes[..value.start].ends_with(b"%3d");
    let next = bytes[value.clone()].windows(3).position(|three| three == b"%26");
    next.filter(|_| inside).map_or(value.end, |at| value.start + at)
}

impl Is {
    fn met(self, value: &[u8], next: Option<&u8>) -> bool {
        match self {
            Self::Given => true,
            Self::Token => {
                let names_something = value.ends_with(b"=") && matches!(next, Some(b'"' | b'\''));
                value.iter().any(u8::is_ascii_digit) && !names_something
            }
            Self::Basic => {
                let ways = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
                let decoded = ways.iter().find_map(|way| way.decode(value).ok());
                let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
                decoded.is_some_and(|text| text.contains(':'))
            }
        }
    }
}

/// The values of a `Cookie` header, or the one of a `Set-Cookie` header, whose attributes stay.
fn cookies(bytes: &[u8], header: &Captures<'_>) -> Vec<Range<usize>> {
    let mut from = header.get(0).map_or(bytes.len(), |whole| whole.end());
    let mut spans = Vec::new();
    while let Some(pair) = COOKIE.captures(&bytes[from..]) {
        let value = pair.get(1).map_or(0..0, |value| value.range());
        if !value.is_empty() {
            spans.push(from + value.start..from + value.end);
        }
        if header.get(1).is_some() {
            break;
        }
        from += pair.get(0).map_or(bytes.len(), |whole| whole.end());
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::super::redact::Redactor;

    fn masked(text: &str) -> String {
        let once = Redactor::default().clean(text);
        assert_eq!(Redactor::default().clean(&once), once, "twice is once");
        once
    }

    #[test]
    fn the_access_log_of_an_ordinary_server_holds_no_code() {
        let line = r#"172.18.0.5 - - [20/Nov/2026:09:00:00 +0000] "GET /callback?code=Zq3fYw81&state=x9Kd02mQ HTTP/1.1" 302 0 "https://login.example/o/authorize?client_id=shop&redirect_uri=http%3A%2F%2Fweb%2Fcb%3Fcode%3Dinner77%26page%3D2" "python-requests/2.25""#;
        let clean = masked(line);
        for secret in ["Zq3fYw81", "x9Kd02mQ", "inner77"] {
            assert!(!clean.contains(secret), "{clean}");
        }
        assert!(
            clean.contains("GET /callback?code=[redacted]&state=[redacted] HTTP/1.1\" 302"),
            "{clean}"
        );
        assert!(
            clean.contains("client_id=shop") && clean.contains("code%3D[redacted]%26page%3D2"),
            "{clean}"
        );
    }

    #[test]
    fn each_shape_of_a_token_is_masked_and_what_stands_around_it_stays() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
        let cases = [
            ("access_token=abc def", "access_token=[redacted] def".to_owned()),
            (
                r#"{"access_token": "abc", "expires_in": 3}"#,
                r#"{"access_token": "[redacted]", "expires_in": 3}"#.to_owned(),
            ),
            (
                r#"{\"id_token\":\"abc\"}"#,
                r#"{\"id_token\":\"[redacted]\"}"#.to_owned(),
            ),
            (
                "{'refresh_token': ['abc']}",
                "{'refresh_token': ['[redacted]']}".to_owned(),
            ),
            (
                "body code=abc&grant_type=authorization_code&client_secret=s3",
                "body code=[redacted]&grant_type=authorization_code&client_secret=[redacted]".to_owned(),
            ),
            (
                "SAMLResponse=PHNhbWw%2B&RelayState=x",
                "SAMLResponse=[redacted]&RelayState=x".to_owned(),
            ),
            (
                "Set-Cookie: sid=abc; Path=/; HttpOnly",
                "Set-Cookie: sid=[redacted]; Path=/; HttpOnly".to_owned(),
            ),
            ("cookie: a=1; b=2", "cookie: a=[redacted]; b=[redacted]".to_owned()),
            (
                r#"{"Cookie": "a=1; b=2", "n": "c=3"}"#,
                r#"{"Cookie": "a=[redacted]; b=[redacted]", "n": "c=3"}"#.to_owned(),
            ),
            (
                "Authorization: Bearer abc",
                "Authorization: Bearer [redacted]".to_owned(),
            ),
            (
                "'Authorization': 'Basic YTpi'",
                "'Authorization': 'Basic [redacted]'".to_owned(),
            ),
            (
                "sent Bearer 0123456789abcdef01 to idp",
                "sent Bearer [redacted] to idp".to_owned(),
            ),
            (
                "sent Basic YWxpY2U6cHc= to idp",
                "sent Basic [redacted] to idp".to_owned(),
            ),
            (&format!("got {jwt} back"), "got [redacted] back".to_owned()),
        ];
        for (text, wanted) in cases {
            assert_eq!(masked(text), wanted);
        }
    }

    #[test]
    fn words_that_only_look_like_one_stay() {
        for text in [
            "worker exited: exit code=1",
            "code=500 state=open",
            "ERROR state: closed, code: 23505",
            r#"{"code": "not_found", "state": "open"}"#,
            r#"WWW-Authenticate: Bearer realm="shop", error_description2="x""#,
            "Basic authentication and Bearer authentication are off",
            "unexpected token `}` in JSON",
            "no cookie: sign in first",
            "authorization: denied for alice",
            "GET /items?page=2&sort=name",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn a_long_line_full_of_parameters_is_masked_in_time() {
        let line = "&code=abc".repeat(20_000);
        assert!(!masked(&line).contains("abc"));
    }
}
