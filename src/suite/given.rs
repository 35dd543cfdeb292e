//! What whoever has credentials is given: the page behind the sign-in, what an answer gives, and how a token is taken back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use url::{Url, form_urlencoded};

use super::guarded::{Guarded, LIMIT_MS, Own};
use super::known_form::{self, KnownForm};
use super::login::Session;
use super::page;
use super::request::{self, Response};
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::config::settings::{Bearer, HttpExpect, Login, SignInBy, StatusPattern};

/// The page behind the sign-in, as whoever has signed in asks for it; none where its address is none.
pub fn behind(login: &Login, session: &Session, ca: &[String]) -> Option<Guarded> {
    if let SignInBy::Ldap(_) = login.by {
        // An entry, and no page.
        return None;
    }
    let address = Url::parse(&login.expect.get);
    let address = address.or_else(|_| Url::parse(&login.start)?.join(&login.expect.get));
    // A slow answer gives as much as a fast one.
    let mut expect = HttpExpect {
        within: None,
        ..login.expect.expect.clone()
    };
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
        own: Own::Seen(session.page.clone()),
        ways_in: session.forms.clone(),
    })
}

/// What an answer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// What whoever has the credentials gets.
    All,
    /// Something else.
    Nothing,
    /// It asks for a password, and nobody knows whether the user's own does so, too.
    Unclear,
}

/// What an answer gives. A page that asks for a password where the user's own does not gives nothing.
pub fn gives(guarded: &Guarded, answer: &HttpAnswer) -> Gives {
    if !Response::read(answer).problems(&guarded.expect).is_empty() {
        return Gives::Nothing;
    }
    let (shown, asking) = (
        forms(guarded, answer, page::shown),
        forms(guarded, answer, page::asking),
    );
    match &guarded.own {
        _ if known_form::holds(&shown, &guarded.ways_in) => Gives::Nothing,
        _ if asking.is_empty() => Gives::All,
        Own::Unseen => Gives::Unclear,
        Own::Seen(own) => match is_among(&asking, own) {
            true => Gives::All,
            false => Gives::Nothing,
        },
    }
}

/// The same where the user was asked for once more, because nobody has kept what they got. Where both are asked for the same
/// password the user may be signed in no more.
pub fn gives_beside(guarded: &Guarded, answer: &HttpAnswer, own: &HttpAnswer) -> Gives {
    let holds = Response::read(own).problems(&guarded.expect).is_empty();
    let asking = |answer: &HttpAnswer| forms(guarded, answer, page::asking);
    match holds && !is_among(&asking(answer), &asking(own)) {
        true => Gives::Nothing,
        false => Gives::Unclear,
    }
}

fn is_among(asking: &[KnownForm], own: &[KnownForm]) -> bool {
    asking.iter().all(|form| own.iter().any(|known| known.is(form)))
}

fn forms(guarded: &Guarded, answer: &HttpAnswer, of: impl Fn(&Url, &HttpAnswer) -> Vec<KnownForm>) -> Vec<KnownForm> {
    let url = Url::parse(&guarded.call.url);
    url.map_or_else(|_| Vec::new(), |url| of(&url, answer))
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

    const SIGN_IN: &str = "<form method=post action=/login><input name=u><input type=password name=p></form>";
    const CHANGE: &str = "<form method=post><input type=password name=old><input type=password name=new></form>";

    fn shows(html: &str) -> HttpAnswer {
        HttpAnswer {
            status: 200,
            body: BASE64_STANDARD.encode(html),
            ..HttpAnswer::default()
        }
    }

    fn guarded(own: &str) -> Guarded {
        let call = HttpCall {
            method: "GET".to_owned(),
            url: "http://web/account".to_owned(),
            headers: vec![("Authorization".to_owned(), "Bearer t".to_owned())],
            ..HttpCall::default()
        };
        Guarded::of("smoke / account".to_owned(), call, HttpExpect::default(), &shows(own)).unwrap()
    }

    #[test]
    fn a_page_that_asks_for_a_password_gives_nothing_but_where_the_users_own_asks_for_it() {
        assert_eq!(gives(&guarded("alice"), &shows("<p>alice</p>")), Gives::All);
        assert_eq!(gives(&guarded("alice"), &shows(SIGN_IN)), Gives::Nothing);
        assert_eq!(gives(&guarded(CHANGE), &shows(CHANGE)), Gives::All);
        assert_eq!(gives(&guarded(CHANGE), &shows(SIGN_IN)), Gives::Nothing);
    }

    #[test]
    fn where_nobody_has_kept_the_users_own_answer_it_is_asked_for_beside() {
        let unseen = guarded("alice").unseen();
        assert_eq!(gives(&unseen, &shows("<p>alice</p>")), Gives::All);
        assert_eq!(gives(&unseen, &shows(SIGN_IN)), Gives::Unclear);
        let beside = |own: &str| gives_beside(&unseen, &shows(SIGN_IN), &shows(own));
        assert_eq!((beside("alice"), beside(CHANGE)), (Gives::Nothing, Gives::Nothing));
        // They may have signed out since.
        assert_eq!(beside(SIGN_IN), Gives::Unclear);
    }
    #[test]
    fn a_form_by_which_users_sign_in_gives_nothing_whatever_it_asks_for() {
        let name_first = "<form method=post action=/login><input name=user></form>";
        let session = Session {
            forms: page::shown(&Url::parse("http://web/login").unwrap(), &shows(name_first)),
            ..Session::default()
        };
        let asked = guarded("alice");
        assert_eq!(gives(&asked, &shows(name_first)), Gives::All);
        assert_eq!(
            gives(&asked.with_ways_in(&session.forms), &shows(name_first)),
            Gives::Nothing
        );
    }
}
