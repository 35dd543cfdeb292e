//! The attempts: each request in each way, and the token that is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use strum::VariantArray as _;
use tokio::time::Instant;

use super::answers::{Answered, Refusals, Tried};
use super::issuer::{self, Revoked, TakenBack};
use super::requests::is_turn_of;
use crate::agent::exchange::HttpCall;
use crate::check::At;
use crate::check::forged::{Forgery, Jwt, PublicKey};
use crate::check::ground::Copy;
use crate::check::resigned::{self, Signers};
use crate::mirror::names::issuer::Signer;
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::suite::guarded::Guarded;
use crate::suite::login::Session;
use crate::text::units::millis;

/// A revoked token is watched for so long, so often; on the candidate for as long as the baseline took it, and …
const REVOKED_WITHIN: Duration = Duration::from_secs(10);
const REVOKED_EVERY: Duration = Duration::from_millis(250);
/// … so much longer.
const REVOKED_LATER: Duration = Duration::from_secs(5);

/// A look on its way.
pub(super) struct Trial<'a> {
    pub(super) at: &'a At<'a>,
    pub(super) before: Option<&'a Refusals>,
    /// Keys of issuers, by the token that they have signed; why there is none.
    keys: BTreeMap<String, Result<PublicKey, String>>,
    signers: Signers,
    /// What came of a good token by that key, by request.
    controls: BTreeMap<String, Answered>,
    pub(super) calls: usize,
    /// How often something was taken back that a sign-in gave.
    pub(super) taken_back: usize,
    pub(super) seen: Refusals,
}

impl<'a> Trial<'a> {
    pub(super) fn of(at: &'a At<'a>, before: Option<&'a Refusals>, is_empty: bool) -> Self {
        let none = "no request of a suite, and no sign-in, carries credentials";
        let nothing = (is_empty && at.case.stage != StageId::Rollback).then(|| none.to_owned());
        Self {
            at,
            before,
            keys: BTreeMap::new(),
            signers: Signers::default(),
            controls: BTreeMap::new(),
            calls: 0,
            taken_back: 0,
            seen: Refusals {
                nothing,
                ..Refusals::default()
            },
        }
    }

    /// What writes is left alone as soon as it was given once.
    pub(super) async fn all_ways(&mut self, asked: &Guarded) -> Result<(), Lost> {
        for way in Forgery::VARIANTS {
            let answered = self.one_way(asked, *way).await?;
            if asked.writes() && matches!(answered, Some(Answered::Given(_))) {
                return Ok(());
            }
        }
        self.still_good(asked).await
    }

    /// Whether the token itself is still taken when all its forgeries were refused; what writes is not asked again.
    async fn still_good(&mut self, asked: &Guarded) -> Result<(), Lost> {
        let is_forged = |tried: &Tried| tried.request == asked.name && tried.forgery != Forgery::NoCredentials;
        let token = asked.token().filter(|_| !asked.writes());
        let Some(token) = token.filter(|_| self.seen.tried.iter().any(is_forged)) else {
            return Ok(());
        };
        let own = self.ask(asked, asked.with_token(token, "refusals once more")).await?;
        if matches!(own, Answered::Given(_)) {
            return Ok(());
        }
        let forged = self.seen.tried.iter_mut().filter(|tried| is_forged(tried));
        let refused = forged.filter(|tried| tried.answered.keeps_back());
        refused.for_each(|tried| tried.answered = Answered::Over);
        // Of production's own nobody knows more: then the candidate is not asked.
        if self.before.is_none() {
            self.leave(format!(
                "forged tokens of {} are skipped: the token itself was over by then",
                asked.name
            ));
        }
        Ok(())
    }

    /// A token that its issuer has taken back, until it is refused.
    pub(super) async fn revoked(&mut self) -> Result<(), Lost> {
        let at = self.at;
        let limit = match self.before {
            _ if at.case.stage == StageId::Rollback => return Ok(()),
            None => REVOKED_WITHIN,
            Some(before) => match before.revoked_after_ms {
                Some(after) => Duration::from_millis(after) + REVOKED_LATER,
                None => return Ok(()),
            },
        };
        match issuer::take_back(at).await? {
            Revoked::Nobodys => return Ok(()),
            Revoked::Skipped(why) if self.before.is_some() => {
                self.seen.untold.push(format!("no token could be revoked: {why}"));
                return Ok(());
            }
            Revoked::Skipped(why) => {
                self.leave(format!("revoked is skipped: {why}"));
                return Ok(());
            }
            Revoked::Failed(why) => self.failed(why),
            Revoked::Done(taken_back) => self.watch(&taken_back, limit).await?,
        }
        self.taken_back += 1;
        self.lets_in_anew().await
    }

