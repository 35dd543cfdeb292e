//! `rehearsal keygen`: the pair of keys by which verdicts are signed and verified.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::common::{shown, write_new};
use crate::attest::key::SigningKey;
use crate::cli::KeygenArgs;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;

/// Only its owner reads the private key.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

pub fn keygen(args: &KeygenArgs) -> Result<ExitCode> {
    let key = SigningKey::generate().context("no key could be made")?;
    let public = key.public().context("the public key cannot be written")?.to_pem();
    let private = key.to_pem().context("the private key cannot be written")?;
    let (private_file, public_file) = (beside(&args.out, ".key"), beside(&args.out, ".pub"));
    // The public one first: a private key that nobody can verify is worse than none.
    let written = write(&public_file, &public, PUBLIC).and_then(|()| {
        let written = write(&private_file, &private, PRIVATE);
        written.inspect_err(|_| drop(std::fs::remove_file(&public_file)))
    });
    if let Err(why) = written {
        say(format!("error: {}", shown(why, &Redactor::default())));
        return Ok(ExitCode::Usage);
    }
    tell(&words(&private_file, &public_file));
    Ok(ExitCode::Pass)
}

fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes a new file; whoever overwrites a key loses it for ever.
fn write(file: &Path, text: &str, mode: u32) -> Result<(), String> {
    write_new(file, text, mode).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!(
            "`{}` is there already, and a key is never written over: name another with `--out`",
            file.display()
        ),
        _ => format!(
            "`{}` cannot be written: {error}; name another place with `--out`",
            file.display()
        ),
    })
}

fn words(private: &Path, public: &Path) -> String {
    let (private, public) = (private.display(), public.display());
    format!(
        "{private}  signs: keep it as a secret where releases are rehearsed, and nowhere else (`rehearsal run --key`)\n\
         {public}  verifies: keep it in the repository, where it is deployed (`rehearsal verify --key`)"
    )
}
