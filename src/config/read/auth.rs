//! `auth`: the third-party authentication dependency and how a test user signs in.

use super::super::grammar;
use super::super::settings::{Auth, HttpExpect, Login, LoginExpect, LoginFields, StatusPattern};
use super::fields::Fields;
use super::structure::is_secret;
use super::{step, suite};
use crate::yaml::tree::Node;

pub(super) fn auth(fields: &Fields) -> Auth {
    Auth {
        services: fields.names("service"),
        service_spans: fields.items("service").iter().map(|node| node.span.clone()).collect(),
        issuer: fields.url("issuer"),
        issuer_span: fields.get("issuer").map(|node| node.span.clone()),
        ca: fields.get("ca").map(|node| fields.reader.certificate(node)),
        login: fields.fields("login", &grammar::LOGIN).map(|fields| login(&fields)),
    }
}

fn login(fields: &Fields) -> Login {
    Login {
        start: fields.address("start").unwrap_or_default(),
        expect: protected_page(fields),
        username: fields.filled("username").unwrap_or_default(),
        password: fields.filled("password").unwrap_or_default(),
        fields: fields
            .fields("fields", &grammar::LOGIN_FIELDS)
            .map(|fields| form(&fields))
            .unwrap_or_default(),
        tls: fields
            .fields("tls", &grammar::TLS)
            .map(|fields| suite::tls(&fields))
            .unwrap_or_default(),
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
