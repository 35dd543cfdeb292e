//! DSSE: bytes, what they are, and who signed both. What is signed is never parsed before the signature holds.

use aws_lc_rs::error::Unspecified;
use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use serde::{Deserialize, Serialize};

use super::key::{SigningKey, VerifyingKey};
use super::refusal::{No, Refused, Untold};

/// What our payloads are.
pub const STATEMENT: &str = "application/vnd.in-toto+json";

/// Bytes with signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64 of the bytes.
    pub payload: String,
    /// What they are.
    pub payload_type: String,
    /// By whom; a bundle has exactly one.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Base64.
    pub sig: String,
    /// Empty: whoever reads has the key. Some readers want the name to be there.
    #[serde(default)]
    pub keyid: String,
}

/// What is signed: the payload's type and bytes, each with its length, so that neither can be taken for the other.
fn signed(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs a payload.
///
/// # Errors
/// The system has no randomness.
pub fn sign(payload: &[u8], key: &SigningKey) -> Result<Envelope, Unspecified> {
    let signature = key.sign(&signed(STATEMENT, payload))?;
    Ok(Envelope {
        payload: STANDARD.encode(payload),
        payload_type: STATEMENT.to_owned(),
        signatures: vec![Signature {
            sig: STANDARD.encode(signature),
            keyid: String::new(),
        }],
    })
}

impl Envelope {
    /// The payload, where this key and nobody else signed it.
    ///
    /// # Errors
    /// It did not, or something else was signed.
    pub fn open(&self, key: &VerifyingKey) -> Result<Vec<u8>, No> {
        let [signature] = self.signatures.as_slice() else {
            return Err(Refused::Signatures(self.signatures.len()).into());
        };
        let unreadable = |_| Untold::NoBundle("its Base64 cannot be read".to_owned());
        let payload = bytes(&self.payload).map_err(unreadable)?;
        let signature = bytes(&signature.sig).map_err(unreadable)?;
        let message = signed(&self.payload_type, &payload);
        key.verify(&message, &signature).map_err(|_| Refused::NotByThisKey)?;
        match self.payload_type.as_str() {
            STATEMENT => Ok(payload),
            other => Err(Untold::NoStatement(format!("what was signed is `{other}`")).into()),
        }
    }
}

/// Base64 in either of its alphabets, as DSSE wants it read.
fn bytes(text: &str) -> Result<Vec<u8>, DecodeError> {
    STANDARD.decode(text.replace('-', "+").replace('_', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_and_the_bytes_are_signed_with_their_lengths() {
        assert_eq!(signed("a/b", "é".as_bytes()), "DSSEv1 3 a/b 2 é".as_bytes());
    }

    #[test]
    fn what_this_key_signed_as_something_else_is_no_statement() {
        let key = SigningKey::generate().unwrap();
        let other = key.sign(&signed("text/plain", b"{}")).unwrap();
        let mut envelope = sign(b"{}", &key).unwrap();
        assert_eq!(envelope.open(&key.public().unwrap()), Ok(b"{}".to_vec()));
        envelope.payload_type = "text/plain".to_owned();
        envelope.signatures[0].sig = STANDARD.encode(other);
        let refused = Untold::NoStatement("what was signed is `text/plain`".to_owned());
        assert_eq!(envelope.open(&key.public().unwrap()), Err(refused.into()));
    }

    #[test]
    fn both_alphabets_of_base64_are_read() {
        assert_eq!(bytes("-_8="), bytes("+/8="));
        assert!(bytes("+/8").is_err() && bytes("+ /8=").is_err());
    }
}
