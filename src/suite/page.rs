//! A page as far as a sign-in needs it: its forms, where it refreshes to, what it says.
//!
//! Before a page is parsed every element that is of no use here is taken out. A tree of a hundred thousand `div`s
//! would cost a parser minutes; and a form that is misplaced within a table comes out as a browser understands it.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex::{Captures, Regex};
use scraper::{ElementRef, Html};
use url::Url;

use super::known_form::{KnownForm, Leads};
use super::referrer::ReferrerPolicy;
use super::sign_out_words::{has_word, is_named, is_word, says};
use super::words;
use crate::agent::exchange::HttpAnswer;
use crate::config::settings::{Login, LoginFields};
use crate::text::pattern;

/// A longer page is cut before it is parsed.
const MOST_HTML: usize = 512 << 10;

/// Forms of a page that are looked at.
const MOST_FORMS: usize = 50;

/// Links of a page that are looked at.
const MOST_LINKS: usize = 500;

/// Longer pauses before a refresh mean that somebody is to read the page first.
const LONGEST_PAUSE: f64 = 5.0;

/// Words on the button of a page that asks for consent.
const CONSENT: [&str; 9] = [
    "allow",
    "authorize",
    "authorise",
    "accept",
    "approve",
    "grant",
    "consent",
    "confirm",
    "yes",
];

/// A page, parsed.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    forms: Vec<Form>,
    /// Where a `meta` refresh leads.
    pub refresh: Option<Url>,
    /// What it lets be said of itself, where it says so.
    pub policy: Option<ReferrerPolicy>,
    /// It has a script that runs.
    pub is_scripted: bool,
    /// The forms that a script or `onload` sends, as it names them.
    sent: Vec<Sent>,
    title: String,
}

/// A form as a script names it that sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    /// `document.forms[0]`.
    At(usize),
    /// `document.getElementById("back")`.
    By(String),
    /// Something else, as a variable.
    Unnamed,
}

/// A form with what a browser would send.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Where it goes.
    pub action: Url,
    /// `method="post"`.
    pub is_post: bool,
    /// It says neither where it goes nor how: without a script it would put the password into an address.
    pub is_bare: bool,
    leads: Leads,
    /// Its `id` and its `name`.
    names: Vec<String>,
    controls: Vec<Control>,
    /// Index of the submit button that is pressed.
    pressed: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Hidden,
    /// Text, e-mail and whatever else a user types into.
    Typed,
    Password,
    /// A checked box, a selected option: sent as it is.
    Chosen,
    Submit,
}

#[derive(Debug, Clone)]
struct Control {
    kind: FieldKind,
    name: String,
    value: String,
    /// What stands on a button.
    label: String,
    /// `formaction`.
    action: Option<String>,
}

impl Page {
    /// Reads a page that `url` answered.
    pub fn read(html: &str, url: &Url) -> Self {
        let document = Html::parse_document(&relevant(cut(html), &[]));
        let elements: Vec<_> = document.root_element().descendent_elements().collect();
        let base = base(&elements, url);
        let forms: Vec<_> = elements.iter().filter(|element| is(element, "form")).collect();
        Self {
            refresh: elements.iter().find_map(|element| refresh(element, &base)),
            policy: elements.iter().rev().find_map(policy),
            is_scripted: elements.iter().any(|element| is(element, "script")),
            sent: elements.iter().flat_map(sent).collect(),
            title: elements
                .iter()
                .find(|element| is(element, "title"))
                .map(text)
                .unwrap_or_default(),
            forms: forms
                .iter()
                .take(MOST_FORMS)
                .map(|form| Form::read(form, &elements, &base, url))
                .collect(),
        }
    }

    /// The forms that ask for nothing.
    pub fn untouched_forms(&self) -> impl Iterator<Item = &Form> {
        self.forms.iter().filter(|form| form.asks_for_nothing())
    }

    /// All forms, as they are known again.
    fn known_forms(&self) -> Vec<KnownForm> {
        self.forms.iter().map(Form::known).collect()
    }

