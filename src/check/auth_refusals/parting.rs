//! Signing out takes back what signing in gave: whoever has left comes in no more, neither in the same window nor by cookies
//! that somebody has kept. A session is taken back by its user as a token is by its issuer.

use std::time::Duration;

use serde_json::Value;
use strum::VariantArray as _;

use super::answers::Refusals;
use super::parted::{By, Parted};
use super::trial::Trial;
use crate::check::discovery::{discovery, issuer};
use crate::check::{At, Case};
use crate::config::settings::{Login, SignInBy};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::suite::leaving::{After, Exit, Gone, Parting, Patience};

/// The candidate has so long to end a session that production ends.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
/// An issuer that tells its clients by a call of its own (OpenID Connect Back-Channel Logout) has so long for it.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

impl By {
    /// By what, and how long production is given to end the session; or why there is none.
    async fn exit(self, at: &At<'_>) -> Result<Result<(Exit, Duration), String>, Lost> {
        if self == Self::SignOut {
            return Ok(Ok((Exit::Shown, Duration::ZERO)));
        }
        let document = match issuer(at, None) {
            Some(issuer) => discovery(at, &issuer).await?,
            None => None,
        };
        let Some(document) = document else {
            return Ok(Err("no discovery says where (`auth.issuer`)".to_owned()));
        };
        let tells = document.get("backchannel_logout_supported").and_then(Value::as_bool) == Some(true);
        let patience = if tells { TOLD_WITHIN } else { Duration::ZERO };
        let address = document.get("end_session_endpoint").and_then(Value::as_str);
        let exit = address.map(|address| (Exit::Issuers(address.to_owned()), patience));
        Ok(exit.ok_or_else(|| "discovery names no `end_session_endpoint`".to_owned()))
    }
}

impl Refusals {
    fn gone(&self, by: By) -> Option<&Gone> {
        match self.parting(by)? {
            Parting::Left(gone) => Some(gone),
            Parting::NoWay(_) => None,
        }
    }

    fn parting(&self, by: By) -> Option<&Parting> {
        let own = self.parted.iter().find(|parted| parted.by == by);
        own.map(|parted| &parted.parting)
    }
}

impl Trial<'_> {
    /// Somebody signs in and out again, by each way, where something of it is to be told.
    pub(super) async fn sign_outs(&mut self) -> Result<(), Lost> {
        let at = self.at;
        let login = at.case.settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
        let Some(login) = login.filter(|_| at.case.stage != StageId::Rollback) else {
            return Ok(());
        };
        if !leaves_a_session(login) {
            let why = "no sign-in leaves a session that could be signed out (`auth.login.as`)";
            self.leave_once(format!("sign-out is skipped: {why}"));
            return Ok(());
        }
        for by in By::VARIANTS {
            self.sign_out(*by).await?;
        }
        Ok(())
    }

    async fn sign_out(&mut self, by: By) -> Result<(), Lost> {
        let then = self.before.map(|before| before.gone(by));
        if then.is_some_and(|then| !then.is_some_and(Gone::ended)) {
            return Ok(());
        }
        let (exit, patience) = match by.exit(self.at).await? {
            Ok(exit) => exit,
            Err(why) => {
                self.no_way(by, why);
                return Ok(());
            }
        };
        let patience = then.flatten().map_or(Patience::of_both(patience), patience_after);
        let Some(signed_out) = self.at.driver.sign_out(&exit, patience).await else {
            return Ok(());
        };
        match signed_out.came_to {
            Outcome::Held(Parting::NoWay(why)) => self.no_way(by, why),
            Outcome::Held(Parting::Left(gone)) => {
                self.calls += 1;
                self.taken_back += 1;
                self.seen
                    .untold
                    .extend(then.flatten().and_then(|then| untold(then, &gone)));
                let parting = Parting::Left(gone);
                self.seen.parted.push(Parted { by, parting });
            }
            Outcome::Lost(lost) => return Err(lost),
            Outcome::Broke(trouble) if then.is_none() => {
                self.leave_once(format!("{by} is skipped: {}", trouble.message));
            }
            Outcome::Broke(trouble) => {
                let why = format!("nobody could sign in to try {by}: {}", trouble.message);
                self.seen.untold.push(why);
            }
        }
        Ok(())
    }

    fn no_way(&mut self, by: By, why: String) {
        self.leave_once(format!("{by} is skipped: {why}"));
        let parting = Parting::NoWay(why);
        self.seen.parted.push(Parted { by, parting });
    }
}

