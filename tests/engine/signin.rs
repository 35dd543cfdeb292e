//! The sign-in as a browser does it, on a real engine with the real binary: what `fixtures/signin` promises.

use crate::driver::{self, Rehearsed};

#[test]
fn a_lax_cookie_that_another_sites_form_would_need_is_blocked_with_its_name() {
    let run = Rehearsed::world("signin", "lax");
    let result = run.result();
    assert_eq!(run.ended.code, Some(1), "{}\n{}", result["cause"], result["findings"]);
    let cause = result["cause"].as_str().expect("a line");
    let wanted = "auth-login: nobody can sign in: no browser sends the cookie `__Host-desk` (SameSite=Lax)";
    assert!(cause.starts_with(wanted), "{cause}");
    let title = result["findings"][0]["title"].as_str().expect("a line");
    assert!(title.contains("with POST https://desk.example.com/callback"), "{title}");
    assert_eq!(driver::left_behind(&run.id()), Vec::<String>::new());
}

#[test]
fn a_session_that_outlives_a_sign_out_is_blocked() {
    let run = Rehearsed::world("signin", "keeps-sessions");
    let result = run.result();
    assert_eq!(run.ended.code, Some(1), "{}\n{}", result["cause"], result["findings"]);
    let cause = result["cause"].as_str().expect("a line");
    let wanted =
        "auth-refusals: after POST https://desk.example.com/logout the session's cookie is still taken (HTTP 200)";
    assert!(cause.starts_with(wanted), "{cause}");
    assert_eq!(
        result["findings"].as_array().map(Vec::len),
        Some(1),
        "{}",
        result["findings"]
    );
    let evidence = result["findings"][0]["evidence"].to_string();
    let says = "the page answers 302; with the cookies of before, 302";
    assert!(evidence.contains(says), "{evidence}");
}

#[test]
fn its_clean_twin_passes_and_only_production_is_told_of_its_two_minutes() {
    let run = Rehearsed::world("signin", "twin");
    let result = run.result();
    assert_eq!(run.ended.code, Some(0), "{}\n{}", result["cause"], result["findings"]);
    assert_eq!(
        result["findings"].as_array().map(Vec::len),
        Some(0),
        "{}",
        result["findings"]
    );
    let notes = result["notes"].to_string();
    assert!(
        notes.contains("auth-login in control: the cookie `__Host-desk` says no SameSite"),
        "{notes}"
    );
    assert!(!notes.contains("auth-login in upgrade"), "{notes}");
    assert!(!notes.contains("sign-out is skipped"), "{notes}");
}