    /// The first form with a password field.
    pub fn sign_in_form(&self, fields: &LoginFields) -> Option<&Form> {
        self.forms.iter().find(|form| match &fields.password {
            Some(name) => form.controls.iter().any(|control| control.name == *name),
            None => form.controls.iter().any(|control| control.kind == FieldKind::Password),
        })
    }

    /// A form that asks for the user's name alone, the password being asked on the next page.
    pub fn user_form(&self, fields: &LoginFields) -> Option<&Form> {
        self.forms.iter().find(|form| match &fields.user {
            Some(name) => form.controls.iter().any(|control| control.name == *name),
            None => {
                let typed: Vec<_> = form
                    .controls
                    .iter()
                    .filter(|control| control.kind == FieldKind::Typed)
                    .collect();
                let names = ["user", "mail", "login", "identifier", "account", "name"];
                form.is_post && typed.len() == 1 && names.iter().any(|part| typed[0].name.to_lowercase().contains(part))
            }
        })
    }

    /// A form that a browser or a willing user sends on as it is: one that submits itself, or one that asks for
    /// consent. By one that signs out nobody is passed on.
    pub fn passing_form(&self) -> Option<Form> {
        let passes = |form: &&Form| form.is_post && form.asks_for_nothing() && !form.signs_out();
        let sent = self.sent.iter().filter_map(|sent| self.named(sent));
        let by_script = sent.filter(passes).find(|form| form.hides_something());
        let by_script = by_script.map(|form| Form {
            pressed: None,
            ..form.clone()
        });
        by_script.or_else(|| self.forms.iter().filter(passes).find_map(Form::consented))
    }

