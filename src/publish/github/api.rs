//! GitHub's API by octocrab, which this file alone knows.
//!
//! What is read is asked for again where the way or GitHub's side failed. What is written goes out once, whatever comes
//! back: nobody knows whether it arrived. So each step looks first at what is there, and one that is repeated writes
//! nothing twice.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use octocrab::Octocrab;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::slug::Slug;
use crate::text::harmless;

/// For one question, with its answer.
const LIMIT: Duration = Duration::from_secs(30);
/// Times that something is read.
const READS: u32 = 3;
/// GitHub may ask for more patience than a job has.
const PATIENCE: Duration = Duration::from_secs(60);
/// Items of a page, GitHub's most.
const PAGE: usize = 100;
/// Pages that are read of a list.
const PAGES: usize = 30;
/// Of what GitHub said.
const WORDS: usize = 300;

/// Why GitHub did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token may not, or may not see that there is anything: GitHub answers 404 then.
    #[error("the token may not ({0})")]
    NotAllowed(String),
    /// Too much was asked for.
    #[error("GitHub's rate limit is reached{}: {said}", after(*wait))]
    Limited {
        /// Until it may be asked again, where GitHub tells.
        wait: Option<Duration>,
        /// Its words.
        said: String,
    },
    /// The way to GitHub, or its side.
    #[error("{0}")]
    Lost(String),
    /// Anything else.
    #[error("GitHub refused it: {0}")]
    Refused(String),
}

fn after(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(" for {} s", wait.as_secs()))
}

/// One repository on GitHub, as one token sees it.
#[derive(Debug, Clone)]
pub struct Api {
    client: Octocrab,
    repository: Slug,
}

/// What came back.
struct Answer {
    status: u16,
    /// Nothing is left of what may be asked.
    exhausted: bool,
    wait: Option<Duration>,
    body: String,
}

impl Api {
    /// `base` is the API's address: `https://api.github.com`, or `https://HOST/api/v3` of GitHub Enterprise Server.
    ///
    /// # Errors
    /// The token or the address cannot be ones.
    pub fn new(base: &str, token: &str, repository: &Slug) -> Result<Self> {
        ensure!(
            !token.is_empty() && token.chars().all(|letter| letter.is_ascii_graphic()),
            "the token for GitHub is none: it is empty, or holds a blank or a line end"
        );
        // A redirect would have its body sent to somebody else.
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("no client for GitHub could be made")?;
        let client = Octocrab::builder()
            .base_uri(base)
            .and_then(|builder| builder.personal_token(token.to_owned()).build_with_reqwest(client))
            .with_context(|| format!("`{base}` is no address of GitHub's API"))?;
        Ok(Self {
            client,
            repository: repository.clone(),
        })
    }

    /// Reads what is at `path` of the repository.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        let mut read = 1;
        loop {
            let answer = self.ask(path).await;
            let Some(wait) = answer.as_ref().err().and_then(|refusal| patience(refusal, read)) else {
                return answer.and_then(|body| parsed(&body));
            };
            tokio::time::sleep(wait).await;
            read += 1;
        }
    }

    /// Reads a list to its end; `field` where the items stand in an object.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, field: Option<&str>) -> Result<Vec<T>, Refusal> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let page: Value = self.get(&format!("{path}{mark}per_page={PAGE}&page={page}")).await?;
            let items: Vec<T> = shaped(field.map_or(&page, |field| &page[field]))?;
            let last = items.len() < PAGE;
            all.extend(items);
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// Writes something new.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Refusal> {
        let answer = self.client._post(self.route(path), Some(body)).await;
        parsed(&self.body(answer).await?)
    }

    /// Writes something anew.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Refusal> {
        let answer = self.client._patch(self.route(path), Some(body)).await;
        parsed(&self.body(answer).await?)
    }

    async fn ask(&self, path: &str) -> Result<String, Refusal> {
        let answer = self.client._get(self.route(path)).await;
        self.body(answer).await
    }

    fn route(&self, path: &str) -> String {
        format!("/repos/{}{path}", self.repository)
    }

    async fn body(&self, answer: octocrab::Result<Received>) -> Result<String, Refusal> {
        judged(self.whole(answer).await.map_err(|error| Refusal::Lost(lost(&error)))?)
    }

    async fn whole(&self, answer: octocrab::Result<Received>) -> octocrab::Result<Answer> {
        let answer = answer?;
        let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
        let (exhausted, wait) = (number("x-ratelimit-remaining") == Some(0), number("retry-after"));
        Ok(Answer {
            status: answer.status().as_u16(),
            exhausted,
            wait: wait.map(Duration::from_secs),
            body: self.client.body_to_string(answer).await?,
        })
    }
}

/// What octocrab gives before anything is read of it.
type Received = hyper::Response<http_body_util::combinators::BoxBody<bytes::Bytes, octocrab::Error>>;