/// What production leaves alone nobody waits for.
fn patience_after(then: &Gone) -> Patience {
    let of = |after: After| match after {
        After::Ended(_) => ENDED_WITHIN,
        _ => Duration::ZERO,
    };
    Patience {
        window: of(then.window),
        copy: of(then.copy),
    }
}

/// Cookies do; what each request says itself nobody takes back.
fn leaves_a_session(login: &Login) -> bool {
    match login.by {
        SignInBy::Form => true,
        SignInBy::Basic | SignInBy::Header | SignInBy::Bearer(_) | SignInBy::Ldap(_) | SignInBy::Radius(_) => false,
    }
}

/// Why nobody can tell whether a session has ended that production's way out ends.
fn untold(then: &Gone, now: &Gone) -> Option<String> {
    let both = [(then.window, now.window), (then.copy, now.copy)];
    let mut silent = both
        .iter()
        .filter(|pair| matches!(pair, (After::Ended(_), After::Silent)));
    silent.next()?;
    Some(format!("after {} the page gave no answer that tells", now.by))
}

/// Whom production sends away once they have left, and the candidate does not.
pub(super) fn findings(case: &Case<'_>, before: &Refusals, after: &Refusals) -> Vec<Finding> {
    let of = |by: &By| {
        let then = before.gone(*by).filter(|then| then.ended())?;
        match after.parting(*by)? {
            Parting::NoWay(why) => Some(no_way(case, *by, then, why)),
            Parting::Left(now) => stays(case, *by, then, now),
        }
    };
    By::VARIANTS.iter().filter_map(of).collect()
}

fn stays(case: &Case<'_>, by: By, then: &Gone, now: &Gone) -> Option<Finding> {
    let (baseline, way) = (case.pair.baseline(), &now.by);
    let found = |way: &str, title: String| {
        let lines = [("the baseline", then), ("the candidate", now)];
        Finding::new(CheckId::AuthRefusals, case.stage, Blame::Candidate, title)
            .about(case.pair.first_service())
            .detail(format!("{by}{way}"))
            .seen(lines.iter().map(|(who, gone)| words(who, gone)).collect())
            .help(format!("do not deploy: {baseline} ends the session on the same mirror"))
    };
    if let (After::Ended(_), After::Given(status)) = (then.window, now.window) {
        let title =
            format!("whoever signs out by {way} is still signed in (HTTP {status}); {baseline} ends the session");
        return Some(found("", title));
    }
    if let (After::Ended(_), After::Given(status)) = (then.copy, now.copy) {
        let title = format!(
            "after {way} the session's cookie is still taken (HTTP {status}), whoever has kept it; {baseline} refuses it"
        );
        return Some(found("/kept-cookie", title));
    }
    let broken = now.broken().filter(|_| then.broken().is_none());
    broken.map(|status| {
        let title = format!("whoever signs out by {way} gets HTTP {status}; from {baseline} no such error comes");
        found("/breaks", title)
    })
}

/// It may have moved to where no browser without scripts sees it, so it is no proof.
fn no_way(case: &Case<'_>, by: By, then: &Gone, why: &str) -> Finding {
    let baseline = case.pair.baseline();
    let title = format!(
        "nobody sees how to sign out: {why}; {baseline} ends the session by {}",
        then.by
    );
    Finding {
        severity: Severity::Warn,
        ..Finding::new(CheckId::AuthRefusals, case.stage, Blame::Nobody, title)
    }
    .about(case.pair.first_service())
    .detail(format!("{by}/no-way"))
    .help("show a link or a form by which users sign out where they did before")
}

fn words(who: &str, gone: &Gone) -> String {
    let got = |after: After| match after {
        After::Given(status) => format!("{status}, as for the user"),
        After::Ended(status) | After::Broken(status) => status.to_string(),
        After::Silent => "no answer that tells".to_owned(),
    };
    let (window, copy) = (got(gone.window), got(gone.copy));
    format!(
        "{who}, after {}: the page answers {window}; with the cookies of before, {copy}",
        gone.by
    )
}