    /// The form that is meant; where a script does not say which, the only one.
    fn named(&self, sent: &Sent) -> Option<&Form> {
        match sent {
            Sent::At(at) => self.forms.get(*at),
            Sent::By(name) => {
                let named = self.forms.iter().find(|form| form.names.contains(name));
                named.or_else(|| self.named(&Sent::Unnamed))
            }
            Sent::Unnamed => match self.forms.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }

    /// The title, as an explanation: ` (“Server Error”)`.
    pub fn says(&self) -> String {
        let title = words::first_line(&self.title);
        if title.is_empty() {
            title
        } else {
            format!(" (“{title}”)")
        }
    }
}

impl Form {
    fn read(form: &ElementRef<'_>, elements: &[ElementRef<'_>], base: &Url, page: &Url) -> Self {
        let id = form.attr("id");
        let belongs = |element: &&ElementRef<'_>| match element.attr("form") {
            Some(owner) => Some(owner) == id,
            None => owner(element).is_some_and(|owner| owner.id() == form.id()),
        };
        let controls: Vec<_> = elements.iter().filter(belongs).filter_map(control).collect();
        let pressed = controls.iter().position(|control| control.kind == FieldKind::Submit);
        let own = form.attr("action").map(str::trim).filter(|action| !action.is_empty());
        let action = own
            .and_then(|action| base.join(action).ok())
            .unwrap_or_else(|| page.clone());
        let is_post = form
            .attr("method")
            .is_some_and(|method| method.trim().eq_ignore_ascii_case("post"));
        Self {
            action,
            is_post,
            is_bare: form.attr("method").is_none() && own.is_none(),
            names: ["id", "name"]
                .iter()
                .filter_map(|name| form.attr(name))
                .map(str::to_owned)
                .collect(),
            leads: own.map_or(Leads::ToItsPage, |_| Leads::Elsewhere),
            controls,
            pressed,
        }
        .with_buttons_action(base)
    }

    fn with_buttons_action(mut self, base: &Url) -> Self {
        let button = self.pressed.and_then(|at| self.controls.get(at));
        if let Some(action) = button.and_then(|button| base.join(button.action.as_deref()?).ok()) {
            self.action = action;
        }
        self
    }

    /// As it is known again.
    pub fn known(&self) -> KnownForm {
        let names = |kind: FieldKind| {
            let own = self.controls.iter().filter(|control| control.kind == kind);
            own.map(|control| control.name.clone()).collect()
        };
        KnownForm {
            path: self.action.path().to_owned(),
            leads: self.leads,
            typed: names(FieldKind::Typed),
            passwords: names(FieldKind::Password),
        }
    }

    /// By it somebody signs out, here or everywhere: in words, in its address, in its name or in what it hides.
    fn signs_out(&self) -> bool {
        let hides_it = |(name, value): (&str, &str)| is_word(name) || is_word(value);
        let says_it = |label: &str, address: &Url| says(label) || is_named(address);
        let is_called_so = self.names.iter().any(|name| has_word(name));
        is_called_so || self.data().any(hides_it) || self.pressed_where(says_it).is_some()
    }

    fn hides_something(&self) -> bool {
        self.controls.iter().any(|control| control.kind == FieldKind::Hidden)
    }

    fn asks_for_nothing(&self) -> bool {
        let is_asked = |control: &Control| matches!(control.kind, FieldKind::Typed | FieldKind::Password);
        !self.controls.iter().any(is_asked)
    }

    /// The form with the button pressed of which this is so, by what stands on it and where it leads; else as it is, where
    /// its address alone is so.
    pub fn pressed_where(&self, is_so: impl Fn(&str, &Url) -> bool) -> Option<Self> {
        let by_address = is_so("", &self.action);
        // Where the address would do, a button's own words may say that another thing is meant.
        let refuses = |words: &str| !words.is_empty() && by_address && !is_so(words, &self.action);
        let says = |control: &Control| {
            let words = [control.label.as_str(), control.value.as_str()];
            words.iter().any(|words| is_so(words, &self.action)) && !words.iter().any(|words| refuses(words))
        };
        let is_button = |(_, control): &(usize, &Control)| control.kind == FieldKind::Submit;
        let mut buttons = self.controls.iter().enumerate().filter(is_button).peekable();
        let has_none = buttons.peek().is_none();
        let pressed = buttons.find(|(_, control)| says(control)).map(|(at, _)| at);
        let is_meant = pressed.is_some() || (has_none && by_address);
        is_meant.then(|| Self {
            pressed: pressed.or(self.pressed),
            ..self.clone()
        })
    }

    /// The form with the test user's name and password in it.
    pub fn filled(&self, login: &Login) -> Self {
        let mut form = self.clone();
        form.fill(login.fields.user.as_deref(), FieldKind::Typed, &login.username);
        form.fill(login.fields.password.as_deref(), FieldKind::Password, &login.password);
        form
    }

    fn fill(&mut self, name: Option<&str>, kind: FieldKind, value: &str) {
        let wanted = |control: &&mut Control| match name {
            Some(name) => control.name == name,
            None => control.kind == kind,
        };
        if let Some(control) = self.controls.iter_mut().find(wanted) {
            value.clone_into(&mut control.value);
        }
    }

    fn consented(&self) -> Option<Self> {
        let agrees = |control: &Control| {
            let words = format!("{} {} {}", control.name, control.value, control.label).to_lowercase();
            control.kind == FieldKind::Submit
                && words
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|word| CONSENT.contains(&word))
        };
        self.hides_something().then_some(())?;
        let pressed = self.controls.iter().position(agrees)?;
        Some(Self {
            pressed: Some(pressed),
            ..self.clone()
        })
    }

    /// Names and values as a browser sends them.
    pub fn data(&self) -> impl Iterator<Item = (&str, &str)> {
        let sent =
            move |(at, control): &(usize, &Control)| control.kind != FieldKind::Submit || Some(*at) == self.pressed;
        let named = self
            .controls
            .iter()
            .enumerate()
            .filter(sent)
            .map(|(_, control)| control);
        named
            .filter(|control| !control.name.is_empty())
            .map(|control| (control.name.as_str(), control.value.as_str()))
    }
}

