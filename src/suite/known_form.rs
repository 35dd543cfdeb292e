//! Forms as they are known again on another page: by where they lead, and by what they ask for. So the form by which users
//! sign in is told from one by which they change their password.

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
    /// Both are the same: they ask for the same passwords and lead to the same place. One that leads to its own page says
    /// nothing by that, and one without a password little: these must ask for all the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        let to_its_page = [self, other].iter().any(|form| form.leads == Leads::ToItsPage);
        let asks_alike = self.typed == other.typed;
        let is_same = match (self.asks_for_a_password(), to_its_page) {
            (false, _) => self.path == other.path && asks_alike && !self.typed.is_empty(),
            (true, true) => asks_alike,
            (true, false) => self.path == other.path,
        };
        is_same && self.passwords == other.passwords
    }

    pub(super) fn asks_for_a_password(&self) -> bool {
        !self.passwords.is_empty()
    }
}

/// One of them is one of those.
pub(super) fn holds(forms: &[KnownForm], those: &[KnownForm]) -> bool {
    forms.iter().any(|form| those.iter().any(|known| known.is(form)))
}
