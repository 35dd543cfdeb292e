//! Long answers in pages: a line between gate and agent has a limit, and what is recorded has none.

use serde::{Deserialize, Serialize};

use super::wire::LINE_LIMIT;

/// A page's items are at most this long as JSON; a single one that is longer is a page of its own.
const BATCH_LIMIT: usize = LINE_LIMIT / 2;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch<T> {
    /// In order.
    pub items: Vec<T>,
    /// How many come after them.
    pub left: usize,
}

impl<T: Clone + Serialize> Batch<T> {
    /// At most `most` of all, behind the first `after`: fewer where they would be too long for one answer, but never
    /// none where there are any.
    pub(super) fn of(all: &[T], after: usize, most: usize) -> Self {
        let rest = all.get(after..).unwrap_or_default();
        let mut room = BATCH_LIMIT;
        let fits = |item: &&T| {
            let taken = serde_json::to_vec(item).map_or(BATCH_LIMIT, |json| json.len());
            let fits = taken <= room || room == BATCH_LIMIT;
            room = room.saturating_sub(taken);
            fits
        };
        let items: Vec<T> = rest.iter().take(most).take_while(fits).cloned().collect();
        Self {
            left: rest.len() - items.len(),
            items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_give_every_item_once_and_in_order() {
        let all: Vec<u32> = (0..25).collect();
        let mut taken: Vec<u32> = Vec::new();
        let mut left = Vec::new();
        loop {
            let page = Batch::of(&all, taken.len(), 10);
            taken.extend(&page.items);
            left.push(page.left);
            if page.left == 0 {
                break;
            }
        }
        assert_eq!((taken, left), (all, vec![15, 5, 0]));
    }

    #[test]
    fn a_page_ends_before_it_is_too_long_but_never_before_its_first_item() {
        let long = "x".repeat(BATCH_LIMIT + 1);
        let short = "y".repeat(BATCH_LIMIT / 3);
        let all = [long.clone(), short.clone(), short.clone(), short.clone()];
        let lengths = |after| Batch::of(&all, after, 10).items.len();
        assert_eq!((lengths(0), lengths(1), lengths(3), lengths(4)), (1, 2, 1, 0));
    }

    #[test]
    fn behind_the_end_is_nothing() {
        assert_eq!(Batch::of(&[1, 2], 7, 10), Batch { items: vec![], left: 0 });
    }
}
