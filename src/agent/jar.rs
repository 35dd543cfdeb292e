//! A cookie jar as a browser keeps it, by RFC 6265bis: what it takes, what it sends along, and of both what a plainer
//! client would have done otherwise. Parsing, domains, paths and expiry are `cookie_store`'s; which domains share a site
//! is the public suffix list's.

use std::collections::{BTreeSet, HashMap};

use cookie_store::{Cookie as Kept, CookieDomain, CookieStore, RawCookie, StoreAction};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use url::{Host, Url};

/// A jar holds no more: a service that sets cookies without end fills no memory.
const MOST_COOKIES: usize = 3000;

/// For so long a cookie that says no `SameSite` goes along with a POST that a page of another site causes.
const GRACE: Duration = Duration::minutes(2);

/// A rule of browsers that decides over a cookie. One that is lifted shows by an experiment whether it was what decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CookieRule {
    /// One with `Secure` is neither taken from plain HTTP nor sent over it.
    Secure,
    /// One that says `SameSite` stays away from what a page of another site causes.
    SameSite,
    /// `SameSite=None` is for `Secure` cookies alone.
    NoneWithoutSecure,
    /// `__Host-` and `__Secure-` promise what the cookie does not keep.
    Prefix,
    /// `Domain` is another host's, or everybody's (`co.uk`).
    Domain,
}

/// A cookie over which a rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// Its name.
    pub name: String,
    /// The rule.
    pub rule: CookieRule,
    /// What the cookie says, as a page's author writes it: `SameSite=Lax`.
    pub says: String,
}

/// What a request carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// Names and values, longer paths first.
    pub pairs: Vec<(String, String)>,
    /// Cookies of that host and path that a browser keeps back.
    pub kept_back: Vec<Ruled>,
    /// Cookies that go along for two minutes only, because they say no `SameSite`.
    pub by_grace: Vec<String>,
}

/// A request as far as cookies ask.
pub(super) struct Trip<'a> {
    pub url: &'a Url,
    /// Upper case.
    pub method: &'a str,
    /// The page that causes it; none where a person types an address, or a tool asks.
    pub led_by: Option<&'a Url>,
    /// Rules that do not hold for once.
    pub lifted: &'a Lifted,
}

/// Rules that do not hold for once.
pub type Lifted = BTreeSet<CookieRule>;

static NONE: Lifted = Lifted::new();

impl<'a> Trip<'a> {
    /// As a tool asks: nobody led it there.
    pub fn of_tool(url: &'a Url) -> Self {
        Self {
            url,
            method: "GET",
            led_by: None,
            lifted: &NONE,
        }
    }
}

/// One jar.
#[derive(Debug, Clone, Default)]
pub(super) struct CookieJar {
    store: CookieStore,
    /// When a cookie was made: by domain, path and name.
    made: HashMap<(String, String, String), OffsetDateTime>,
}

impl CookieJar {
    /// Takes one `Set-Cookie` header of an answer from `url`; the rule by which a browser drops it, if one does. What
    /// is no cookie at all is dropped without a word.
    pub fn take(&mut self, header: &str, trip: &Trip<'_>, now: OffsetDateTime) -> Option<Ruled> {
        let raw = RawCookie::parse(header.to_owned()).ok()?;
        let refusals = self.refusals(&raw, trip.url).into_iter();
        let mut refusals = refusals.filter(|(rule, _)| !trip.lifted.contains(rule));
        if let Some((rule, says)) = refusals.next() {
            return Some(Ruled {
                name: raw.name().to_owned(),
                rule,
                says,
            });
        }
        if self.store.iter_any().count() < MOST_COOKIES {
            self.keep(raw, trip.url, now);
        }
        None
    }