    async fn watch(&mut self, taken_back: &TakenBack, limit: Duration) -> Result<(), Lost> {
        let (begun, page) = (Instant::now(), taken_back.page());
        loop {
            self.calls += 1;
            let answered = self.ask(page, taken_back.call()).await?;
            let is_over = begun.elapsed() + REVOKED_EVERY > limit;
            if matches!(answered, Answered::Given(_)) && !is_over {
                tokio::time::sleep(REVOKED_EVERY).await;
                continue;
            }
            if self.before.is_none() && !matches!(answered, Answered::Refused(_) | Answered::Closed) {
                let seconds = limit.as_secs();
                self.leave(format!(
                    "revoked is skipped: production takes a revoked token for {seconds} s and more"
                ));
                return Ok(());
            }
            self.seen.revoked_after_ms = Some(millis(begun.elapsed()));
            self.note(page, Forgery::Revoked, answered);
            return Ok(());
        }
    }

    /// What is asked later needs a user who can sign in.
    async fn lets_in_anew(&mut self) -> Result<(), Lost> {
        if self
            .at
            .case
            .settings
            .auth
            .as_ref()
            .is_none_or(|auth| auth.revoke.is_none())
        {
            return Ok(());
        }
        let Some(outcome) = self.at.driver.sign_in().await else {
            return Ok(());
        };
        match outcome.came_to {
            Outcome::Held(()) => {}
            Outcome::Broke(trouble) => self.failed(format!(
                "after auth.revoke nobody signs in any more: {}",
                trouble.message
            )),
            Outcome::Lost(lost) => return Err(lost),
        }
        Ok(())
    }

    /// Nothing can be told of what was to be taken back: of production that is the configuration's doing.
    fn failed(&mut self, why: String) {
        match self.before {
            None => self.seen.doubt = Some(why),
            Some(_) => self.seen.untold.push(why),
        }
    }

    /// A sign-in that is kept for later looks holds when this returns, whatever else has ended with what was taken back.
    pub(super) async fn keep_signed_in(&self) -> Result<(), Lost> {
        if self.taken_back == 0 || self.at.facts.on == Copy::Untouched {
            return Ok(());
        }
        let (nobody, sessions) = (Session::default(), &self.at.facts.sessions);
        let kept = sessions.get(&self.at.case.stage).unwrap_or(&nobody);
        self.at.driver.keep_signed_in(kept).await
    }

    async fn ask(&self, asked: &Guarded, call: HttpCall) -> Result<Answered, Lost> {
        match self.once(asked, call.clone()).await? {
            // What writes is not sent twice.
            first @ (Answered::Closed | Answered::Silence) if !asked.writes() => {
                match (first, self.once(asked, call).await?) {
                    (Answered::Silence, Answered::Closed) => Ok(Answered::Silence),
                    (_, second) => Ok(second),
                }
            }
            answered => Ok(answered),
        }
    }

    async fn once(&self, asked: &Guarded, call: HttpCall) -> Result<Answered, Lost> {
        let (begun, limit) = (Instant::now(), Duration::from_millis(call.timeout_ms));
        let Some(answer) = self.at.ground.http(call).await? else {
            let is_cut = begun.elapsed() < limit;
            return Ok(if is_cut { Answered::Closed } else { Answered::Silence });
        };
        match Answered::of(asked, &answer) {
            Answered::Unclear => {
                let own = self.at.ground.http(asked.by("refusals as the user")).await?;
                Ok(own.map_or(Answered::Unclear, |own| Answered::beside(asked, &answer, &own)))
            }
            answered => Ok(answered),
        }
    }

    /// What production refused, whose turn it is, and this release gave without credentials or not at all.
    pub(super) fn missing(&self, asked: &[Guarded]) -> BTreeSet<String> {
        let turn = |tried: &Tried| is_turn_of(self.at, tried.writes);
        let refused = self.before.map(|before| before.refused(turn)).unwrap_or_default();
        let is_asked = |request: &String| {
            let mut names = asked.iter().map(|one| &one.name);
            let mut tried = self.seen.tried.iter().map(|tried| &tried.request);
            names.any(|name| name == request) || tried.any(|name| name == request)
        };
        refused.into_iter().filter(|request| !is_asked(request)).collect()
    }

    fn note(&mut self, asked: &Guarded, forgery: Forgery, answered: Answered) {
        let then = self.before.map(|before| before.answered(&asked.name, forgery));
        let answered = match answered {
            // A release that is away closes them, too: it is an answer only where production's is the same.
            Answered::Closed if !matches!(then, None | Some(Some(Answered::Closed))) => Answered::Silence,
            answered => answered,
        };
        self.seen.tried.push(Tried {
            request: asked.name.clone(),
            writes: asked.writes(),
            forgery,
            answered,
        });
    }

