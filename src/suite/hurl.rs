//! Hurl files.
use super::{Course, Ground};
pub(super) async fn run_all<G: Ground>(_course: &mut Course<'_, G>) {}
