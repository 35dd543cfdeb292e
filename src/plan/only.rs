//! What `--only` left: nothing said means everything.

use std::fmt;

use crate::config::settings::Settings;
use crate::record::check::CheckId;
use crate::record::stage::StageId;
use crate::yaml::diagnostic::Diagnostic;

/// Stages, suites and checks that were asked for; each kind that none was named of is left whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    words: Vec<String>,
    stages: Vec<StageId>,
    checks: Vec<CheckId>,
    suites: Vec<String>,
}

impl Only {
    /// Reads what was named.
    ///
    /// # Errors
    /// A word that names nothing: the user's doing.
    pub fn of(words: &[String], settings: &Settings) -> Result<Self, Diagnostic> {
        let mut only = Self {
            words: words.to_vec(),
            ..Self::default()
        };
        for word in words {
            if let Ok(stage) = word.parse() {
                is_asked(stage, settings)?;
                only.stages.push(stage);
            } else if settings.suites.iter().any(|suite| suite.name == *word) {
                only.suites.push(word.clone());
            } else if let Ok(check) = word.parse() {
                only.checks.push(check);
            } else {
                return Err(Diagnostic::new(format!(
                    "`--only {word}` names no stage, suite or check"
                )));
            }
        }
        Ok(only)
    }

    /// Nothing was left out.
    pub fn is_everything(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn suite(&self, name: &str) -> bool {
        self.suites.is_empty() || self.suites.iter().any(|suite| suite == name)
    }

    /// Production itself is always tried.
    pub(super) fn stage(&self, id: StageId) -> bool {
        id == StageId::Control || self.stages.is_empty() || self.stages.contains(&id)
    }

    pub(super) fn check(&self, id: CheckId) -> bool {
        id == CheckId::Control || self.checks.is_empty() || self.checks.contains(&id)
    }
}

/// What the configuration does not ask for cannot be all that is asked.
fn is_asked(stage: StageId, settings: &Settings) -> Result<(), Diagnostic> {
    match super::asked::stages(settings).any(|id| id == stage) {
        true => Ok(()),
        false => Err(Diagnostic::new(format!(
            "`--only {stage}` names a stage that the configuration does not ask for"
        ))
        .help(format!("add `stages: {{{stage}: …}}`"))),
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(", "))
    }
}