    async fn one_way(&mut self, asked: &Guarded, way: Forgery) -> Result<Option<Answered>, Lost> {
        match self.before.map(|before| before.answered(&asked.name, way)) {
            None => {}
            Some(Some(then)) if then.keeps_back() => {}
            // What nobody could tell of production cannot be told of this release either.
            Some(Some(untold @ (Answered::Limited | Answered::Unclear | Answered::Silence))) => {
                self.note(asked, way, untold);
                return Ok(None);
            }
            Some(_) => return Ok(None),
        }
        if way.is_issuers() && !self.is_heard(asked, way).await? {
            return Ok(None);
        }
        let jar = format!("refusals {} {} {}", self.at.case.stage, self.at.role, self.calls);
        let Some(call) = self.call(asked, way, &jar).await? else {
            return Ok(None);
        };
        self.calls += 1;
        let answered = self.ask(asked, call).await?;
        let answered = match (answered, self.controls.get(&asked.name)) {
            (Answered::Refused(_) | Answered::Closed, Some(control)) if way.is_issuers() && !control.is_given() => {
                Answered::Deaf
            }
            (other, _) => other,
        };
        self.note(asked, way, answered);
        Ok(Some(answered))
    }

    /// Whether what our key signs says anything of production: a token with nothing wrong is taken. The candidate is asked
    /// anyway: what it gives, it gives.
    async fn is_heard(&mut self, asked: &Guarded, way: Forgery) -> Result<bool, Lost> {
        match self.control(asked).await? {
            // What production refused must not go unasked in silence.
            None if self.before.is_some() => self.note(asked, way, Answered::Deaf),
            None => {}
            Some(control) if control.is_given() || self.before.is_some() => return Ok(true),
            Some(control) if control.tells_nothing() => self.note(asked, way, control),
            Some(_) => {
                let words = "production refuses a good token by our key, or the token is over, at";
                self.leave_to_the_issuer(&format!("{words} {}", asked.name))
            }
        }
        Ok(false)
    }

    /// What comes of a good token by our key, once for each request; what writes is not asked.
    async fn control(&mut self, asked: &Guarded) -> Result<Option<Answered>, Lost> {
        let Some(token) = asked.token().filter(|_| !asked.writes()) else {
            return Ok(None);
        };
        let Some(jwt) = Jwt::read(token) else {
            self.leave_to_the_issuer(&format!("the token of {} is no JSON web token", asked.name));
            return Ok(None);
        };
        if let Some(known) = self.controls.get(&asked.name) {
            return Ok(Some(*known));
        }
        let Some(good) = self.signed(token, &jwt, resigned::unchanged).await? else {
            return Ok(None);
        };
        self.calls += 1;
        let answered = self.ask(asked, asked.with_token(&good, "refusals by our key")).await?;
        self.controls.insert(asked.name.clone(), answered);
        Ok(Some(answered))
    }

    /// A token by our key; none where we have none, or cannot make it.
    async fn signed(
        &mut self,
        token: &str,
        jwt: &Jwt<'_>,
        make: impl FnOnce(&Jwt<'_>, &Signer) -> Option<String>,
    ) -> Result<Option<String>, Lost> {
        let signer = self.signers.of(self.at, token, jwt).await?;
        if let Err(why) = &signer {
            self.leave_to_the_issuer(why);
        }
        let made = signer.ok().and_then(|signer| make(jwt, &signer));
        made.iter().for_each(|token| self.at.driver.hide(token));
        Ok(made)
    }

    /// The request in that way; none where it has none.
    async fn call(&mut self, asked: &Guarded, way: Forgery, jar: &str) -> Result<Option<HttpCall>, Lost> {
        if way == Forgery::NoCredentials {
            return Ok(Some(asked.without_credentials(jar)));
        }
        let Some((token, jwt)) = asked.token().and_then(|token| Some((token, Jwt::read(token)?))) else {
            return Ok(None);
        };
        if way.is_issuers() {
            let made = self
                .signed(token, &jwt, |jwt, signer| resigned::wrong(jwt, way, signer))
                .await?;
            return Ok(made.map(|token| asked.with_token(&token, jar)));
        }
        if !self.keys.contains_key(token) {
            let key = issuer::key_of(self.at, &jwt).await?;
            self.tell_what_is_left(&key);
            self.keys.insert(token.to_owned(), key);
        }
        let key = self.keys.get(token).and_then(|key| key.as_ref().ok());
        let forged = jwt.forged(way, key);
        // One letter away from the user's own, or as good as it.
        forged.iter().for_each(|token| self.at.driver.hide(token));
        Ok(forged.map(|token| asked.with_token(&token, jar)))
    }

    fn tell_what_is_left(&mut self, key: &Result<PublicKey, String>) {
        // Once is enough.
        if self.at.case.stage != StageId::Control {
            return;
        }
        if let Err(why) = key {
            self.leave(format!("HS256 with the issuer's key is skipped: {why}"));
        }
    }

    /// Once is enough: what is not tried of production is not tried of the candidate.
    fn leave_to_the_issuer(&mut self, why: &str) {
        if self.before.is_none() {
            self.leave(format!(
                "expired, not yet valid, invalid-iss and invalid-aud are skipped: {why}"
            ));
        }
    }

    /// Once is enough here, too.
    pub(super) fn leave_once(&mut self, what: String) {
        if self.before.is_none() {
            self.leave(what);
        }
    }

    fn leave(&mut self, what: String) {
        if !self.seen.left.contains(&what) {
            self.seen.left.push(what);
        }
    }
}
