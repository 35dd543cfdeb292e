//! JSON lines: how either end reads one without trusting the other with its memory.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::exchange::BODY_LIMIT;

/// No line is longer: a body at its limit in base64, and room for headers and samples.
pub(super) const LINE_LIMIT: usize = BODY_LIMIT * 2;

/// The next line without its end, or `None` at the end of the stream.
///
/// # Errors
/// The stream broke, or the line is longer than [`LINE_LIMIT`].
pub(super) async fn next_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(LINE_LIMIT as u64).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_none() {
        let why = if line.len() >= LINE_LIMIT {
            "a line is too long"
        } else {
            "the last line is cut"
        };
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Some(line))
}
