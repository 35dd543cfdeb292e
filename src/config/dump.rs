//! Dumps: how one is packed and what it holds, by its first bytes. A name may lie, and a command's output has none.

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What a dump holds, once it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Text, such as SQL.
    Text,
    /// `pg_dump --format=custom`.
    PostgresArchive,
    /// `mongodump --archive`.
    MongoArchive,
    /// A tar archive.
    Tar,
    /// Something else.
    Other,
}

/// So many first bytes tell all of it: a tar archive says what it is behind its first name.
pub const HEAD: usize = 512;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// A frame that readers skip, which some packers write first; its last four bits are free.
const SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// Packers that people use, and that are not read.
const OTHERS: [(&str, &[u8]); 5] = [
    ("xz", &[0xfd, b'7', b'z', b'X', b'Z', 0]),
    ("bzip2", b"BZh"),
    ("zip", b"PK\x03\x04"),
    ("7-Zip", &[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c]),
    ("lz4", &[0x04, 0x22, 0x4d, 0x18]),
];

/// How something is packed that begins so.
///
/// # Errors
/// By a packer that is not read: its name.
pub fn packing(head: &[u8]) -> Result<Packing, &'static str> {
    let is_skippable = head.first().is_some_and(|first| first >> 4 == 5) && head[1..].starts_with(SKIPPABLE);
    if let Some((name, _)) = OTHERS.iter().find(|(_, magic)| head.starts_with(magic)) {
        return Err(name);
    }
    Ok(if head.starts_with(GZIP) {
        Packing::Gzip
    } else if head.starts_with(ZSTD) || is_skippable {
        Packing::Zstd
    } else {
        Packing::Plain
    })
}

/// How a file should be packed, to go by its name.
pub fn packing_by_name(name: &str) -> Option<Packing> {
    let ends_so = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends_so(&[".gz", ".tgz"]) {
        Some(Packing::Gzip)
    } else {
        ends_so(&[".zst", ".tzst", ".zstd"]).then_some(Packing::Zstd)
    }
}

/// A file's name without what its packer added.
pub fn unpacked_name(name: &str) -> &str {
    let packed = [".gz", ".zst", ".zstd"];
    packed
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// What unpacked bytes are that begin so.
pub fn content(head: &[u8]) -> Content {
    if head.starts_with(b"PGDMP") {
        Content::PostgresArchive
    } else if head.starts_with(&[0x6d, 0xe2, 0x99, 0x81]) {
        Content::MongoArchive
    } else if head.get(257..262) == Some(b"ustar") {
        Content::Tar
    } else if head.contains(&0) {
        Content::Other
    } else {
        Content::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_packer() {
        assert_eq!(packing(b"CREATE TABLE"), Ok(Packing::Plain));
        assert_eq!(packing(&[]), Ok(Packing::Plain));
        assert_eq!(packing(&[0x1f, 0x8b, 8]), Ok(Packing::Gzip));
        assert_eq!(packing(&[0x28, 0xb5, 0x2f, 0xfd, 0]), Ok(Packing::Zstd));
        assert_eq!(packing(&[0x50, 0x2a, 0x4d, 0x18, 0]), Ok(Packing::Zstd));
        assert_eq!(packing(b"BZh91AY"), Err("bzip2"));
        assert_eq!(packing_by_name("a.sql.zst"), Some(Packing::Zstd));
        assert_eq!(packing_by_name("files.tgz"), Some(Packing::Gzip));
        assert_eq!(packing_by_name("a.sql"), None);
        assert_eq!(unpacked_name("shop.db.zst"), "shop.db");
    }

    #[test]
    fn the_first_bytes_tell_what_a_dump_holds() {
        assert_eq!(content(b"-- PostgreSQL database dump"), Content::Text);
        assert_eq!(content(b"PGDMP\x01\x0e"), Content::PostgresArchive);
        assert_eq!(content(&[0x6d, 0xe2, 0x99, 0x81, 1]), Content::MongoArchive);
        assert_eq!(content(b"SQLite format 3\0"), Content::Other);
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        archive.append_data(&mut header, "a", &b"x"[..]).expect("it fits");
        assert_eq!(content(&archive.into_inner().expect("in memory")), Content::Tar);
    }
}
