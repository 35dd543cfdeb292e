//! What a release asked of the authentication dependency, read off the calls at its fronts, and what of it was refused
//! that production's release does not ask for.

use std::collections::BTreeSet;

use super::Case;
use super::capabilities::{self, Known};
use crate::agent::front::calls::{CallSeen, HttpSaid, LdapSaid, RadiusSaid, Said, TlsSaid};
use crate::lock::probe::AUTH_PRODUCTS;
use crate::mirror::names::calls::{Called, Caller};
use crate::record::calls::Taken;
use crate::text::version;

/// LDAP's results that refuse nothing: success, compared, a bind that goes on, a referral.
const LDAP_FINE: [u32; 5] = [0, 5, 6, 10, 14];

/// How the answers of RADIUS end that refuse.
const RADIUS_REFUSALS: [&str; 2] = ["-Reject", "-NAK"];

/// Something that can be asked for; the first is told first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// OpenID Connect's discovery document.
    Discovery,
    /// That of OAuth 2.0 (RFC 8414).
    ServerMetadata,
    /// A pushed authorization request (RFC 9126).
    Par,
    /// PKCE (RFC 7636), by its method.
    Pkce(String),
    /// A signed request (RFC 9101).
    RequestObject,
    /// DPoP (RFC 9449).
    Dpop,
    /// A device's grant (RFC 8628).
    Device,
    /// A grant.
    Grant(String),
    /// How the client proves who it is.
    ClientAuthentication(&'static str),
    /// A response type.
    ResponseType(String),
    /// A response mode.
    ResponseMode(String),
    /// A scope.
    Scope(String),
    /// Resource indicators (RFC 8707).
    Resource,
    /// The signing keys.
    KeySet,
    /// User info.
    UserInfo,
    /// Introspection (RFC 7662).
    Introspection,
    /// Revocation (RFC 7009).
    Revocation,
    /// A signature algorithm of SAML.
    SamlSignature(String),
    /// A turn to TLS within LDAP.
    StartTls,
    /// A way to bind.
    Bind(String),
    /// A RADIUS request that is sealed as a whole (RFC 3579, 3.2).
    MessageAuthenticator,
    /// TLS up to a version.
    Tls(String),
}

impl Ask {
    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Discovery => "OpenID Connect discovery".to_owned(),
            Self::ServerMetadata => "OAuth 2.0 server metadata".to_owned(),
            Self::Par => "a pushed authorization request (PAR)".to_owned(),
            Self::Pkce(method) => format!("PKCE ({method})"),
            Self::RequestObject => "a signed authorization request".to_owned(),
            Self::Dpop => "DPoP".to_owned(),
            Self::Device => "the device grant".to_owned(),
            Self::Grant(grant) => format!("the grant `{grant}`"),
            Self::ClientAuthentication(method) => format!("client authentication by {method}"),
            Self::ResponseType(kind) => format!("the response type `{kind}`"),
            Self::ResponseMode(mode) => format!("the response mode `{mode}`"),
            Self::Scope(scope) => format!("the scope `{scope}`"),
            Self::Resource => "a resource indicator".to_owned(),
            Self::KeySet => "the signing keys (JWKS)".to_owned(),
            Self::UserInfo => "user info".to_owned(),
            Self::Introspection => "token introspection".to_owned(),
            Self::Revocation => "token revocation".to_owned(),
            Self::SamlSignature(algorithm) => format!("SAML signatures by {algorithm}"),
            Self::StartTls => "StartTLS".to_owned(),
            Self::Bind(means) => format!("an LDAP {means}"),
            Self::MessageAuthenticator => "RADIUS with Message-Authenticator".to_owned(),
            Self::Tls(version) => format!("{version} at most"),
        }
    }

    /// Its name in the table of capabilities.
    fn capability(&self) -> String {
        let name = match self {
            Self::Discovery => "discovery",
            Self::ServerMetadata => "server-metadata",
            Self::Par => "par",
            Self::Pkce(_) => "pkce",
            Self::RequestObject => "request-object",
            Self::Dpop => "dpop",
            Self::Device => "device",
            Self::Grant(grant) if grant.ends_with("token-exchange") => "token-exchange",
            Self::Grant(grant) => return format!("grant-{grant}"),
            Self::ClientAuthentication(method) => method,
            Self::ResponseType(kind) => return format!("response-type-{kind}"),
            Self::ResponseMode(mode) if mode == "form_post" => "form-post",
            Self::ResponseMode(mode) => return format!("response-mode-{mode}"),
            Self::Scope(scope) => return format!("scope-{scope}"),
            Self::Resource => "resource",
            Self::KeySet => "key-set",
            Self::UserInfo => "userinfo",
            Self::Introspection => "introspection",
            Self::Revocation => "revocation",
            Self::SamlSignature(algorithm) => return format!("saml-{algorithm}"),
            Self::StartTls => "starttls",
            Self::Bind(means) => return means.replace(' ', "-"),
            Self::MessageAuthenticator => "message-authenticator",
            Self::Tls(version) => return version.to_lowercase(),
        };
        name.to_owned()
    }
}

