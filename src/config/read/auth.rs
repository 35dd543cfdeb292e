//! `auth`: the third-party authentication dependency and how a test user signs in.

use super::super::grammar;
use super::super::settings::{
    Auth, Bearer, HttpExpect, Login, LoginExpect, LoginFields, OwnTls, RadiusServer, SignInBy, Signs, StatusPattern,
    TokenRequest,
};
use super::fields::Fields;
use super::structure::{is_secret, lacks};
use super::{directory, step, suite};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::Node;

/// Where RADIUS servers are asked for users (RFC 2865, 3).
const RADIUS_PORT: u16 = 1812;

pub(super) fn auth(fields: &Fields) -> Auth {
    let services = fields.names("service");
    let product = services.first().cloned().unwrap_or_default();
    Auth {
        services,
        service_spans: fields.items("service").iter().map(|node| node.span.clone()).collect(),
        issuer: fields.url("issuer"),
        issuer_span: fields.get("issuer").map(|node| node.span.clone()),
        signs: signs(fields),
        rotate: fields.get("rotate").map(|node| suite::entry(fields, node)),
        revoke: fields.get("revoke").map(|node| suite::entry(fields, node)),
        tls: match fields.text("tls").as_deref() {
            Some("terminate") => OwnTls::EndsAtFront,
            _ => OwnTls::PassesThrough,
        },
        ca: fields.get("ca").map(|node| fields.reader.certificate(node)),
        login: fields
            .fields("login", &grammar::LOGIN)
            .map(|fields| login(&fields, &product)),
    }
}

fn signs(fields: &Fields) -> Signs {
    let Some(node) = fields.get("act_as_issuer").filter(|node| node.as_bool() == Some(true)) else {
        return Signs::Product;
    };
    if fields.get("issuer").is_none() {
        let error = Diagnostic::at(&node.span, "nobody says who the issuer is");
        let help = "add `issuer: URL`, production's own, or take `act_as_issuer` out";
        fields.reader.refuse(error.help(help));
    }
    Signs::FrontsToo
}

fn login(fields: &Fields, product: &str) -> Login {
    let start = fields.address("start").unwrap_or_default();
    let server = fields.fields("radius", &grammar::RADIUS);
    let server = server.map(|fields| radius(&fields, product));
    let by = means(fields, server);
    if let (Some(node), false) = (fields.get("radius"), matches!(by, SignInBy::Radius(_))) {
        let error = Diagnostic::at(&node.span, "nobody asks over RADIUS");
        fields.reader.refuse(error.help("say `as: radius`, or take it out"));
    }
    let expect = match &by {
        SignInBy::Ldap(directory) => LoginExpect {
            get: directory.url.clone(),
            expect: HttpExpect::default(),
        },
        _ => {
            directory::elsewhere(fields);
            protected_page(fields)
        }
    };
    for key in needed(&by) {
        if fields.get(key).is_none() {
            fields.reader.refuse(lacks(fields.node, &grammar::LOGIN, key));
        }
    }
    Login {
        by,
        start,
        expect,
        username: fields.filled("username").unwrap_or_default(),
        password: fields.filled("password").unwrap_or_default(),
        fields: fields
            .fields("fields", &grammar::LOGIN_FIELDS)
            .map(|fields| form(&fields))
            .unwrap_or_default(),
        headers: step::headers(fields),
        tls: fields
            .fields("tls", &grammar::TLS)
            .map(|fields| suite::tls(&fields))
            .unwrap_or_default(),
    }
}

/// What a means cannot do without.
fn needed(by: &SignInBy) -> &'static [&'static str] {
    match by {
        SignInBy::Form => &["start", "username", "password"],
        SignInBy::Basic | SignInBy::Ldap(_) | SignInBy::Bearer(Bearer::PasswordGrant(_)) => &["username", "password"],
        SignInBy::Radius(_) => &["username", "password", "radius"],
        SignInBy::Header => &["headers"],
        SignInBy::Bearer(Bearer::Token(_) | Bearer::ClientCredentials(_)) => &[],
    }
}

fn means(login: &Fields, server: Option<RadiusServer>) -> SignInBy {
    let Some(node) = login.get("as") else {
        return SignInBy::Form;
    };
    match node.as_text().as_deref() {
        Some("basic") => SignInBy::Basic,
        Some("header") => SignInBy::Header,
        Some("ldap") => SignInBy::Ldap(directory::directory(login)),
        Some("radius") => SignInBy::Radius(server.unwrap_or_default()),
        Some(_) => SignInBy::Form,
        None => {
            let fields = login.reader.fields(node, &grammar::LOGIN_AS);
            let bearer = fields.fields("bearer", &grammar::BEARER);
            bearer.map_or(SignInBy::Form, |fields| SignInBy::Bearer(self::bearer(&fields)))
        }
    }
}

fn radius(fields: &Fields, product: &str) -> RadiusServer {
    let server = fields.filled("server").unwrap_or_else(|| product.to_owned());
    let (host, port) = match server.split_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
        None => (&*server, Some(RADIUS_PORT)),
    };
    if let (Some(node), true) = (fields.get("server"), port.is_none() || host.is_empty()) {
        let help = "write it as `HOST` or `HOST:PORT`";
        fields.reader.refuse_value(node, "is no RADIUS server", help);
    }
    RadiusServer {
        host: host.to_owned(),
        port: port.unwrap_or_default(),
        shared_secret: fields.filled("shared_secret").unwrap_or_default(),
    }
}

fn bearer(fields: &Fields) -> Bearer {
    let asked = |key| {
        fields
            .fields(key, &grammar::TOKEN_REQUEST)
            .map(|fields| token_request(&fields))
    };
    let (client, user, token) = (
        asked("client_credentials"),
        asked("password_grant"),
        fields.filled("token"),
    );
    match (client, user) {
        (Some(request), _) => Bearer::ClientCredentials(request),
        (None, Some(request)) => Bearer::PasswordGrant(request),
        (None, None) => Bearer::Token(token.unwrap_or_default()),
    }
}

fn token_request(fields: &Fields) -> TokenRequest {
    TokenRequest {
        url: fields.address("url").unwrap_or_default(),
        client_id: fields.filled("client_id").unwrap_or_default(),
        client_secret: fields.filled("client_secret"),
        scope: fields.filled("scope"),
    }
}

fn form(fields: &Fields) -> LoginFields {
    LoginFields {
        user: fields.filled("user"),
        password: fields.filled("password"),
    }
}

/// A URL, or `get` and `expect`. Either way a redirect is no answer: that is how a page says "sign in first".
fn protected_page(login: &Fields) -> LoginExpect {
    let node = login.get("expect").unwrap_or(login.node);
    let mut page = match node.as_map() {
        Some(_) if !is_secret(node) => long_form(login, node),
        _ => LoginExpect {
            get: login.reader.address(node),
            expect: HttpExpect::default(),
        },
    };
    if page.expect.status.is_empty() {
        page.expect.status = vec![StatusPattern::Exact(200)];
    }
    page
}

fn long_form(login: &Fields, node: &Node) -> LoginExpect {
    let fields = login.reader.fields(node, &grammar::PROTECTED_PAGE);
    LoginExpect {
        get: fields.address("get").unwrap_or_default(),
        expect: step::http_expect(fields.fields("expect", &grammar::HTTP_EXPECT)),
    }
}
