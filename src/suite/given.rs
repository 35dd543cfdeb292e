//! What whoever has credentials is given: the page behind the sign-in, what an answer gives, and how a token is taken back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use url::{Url, form_urlencoded};

use super::guarded::{Guarded, LIMIT_MS};
use super::login::{Session, is_html};
use super::page::Page;
use super::request::{self, Response};
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::config::settings::{Bearer, Login, LoginFields, SignInBy, StatusPattern};

/// The page behind the sign-in, as whoever has signed in asks for it; none where its address is none.
pub fn behind(login: &Login, session: &Session, ca: &[String]) -> Option<Guarded> {
    let address = Url::parse(&login.expect.get);
    let address = address.or_else(|_| Url::parse(&login.start)?.join(&login.expect.get));
    let mut expect = login.expect.expect.clone();
    if expect.status.is_empty() {
        expect.status = vec![StatusPattern::Exact(200)];
    }
    Some(Guarded {
        name: "the page behind the sign-in".to_owned(),
        call: HttpCall {
            method: "GET".to_owned(),
            url: address.ok()?.into(),
            headers: session.headers.clone(),
            timeout_ms: LIMIT_MS,
            insecure: login.tls.insecure,
            ca: ca.iter().chain(&login.tls.ca).cloned().collect(),
            ..HttpCall::default()
        },
        expect,
    })
}

/// An answer gives what whoever has the credentials gets. A page that asks for a password is none of it.
pub fn is_given(guarded: &Guarded, answer: &HttpAnswer) -> bool {
    let response = Response::read(answer);
    response.problems(&guarded.expect).is_empty() && !asks_for_a_password(guarded, answer, response.body())
}

fn asks_for_a_password(guarded: &Guarded, answer: &HttpAnswer, body: &str) -> bool {
    let url = Url::parse(&guarded.call.url).ok().filter(|_| is_html(answer));
    url.is_some_and(|url| Page::read(body, &url).sign_in_form(&LoginFields::default()).is_some())
}

/// Takes a token back at its issuer's endpoint (RFC 7009), in the name of the client that asked for it; none where no
/// client did.
pub fn revocation(login: &Login, endpoint: &str, token: &str, ca: &[String]) -> Option<HttpCall> {
    let (SignInBy::Bearer(Bearer::ClientCredentials(client)) | SignInBy::Bearer(Bearer::PasswordGrant(client))) =
        &login.by
    else {
        return None;
    };
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token)
        .append_pair("token_type_hint", "access_token");
    let kind = "application/x-www-form-urlencoded".to_owned();
    let mut headers = vec![("Content-Type".to_owned(), kind)];
    match &client.client_secret {
        Some(secret) => {
            let value = request::basic(&encoded(&client.client_id), &encoded(secret));
            headers.push(("Authorization".to_owned(), value));
        }
        None => {
            form.append_pair("client_id", &client.client_id);
        }
    }
    Some(HttpCall {
        session: "revocation".to_owned(),
        method: "POST".to_owned(),
        url: endpoint.to_owned(),
        headers,
        body: Some(BASE64_STANDARD.encode(form.finish())),
        timeout_ms: LIMIT_MS,
        insecure: login.tls.insecure,
        ca: ca.iter().chain(&login.tls.ca).cloned().collect(),
        ..HttpCall::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::HttpExpect;

    #[test]
    fn a_page_that_asks_for_a_password_gives_nothing() {
        let guarded = Guarded {
            name: "smoke / account".to_owned(),
            call: HttpCall {
                url: "http://web/account".to_owned(),
                ..HttpCall::default()
            },
            expect: HttpExpect::default(),
        };
        let page = |html: &str| HttpAnswer {
            status: 200,
            body: BASE64_STANDARD.encode(html),
            ..HttpAnswer::default()
        };
        assert!(is_given(&guarded, &page("<p>alice</p>")));
        let form = "<form method=post><input name=u><input type=password name=p></form>";
        assert!(!is_given(&guarded, &page(form)));
    }
}
