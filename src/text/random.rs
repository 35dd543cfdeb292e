//! Words that nobody can guess.

/// So many random bytes, as hexadecimal digits.
///
/// # Errors
/// The system has no randomness.
pub fn hex<const BYTES: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_of_their_length_and_not_the_same() {
        let (one, other) = (hex::<16>().unwrap(), hex::<16>().unwrap());
        assert!(
            one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{one}"
        );
        assert_ne!(one, other);
    }
}
