//! Production's alert rules: they can be read, and what must fire is one of them.

use crate::alerts::rules;
use crate::config::settings::Settings;
use crate::yaml::diagnostic::{Diagnostic, nearest};

/// Every mistake in the rule files and in what is wanted of them.
pub(super) fn rules_say_so(settings: &Settings) -> Result<(), Vec<Diagnostic>> {
    let Some(alerts) = &settings.stages.alerts else {
        return Ok(());
    };
    let rules = rules::read(&alerts.rules).map_err(|error| vec![error])?;
    let names: Vec<&str> = rules.alerts().filter_map(|(_, rule)| rule.alert()).collect();
    let unknown = alerts
        .must_fire
        .iter()
        .filter(|wanted| !names.contains(&wanted.alert.as_str()));
    let unknown = unknown.filter(|wanted| !wanted.alert.is_empty()).map(|wanted| {
        let error = Diagnostic::at(&wanted.span, format!("no rule file has an alert `{}`", wanted.alert));
        match nearest(&wanted.alert, names.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("name an alert of `rules`, or add the file that has it"),
        }
    });
    let errors: Vec<Diagnostic> = unknown.collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
