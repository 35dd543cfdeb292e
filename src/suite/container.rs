//! Test containers.
use super::{Course, Ground};
use crate::config::settings::TestContainer;
pub(super) async fn run<G: Ground>(_course: &mut Course<'_, G>, _container: &TestContainer) {}
