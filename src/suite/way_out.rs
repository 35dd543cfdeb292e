//! The way out: by what a page lets whoever has signed in sign out. A form or a link that says so in words or in its address.

use url::Url;

use super::navigation::Go;
use super::page::{self, Form, Page, is_html};
use super::referrer::{self, Referrer};
use super::request::Response;
use super::sign_out_words::{is_named, says};
use crate::agent::exchange::HttpAnswer;

/// Who says so ends other sessions of the user's, too.
const EVERYWHERE: [&str; 7] = ["all", "everywhere", "devices", "sessions", "other", "alle", "überall"];

/// What leads out of a page, if something does. A form comes first: a link beside it is often for a script that sends it.
pub(super) fn of(url: &Url, answer: &HttpAnswer) -> Option<Go> {
    if !is_html(answer) {
        return None;
    }
    let response = Response::read(answer);
    let page = Page::read(response.body(), url);
    let policy = page.policy.or_else(|| referrer::stated(answer)).unwrap_or_default();
    let from = || Referrer::page(url.clone(), policy);
    if let Some(form) = form(&page) {
        return Some(Go::submission(&form, from()));
    }
    let links = page::links(response.body(), url);
    let mut links = links.into_iter().filter(|link| leads_out(&link.label, &link.url));
    links.next().map(|link| Go::led(link.url, from()))
}

/// A form of the page by which somebody signs out, its button pressed.
pub(super) fn form(page: &Page) -> Option<Form> {
    page.untouched_forms().find_map(|form| form.pressed_where(leads_out))
}

fn leads_out(label: &str, address: &Url) -> bool {
    let is_http = matches!(address.scheme(), "http" | "https");
    is_http && !is_everywhere(label) && (says(label) || is_named(address))
}

fn is_everywhere(label: &str) -> bool {
    let label = label.to_lowercase();
    let mut words = label.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| EVERYWHERE.contains(&word))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn out_of(html: &str) -> Option<String> {
        let answer = HttpAnswer {
            status: 200,
            body: BASE64_STANDARD.encode(html),
            ..HttpAnswer::default()
        };
        let go = of(&Url::parse("http://web/account").unwrap(), &answer)?;
        Some(format!("{} {} {}", go.method, go.url, go.body.unwrap_or_default()))
    }

    #[test]
    fn a_link_leads_out_by_its_words_or_by_its_address() {
        for html in [
            "<a href=/bye>Log out</a>",
            "<nav><a class=x href='/bye'><i></i><span>Sign out alice</span></a></nav>",
            "<a href=/bye title='Log off'><svg></svg></a>",
            "<a href=/in>Logbook</a><a href=/bye>Abmelden</a>",
        ] {
            assert_eq!(out_of(html).as_deref(), Some("GET http://web/bye "), "{html}");
        }
        assert_eq!(
            out_of("<a href='/auth/logout.php?x=1'>⏻</a>").as_deref(),
            Some("GET http://web/auth/logout.php?x=1 ")
        );
        assert_eq!(
            out_of("<a href='/?action=logout'>x</a>").as_deref(),
            Some("GET http://web/?action=logout ")
        );
    }

    #[test]
    fn a_form_comes_before_a_link_and_is_sent_with_what_it_hides() {
        let html = "<a href=/logout>Log out</a><form action=/search><input name=q><button>Go</button></form>
            <form method=post action=/leave><input type=hidden name=csrf value=t><button name=do value=stay>Stay</button>
            <button name=do value=leave>Sign out</button></form>";
        assert_eq!(out_of(html).as_deref(), Some("POST http://web/leave csrf=t&do=leave"));
        let by_address = "<form method=post action=/session/sign-out><button>⏻</button></form>";
        assert_eq!(out_of(by_address).as_deref(), Some("POST http://web/session/sign-out "));
    }

    #[test]
    fn what_only_speaks_of_it_leads_nowhere() {
        for html in [
            "<a href=/docs/how-to-log-out>How users log out</a>",
            "<a href=/all>Log out everywhere</a>",
            "<form method=post action=/logout><input type=hidden name=all value=1><button>Log out everywhere</button></form>",
            "<a href='javascript:logout()'>Log out</a>",
            "<form action=/logout method=post><input type=password name=p><button>Log out</button></form>",
            "<a href=/x>Logging</a>",
            "{\"logout\": \"/logout\"}",
        ] {
            assert_eq!(out_of(html), None, "{html}");
        }
    }
}