    fn keep(&mut self, mut raw: RawCookie<'static>, url: &Url, now: OffsetDateTime) {
        // What a domain may not be has been asked by now: where the rule is lifted the cookie is its host's alone.
        if raw
            .domain()
            .is_some_and(|domain| is_own_suffix(domain, url) || !may_set(domain, url))
        {
            raw.unset_domain();
        }
        let Ok(cookie) = Kept::try_from_raw_cookie(&raw, url) else {
            return;
        };
        let cookie = cookie.into_owned();
        let key = key(&cookie);
        // As in Chrome, which alone knows a grace: a cookie that is set again as it was is not a new one.
        let same = self
            .store
            .get(&key.0, &key.1, &key.2)
            .is_some_and(|old| old.value() == cookie.value());
        match self.store.insert(cookie, url) {
            Ok(StoreAction::Inserted | StoreAction::UpdatedExisting) if same => {}
            Ok(StoreAction::Inserted | StoreAction::UpdatedExisting) => {
                self.made.insert(key, now);
            }
            // It is taken out, or was never there.
            Ok(StoreAction::ExpiredExisting) | Err(_) => {
                self.made.remove(&key);
            }
        }
    }

    /// Everything that a browser has against a cookie.
    fn refusals(&self, raw: &RawCookie<'_>, url: &Url) -> Vec<(CookieRule, String)> {
        let secure = raw.secure().unwrap_or(false);
        let domain = raw.domain().filter(|domain| !domain.is_empty());
        let domain = domain.filter(|domain| !may_set(domain, url));
        let by_secure = match (is_trustworthy(url), secure) {
            (true, _) => None,
            (false, true) => Some("Secure"),
            (false, false) => self
                .hides_secure(raw, url)
                .then_some("no Secure, beside one of its name that does"),
        };
        let is_none = raw.same_site().is_some_and(|site| site.is_none());
        let none = (is_none && !secure).then_some("SameSite=None without Secure");
        let refusals = [
            (CookieRule::Domain, domain.map(|domain| format!("Domain={domain}"))),
            (CookieRule::Secure, by_secure.map(str::to_owned)),
            (CookieRule::NoneWithoutSecure, none.map(str::to_owned)),
            (CookieRule::Prefix, broken_promise(raw).map(str::to_owned)),
        ];
        let refusals = refusals.into_iter();
        refusals.filter_map(|(rule, says)| Some((rule, says?))).collect()
    }

    /// A cookie from plain HTTP may not stand in the way of one from TLS.
    fn hides_secure(&self, raw: &RawCookie<'_>, url: &Url) -> bool {
        let Ok(new) = Kept::try_from_raw_cookie(raw, url) else {
            return false;
        };
        let (domain, path, name) = key(&new);
        self.store.iter_unexpired().any(|old| {
            let (at, below, known) = key(old);
            let shares = is_within(&domain, &at) || is_within(&at, &domain);
            let under = path == below || path.starts_with(&format!("{}/", below.trim_end_matches('/')));
            known == name && old.secure().unwrap_or(false) && shares && under
        })
    }

    /// What a request carries.
    pub fn carried(&self, trip: &Trip<'_>, now: OffsetDateTime) -> Carried {
        let mut found: Vec<&Kept<'static>> = match trip.lifted.contains(&CookieRule::Secure) {
            true => self
                .store
                .iter_unexpired()
                .filter(|kept| fits(kept, trip.url))
                .collect(),
            false => self.store.matches(trip.url),
        };
        found.sort_by_key(|kept| std::cmp::Reverse(String::from(&kept.path).len()));
        let mut carried = Carried::default();
        for kept in found {
            match self.goes(kept, trip, now) {
                Goes::Along => {}
                Goes::ByGrace => carried.by_grace.push(kept.name().to_owned()),
                Goes::Not(says) => {
                    carried.kept_back.push(Ruled {
                        name: kept.name().to_owned(),
                        rule: CookieRule::SameSite,
                        says: says.to_owned(),
                    });
                    continue;
                }
            }
            carried.pairs.push((kept.name().to_owned(), kept.value().to_owned()));
        }
        carried
    }

    fn goes(&self, kept: &Kept<'_>, trip: &Trip<'_>, now: OffsetDateTime) -> Goes {
        let foreign = trip.led_by.is_some_and(|page| !same_site(page, trip.url));
        if !foreign || trip.lifted.contains(&CookieRule::SameSite) {
            return Goes::Along;
        }
        let is_safe = matches!(trip.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        match kept.same_site() {
            Some(site) if site.is_none() => Goes::Along,
            Some(site) if site.is_strict() => Goes::Not("SameSite=Strict"),
            _ if is_safe => Goes::Along,
            Some(_) => Goes::Not("SameSite=Lax"),
            None if self.is_fresh(kept, now) => Goes::ByGrace,
            None => Goes::Not("no SameSite, which means Lax after two minutes"),
        }
    }

    fn is_fresh(&self, kept: &Kept<'_>, now: OffsetDateTime) -> bool {
        self.made.get(&key(kept)).is_some_and(|made| now - *made < GRACE)
    }

    /// Every cookie that still holds.
    pub fn unexpired(&self) -> impl Iterator<Item = &Kept<'static>> {
        self.store.iter_unexpired()
    }
}

