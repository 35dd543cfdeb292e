//! Several quantities at once: the more of them are looked at, the likelier one of them looks worse by chance. Holm's way
//! keeps the chance of any such at what it is for one, and asks more of each only as far as that needs.

use super::estimate::Estimate;

/// A candidate that is no worse looks worse in so many of a thousand runs.
pub const BY_CHANCE: f64 = 0.025;

/// Whether the candidate is worse at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// It is, beyond chance.
    BeyondChance,
    /// Chance would do for an explanation.
    PerhapsNot,
}

/// Of one quantity that is looked at alone.
pub fn alone(known: &Estimate) -> Worse {
    together(&[known.by_chance()])[0]
}

/// Of quantities that are looked at together, by how probable each difference is by chance; in their order.
pub fn together(by_chance: &[f64]) -> Vec<Worse> {
    let mut order: Vec<usize> = (0..by_chance.len()).collect();
    order.sort_by(|one, other| by_chance[*one].total_cmp(&by_chance[*other]));
    let mut all = vec![Worse::PerhapsNot; by_chance.len()];
    let steps = order.iter().enumerate();
    // The first that is not beyond chance ends it.
    let beyond = steps.take_while(|(step, which)| by_chance[**which] < BY_CHANCE / (by_chance.len() - step) as f64);
    beyond.for_each(|(_, which)| all[*which] = Worse::BeyondChance);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_improbable_is_held_to_most_and_the_first_that_may_be_chance_ends_it() {
        use Worse::{BeyondChance, PerhapsNot};
        assert_eq!(together(&[]), []);
        assert_eq!(together(&[0.024]), [BeyondChance]);
        assert_eq!(together(&[0.025]), [PerhapsNot]);
        // A third, a half and the whole of what is allowed.
        assert_eq!(together(&[0.024, 0.008, 0.012]), [BeyondChance; 3]);
        assert_eq!(together(&[0.024, 0.008, 0.013]), [PerhapsNot, BeyondChance, PerhapsNot]);
        assert_eq!(together(&[0.02, 0.009, 0.012]), [PerhapsNot; 3]);
        assert_eq!(together(&[f64::NAN, 0.001]), [PerhapsNot, BeyondChance]);
    }
}