/// Something that only the candidate asked for, and that was refused; or that it left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What.
    pub ask: Ask,
    /// Whether it was asked for, or left out.
    pub how: How,
    /// The service that refused it.
    pub service: String,
    /// `GET /o/.well-known/openid-configuration`.
    pub call: String,
    /// `404`, `400 (invalid_request: Code challenge required.)`.
    pub answer: String,
    /// Who asked, in words.
    pub by: String,
}

/// How the candidate differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It asks for what production's release does not.
    Asks,
    /// It does not ask for what production's release does.
    LeavesOut,
}

/// What the lock says that production runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// As the lock's probes call it.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The authentication product, as the lock has it.
pub fn product(case: &Case<'_>) -> Option<Product> {
    let lock = case.lock.lock()?;
    let services = case.settings.auth_services();
    let facts = lock.facts_of(services.first()?, services);
    let known = AUTH_PRODUCTS.iter().find_map(|name| Some((*name, facts.get(*name)?)));
    let own = lock.auth.as_ref().and_then(|auth| auth.product.as_ref());
    let (name, version) = known.or_else(|| own.map(|(name, version)| (name.as_str(), version)))?;
    Some(Product {
        name: name.to_owned(),
        version: version.clone(),
    })
}

impl Refusal {
    /// Which version would do, as far as anybody knows.
    pub fn would_do(&self, product: Option<&Product>) -> String {
        let known = match (self.how, product) {
            (How::LeavesOut, _) => return "production's release asks with it".to_owned(),
            (How::Asks, None) => {
                let words = "no lock says which product and version production runs, so which would do is unknown";
                return words.to_owned();
            }
            (How::Asks, Some(product)) => self.known(product),
        };
        match known {
            Some(known) if self.moves_to(product).is_some() => format!("{} has it", known.since),
            Some(known) => format!("it has it since {}: see its settings", known.since),
            None => "which version has it is unknown".to_owned(),
        }
    }

    /// The line of the table.
    pub fn known(&self, product: &Product) -> Option<&'static Known> {
        capabilities::find(&product.name, &self.ask.capability())
    }

    /// The first version that has it, where production's is older and somebody knows.
    pub fn moves_to(&self, product: Option<&Product>) -> Option<&'static str> {
        let product = product.filter(|_| self.how == How::Asks)?;
        let known = self.known(product)?;
        let is_later = version::compare(&known.since, &product.version).is_gt();
        is_later.then_some(known.since.as_str())
    }

    /// The call and its answer.
    pub fn evidence(&self) -> String {
        format!(
            "{} answers {} to {}, asked by {}",
            self.service, self.answer, self.call, self.by
        )
    }
}

/// What only the candidate asks for and the dependency refuses, the most telling first.
pub fn newly_refused(before: &[Called], after: &[Called]) -> Vec<Refusal> {
    let mut refused: Vec<Refusal> = refusals(&of_release(before), &of_release(after))
        .into_iter()
        .map(|(_, refusal)| refusal)
        .collect();
    refused.sort_by(|one, other| one.ask.cmp(&other.ask));
    refused.dedup_by(|one, other| one.ask == other.ask);
    refused
}

