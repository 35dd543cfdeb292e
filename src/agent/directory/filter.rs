//! Filters as people write them (RFC 4515), and as LDAP sends them.

use super::ber::element;

/// Filters within filters.
const DEEPEST: usize = 32;
const TEXT: u8 = 0x04;

/// A filter as it is sent.
///
/// # Errors
/// What is wrong with it.
pub(super) fn encoded(filter: &str) -> Result<Vec<u8>, String> {
    let mut rest = filter.trim();
    let encoded = one(&mut rest, 0)?;
    match rest.trim() {
        "" => Ok(encoded),
        more => Err(format!("behind the filter stands `{more}`")),
    }
}

fn one(rest: &mut &str, depth: usize) -> Result<Vec<u8>, String> {
    if depth > DEEPEST {
        return Err("filters stand too deep in filters".to_owned());
    }
    let inner = rest.trim_start().strip_prefix('(').ok_or("a filter begins with `(`")?;
    *rest = inner;
    let encoded = match inner.as_bytes().first() {
        Some(b'&') => element(0xa0, &all(rest, depth)?),
        Some(b'|') => element(0xa1, &all(rest, depth)?),
        Some(b'!') => {
            *rest = &inner[1..];
            element(0xa2, &one(rest, depth + 1)?)
        }
        _ => {
            let end = inner.find(')').ok_or("a filter ends with `)`")?;
            let (item, behind) = inner.split_at(end);
            *rest = behind;
            self::item(item)?
        }
    };
    *rest = rest.trim_start().strip_prefix(')').ok_or("a filter ends with `)`")?;
    Ok(encoded)
}

fn all(rest: &mut &str, depth: usize) -> Result<Vec<u8>, String> {
    *rest = &rest[1..];
    let mut filters = Vec::new();
    while rest.trim_start().starts_with('(') {
        filters.extend(one(rest, depth + 1)?);
    }
    match filters.is_empty() {
        false => Ok(filters),
        true => Err("`&` and `|` stand before filters".to_owned()),
    }
}

/// An attribute, a sign and a value.
fn item(item: &str) -> Result<Vec<u8>, String> {
    let (attribute, value) = item.split_once('=').ok_or_else(|| format!("`{item}` has no `=`"))?;
    let (name, tag) = match attribute.as_bytes().last() {
        Some(b'>') => (&attribute[..attribute.len() - 1], 0xa5),
        Some(b'<') => (&attribute[..attribute.len() - 1], 0xa6),
        Some(b'~') => (&attribute[..attribute.len() - 1], 0xa8),
        Some(b':') => return extensible(&attribute[..attribute.len() - 1], value),
        _ => (attribute, 0xa3),
    };
    if name.trim().is_empty() {
        return Err(format!("`{item}` names no attribute"));
    }
    let name = name.trim().as_bytes();
    Ok(match (tag, value) {
        (0xa3, "*") => element(0x87, name),
        (0xa3, parts) if parts.contains('*') => {
            let parts = element(0x30, &substrings(parts)?);
            element(0xa4, &[element(TEXT, name), parts].concat())
        }
        (tag, value) => element(tag, &[element(TEXT, name), element(TEXT, &unescaped(value)?)].concat()),
    })
}

fn substrings(value: &str) -> Result<Vec<u8>, String> {
    let parts: Vec<&str> = value.split('*').collect();
    let mut encoded = Vec::new();
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let tag = match at {
            0 => 0x80,
            last if last + 1 == parts.len() => 0x82,
            _ => 0x81,
        };
        encoded.extend(element(tag, &unescaped(part)?));
    }
    Ok(encoded)
}

/// `memberOf:1.2.840.113556.1.4.1941:=…`, `cn:dn:=…`.
fn extensible(what: &str, value: &str) -> Result<Vec<u8>, String> {
    let mut parts = what.split(':');
    let attribute = parts.next().unwrap_or_default();
    let (mut rule, mut dn) = (None, false);
    for part in parts {
        match part {
            "dn" => dn = true,
            part => rule = Some(part),
        }
    }
    let mut encoded = Vec::new();
    encoded.extend(rule.into_iter().flat_map(|rule| element(0x81, rule.as_bytes())));
    if !attribute.is_empty() {
        encoded.extend(element(0x82, attribute.as_bytes()));
    }
    encoded.extend(element(0x83, &unescaped(value)?));
    if dn {
        encoded.extend(element(0x84, &[0xff]));
    }
    Ok(element(0xa9, &encoded))
}

/// A value with its `\2a`.
fn unescaped(value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.ok_or_else(|| format!("`{value}` has a `\\` without two hexadecimal digits"))?);
        rest = &behind[2..];
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equals(name: &[u8], value: &[u8]) -> Vec<u8> {
        element(0xa3, &[element(TEXT, name), element(TEXT, value)].concat())
    }

    #[test]
    fn a_filter_is_sent_as_the_specification_has_it() {
        assert_eq!(encoded("(uid=alice)").unwrap(), equals(b"uid", b"alice"));
        assert_eq!(encoded("(cn=a\\2a\\28b)").unwrap(), equals(b"cn", b"a*(b"));
        assert_eq!(encoded("(objectClass=*)").unwrap(), element(0x87, b"objectClass"));
        let both = [equals(b"uid", b"alice"), element(0xa2, &element(0x87, b"locked"))];
        assert_eq!(
            encoded("(&(uid=alice)(!(locked=*)))").unwrap(),
            element(0xa0, &both.concat())
        );
        let parts = [element(0x80, b"a"), element(0x81, b"b"), element(0x82, b"c")].concat();
        let parts = [element(TEXT, b"cn"), element(0x30, &parts)].concat();
        assert_eq!(encoded("(cn=a*b*c)").unwrap(), element(0xa4, &parts));
        let chain = [
            element(0x81, b"1.2.3"),
            element(0x82, b"memberOf"),
            element(0x83, b"cn=x"),
        ];
        assert_eq!(
            encoded("(memberOf:1.2.3:=cn=x)").unwrap(),
            element(0xa9, &chain.concat())
        );
    }

    #[test]
    fn what_is_no_filter_is_refused_in_words() {
        for wrong in [
            "",
            "uid=alice",
            "(uid)",
            "(=x)",
            "(&)",
            "(uid=a",
            "(uid=a)(uid=b)",
            "(uid=\\zz)",
        ] {
            assert!(encoded(wrong).is_err(), "{wrong}");
        }
        let deep = "(!".repeat(100) + "(a=b)" + &")".repeat(100);
        assert!(encoded(&deep).is_err());
    }
}
