//! Forms as they are known again on another page: by where they lead, and by what they ask for. So the form by which users
//! sign in is told from one by which they change their password.

use url::Url;

use super::login::is_html;
use super::page::Page;
use super::request::Response;
use crate::agent::exchange::HttpAnswer;

/// A form of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownForm {
    /// Without its query, which is often another one each time.
    pub(super) path: String,
    pub(super) leads: Leads,
    /// Names of what a user types in the clear.
    pub(super) typed: Vec<String>,
    /// Names of what a user types unseen.
    pub(super) passwords: Vec<String>,
}

/// Where a form leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// To its own page, whichever that is.
    ToItsPage,
    /// Where it says.
    Elsewhere,
}

impl KnownForm {
    /// Both are the same. One that leads to its own page is known by what it asks for, where that is a password.
    pub(super) fn is(&self, other: &Self) -> bool {
        let to_its_page = [self, other].iter().any(|form| form.leads == Leads::ToItsPage);
        let asks_alike = to_its_page && self.asks_for_a_password() && self.typed == other.typed;
        self.passwords == other.passwords && (self.path == other.path || asks_alike)
    }

    fn asks_for_a_password(&self) -> bool {
        !self.passwords.is_empty()
    }
}

/// The forms of a page.
pub(super) fn shown(url: &Url, answer: &HttpAnswer) -> Vec<KnownForm> {
    match is_html(answer) {
        true => Page::read(Response::read(answer).body(), url).known_forms(),
        false => Vec::new(),
    }
}

/// One of them is one of those.
pub(super) fn holds(forms: &[KnownForm], those: &[KnownForm]) -> bool {
    forms.iter().any(|form| those.iter().any(|known| known.is(form)))
}

/// Those that ask for a password.
pub(super) fn asking(url: &Url, answer: &HttpAnswer) -> Vec<KnownForm> {
    let mut forms = shown(url, answer);
    forms.retain(KnownForm::asks_for_a_password);
    forms
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn form(address: &str, html: &str) -> KnownForm {
        let answer = HttpAnswer {
            body: BASE64_STANDARD.encode(html),
            ..HttpAnswer::default()
        };
        asking(&Url::parse(address).unwrap(), &answer).remove(0)
    }

    #[test]
    fn a_sign_in_form_is_known_again_wherever_it_stands_and_no_other_is_taken_for_it() {
        let named = "<form method=post action=/login?flow=1><input name=user><input type=password name=p></form>";
        let own = "<form method=post><input name=user><input type=password name=p></form>";
        let sign_in = form("http://web/login", named);
        for (address, same) in [
            (
                "http://web/account",
                "<form method=post action=/login?flow=2><input type=password name=p></form>",
            ),
            ("http://web/account", own),
            ("http://web/login", own),
        ] {
            assert!(form(address, same).is(&sign_in), "{same}");
        }
        for other in [
            "<form method=post><input type=password name=old><input type=password name=new></form>",
            "<form method=post><input type=password name=p></form>",
            "<form method=post action=/users><input name=user><input type=password name=p></form>",
        ] {
            assert!(!form("http://web/account", other).is(&sign_in), "{other}");
        }
    }
}