/// Of that, where it is one sign-in's and this fails, what most likely decided: the last that no later call made good.
pub fn deciding(before: &[Called], after: &[Called]) -> Option<Refusal> {
    let (before, after) = (of_release(before), of_release(after));
    let mut refused = refusals(&before, &after);
    refused.retain(|(at, refusal)| !after[*at + 1..].iter().any(|later| makes_good(later, refusal)));
    let last = refused.iter().map(|(at, _)| *at).max()?;
    let of_last = refused.into_iter().filter(|(at, _)| *at == last);
    of_last
        .map(|(_, refusal)| refusal)
        .min_by(|one, other| one.ask.cmp(&other.ask))
}

/// What the gate asks itself says nothing of a release.
fn of_release(calls: &[Called]) -> Vec<Called> {
    let own = calls.iter().filter(|called| !called.is_the_gates_own());
    own.cloned().collect()
}

/// The same was granted, or the same call without what was refused.
fn makes_good(later: &Called, refusal: &Refusal) -> bool {
    let is_same = call(&later.call) == refusal.call || asks(&later.call).contains(&refusal.ask);
    is_same && taken(&later.call) == Taken::Granted
}

/// Each with the place of its call.
fn refusals(before: &[Called], after: &[Called]) -> Vec<(usize, Refusal)> {
    let asked = |calls: &[Called]| -> BTreeSet<Ask> { calls.iter().flat_map(|called| asks(&called.call)).collect() };
    let (old, new) = (asked(before), asked(after));
    let known: BTreeSet<(String, String)> = before
        .iter()
        .map(|called| (call(&called.call), answer(&called.call)))
        .collect();
    let is_new = |called: &Called| {
        taken(&called.call) == Taken::Refused && !known.contains(&(call(&called.call), answer(&called.call)))
    };
    let mut refused = Vec::new();
    for (at, called) in after.iter().enumerate().filter(|(_, called)| is_new(called)) {
        let own: BTreeSet<Ask> = asks(&called.call).into_iter().collect();
        let newly = own.difference(&old);
        refused.extend(newly.map(|ask| (at, refusal(called, ask, How::Asks))));
        if let Some(there) = before.iter().find(|one| call(&one.call) == call(&called.call)) {
            let others: BTreeSet<Ask> = asks(&there.call).into_iter().collect();
            let left = others.difference(&own).filter(|ask| !new.contains(ask));
            refused.extend(left.map(|ask| (at, refusal(called, ask, How::LeavesOut))));
        }
    }
    refused
}

fn refusal(called: &Called, ask: &Ask, how: How) -> Refusal {
    Refusal {
        ask: ask.clone(),
        how,
        service: called.call.service.clone(),
        call: call(&called.call),
        answer: answer(&called.call),
        by: by(&called.by),
    }
}

/// Who asked, in words.
pub fn by(caller: &Caller) -> String {
    match caller {
        Caller::Service(name) => name.clone(),
        Caller::Browser => "the sign-in".to_owned(),
        Caller::Tests => "a test's container".to_owned(),
        Caller::Unknown => "unknown".to_owned(),
    }
}

/// What was asked, in a few words: the same for calls that are alike.
pub fn call(call: &CallSeen) -> String {
    match &call.said {
        Said::Http(http) => format!("{} {}", http.method, http.path),
        Said::Ldap(ldap) => ldap.operation.clone(),
        Said::Radius(radius) => radius.request.clone(),
        Said::Tls(_) => format!("TLS at port {}", call.port),
        Said::Other => format!("a connection to port {}", call.port),
    }
}

