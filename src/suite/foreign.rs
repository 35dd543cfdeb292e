//! What foreign programs leave, read as suites and sign-ins read it, but without a mirror: for those who try to break the
//! readers (`tests/fuzz`).

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::page::Page;
use super::{container, hurl};
use crate::config::settings::{Login, LoginFields};
use crate::mirror::run_container::ContainerOutcome;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::record::test::TestRecord;

/// The tests of a JUnit file.
pub fn junit(bytes: &[u8]) -> Vec<TestRecord> {
    container::by_file(&record(), "report.xml", bytes)
}

/// The tests of a Hurl file that holds `text`, from Hurl's JSON report and from what it said.
pub fn hurl(text: &str, report: &[u8], said: &str) -> Vec<TestRecord> {
    let outcome = ContainerOutcome {
        exit: Some(1),
        output: said.as_bytes().to_vec(),
        files: vec![("report.json".to_owned(), report.to_vec())],
        duration: Duration::ZERO,
    };
    let file = hurl::HurlFile {
        name: "a.hurl",
        path: Path::new("a.hurl"),
        text,
        record: record(),
    };
    hurl::told(&file, &outcome)
}

/// What a browser would send from each form that a sign-in could meet on a page, and where to; then where the page
/// refreshes to, and what it says.
pub fn page(html: &str, url: &Url, login: &Login) -> (Vec<SentForm>, Option<Url>, String) {
    let page = Page::read(html, url);
    let fields = LoginFields::default();
    let forms = [page.sign_in_form(&fields), page.user_form(&fields)];
    let filled = forms.into_iter().flatten().map(|form| form.filled(login));
    let sent = filled.chain(page.passing_form()).map(|form| {
        let data = form.data().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let data = data.collect();
        (form.action, data)
    });
    (sent.collect(), page.refresh.clone(), page.says())
}

/// Where a form goes, and its names and values.
pub type SentForm = (Url, Vec<(String, String)>);

fn record() -> TestRecord {
    TestRecord::passed(Subject::Suite("smoke".to_owned()), "smoke", StageId::Control)
}
