//! Who signs what a run came to.

use std::borrow::Cow;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::attest::bundle::Bundle;
use crate::attest::envelope;
use crate::attest::key::{KeySource, SigningKey};
use crate::attest::statement::Statement;
use crate::context::Context;
use crate::record::v1::Record;
use crate::text::redact::Redactor;
use crate::yaml::file;

/// Who signs, if anybody does.
pub(in crate::command) struct Signer {
    key: SigningKey,
    /// As it was given: a secret.
    pem: String,
}

impl Signer {
    /// Reads the key, and takes it out of what configuration and Compose files can name.
    ///
    /// # Errors
    /// It cannot be read, or is none: nothing is started.
    pub fn read<'a>(source: Option<&KeySource>, context: &'a Context) -> Result<(Option<Self>, Cow<'a, Context>)> {
        let Some(source) = source else {
            return Ok((None, Cow::Borrowed(context)));
        };
        let pem = text(source, context).with_context(|| format!("the key of {source} cannot be used"))?;
        let key = SigningKey::from_pem(&pem).with_context(|| format!("the key of {source} cannot be used"))?;
        let context = match source {
            KeySource::File(_) | KeySource::Itself => Cow::Borrowed(context),
            KeySource::Variable(name) => Cow::Owned(context.without(name)),
        };
        Ok((Some(Self { key, pem }), context))
    }

    /// Nothing shows the key.
    pub fn hide(&self, redactor: &Redactor) {
        redactor.learn(&self.pem);
    }

    /// The signed verdict of a record, as a file.
    ///
    /// # Errors
    /// Nothing can be said of the run, or the key cannot sign.
    pub fn bundle(&self, record: &Record) -> Result<Vec<u8>> {
        let statement = Statement::of(record)?;
        let payload = serde_json::to_vec(&statement)?;
        let envelope = envelope::sign(&payload, &self.key).context("the key could not sign")?;
        let hint = self.key.public().context("the key has no public one")?.hint();
        Ok(Bundle::around(envelope, hint).to_json()?)
    }
}

fn text(source: &KeySource, context: &Context) -> Result<String> {
    match source {
        KeySource::File(path) => Ok(file::text(&context.directory.join(path))?),
        KeySource::Variable(name) => {
            let value = context.variable(name).map(str::to_owned);
            value.ok_or_else(|| anyhow!("it is not set: give it the private key that `rehearsal keygen` wrote"))
        }
        KeySource::Itself => bail!("everybody on this machine can read it there: give a file, or `env:NAME`"),
    }
}