/// What came.
pub fn answer(call: &CallSeen) -> String {
    match &call.said {
        Said::Http(http) => match (http.status, &http.error, &http.error_words) {
            (None, ..) => "nothing".to_owned(),
            (Some(status), None, _) => status.to_string(),
            (Some(status), Some(error), None) => format!("{status} ({error})"),
            (Some(status), Some(error), Some(words)) => format!("{status} ({error}: {words})"),
        },
        Said::Ldap(LdapSaid { result, .. }) => result.map_or("nothing".to_owned(), |code| format!("result {code}")),
        Said::Radius(RadiusSaid { answer, .. }) => answer.clone().unwrap_or("nothing".to_owned()),
        Said::Tls(TlsSaid { chosen, alert, .. }) => match (alert, chosen) {
            (Some(alert), _) => format!("alert of the {alert}"),
            (None, chosen) => chosen.clone().unwrap_or("nothing".to_owned()),
        },
        Said::Other => "not read".to_owned(),
    }
}

/// What that means.
pub fn taken(call: &CallSeen) -> Taken {
    let of = |is_refused| if is_refused { Taken::Refused } else { Taken::Granted };
    match &call.said {
        Said::Http(HttpSaid { status, error, .. }) => {
            status.map_or(Taken::Unknown, |status| of(status >= 400 || error.is_some()))
        }
        Said::Ldap(ldap) => ldap
            .result
            .map_or(Taken::Unknown, |code| of(!LDAP_FINE.contains(&code))),
        // A server is silent to what it does not take (RFC 2865, 3).
        Said::Radius(RadiusSaid { answer: None, .. }) => Taken::Refused,
        Said::Radius(RadiusSaid {
            answer: Some(answer), ..
        }) => of(RADIUS_REFUSALS.iter().any(|refusal| answer.ends_with(refusal))),
        Said::Tls(tls) => of(tls.alert.is_some()),
        Said::Other => Taken::Unknown,
    }
}

/// Everything that a call asks for.
pub fn asks(call: &CallSeen) -> Vec<Ask> {
    match &call.said {
        Said::Http(http) => of_http(http),
        Said::Ldap(ldap) if ldap.operation == "StartTLS" => vec![Ask::StartTls],
        Said::Ldap(ldap) if ldap.operation.starts_with("bind") => vec![Ask::Bind(ldap.operation.clone())],
        Said::Tls(tls) => tls.offered.iter().cloned().map(Ask::Tls).collect(),
        Said::Radius(radius) if radius.sealed => vec![Ask::MessageAuthenticator],
        Said::Ldap(_) | Said::Radius(_) | Said::Other => Vec::new(),
    }
}

fn of_http(http: &HttpSaid) -> Vec<Ask> {
    let mut asks = of_path(http);
    let has = |name: &str| http.params.iter().any(|param| param.name == name);
    let value = |name: &str| {
        let mut named = http.params.iter().filter(|param| param.name == name);
        named.find_map(|param| param.value.clone())
    };
    if has("code_challenge") {
        asks.push(Ask::Pkce(value("code_challenge_method").unwrap_or("plain".to_owned())));
    }
    if has("request") && has("client_id") {
        asks.push(Ask::RequestObject);
    }
    if http.proof || has("dpop_jkt") {
        asks.push(Ask::Dpop);
    }
    if has("resource") {
        asks.push(Ask::Resource);
    }
    asks.extend(value("grant_type").map(Ask::Grant));
    asks.extend(value("response_type").map(Ask::ResponseType));
    asks.extend(value("response_mode").map(Ask::ResponseMode));
    asks.extend(value("SigAlg").map(Ask::SamlSignature));
    let scopes = value("scope").unwrap_or_default();
    asks.extend(
        scopes
            .split_ascii_whitespace()
            .map(|scope| Ask::Scope(scope.to_owned())),
    );
    if has("grant_type") {
        asks.push(Ask::ClientAuthentication(client_authentication(http)));
    }
    asks
}

/// In the words of OpenID Connect Core, 9.
fn client_authentication(http: &HttpSaid) -> &'static str {
    let has = |name: &str| http.params.iter().any(|param| param.name == name);
    if http
        .authorization
        .as_deref()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
    {
        "client_secret_basic"
    } else if has("client_assertion") {
        "private_key_jwt"
    } else if has("client_secret") {
        "client_secret_post"
    } else {
        "none"
    }
}

