//! What a page lets be said of itself to where it leads: `Referer` and `Origin`, by its referrer policy.

use strum::EnumString;
use url::Url;

use crate::agent::exchange::HttpAnswer;

/// The page that leads somewhere.
#[derive(Debug, Clone)]
pub(super) struct Referrer {
    pub page: Url,
    policy: ReferrerPolicy,
    origin: Origin,
}

/// Whether a request still says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Said,
    /// Two other hosts have passed it on to each other.
    Lost,
}

/// What a page lets be said of itself, by the words of the header `Referrer-Policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
pub(super) enum ReferrerPolicy {
    NoReferrer,
    NoReferrerWhenDowngrade,
    SameOrigin,
    Origin,
    StrictOrigin,
    OriginWhenCrossOrigin,
    #[default]
    StrictOriginWhenCrossOrigin,
    UnsafeUrl,
}

impl Referrer {
    /// A page with the policy that it or its answer states.
    pub fn page(page: Url, policy: ReferrerPolicy) -> Self {
        Self {
            page,
            policy,
            origin: Origin::Said,
        }
    }

    /// `Referer`, if any.
    pub fn referer(&self, to: &Url) -> Option<String> {
        self.policy.referer(&self.page, to)
    }

    /// As it is after a redirect from `by` to another address.
    pub fn passed_on(&self, by: &Url, to: &Url, answer: &HttpAnswer) -> Self {
        let own = self.page.origin();
        let is_lost = by.origin() != own && by.origin() != to.origin();
        Self {
            page: self.page.clone(),
            policy: stated(answer).unwrap_or(self.policy),
            origin: if is_lost { Origin::Lost } else { self.origin },
        }
    }

    /// `Origin` of a form that is posted; `None` where it is not to be said.
    pub fn origin(&self, to: &Url) -> Option<String> {
        let hides = match self.policy {
            ReferrerPolicy::NoReferrer => true,
            ReferrerPolicy::SameOrigin => self.page.origin() != to.origin(),
            ReferrerPolicy::Origin | ReferrerPolicy::OriginWhenCrossOrigin | ReferrerPolicy::UnsafeUrl => false,
            ReferrerPolicy::NoReferrerWhenDowngrade
            | ReferrerPolicy::StrictOrigin
            | ReferrerPolicy::StrictOriginWhenCrossOrigin => is_downgrade(&self.page, to),
        };
        let said = self.origin == Origin::Said && !hides;
        said.then(|| self.page.origin().ascii_serialization())
    }
}

impl ReferrerPolicy {
    fn referer(self, from: &Url, to: &Url) -> Option<String> {
        let same = from.origin() == to.origin();
        let strict = (!is_downgrade(from, to)).then_some(());
        match self {
            Self::NoReferrer => None,
            Self::UnsafeUrl => Some(whole(from)),
            Self::Origin => Some(origin(from)),
            Self::SameOrigin => same.then(|| whole(from)),
            Self::NoReferrerWhenDowngrade => strict.map(|()| whole(from)),
            Self::StrictOrigin => strict.map(|()| origin(from)),
            Self::OriginWhenCrossOrigin if !same => Some(origin(from)),
            Self::StrictOriginWhenCrossOrigin if !same => strict.map(|()| origin(from)),
            Self::OriginWhenCrossOrigin | Self::StrictOriginWhenCrossOrigin => Some(whole(from)),
        }
    }
}

/// The policy that an answer's header states: the last one that is known.
pub(super) fn stated(answer: &HttpAnswer) -> Option<ReferrerPolicy> {
    let words = answer.header("referrer-policy")?.split(',');
    words.filter_map(|word| word.trim().parse().ok()).next_back()
}

/// From TLS to plain HTTP.
fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme() == "https" && to.scheme() != "https"
}

fn origin(url: &Url) -> String {
    format!("{}/", url.origin().ascii_serialization())
}

/// All of it but what is nobody's business.
fn whole(url: &Url) -> String {
    let mut whole = url.clone();
    whole.set_fragment(None);
    // Only URLs without a host refuse these, and they have neither.
    let _ = whole.set_username("");
    let _ = whole.set_password(None);
    whole.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_policies_the_last_that_is_known_holds() {
        let answer = HttpAnswer {
            headers: vec![("referrer-policy".to_owned(), "no-referrer, Same-Origin, new".to_owned())],
            ..HttpAnswer::default()
        };
        assert_eq!(stated(&answer), Some(ReferrerPolicy::SameOrigin));
    }
}