/// How long to wait before it is read again, where that makes sense.
fn patience(refusal: &Refusal, read: u32) -> Option<Duration> {
    let wait = match refusal {
        Refusal::Lost(_) => Duration::from_secs(u64::from(read) - 1),
        Refusal::Limited { wait, .. } => (*wait)?,
        Refusal::NotAllowed(_) | Refusal::Refused(_) => return None,
    };
    (read < READS && wait <= PATIENCE).then_some(wait)
}

fn judged(answer: Answer) -> Result<String, Refusal> {
    let said = || format!("{}: {}", answer.status, words(&answer.body));
    match answer.status {
        200..=299 => Ok(answer.body),
        429 => Err(Refusal::Limited {
            wait: answer.wait,
            said: said(),
        }),
        403 if answer.exhausted || answer.wait.is_some() => Err(Refusal::Limited {
            wait: answer.wait,
            said: said(),
        }),
        403 | 404 => Err(Refusal::NotAllowed(said())),
        500..=599 => Err(Refusal::Lost(format!("GitHub failed: {}", said()))),
        300..=399 => Err(Refusal::Refused(format!(
            "{}: the repository has another name now",
            answer.status
        ))),
        _ => Err(Refusal::Refused(said())),
    }
}

/// GitHub's message; of anything else, such as a proxy's page, its beginning.
fn words(body: &str) -> String {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let message = json.as_ref().and_then(|json| json["message"].as_str());
    harmless::line(message.unwrap_or(body), WORDS)
}

/// The reasons, the last of which says most.
fn lost(error: &octocrab::Error) -> String {
    let mut reasons = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(reason) = next {
        reasons.push(reason.to_string());
        next = reason.source();
    }
    let reason = reasons.pop().unwrap_or_default();
    format!("GitHub could not be reached: {}", harmless::line(&reason, WORDS))
}

fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    // Some answers have no body.
    let body = if body.is_empty() { "null" } else { body };
    let json: Value = serde_json::from_str(body).map_err(|_| unread(&words(body)))?;
    shaped(&json)
}

fn shaped<T: DeserializeOwned>(json: &Value) -> Result<T, Refusal> {
    T::deserialize(json).map_err(|error| unread(&error.to_string()))
}

fn unread(why: &str) -> Refusal {
    Refusal::Refused(format!(
        "its answer is not as described: {}",
        harmless::line(why, WORDS)
    ))
}

/// One part of a path: whatever it holds, it stays one.
pub fn segment(text: &str) -> String {
    let Ok(mut url) = url::Url::parse("x://x/") else {
        return String::new();
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().push(text);
    }
    url.path().trim_start_matches('/').to_owned()
}

/// A value in a query.
pub fn value(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, exhausted: bool, wait: Option<u64>) -> Result<String, Refusal> {
        judged(Answer {
            status,
            exhausted,
            wait: wait.map(Duration::from_secs),
            body: r#"{"message": "said"}"#.to_owned(),
        })
    }

    #[test]
    fn a_limit_is_told_from_what_the_token_may_not() {
        assert_eq!(
            answer(403, false, None),
            Err(Refusal::NotAllowed("403: said".to_owned()))
        );
        assert_eq!(
            answer(404, false, None),
            Err(Refusal::NotAllowed("404: said".to_owned()))
        );
        for (status, exhausted, wait) in [(403, true, None), (403, false, Some(5)), (429, false, None)] {
            assert!(matches!(answer(status, exhausted, wait), Err(Refusal::Limited { .. })));
        }
        let told = answer(429, false, Some(5)).expect_err("a limit").to_string();
        assert_eq!(told, "GitHub's rate limit is reached for 5 s: 429: said");
    }

    #[test]
    fn only_what_may_pass_is_waited_for_and_not_for_ever() {
        let limited = |seconds| Refusal::Limited {
            wait: Some(Duration::from_secs(seconds)),
            said: String::new(),
        };
        assert_eq!(patience(&Refusal::Lost(String::new()), 1), Some(Duration::ZERO));
        assert_eq!(patience(&Refusal::Lost(String::new()), READS), None);
        assert_eq!(patience(&limited(7), 1), Some(Duration::from_secs(7)));
        assert_eq!(patience(&limited(3600), 1), None);
        assert_eq!(patience(&Refusal::NotAllowed(String::new()), 1), None);
        assert_eq!(patience(&Refusal::Refused(String::new()), 1), None);
    }

    #[test]
    fn a_name_stays_one_part_of_a_path_and_one_value_of_a_query() {
        assert_eq!(segment("release/1.0?x#y"), "release%2F1.0%3Fx%23y");
        assert_eq!(value("a&b=c d"), "a%26b%3Dc+d");
    }

    #[test]
    fn a_token_that_would_break_a_header_is_refused() {
        let slug: Slug = "acme/shop".parse().expect("a slug");
        for token in ["", "a b", "a\nb", "é"] {
            assert!(Api::new("https://api.github.com", token, &slug).is_err(), "{token:?}");
        }
    }
}
