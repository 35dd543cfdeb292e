//! Stand-in until the YAML core lands.
use std::{ops::Range, path::PathBuf, sync::Arc};
/// One file as read.
#[derive(Debug)]
pub struct Source {
    /// As shown to the user.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}
/// A place in a file.
#[derive(Debug, Clone)]
pub struct Span {
    /// The file.
    pub source: Arc<Source>,
    /// Bytes.
    pub range: Range<usize>,
}
impl Span {
    /// 1-based line and column.
    pub fn line_column(&self) -> (usize, usize) {
        (1, 1)
    }
}
