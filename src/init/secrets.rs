//! Values that must not be written into a file that is committed: Compose has put them where a `${…}` stood.

use std::collections::BTreeMap;

/// What names of variables say that they hold something that nobody may read.
const MARKS: [&str; 8] = ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH", "DSN"];

/// The values of such variables.
#[derive(Debug, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Of all that `${…}` saw.
    pub fn of(environment: &BTreeMap<String, String>) -> Self {
        let is_secret = |name: &str| MARKS.iter().any(|mark| name.to_uppercase().contains(mark));
        let found = environment
            .iter()
            .filter(|(name, value)| is_secret(name) && !value.is_empty());
        Self(found.map(|(_, value)| value.clone()).collect())
    }

    /// Whether one of them stands in a text.
    pub(super) fn stand_in(&self, text: &str) -> bool {
        self.0.iter().any(|value| text.contains(value))
    }
}
