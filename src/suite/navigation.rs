//! One step of a browser's window: where it goes, by which method, and what it says of the page that leads there.

use std::borrow::Borrow;

use url::{Url, form_urlencoded};

use super::page::Form;
use super::referrer::Referrer;
use crate::agent::exchange::HttpAnswer;

/// A request that a window makes.
#[derive(Debug, Clone)]
pub(super) struct Go {
    /// Upper case.
    pub method: &'static str,
    pub url: Url,
    /// Of a form.
    pub body: Option<String>,
    /// The page that leads there; none where the address is typed.
    pub from: Option<Referrer>,
}

impl Go {
    /// An address that somebody types.
    pub fn typed(url: Url) -> Self {
        Self {
            method: "GET",
            url,
            body: None,
            from: None,
        }
    }

    /// What a program posts: no page has led it there.
    pub fn posted(url: Url, data: &[(&str, &str)]) -> Self {
        Self {
            method: "POST",
            body: Some(encoded(data)),
            ..Self::typed(url)
        }
    }

    /// Where a page leads by itself.
    pub fn led(url: Url, from: Referrer) -> Self {
        Self {
            from: Some(from),
            ..Self::typed(url)
        }
    }

    /// A form of a page, sent.
    pub fn submission(form: &Form, from: Referrer) -> Self {
        let data = encoded(form.data());
        let mut go = Self::led(form.action.clone(), from);
        if form.is_post {
            return Self {
                method: "POST",
                body: Some(data),
                ..go
            };
        }
        go.url.set_query(Some(&data));
        go
    }

    /// Where an answer sends it, if it is a redirect that a browser follows.
    pub fn redirected(&self, answer: &HttpAnswer) -> Option<Self> {
        if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = answer.header("location")?;
        let url = self.url.join(location).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let keeps = matches!(answer.status, 307 | 308);
        let from = self.from.as_ref().map(|from| from.passed_on(&self.url, &url, answer));
        Some(Self {
            method: if keeps { self.method } else { "GET" },
            body: self.body.clone().filter(|_| keeps),
            from,
            url,
        })
    }

    /// It brings an authorization code back (RFC 6749, 4.1.2): a code, and the state of whoever asked for it.
    pub fn brings_code(&self) -> bool {
        let posted = form_urlencoded::parse(self.body.as_deref().unwrap_or_default().as_bytes());
        let names: Vec<_> = self.url.query_pairs().chain(posted).map(|(name, _)| name).collect();
        ["code", "state"]
            .iter()
            .all(|wanted| names.iter().any(|name| name == wanted))
    }

    /// It brings another code than that one does.
    pub fn brings_another_code(&self, than: &Self) -> bool {
        self.brings_code() && self.code() != than.code()
    }

    fn code(&self) -> Option<String> {
        let posted = form_urlencoded::parse(self.body.as_deref().unwrap_or_default().as_bytes());
        let mut pairs = self.url.query_pairs().chain(posted);
        pairs
            .find(|(name, _)| name == "code")
            .map(|(_, value)| value.into_owned())
    }

    /// `Referer` and, of a form that is posted, `Origin`.
    pub fn headers(&self) -> Vec<(String, String)> {
        let from = self.from.as_ref();
        let referer = from.and_then(|from| from.referer(&self.url));
        let mut headers: Vec<(String, String)> = Vec::new();
        headers.extend(referer.map(|referer| ("Referer".to_owned(), referer)));
        if self.method == "POST" {
            let origin = from.map(|from| from.origin(&self.url).unwrap_or_else(|| "null".to_owned()));
            headers.extend(origin.map(|origin| ("Origin".to_owned(), origin)));
            headers.push((
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ));
        }
        headers
    }
}

/// As a form is sent.
fn encoded<P, K, V>(pairs: impl IntoIterator<Item = P>) -> String
where
    P: Borrow<(K, V)>,
    K: AsRef<str>,
    V: AsRef<str>,
{
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::referrer::ReferrerPolicy;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn redirect(status: u16, to: &str) -> HttpAnswer {
        HttpAnswer {
            status,
            headers: vec![("Location".to_owned(), to.to_owned())],
            ..HttpAnswer::default()
        }
    }

    fn posted(from: &str, to: &str, policy: ReferrerPolicy) -> Go {
        Go {
            method: "POST",
            body: Some("a=1".to_owned()),
            ..Go::led(url(to), Referrer::page(url(from), policy))
        }
    }

    fn said(go: &Go, name: &str) -> Option<String> {
        go.headers()
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    #[test]
    fn a_redirect_keeps_the_method_where_browsers_do() {
        let go = posted("http://idp/", "http://idp/in", ReferrerPolicy::default());
        for (status, method, keeps) in [
            (301, "GET", false),
            (302, "GET", false),
            (303, "GET", false),
            (307, "POST", true),
            (308, "POST", true),
        ] {
            let next = go.redirected(&redirect(status, "/on")).unwrap();
            assert_eq!((next.method, next.body.is_some()), (method, keeps), "{status}");
        }
        assert!(go.redirected(&redirect(304, "/on")).is_none());
        assert!(go.redirected(&redirect(302, "app://on")).is_none());
    }

    #[test]
    fn a_code_comes_back_by_address_or_by_form_with_its_state() {
        let go = |address: &str| Go::typed(url(address));
        assert!(go("http://web/cb?code=c&state=s").brings_code());
        assert!(!go("http://web/items?code=c").brings_code());
        assert!(Go::posted(url("http://web/cb"), &[("state", "s"), ("code", "c")]).brings_code());
    }

    #[test]
    fn a_form_says_whose_it_is_as_its_page_allows() {
        use ReferrerPolicy as Policy;
        for (policy, to, referer, origin) in [
            (
                Policy::default(),
                "https://idp/in",
                Some("https://idp/page?a=1"),
                "https://idp",
            ),
            (Policy::default(), "https://web/cb", Some("https://idp/"), "https://idp"),
            (Policy::default(), "http://web/cb", None, "null"),
            (
                Policy::SameOrigin,
                "https://idp/in",
                Some("https://idp/page?a=1"),
                "https://idp",
            ),
            (Policy::SameOrigin, "https://web/cb", None, "null"),
            (Policy::NoReferrer, "https://idp/in", None, "null"),
            (Policy::Origin, "http://web/cb", Some("https://idp/"), "https://idp"),
            (
                Policy::UnsafeUrl,
                "http://web/cb",
                Some("https://idp/page?a=1"),
                "https://idp",
            ),
        ] {
            let go = posted("https://idp/page?a=1#x", to, policy);
            assert_eq!(said(&go, "Referer").as_deref(), referer, "{policy:?} {to}");
            assert_eq!(said(&go, "Origin").as_deref(), Some(origin), "{policy:?} {to}");
        }
    }

    #[test]
    fn a_form_that_two_other_hosts_pass_on_is_nobodys() {
        let first = posted("https://idp/", "https://web/a", ReferrerPolicy::default());
        let back = first.redirected(&redirect(307, "https://idp/b")).unwrap();
        assert_eq!(said(&back, "Origin").as_deref(), Some("null"));
        let own = posted("https://idp/", "https://idp/a", ReferrerPolicy::default());
        let on = own.redirected(&redirect(307, "https://web/b")).unwrap();
        assert_eq!(said(&on, "Origin").as_deref(), Some("https://idp"));
    }
}