/// By what products usually call their endpoints.
fn of_path(http: &HttpSaid) -> Vec<Ask> {
    let path = http.path.trim_end_matches('/').to_ascii_lowercase();
    let last = path.rsplit('/').next().unwrap_or_default();
    let ask = match last {
        // As Keycloak and Dex call what others call `par` and `device_authorization`.
        "request" if path.ends_with("/ext/par/request") => Ask::Par,
        "code" if path.ends_with("/device/code") && http.method == "POST" => Ask::Device,
        "openid-configuration" => Ask::Discovery,
        _ if path.contains("/.well-known/oauth-authorization-server") => Ask::ServerMetadata,
        "par" | "pushed-authorization-request" => Ask::Par,
        "userinfo" => Ask::UserInfo,
        "introspect" | "introspection" => Ask::Introspection,
        "revoke" | "revoke_token" | "revocation" => Ask::Revocation,
        "jwks" | "jwks.json" | "certs" | "keys" => Ask::KeySet,
        "device" | "device_authorization" | "device-authorization" if http.method == "POST" => Ask::Device,
        _ => return Vec::new(),
    };
    vec![ask]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::agent::front::calls::Param;

    /// `METHOD PATH STATUS name=value …`; a name without a value is a secret's.
    pub(crate) fn called(by: Caller, told: &str) -> Called {
        let words: Vec<&str> = told.split(' ').collect();
        let param = |word: &&str| match word.split_once('=') {
            Some((name, value)) => Param {
                name: name.to_owned(),
                value: Some(value.replace('+', " ")),
            },
            None => Param {
                name: (*word).to_owned(),
                value: None,
            },
        };
        Called {
            by,
            call: CallSeen {
                at_ms: 0,
                took_ms: Some(1),
                by: Some(String::new()),
                from: [127, 0, 0, 1].into(),
                service: "idp".to_owned(),
                port: 443,
                fault: None,
                said: Said::Http(HttpSaid {
                    method: words[0].to_owned(),
                    path: words[1].to_owned(),
                    status: words[2].parse().ok(),
                    params: words[3..].iter().map(param).collect(),
                    ..HttpSaid::default()
                }),
            },
        }
    }

    fn web(told: &str) -> Called {
        called(Caller::Service("web".to_owned()), told)
    }

    fn refused(before: &[Called], after: &[Called]) -> Vec<(String, How, String)> {
        let all = newly_refused(before, after).into_iter();
        all.map(|one| (one.ask.words(), one.how, one.answer)).collect()
    }

    #[test]
    fn what_only_the_candidate_asks_for_and_is_refused_is_told() {
        let before = [
            web("GET /o/authorize/ 302 response_type=code scope=read"),
            web("POST /o/token/ 200 code"),
        ];
        let after = [web("GET /o/.well-known/openid-configuration 404")];
        let wanted = ("OpenID Connect discovery".to_owned(), How::Asks, "404".to_owned());
        assert_eq!(refused(&before, &after), [wanted]);
        assert!(refused(&before, &before).is_empty());
    }

    fn radius(sealed: bool, answer: Option<&str>) -> Called {
        let mut called = web("GET / 200");
        called.call.said = Said::Radius(RadiusSaid {
            request: "Access-Request".to_owned(),
            sealed,
            answer: answer.map(str::to_owned),
            ..RadiusSaid::default()
        });
        called
    }

    #[test]
    fn a_request_over_radius_that_leaves_out_its_seal_and_gets_no_answer_is_told() {
        let before = [radius(true, Some("Access-Accept"))];
        let wanted = |answer: &str| {
            (
                "RADIUS with Message-Authenticator".to_owned(),
                How::LeavesOut,
                answer.to_owned(),
            )
        };
        assert_eq!(refused(&before, &[radius(false, None)]), [wanted("nothing")]);
        let rejected = [radius(false, Some("Access-Reject"))];
        assert_eq!(refused(&before, &rejected), [wanted("Access-Reject")]);
        assert!(refused(&before, &[radius(false, Some("Access-Accept"))]).is_empty());
        assert!(refused(&before, &[radius(true, None)]).is_empty());
        // What the gate itself asks the product is nothing that the candidate does.
        let mut own = radius(true, Some("Access-Accept"));
        own.by = Caller::Browser;
        let both = [own.clone(), before[0].clone()];
        assert_eq!(refused(&both, &[own, radius(false, None)]), [wanted("nothing")]);
    }

    #[test]
    fn what_is_granted_or_was_refused_before_is_not_told() {
        let before = [web("GET /favicon 404"), web("GET /o/authorize/ 302 response_type=code")];
        let granted = [
            web("GET /favicon 404"),
            web("GET /o/.well-known/openid-configuration 200"),
        ];
        assert!(refused(&before, &granted).is_empty());
    }

    #[test]
    fn what_the_candidate_leaves_out_and_is_refused_for_is_told() {
        let before = [web(
            "GET /authorize 302 response_type=code code_challenge code_challenge_method=S256",
        )];
        let after = [web("GET /authorize 400 response_type=code")];
        let wanted = ("PKCE (S256)".to_owned(), How::LeavesOut, "400".to_owned());
        assert_eq!(refused(&before, &after), [wanted]);
    }

    #[test]
    fn what_was_made_good_or_came_earlier_does_not_decide() {
        let before = [web("GET /authorize 302 response_type=code")];
        let ask = |calls: &[&str]| {
            let after: Vec<Called> = calls.iter().map(|told| web(told)).collect();
            deciding(&before, &after).map(|refusal| refusal.ask)
        };
        let (none, discovery) = (
            "GET /.well-known/openid-configuration 404",
            "GET /o/.well-known/openid-configuration 200",
        );
        let grant = "POST /token 400 grant_type=refresh_token";
        assert_eq!(ask(&[none]), Some(Ask::Discovery));
        assert_eq!(ask(&[none, discovery]), None);
        assert_eq!(ask(&[none, grant]), Some(Ask::Grant("refresh_token".to_owned())));
        assert_eq!(
            ask(&[none, discovery, grant, "POST /token 200 grant_type=authorization_code"]),
            None
        );
        assert_eq!(ask(&[grant, none]), Some(Ask::Discovery));
    }

    #[test]
    fn what_a_call_asks_for_is_read_off_its_parameters() {
        let call = web("POST /token 200 grant_type=authorization_code code client_secret client_id code_verifier");
        let words: Vec<String> = asks(&call.call).iter().map(Ask::words).collect();
        assert_eq!(
            words,
            [
                "the grant `authorization_code`",
                "client authentication by client_secret_post"
            ]
        );
        let call = web("GET /authorize 302 response_type=code scope=openid+profile code_challenge request client_id");
        let words: Vec<String> = asks(&call.call).iter().map(Ask::words).collect();
        assert_eq!(
            words,
            [
                "PKCE (plain)",
                "a signed authorization request",
                "the response type `code`",
                "the scope `openid`",
                "the scope `profile`"
            ]
        );
    }

    #[test]
    fn what_keycloak_and_dex_call_by_other_names_is_known() {
        let asked = |told: &str| asks(&web(told).call).first().map(Ask::capability);
        let par = Some("par".to_owned());
        assert_eq!(
            asked("POST /realms/shop/protocol/openid-connect/ext/par/request 201"),
            par
        );
        assert_eq!(asked("POST /dex/device/code 200"), Some("device".to_owned()));
        assert_eq!(asked("GET /dex/device/code 200"), None);
    }

    #[test]
    fn which_version_would_do_is_told_where_the_table_knows_it_and_else_is_unknown() {
        let refusal = &newly_refused(&[], &[web("GET /o/.well-known/openid-configuration 404")])[0];
        let product = |name: &str, version: &str| Product {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        let would = |name, version| refusal.would_do(Some(&product(name, version)));
        assert_eq!(would("django-oauth-toolkit", "1.3.3"), "1.5.0 has it");
        assert_eq!(
            would("django-oauth-toolkit", "1.7.0"),
            "it has it since 1.5.0: see its settings"
        );
        assert_eq!(would("lemonldap-ng", "1.4.6"), "1.9.6 has it");
        assert_eq!(would("hydra", "2.2.0"), "which version has it is unknown");
        assert!(refusal.would_do(None).contains("unknown"));
    }
}
