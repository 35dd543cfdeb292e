//! The file `verdict.sigstore.json`: a Sigstore bundle, version 0.3, with an envelope and the hint whose key it is. It has
//! no certificate, no time of a third party and no entry of a log: whoever reads it has the key.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::Envelope;
use super::refusal::Untold;
use super::strict;

/// Its name in the output folder.
pub const FILE: &str = "verdict.sigstore.json";
/// Bytes that it may have. Ours are a few kilobytes.
pub const MOST: usize = 4 << 20;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Always the same.
    media_type: String,
    /// Whose.
    verification_material: Material,
    /// What was signed.
    pub dsse_envelope: Envelope,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    /// Absent where a certificate says whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    /// Entries of a log: none. Some readers want the name to be there.
    #[serde(default)]
    tlog_entries: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PublicKey {
    /// Of no meaning to us: whoever reads has the key.
    #[serde(default)]
    hint: String,
}

impl Bundle {
    /// Around an envelope.
    pub fn around(dsse_envelope: Envelope, hint: String) -> Self {
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: Material {
                public_key: Some(PublicKey { hint }),
                tlog_entries: Vec::new(),
            },
            dsse_envelope,
        }
    }

    /// Reads one. Nothing of it can be believed.
    ///
    /// # Errors
    /// It is none, or one of another kind.
    pub fn read(text: &[u8]) -> Result<Self, Untold> {
        if text.len() > MOST {
            return Err(Untold::NoBundle(format!("it is larger than {} MiB", MOST >> 20)));
        }
        let no_bundle = |error: serde_json::Error| Untold::NoBundle(error.to_string());
        let value = strict::read(text).map_err(no_bundle)?;
        let bundle: Self = serde_json::from_value(value).map_err(no_bundle)?;
        if bundle.media_type != MEDIA_TYPE {
            let kind = format!("it calls itself `{}`, not `{MEDIA_TYPE}`", bundle.media_type);
            return Err(Untold::NoBundle(kind));
        }
        match bundle.verification_material.public_key {
            Some(_) => Ok(bundle),
            None => Err(Untold::ByCertificate),
        }
    }

    /// As a file.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}