/// Whether a cookie goes along with a request that its host and path allow.
enum Goes {
    Along,
    ByGrace,
    Not(&'static str),
}

fn key(kept: &Kept<'_>) -> (String, String, String) {
    let domain = match &kept.domain {
        CookieDomain::HostOnly(host) | CookieDomain::Suffix(host) => host.clone(),
        CookieDomain::NotPresent | CookieDomain::Empty => String::new(),
    };
    (domain, String::from(&kept.path), kept.name().to_owned())
}

/// Host and path are its own, whatever the scheme.
fn fits(kept: &Kept<'_>, url: &Url) -> bool {
    kept.domain.matches(url) && kept.path.matches(url)
}

/// A host that lies in a domain, or is it.
fn is_within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn plain(domain: &str) -> String {
    domain.trim().trim_start_matches('.').to_ascii_lowercase()
}

/// `Domain` names the host itself, and the host is an address or a public suffix (as each name of a single word is): the
/// cookie is that host's alone.
fn is_own_suffix(domain: &str, url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == plain(domain) && psl::domain_str(host).is_none(),
        Some(address) => address.to_string() == plain(domain),
        None => false,
    }
}

/// The host lies in that domain, and the domain is not everybody's.
fn may_set(domain: &str, url: &Url) -> bool {
    let domain = plain(domain);
    match url.host() {
        Some(Host::Domain(host)) => is_within(host, &domain) && (host == domain || psl::domain_str(&domain).is_some()),
        Some(address) => address.to_string() == domain,
        None => false,
    }
}

/// Over TLS, or on the machine itself.
fn is_trustworthy(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || is_local
}

