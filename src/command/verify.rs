//! `rehearsal verify`: whether a deploy may rely on a signed verdict. It asks no engine and no network.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use time::OffsetDateTime;

use super::common::{context, shown};
use crate::attest::key::VerifyingKey;
use crate::attest::refusal::No;
use crate::attest::statement::LeftOut;
use crate::attest::verify::{self, Allows, Deploy, Stands};
use crate::cli::VerifyArgs;
use crate::config::read;
use crate::context::Context;
use crate::record::exit_code::ExitCode;
use crate::record::inputs::digest_of;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;
use crate::yaml::file::{self, MOST_TEXT};

pub fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let held = match Held::read(args, &context()?) {
        Ok(held) => held,
        Err(error) => {
            told("could not tell", &format!("{error:#}"));
            return Ok(ExitCode::Inconclusive);
        }
    };
    let file = args.bundle.display();
    Ok(match held.verify(args) {
        Ok(stands) => {
            tell(&shown(words(&stands), &Redactor::default()));
            ExitCode::Pass
        }
        Err(No::Refused(why)) => {
            told("refused", &format!("`{file}`: {why}"));
            ExitCode::Block
        }
        Err(No::Untold(why)) => {
            told("could not tell", &format!("`{file}`: {why}"));
            ExitCode::Inconclusive
        }
    })
}

fn told(answer: &str, why: &str) {
    say(format!("{answer}: {}", shown(why, &Redactor::default())));
}

/// Everything that a verdict is held against, read.
struct Held {
    bundle: Vec<u8>,
    key: VerifyingKey,
    lock: Option<String>,
    configuration: String,
}

impl Held {
    fn read(args: &VerifyArgs, context: &Context) -> Result<Self> {
        let key = bytes(&args.key, "name the public key of the pair that signs with `--key`")?;
        let text = String::from_utf8_lossy(&key);
        let key = VerifyingKey::from_pem(&text).with_context(|| format!("`{}` cannot be used", args.key.display()))?;
        let lock = args.lock.as_deref();
        let lock = lock.map(|lock| bytes(lock, "name the lock that the rehearsal had with `--lock`"));
        let configuration = args.config.clone().or_else(|| read::find(&context.directory));
        let configuration = configuration.ok_or_else(|| {
            let folder = context.directory.display();
            anyhow!(
                "no `{}` in `{folder}` or above it: name one with `--config`",
                read::FILE_NAME
            )
        })?;
        let configuration = bytes(
            &configuration,
            "name the configuration that was rehearsed with `--config`",
        )?;
        let absent = "rehearse with `rehearsal run --key`, and name the file that it wrote with `--bundle`";
        Ok(Self {
            // A longer one is told as what it is.
            bundle: bytes(&args.bundle, absent)?,
            key,
            lock: lock.transpose()?.as_deref().map(digest_of),
            configuration: digest_of(&configuration),
        })
    }

    fn verify(&self, args: &VerifyArgs) -> Result<Stands, No> {
        let digests: BTreeSet<String> = args.images.iter().map(|image| image.digest.clone()).collect();
        let deploy = Deploy {
            digests: &digests,
            lock: self.lock.as_deref(),
            configuration: &self.configuration,
            max_age: args.max_age.try_into().unwrap_or(time::Duration::MAX),
            allows: match args.strict {
                true => Allows::Nothing,
                false => Allows::SignedFor,
            },
            now: OffsetDateTime::now_utc(),
        };
        verify::verify(&self.bundle, &self.key, &deploy)
    }
}

fn bytes(path: &Path, way_out: &str) -> Result<Vec<u8>> {
    let read = file::bytes(path, MOST_TEXT);
    read.map_err(|error| anyhow!("`{}` cannot be read ({error}): {way_out}", path.display()))
}

fn words(stands: &Stands) -> String {
    let rehearsed = &stands.rehearsed;
    let images: BTreeSet<&str> = rehearsed.candidate.iter().map(|known| known.image.as_str()).collect();
    let images: Vec<&str> = images.into_iter().collect();
    let left_out: Vec<String> = rehearsed.partial.iter().map(LeftOut::words).collect();
    let left_out = match left_out.is_empty() {
        true => String::new(),
        false => format!("; signed for: {}", left_out.join(", ")),
    };
    let from = rehearsed.production.as_ref();
    let from = from.map_or_else(String::new, |production| {
        format!("; production as of {}", production.from)
    });
    let (images, age) = (images.join(", "), verify::words(stands.age));
    format!(
        "pass: {images}, rehearsed {age} ago by {} {}{from}{left_out}",
        rehearsed.tool.name, rehearsed.tool.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_may_be_shorter_than_what_is_read() {
        assert!(crate::attest::bundle::MOST as u64 <= MOST_TEXT);
    }
}
