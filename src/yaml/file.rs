//! Files as they are read: no further than a description of production can be long, so that a device or a dump that is
//! named by mistake is an error, and not the end of the memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// What people write by hand: Compose files, env files, configurations.
pub const MOST_TEXT: u64 = 16 << 20;

/// What a service is given: a certificate, a configuration, a database of places. Engines take no secret of this size.
pub const MOST_CONTENT: u64 = 1 << 30;

/// A file's bytes, at most so many. A pipe is read to its end, as a shell's `<(…)` needs.
///
/// # Errors
/// It cannot be read, or there is more.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it is larger than {} MiB", most >> 20);
        return Err(Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// A text file whole.
///
/// # Errors
/// It cannot be read, is too large, or is not UTF-8.
pub fn text(path: &Path) -> Result<String> {
    let bytes = bytes(path, MOST_TEXT)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_an_error() {
        let error = text(Path::new("/dev/zero")).expect_err("it has no end");
        assert_eq!(error.to_string(), "it is larger than 16 MiB");
    }

    #[test]
    fn a_file_of_just_the_size_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("just");
        std::fs::write(&path, [b'a'; 1024]).expect("written");
        assert_eq!(bytes(&path, 1024).expect("it is small enough").len(), 1024);
        assert!(bytes(&path, 1023).is_err());
    }
}