/// The forms of an answer; none where it is no page.
pub(super) fn shown(url: &Url, answer: &HttpAnswer) -> Vec<KnownForm> {
    if !is_html(answer) {
        return Vec::new();
    }
    let body = BASE64_STANDARD.decode(&answer.body).unwrap_or_default();
    Page::read(&String::from_utf8_lossy(&body), url).known_forms()
}

/// Those that ask for a password.
pub(super) fn asking(url: &Url, answer: &HttpAnswer) -> Vec<KnownForm> {
    let mut forms = shown(url, answer);
    forms.retain(KnownForm::asks_for_a_password);
    forms
}

/// It is a page.
pub(super) fn is_html(answer: &HttpAnswer) -> bool {
    let kind = answer.header("content-type");
    kind.is_none_or(|kind| kind.to_ascii_lowercase().contains("html"))
}

/// What leads elsewhere from a page.
pub(super) struct Link {
    pub url: Url,
    /// What stands on it.
    pub label: String,
}

/// The links of a page that `url` answered. Who signs in needs none of them, so they are read apart.
pub(super) fn links(html: &str, url: &Url) -> Vec<Link> {
    let document = Html::parse_document(&relevant(cut(html), &["a"]));
    let elements: Vec<_> = document.root_element().descendent_elements().collect();
    let base = base(&elements, url);
    let link = |element: &ElementRef<'_>| {
        let by_script = BY_SCRIPT.iter().any(|name| element.attr(name).is_some());
        if by_script || element.attr("href")?.trim().starts_with('#') {
            return None;
        }
        let says = ["title", "aria-label"].iter().find_map(|name| element.attr(name));
        let own = Some(text(element)).filter(|text| !text.is_empty());
        Some(Link {
            url: base.join(element.attr("href")?.trim()).ok()?,
            label: own.or_else(|| says.map(str::to_owned)).unwrap_or_default(),
        })
    };
    let links = elements.iter().filter(|element| is(element, "a"));
    links.take(MOST_LINKS).filter_map(link).collect()
}

/// What a browser's script makes of a link: another method than GET, or no way at all.
const BY_SCRIPT: [&str; 7] = [
    "data-method",
    "data-turbo-method",
    "data-action",
    "hx-get",
    "hx-post",
    "hx-delete",
    "onclick",
];

/// The beginning of a page that is too long.
fn cut(html: &str) -> &str {
    let ends = html.char_indices().map(|(at, _)| at);
    let end = ends.take_while(|at| *at <= MOST_HTML).last().unwrap_or(0);
    if html.len() > MOST_HTML { &html[..end] } else { html }
}

/// Elements that a sign-in is made of; none of them nests in itself.
const RELEVANT: [&str; 10] = [
    "form", "input", "button", "select", "option", "textarea", "base", "meta", "title", "body",
];

/// The page without all other tags, styles and comments. Linear, whatever the page is: each piece of the expression
/// ends at its end or at the end of the page.
fn relevant<'h>(html: &'h str, also: &[&str]) -> Cow<'h, str> {
    static PIECE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"(?is)<(?:(script|style)\b.*?(?:</(?:script|style)\s*>|\z)|!--.*?(?:-->|\z)|/?([a-z][a-z0-9-]*)(?:"[^"]*(?:"|\z)|'[^']*(?:'|\z)|[^'">])*(?:>|\z))"#,
        )
        .ok()
    });
    let Some(piece) = PIECE.as_ref() else {
        return Cow::Borrowed(html);
    };
    piece.replace_all(html, |found: &Captures<'_>| {
        let whole = found.get(0).map_or("", |whole| whole.as_str());
        let is_relevant = |name: &str| {
            let name = name.to_ascii_lowercase();
            RELEVANT.contains(&name.as_str()) || also.contains(&name.as_str())
        };
        match (found.get(1), found.get(2)) {
            (Some(_), _) if is_submission(whole) => format!("<script>{}</script>", submissions(whole).join(";")),
            (Some(name), _) if is_program(name.as_str(), whole) => "<script></script>".to_owned(),
            (None, Some(name)) if is_relevant(name.as_str()) => whole.to_owned(),
            _ => " ".to_owned(),
        }
    })
}

