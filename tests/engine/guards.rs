//! Who is refused, on a real engine with the real binary: what `fixtures/guards` promises.

use crate::driver::{self, Rehearsed};

/// Blocked with this check first, and the first line says so.
fn is_blocked(world: &str, says: &str, way: &str) -> Rehearsed {
    let run = Rehearsed::world("guards", world);
    let result = run.result();
    assert_eq!(run.ended.code, Some(1), "{}\n{}", result["cause"], result["findings"]);
    let cause = result["cause"].as_str().expect("a line");
    assert!(cause.starts_with(&format!("auth-refusals: {says}")), "{cause}");
    let evidence = result["findings"][0]["evidence"].to_string();
    assert!(evidence.contains(way), "{evidence}");
    assert_eq!(driver::left_behind(&run.id()), Vec::<String>::new());
    run
}

#[test]
fn a_release_that_verifies_no_signature_is_blocked() {
    is_blocked(
        "no-signature",
        "smoke / its account is given for a token with altered claims",
        "idtoken-sig-none",
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_release_that_lets_everybody_in_is_blocked() {
    is_blocked("open", "smoke / its account is given to strangers", "no-credentials");
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_release_that_takes_the_public_key_for_a_secret_is_blocked() {
    is_blocked(
        "its-word",
        "smoke / its account is given for a token signed by HS256 with the public key",
        "hs256-pem",
    );
}

#[test]
fn a_release_that_takes_revoked_tokens_is_blocked() {
    is_blocked(
        "ignores-revocation",
        "the page behind the sign-in is given for a revoked token",
        "revoked: the baseline answers 401, the candidate 200",
    );
}

#[test]
fn a_release_that_reads_claims_by_itself_is_blocked_for_a_wrong_token_and_for_a_good_one() {
    let run = is_blocked(
        "own-reading",
        "smoke / its account is given for an expired token",
        "expired: the baseline answers 401, the candidate 200",
    );
    let findings = run.result()["findings"].to_string();
    assert!(
        findings.contains("for a good token whose `iss` ends in a slash"),
        "{findings}"
    );
}

#[test]
fn its_clean_twin_takes_good_tokens_of_a_second_key_and_refuses_wrong_ones() {
    let run = Rehearsed::world("guards", "reading-twin");
    let result = run.result();
    assert_eq!(run.ended.code, Some(0), "{}\n{}", result["cause"], result["findings"]);
    assert_eq!(
        result["findings"].as_array().map(Vec::len),
        Some(0),
        "{}",
        result["findings"]
    );
    let of = |check: &str| run.read(&format!("evidence/{check}-upgrade-candidate.json"));
    let (refused, taken) = (of("auth-refusals"), of("auth-tokens"));
    assert!(refused.contains("expired") && !refused.contains("given"), "{refused}");
    assert!(taken.contains("kid-present") && taken.contains("given"), "{taken}");
}

#[test]
fn their_clean_twin_passes_without_a_warning() {
    let run = Rehearsed::world("guards", "twin");
    let result = run.result();
    assert_eq!(run.ended.code, Some(0), "{}\n{}", result["cause"], result["findings"]);
    assert_eq!(
        result["findings"].as_array().map(Vec::len),
        Some(0),
        "{}",
        result["findings"]
    );
    let of_control = run.read("evidence/auth-refusals-control-baseline.json");
    for way in [
        "no-credentials",
        "invalid-sig-rs256",
        "hs256-der",
        "hs256-pem-without-line-feed",
    ] {
        assert!(of_control.contains(way), "{way} in {of_control}");
    }
    assert!(!of_control.contains("given"), "{of_control}");
}
