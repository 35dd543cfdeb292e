//! `auth.login` with `as: ldap`.

use super::super::directory::{Directory, Secured};
use super::fields::Fields;
use super::structure::is_secret;
use crate::yaml::diagnostic::Diagnostic;

/// Keys that say something to a directory alone …
const ITS_OWN: [&str; 2] = ["bind_dn", "start_tls"];
/// … and those that say nothing to one.
const OF_PAGES: [&str; 3] = ["start", "headers", "fields"];
const LIKE: &str = "name the entry that only who has signed in is shown: `ldap://ldap/uid=alice,dc=example,dc=com`";

/// How somebody signs in with a directory.
pub(super) fn directory(login: &Fields) -> Directory {
    for key in OF_PAGES {
        refuse(
            login,
            key,
            "says nothing to a directory",
            "take it out, or sign in by something else than `as: ldap`",
        );
    }
    let (name, username) = (login.filled("bind_dn"), login.filled("username"));
    let starts = login.flag("start_tls");
    let node = login.get("expect").unwrap_or(login.node);
    if node.as_map().is_some() && !is_secret(node) {
        let error = Diagnostic::at(&node.span, "an entry is named by its URL alone");
        login.reader.refuse(error.help(LIKE));
        return Directory::default();
    }
    let written = login.reader.filled(node);
    if written.trim().is_empty() {
        // It has been refused.
        return Directory::default();
    }
    let mut directory = match Directory::read(&written) {
        Ok(directory) => directory.bound_by(name.as_deref(), &username.unwrap_or_default()),
        Err(why) => {
            login.reader.refuse_value(node, &why, LIKE);
            return Directory::default();
        }
    };
    login.reader.asks(node, &written);
    if starts {
        if directory.tls == Secured::AtOnce {
            let help = "take `start_tls` out, or write `ldap://`";
            refuse(login, "start_tls", "turns to TLS what `ldaps` has turned already", help);
        }
        directory.tls = Secured::Started;
    }
    directory
}

/// Somebody signs in by something else.
pub(super) fn elsewhere(login: &Fields) {
    for key in ITS_OWN {
        refuse(
            login,
            key,
            "is for a sign-in with a directory",
            "take it out, or write `as: ldap`",
        );
    }
}

fn refuse(login: &Fields, key: &'static str, why: &str, help: &str) {
    if let Some(entry) = login.entry(key) {
        let error = Diagnostic::at(&entry.key_span, format!("`{key}` {why}"));
        login.reader.refuse(error.help(help));
    }
}