/// A script that runs, not data within a page.
fn is_program(name: &str, element: &str) -> bool {
    let tag = element.split('>').next().unwrap_or_default().to_ascii_lowercase();
    name.eq_ignore_ascii_case("script") && !tag.contains("json") && !tag.contains("template")
}

/// `<meta name="referrer">`.
fn policy(element: &ElementRef<'_>) -> Option<ReferrerPolicy> {
    let name = element.attr("name").filter(|_| is(element, "meta"))?;
    let content = element
        .attr("content")
        .filter(|_| name.eq_ignore_ascii_case("referrer"))?;
    content.trim().parse().ok()
}

fn is(element: &ElementRef<'_>, name: &str) -> bool {
    element.value().name() == name
}

/// The form around an element, or the one that it names.
fn owner<'a>(element: &ElementRef<'a>) -> Option<ElementRef<'a>> {
    element
        .ancestors()
        .filter_map(ElementRef::wrap)
        .find(|ancestor| is(ancestor, "form"))
}

fn text(element: &ElementRef<'_>) -> String {
    element.text().collect::<String>().trim().to_owned()
}

fn base(elements: &[ElementRef<'_>], url: &Url) -> Url {
    let href = elements
        .iter()
        .find(|element| is(element, "base"))
        .and_then(|element| element.attr("href"));
    href.and_then(|href| url.join(href.trim()).ok())
        .unwrap_or_else(|| url.clone())
}

fn refresh(element: &ElementRef<'_>, base: &Url) -> Option<Url> {
    let is_refresh = is(element, "meta")
        && element
            .attr("http-equiv")
            .is_some_and(|name| name.trim().eq_ignore_ascii_case("refresh"));
    let content = element.attr("content").filter(|_| is_refresh)?;
    let (pause, rest) = content.split_once([';', ','])?;
    pause
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|pause| *pause <= LONGEST_PAUSE)?;
    let rest = rest.trim();
    let (key, target) = rest.split_once('=')?;
    let target = target.trim().trim_matches(['"', '\'']);
    if !key.trim().eq_ignore_ascii_case("url") {
        return None;
    }
    base.join(target)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// What a script sends: what stands before `.submit()`, and that. With something in its parentheses it says what is to happen
/// when somebody else sends it.
static SUBMISSION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"((?:[\w$.]|\[[^\]<>]{0,80}\]|\([^()<>]{0,80}\))*)\.submit\s*\(\s*\)"#));

/// So many of a script are looked at.
const MOST_SUBMISSIONS: usize = 20;

fn is_submission(script: &str) -> bool {
    SUBMISSION.is_match(script)
}

fn submissions(script: &str) -> Vec<&str> {
    let found = SUBMISSION.find_iter(script).take(MOST_SUBMISSIONS);
    found.map(|found| found.as_str()).collect()
}

/// The forms that an element sends by script.
fn sent(element: &ElementRef<'_>) -> Vec<Sent> {
    let code = match element.value().name() {
        "body" => element.attr("onload").unwrap_or_default().to_owned(),
        "script" => text(element),
        _ => return Vec::new(),
    };
    let sent: Vec<Sent> = submissions(&code).into_iter().map(Sent::read).collect();
    // A function of its own, as likely as not.
    let calls_one = sent.is_empty() && is(element, "body") && code.contains("submit");
    if calls_one { vec![Sent::Unnamed] } else { sent }
}

impl Sent {
    fn read(submission: &str) -> Self {
        let receiver = submission.rsplit_once(".submit").map_or("", |(receiver, _)| receiver);
        let index = receiver.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
        if let Some(at) = index.and_then(|(_, at)| at.trim().parse().ok()) {
            return Self::At(at);
        }
        let mut quoted = receiver.split(['"', '\'']).skip(1);
        if let Some(name) = quoted.next().map(str::trim) {
            let name = name
                .strip_prefix("form")
                .filter(|rest| rest.is_empty() || rest.starts_with('#'))
                .unwrap_or(name);
            return match name.strip_prefix('#').unwrap_or(name) {
                "" => Self::At(0),
                name => Self::By(name.to_owned()),
            };
        }
        match receiver.rsplit('.').next().unwrap_or_default() {
            "" => Self::Unnamed,
            name => Self::By(name.to_owned()),
        }
    }
}

fn control(element: &ElementRef<'_>) -> Option<Control> {
    if element.attr("disabled").is_some() {
        return None;
    }
    let plain = |kind, value: &str| Control {
        kind,
        name: element.attr("name").unwrap_or_default().to_owned(),
        value: value.to_owned(),
        label: text(element),
        action: element.attr("formaction").map(str::to_owned),
    };
    let value = element.attr("value").unwrap_or_default();
    let kind = element.attr("type").unwrap_or_default().trim().to_ascii_lowercase();
    match (element.value().name(), kind.as_str()) {
        ("input", "hidden") => Some(plain(FieldKind::Hidden, value)),
        ("input", "password") => Some(plain(FieldKind::Password, value)),
        ("input", "submit") | ("button", "" | "submit") => Some(plain(FieldKind::Submit, value)),
        ("input", "checkbox" | "radio") => {
            element.attr("checked")?;
            Some(plain(FieldKind::Chosen, element.attr("value").unwrap_or("on")))
        }
        ("input", "button" | "reset" | "image" | "file") => None,
        ("input", "number" | "range" | "date" | "color" | "search" | "url" | "tel" | "time") => {
            Some(plain(FieldKind::Chosen, value))
        }
        ("input", _) => Some(plain(FieldKind::Typed, value)),
        ("textarea", _) => Some(plain(FieldKind::Chosen, &text(element))),
        ("select", _) => Some(plain(FieldKind::Chosen, &selected(element)?)),
        _ => None,
    }
}

fn selected(select: &ElementRef<'_>) -> Option<String> {
    let options: Vec<_> = select
        .descendent_elements()
        .filter(|element| is(element, "option"))
        .collect();
    let chosen = options
        .iter()
        .find(|option| option.attr("selected").is_some())
        .or(options.first())?;
    Some(chosen.attr("value").map_or_else(|| text(chosen), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        Page::read(html, &Url::parse("http://idp/auth/login?next=/x").unwrap())
    }

    fn login() -> Login {
        Login {
            start: String::new(),
            expect: crate::config::settings::LoginExpect {
                get: String::new(),
                expect: Default::default(),
            },
            username: "alice".to_owned(),
            password: "p&w".to_owned(),
            fields: LoginFields::default(),
            by: Default::default(),
            headers: Vec::new(),
            tls: Default::default(),
        }
    }

    fn sent(form: &Form) -> Vec<(&str, &str)> {
        form.data().collect()
    }

    #[test]
    fn the_form_with_a_password_is_found_and_filled_as_a_browser_would() {
        let page = page(
            r#"<form action="/search"><input name="q"></form>
            <form method="POST" id="f"><input type="hidden" name="csrf" value="a&amp;b">
            <input name="user" value="guess"><input type="password" name="pw"><input type="checkbox" name="keep" checked>
            <input type="checkbox" name="not"><select name="realm"><option value="1">A<option selected>B</select>
            <input name="off" disabled><button name="do" value="in">Sign in</button><button name="other">x</button></form>
            <input type="hidden" name="late" value="1" form="f">"#,
        );
        let login = login();
        let form = page.sign_in_form(&login.fields).unwrap().filled(&login);
        assert!(form.is_post);
        assert_eq!(form.action.as_str(), "http://idp/auth/login?next=/x");
        assert_eq!(
            sent(&form),
            [
                ("csrf", "a&b"),
                ("user", "alice"),
                ("pw", "p&w"),
                ("keep", "on"),
                ("realm", "B"),
                ("do", "in"),
                ("late", "1")
            ]
        );
    }

    #[test]
    fn the_base_and_entities_lead_the_action() {
        let page =
            page(r#"<base href="/realm/"><form action="do?a=1&amp;b=2"><input type="password" name="p"></form>"#);
        let form = page.sign_in_form(&LoginFields::default()).unwrap();
        assert_eq!(form.action.as_str(), "http://idp/realm/do?a=1&b=2");
        assert!(!form.is_post);
    }

    #[test]
    fn named_fields_override_the_guess() {
        let fields = LoginFields {
            user: Some("u2".to_owned()),
            password: Some("pin".to_owned()),
        };
        let login = Login { fields, ..login() };
        let page = page(r#"<form><input name="u1"><input name="u2"><input name="pin"></form>"#);
        let form = page.sign_in_form(&login.fields).unwrap().filled(&login);
        assert_eq!(sent(&form), [("u1", ""), ("u2", "alice"), ("pin", "p&w")]);
    }

    #[test]
    fn a_form_that_submits_itself_is_passed_on() {
        let html = r#"<body onload="document.forms[0].submit()"><form method="post" action="https://web/cb">
            <input type="hidden" name="code" value="c"></form>"#;
        let form = page(html).passing_form().unwrap();
        assert_eq!(
            (form.action.as_str(), sent(&form)),
            ("https://web/cb", vec![("code", "c")])
        );
        assert!(
            page("<form method=post><input type=hidden name=a></form>")
                .passing_form()
                .is_none()
        );
    }

    #[test]
    fn a_script_sends_the_form_that_it_names_and_none_beside_it() {
        let forms = r#"<form method=post action=/cart id=cart><input type=hidden name=item value=1></form>
            <form method=post action=/cb name=back><input type=hidden name=code value=c></form>"#;
        for (sends, to) in [
            ("document.forms[1].submit()", Some("/cb")),
            ("document.forms['back'].submit();", Some("/cb")),
            ("document.back.submit ( )", Some("/cb")),
            ("document.getElementById(\"cart\").submit()", Some("/cart")),
            ("$('form#cart').submit()", Some("/cart")),
            ("document.querySelector('form').submit()", Some("/cart")),
            ("f.submit()", None),
            ("$('#cart').submit(function () { check() })", None),
            ("document.forms[7].submit()", None),
        ] {
            let sent = page(&format!("{forms}<script>{sends}</script>")).passing_form();
            assert_eq!(sent.as_ref().map(|form| form.action.path()), to, "{sends}");
        }
        let only = page(
            "<form method=post action=/cb><input type=hidden name=c></form><script>var f = x; f.submit()</script>",
        );
        assert!(only.passing_form().is_some());
    }

    #[test]
    fn a_form_that_signs_out_is_never_passed_on() {
        for form in [
            "<form method=post action=/logout><input type=hidden name=csrf value=t></form>",
            "<form method=post action=/session id=logout-form><input type=hidden name=_method value=delete></form>",
            "<form method=post action=/session><input type=hidden name=t><button name=yes>Sign out everywhere</button></form>",
            "<form method=post action=/session><input type=hidden name=do value=logout><button>Yes</button></form>",
        ] {
            let sends = "<script>document.querySelector('a').onclick = () => document.forms[0].submit()</script>";
            assert!(page(&format!("{form}{sends}")).passing_form().is_none(), "{form}");
        }
    }

    #[test]
    fn consent_is_given_by_the_button_that_says_so() {
        let form = page(
            r#"<form method="post"><input type="hidden" name="scope" value="read"><input type="submit" value="Cancel">
            <input type="submit" name="allow" value="Authorize"></form>"#,
        )
        .passing_form()
        .unwrap();
        assert_eq!(sent(&form), [("scope", "read"), ("allow", "Authorize")]);
        assert!(
            page("<form method=post><input type=hidden name=t><button>Log out</button></form>")
                .passing_form()
                .is_none()
        );
    }

    #[test]
    fn a_refresh_is_read_with_its_quotes() {
        let found = page(r#"<meta http-equiv="Refresh" content="0; URL='/next?a=1'">"#)
            .refresh
            .unwrap();
        assert_eq!(found.as_str(), "http://idp/next?a=1");
        assert!(
            page(r#"<meta http-equiv="refresh" content="30; url=/later">"#)
                .refresh
                .is_none()
        );
    }

    #[test]
    fn a_hostile_page_is_bounded() {
        for part in [
            "<div>",
            "<form>",
            "<b x",
            "<script>",
            "<a '",
            "<!--",
            "<button>",
            "<select>",
            "<option>",
            "<form></form>",
        ] {
            assert!(
                page(&part.repeat(MOST_HTML / 4 / part.len()))
                    .sign_in_form(&LoginFields::default())
                    .is_none(),
                "{part}"
            );
        }
    }

    #[test]
    fn links_of_a_hostile_page_are_bounded() {
        for part in [
            "<a>",
            "<a href=x>",
            "<a href=x><button>",
            "<a href=x><form>",
            "<form><a>",
            "<a '",
        ] {
            let html = part.repeat(MOST_HTML / 4 / part.len());
            let links = links(&html, &Url::parse("http://web/").unwrap());
            assert!(links.len() <= MOST_LINKS, "{part}");
        }
    }

    #[test]
    fn what_a_script_makes_of_a_link_is_no_link() {
        let html =
            "<a href=/a data-turbo-method=delete>a</a><a href='#'>b</a><a href=/c hx-post=/c>c</a><a href=/d>d</a>";
        let links = links(html, &Url::parse("http://web/").unwrap());
        let paths: Vec<&str> = links.iter().map(|link| link.url.path()).collect();
        assert_eq!(paths, ["/d"]);
    }

    #[test]
    fn what_scripts_and_comments_say_is_no_form() {
        let page = page(
            r#"<script>if (a<b) { x = '<form><input type="password">' }</script><!-- <input type=password> -->
            <table><form method=post action=/in><tr><td><input name=u><input type=password name=p></td></tr></form></table>"#,
        );
        let form = page.sign_in_form(&LoginFields::default()).unwrap();
        assert_eq!((form.action.path(), sent(form).len()), ("/in", 2));
    }

    fn known(address: &str, html: &str) -> KnownForm {
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
        let sign_in = known("http://web/login", named);
        for (address, same) in [
            (
                "http://web/account",
                "<form method=post action=/login?flow=2><input type=password name=p></form>",
            ),
            ("http://web/account", own),
            ("http://web/login", own),
        ] {
            assert!(known(address, same).is(&sign_in), "{same}");
        }
        for other in [
            "<form method=post><input type=password name=old><input type=password name=new></form>",
            "<form method=post><input type=password name=p></form>",
            "<form method=post action=/users><input name=user><input type=password name=p></form>",
        ] {
            assert!(!known("http://web/account", other).is(&sign_in), "{other}");
        }
        // One that confirms a password stands where people sign in, too.
        let at_account = known("http://web/account", own);
        let confirms = known(
            "http://web/account",
            "<form method=post><input type=password name=p></form>",
        );
        assert!(!confirms.is(&at_account));
    }

    #[test]
    fn a_form_that_asks_for_a_name_first_is_no_search_at_the_same_address() {
        let at_front = |html: &str| {
            let answer = HttpAnswer {
                body: BASE64_STANDARD.encode(html),
                ..HttpAnswer::default()
            };
            shown(&Url::parse("http://web/").unwrap(), &answer).remove(0)
        };
        let name_first = "<form method=post><input name=mail></form>";
        assert!(at_front(name_first).is(&at_front(name_first)));
        for other in [
            "<form><input name=q></form>",
            "<form method=post><button>Delete</button></form>",
        ] {
            assert!(!at_front(other).is(&at_front(name_first)), "{other}");
        }
    }
}