/// What a name's prefix promises, and the cookie does not keep.
fn broken_promise(raw: &RawCookie<'_>) -> Option<&'static str> {
    let name = raw.name().to_ascii_lowercase();
    let secure = raw.secure().unwrap_or(false);
    let is_host = name.starts_with("__host-");
    if !is_host && !name.starts_with("__secure-") {
        return None;
    }
    if !secure {
        return Some("a name that promises Secure, without it");
    }
    let own_host = raw.domain().is_none_or(str::is_empty) && raw.path() == Some("/");
    (is_host && !own_host).then_some("a name that begins with __Host-, without Path=/ or with Domain")
}

/// Scheme and registrable domain are the same; of addresses and names of a single word the host.
fn same_site(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme() && site(one) == site(other)
}

fn site(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(name) => Some(psl::domain_str(name).unwrap_or(name).to_owned()),
        address => Some(address.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(jar: &mut CookieJar, from: &str, header: &str) -> Option<CookieRule> {
        let from = url(from);
        jar.take(header, &Trip::of_tool(&from), BEGIN).map(|ruled| ruled.rule)
    }

    /// What goes along so many seconds later.
    fn asked(jar: &CookieJar, how: (&str, &str, &str), later: i64) -> Carried {
        let (method, led_by, to) = how;
        let (page, to) = (Url::parse(led_by).ok(), url(to));
        let trip = Trip {
            url: &to,
            method,
            led_by: page.as_ref(),
            lifted: &NONE,
        };
        jar.carried(&trip, BEGIN + Duration::seconds(later))
    }

    fn names(carried: &Carried) -> Vec<&str> {
        carried.pairs.iter().map(|(name, _)| name.as_str()).collect()
    }

    const SHOP: &str = "https://shop.example.com/";
    const TYPED: &str = "";

    #[test]
    fn a_browser_takes_a_cookie_or_drops_it_by_a_rule() {
        for (from, header, rule) in [
            (SHOP, "a=1", None),
            (SHOP, "a=1; Secure; SameSite=None", None),
            (SHOP, "a=1; SameSite=None", Some(CookieRule::NoneWithoutSecure)),
            (SHOP, "a=1; SameSite=unheard-of", None),
            ("http://web/", "a=1; Secure", Some(CookieRule::Secure)),
            ("http://localhost:8080/", "a=1; Secure", None),
            ("http://127.0.0.1:8080/", "a=1; Secure", None),
            (SHOP, "a=1; Domain=example.com", None),
            (SHOP, "a=1; Domain=.EXAMPLE.com", None),
            (SHOP, "a=1; Domain=com", Some(CookieRule::Domain)),
            ("https://shop.co.uk/", "a=1; Domain=co.uk", Some(CookieRule::Domain)),
            (SHOP, "a=1; Domain=login.example.com", Some(CookieRule::Domain)),
            (SHOP, "a=1; Domain=ample.com", Some(CookieRule::Domain)),
            (SHOP, "a=1; Domain=", None),
            ("http://web:8080/", "a=1; Domain=web", None),
            ("http://web.internal/", "a=1; Domain=internal", Some(CookieRule::Domain)),
            ("http://10.0.0.7/", "a=1; Domain=10.0.0.7", None),
            ("http://10.0.0.7/", "a=1; Domain=0.0.7", Some(CookieRule::Domain)),
            (SHOP, "__Host-a=1; Secure; Path=/", None),
            (SHOP, "__Host-a=1; Secure", Some(CookieRule::Prefix)),
            (SHOP, "__Host-a=1; Secure; Path=/x", Some(CookieRule::Prefix)),
            (SHOP, "__host-a=1; Path=/", Some(CookieRule::Prefix)),
            (
                SHOP,
                "__Host-a=1; Secure; Path=/; Domain=shop.example.com",
                Some(CookieRule::Prefix),
            ),
            (SHOP, "__Secure-a=1; Secure; Domain=example.com", None),
            (SHOP, "__SECURE-a=1", Some(CookieRule::Prefix)),
        ] {
            assert_eq!(
                set(&mut CookieJar::default(), from, header),
                rule,
                "{header} from {from}"
            );
        }
    }

    #[test]
    fn a_cookie_goes_where_a_browser_sends_it() {
        let (idp, sister) = ("https://idp.example.org/", "https://login.example.com/");
        let (get, post) = ("GET", "POST");
        for (header, how, later, goes) in [
            // The page of another site: by default for two minutes, then as Lax.
            ("a=1", (post, idp, SHOP), 119, true),
            ("a=1", (post, idp, SHOP), 120, false),
            ("a=1", (get, idp, SHOP), 500, true),
            ("a=1; SameSite=Lax", (post, idp, SHOP), 0, false),
            ("a=1; SameSite=LAX", (get, idp, SHOP), 0, true),
            ("a=1; SameSite=Strict", (get, idp, SHOP), 0, false),
            ("a=1; SameSite=None; Secure", (post, idp, SHOP), 500, true),
            // Nobody's page, the same site, and another scheme.
            ("a=1; SameSite=Strict", (get, TYPED, SHOP), 0, true),
            ("a=1; SameSite=Strict", (post, sister, SHOP), 0, true),
            ("a=1; SameSite=Lax", (post, "http://shop.example.com/", SHOP), 0, false),
            // Hosts and paths.
            ("a=1", (get, TYPED, sister), 0, false),
            ("a=1; Domain=example.com", (get, TYPED, sister), 0, true),
            (
                "a=1; Path=/in",
                (get, TYPED, "https://shop.example.com/inside"),
                0,
                false,
            ),
            (
                "a=1; Path=/in",
                (get, TYPED, "https://shop.example.com/in/side"),
                0,
                true,
            ),
            ("a=1; Secure", (get, TYPED, "http://shop.example.com/"), 0, false),
            ("a=1", (get, TYPED, "http://shop.example.com:81/"), 0, true),
        ] {
            let mut jar = CookieJar::default();
            assert_eq!(set(&mut jar, SHOP, header), None, "{header}");
            let carried = asked(&jar, how, later);
            assert_eq!(!carried.pairs.is_empty(), goes, "{header} with {how:?} after {later} s");
        }
    }

    #[test]
    fn names_of_a_single_word_and_addresses_are_sites_of_their_own() {
        for (page, to, same) in [
            ("http://sso:9000/", "http://app:8080/", false),
            ("http://app:9000/", "http://app:8080/", true),
            ("http://127.0.0.2/", "http://127.0.0.1/", false),
            ("https://a.github.io/", "https://b.github.io/", false),
            ("https://a.shop.co.uk/", "https://shop.co.uk/", true),
            ("https://one.internal/", "https://two.internal/", false),
        ] {
            assert_eq!(same_site(&url(page), &url(to)), same, "{page} {to}");
        }
    }

    #[test]
    fn what_decided_over_a_cookie_is_said() {
        let mut jar = CookieJar::default();
        set(&mut jar, "http://app:8080/", "sid=1; SameSite=Lax");
        set(&mut jar, "http://app:8080/", "old=1");
        let how = ("POST", "http://sso:9000/", "http://app:8080/callback");
        let carried = asked(&jar, how, 1);
        assert_eq!(
            (names(&carried), &carried.by_grace[..]),
            (vec!["old"], &["old".to_owned()][..])
        );
        let kept_back = Ruled {
            name: "sid".to_owned(),
            rule: CookieRule::SameSite,
            says: "SameSite=Lax".to_owned(),
        };
        assert_eq!(carried.kept_back, [kept_back]);
        assert!(asked(&jar, ("GET", how.1, how.2), 1).by_grace.is_empty());
    }

    #[test]
    fn a_cookie_that_is_set_again_as_it_was_is_not_a_new_one() {
        let how = ("POST", "https://idp.example.org/", SHOP);
        for (again, goes) in [("a=1", false), ("a=2", true)] {
            let mut jar = CookieJar::default();
            set(&mut jar, SHOP, "a=1");
            let shop = url(SHOP);
            jar.take(again, &Trip::of_tool(&shop), BEGIN + Duration::seconds(100));
            assert_eq!(!asked(&jar, how, 130).pairs.is_empty(), goes, "{again}");
        }
    }

    #[test]
    fn plain_http_does_not_overwrite_what_tls_has_set() {
        let mut jar = CookieJar::default();
        set(&mut jar, SHOP, "a=tls; Secure");
        assert_eq!(
            set(&mut jar, "http://shop.example.com/", "a=plain"),
            Some(CookieRule::Secure)
        );
        assert_eq!(set(&mut jar, "http://shop.example.com/", "b=plain"), None);
        assert_eq!(asked(&jar, ("GET", TYPED, SHOP), 0).pairs[0].1, "tls");
    }

    #[test]
    fn a_rule_that_is_lifted_shows_what_it_decided() {
        let app = url("http://app:8080/");
        let (secure, site) = (Lifted::from([CookieRule::Secure]), Lifted::from([CookieRule::SameSite]));
        let lifted = |rule| Trip {
            lifted: if rule == CookieRule::Secure { &secure } else { &site },
            ..Trip::of_tool(&app)
        };
        let mut jar = CookieJar::default();
        assert_eq!(jar.take("a=1; Secure", &lifted(CookieRule::Secure), BEGIN), None);
        assert!(jar.carried(&Trip::of_tool(&app), BEGIN).pairs.is_empty());
        assert_eq!(jar.carried(&lifted(CookieRule::Secure), BEGIN).pairs.len(), 1);
        let other = jar.take("b=1; Secure", &lifted(CookieRule::SameSite), BEGIN);
        assert_eq!(other.map(|ruled| ruled.rule), Some(CookieRule::Secure));
    }

    #[test]
    fn a_cookie_of_another_hosts_domain_is_its_own_hosts_where_that_rule_is_lifted() {
        let app = url("http://app:8080/");
        let sent = |rules: &[CookieRule]| {
            let lifted: Lifted = rules.iter().copied().collect();
            let trip = Trip {
                lifted: &lifted,
                ..Trip::of_tool(&app)
            };
            let mut jar = CookieJar::default();
            let ruled = jar.take("a=1; Secure; Domain=shop.example.com", &trip, BEGIN);
            (ruled.map(|ruled| ruled.rule), jar.carried(&trip, BEGIN).pairs.len())
        };
        use CookieRule::{Domain, Secure};
        assert_eq!(sent(&[]), (Some(Domain), 0));
        assert_eq!(sent(&[Domain]), (Some(Secure), 0));
        assert_eq!(sent(&[Secure]), (Some(Domain), 0));
        assert_eq!(sent(&[Domain, Secure]), (None, 1));
    }

    /// Hosts with their site and what their cookies' `Domain` may say, written down by hand.
    const HOSTS: [(&str, &str); 6] = [
        ("shop.example.com", "example.com"),
        ("login.example.com", "example.com"),
        ("example.com", "example.com"),
        ("idp.example.org", "example.org"),
        ("web", "web"),
        ("idp", "idp"),
    ];

    proptest! {
        /// The jar against the rules in their shortest form, over a world of few hosts.
        #[test]
        fn no_cookie_goes_where_the_rules_do_not_let_it(
            from in 0..HOSTS.len(), to in 0..HOSTS.len(), page in proptest::option::of(0..HOSTS.len()),
            tls in any::<[bool; 3]>(), whole_site in any::<bool>(), secure in any::<bool>(),
            same_site in 0..4_usize, is_post in any::<bool>(), later in 0..240_i64,
        ) {
            let scheme = |is_tls| if is_tls { "https" } else { "http" };
            let at = |host: usize, is_tls| format!("{}://{}/", scheme(is_tls), HOSTS[host].0);
            let domain = if whole_site { format!("; Domain={}", HOSTS[from].1) } else { String::new() };
            let flag = if secure { "; Secure" } else { "" };
            let says = ["", "; SameSite=None", "; SameSite=Lax", "; SameSite=Strict"][same_site];
            let mut jar = CookieJar::default();
            set(&mut jar, &at(from, tls[0]), &format!("a=1{domain}{flag}{says}"));
            let led_by = page.map_or(String::new(), |page| at(page, tls[2]));
            let method = if is_post { "POST" } else { "GET" };
            let goes = !asked(&jar, (method, &led_by, &at(to, tls[1])), later).pairs.is_empty();

            let is_kept = (!secure || tls[0]) && (same_site != 1 || secure);
            // A name of a single word is nobody's domain.
            let below = whole_site && HOSTS[from].1.contains('.') && HOSTS[to].1 == HOSTS[from].1;
            let is_its_host = from == to || below;
            let foreign = page.is_some_and(|page| (HOSTS[page].1, tls[2]) != (HOSTS[to].1, tls[1]));
            let lets = match same_site {
                1 => true,
                3 => !foreign,
                2 => !foreign || !is_post,
                _ => !foreign || !is_post || later < 120,
            };
            prop_assert_eq!(goes, is_kept && is_its_host && (tls[1] || !secure) && lets);
        }
    }
}
