//! What a lock says of the authentication dependency's TLS, asked of real servers: OpenSSL's, old and new.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::driver::{self, Ended, end, rehearsal};
use rehearsal::lock::{Lock, TlsFacts, Trust, read};

/// A provider without OpenID Connect, behind OpenSSL's own server.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    /// `options` say what it accepts.
    fn start(folder: &Path, leaf: &Leaf, options: &[&str]) -> Self {
        let document = folder.join("o/.well-known/openid-configuration");
        std::fs::create_dir_all(document.parent().expect("a folder")).expect("ours");
        std::fs::write(
            &document,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        .expect("ours");
        let mut process = Command::new("openssl")
            .args(["s_server", "-4", "-accept", "127.0.0.1:0", "-HTTP", "-no_dhe", "-cert"])
            .arg(&leaf.certificate)
            .arg("-key")
            .arg(&leaf.key)
            .args(options)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is there");
        let said = BufReader::new(process.stdout.take().expect("piped"));
        let mut lines = said.lines().map_while(Result::ok);
        let port = lines.find_map(|line| Some(line.strip_prefix("ACCEPT 127.0.0.1:")?.trim().to_owned()));
        // What it says later must be read by somebody, or it stops.
        std::thread::spawn(move || lines.count());
        Self {
            process,
            port: port.expect("it listens"),
        }
    }

    fn issuer(&self) -> String {
        format!("https://localhost:{}/o", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// A server's certificate and key.
struct Leaf {
    certificate: PathBuf,
    key: PathBuf,
}

fn openssl(folder: &Path, words: &str) {
    let done = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    assert!(
        done.status.success(),
        "openssl {words}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A company's authority, in `ca.pem`.
fn authority(folder: &Path) {
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=Example-CA -keyout ca.key -out ca.pem",
    );
}

/// A certificate for `localhost`, signed by it.
fn leaf(folder: &Path, name: &str, key: &str, options: &str, extensions: &str) -> Leaf {
    std::fs::write(
        folder.join("extensions"),
        format!("subjectAltName=DNS:localhost\n{extensions}\n"),
    )
    .expect("ours");
    openssl(
        folder,
        &format!("req -newkey {key} -nodes -subj /O=Example/CN=localhost -keyout {name}.key -out {name}.csr"),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -days 20 {options} -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out {name}.pem"
        ),
    );
    Leaf {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    }
}

const IDENTIFIED: &str = "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash";
const ANONYMOUS: &str = "authorityKeyIdentifier=none\nsubjectKeyIdentifier=none";

/// `rehearsal lock` of this machine and an issuer.
fn lock(folder: &Path, issuer: &str, more: &[&str]) -> Ended {
    let mut command = rehearsal(&[&["lock", "--from", "idp=exec:env", "--auth-issuer", issuer], more].concat());
    command.current_dir(folder);
    end(command)
}

fn taken(folder: &Path) -> Lock {
    read::load(&folder.join("production.lock")).expect("the lock reads")
}

fn tls(folder: &Path) -> TlsFacts {
    taken(folder).auth.and_then(|auth| auth.tls).expect("TLS was seen")
}

#[test]
fn a_server_of_today_is_described_and_a_renewed_certificate_has_not_moved() {
    let folder = driver::folder("lock-tls/today");
    authority(&folder);
    let first = leaf(&folder, "first", "rsa:2048", "-sha256", IDENTIFIED);
    let server = Server::start(&folder, &first, &["-cert_chain", "ca.pem"]);
    let ended = lock(&folder, &server.issuer(), &["--ca", "ca.pem"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("trusted"), "{}", ended.stderr);
    let seen = tls(&folder);
    assert_eq!(seen.protocols, ["TLSv1.2", "TLSv1.3"]);
    assert_eq!((&seen.trust, seen.chain.len()), (&Trust::Yes, 2));
    let own = &seen.chain[0];
    assert_eq!(
        (own.signature.as_str(), own.key.as_deref()),
        ("sha256WithRSA", Some("RSA 2048"))
    );
    assert_eq!((own.aki.as_str(), own.ski.as_deref()), ("present", Some("present")));
    assert_eq!(
        (own.names.as_slice(), own.issuer.as_deref()),
        (&["localhost".to_owned()][..], Some("CN=Example-CA"))
    );
    assert!(
        own.subject.contains("CN=localhost") && own.not_after.is_some(),
        "{own:?}"
    );
    let text = std::fs::read_to_string(folder.join("production.lock")).expect("written");
    assert!(
        text.contains("\n  discovery: null\n"),
        "a 404 is recorded as null:\n{text}"
    );

    let renewed = leaf(&folder, "renewed", "rsa:2048", "-sha256 -days 25", IDENTIFIED);
    drop(server);
    let server = Server::start(&folder, &renewed, &["-cert_chain", "ca.pem"]);
    // The issuer's port is the test's own: production would not move there.
    let file = folder.join("production.lock");
    let old = taken(&folder).auth.and_then(|auth| auth.issuer).expect("recorded");
    std::fs::write(&file, text.replace(&old, &server.issuer())).expect("ours");
    let same = lock(
        &folder,
        &server.issuer(),
        &["--ca", "ca.pem", "--check", "--out", "production.lock"],
    );
    assert_eq!((same.code, same.stdout.as_str()), (Some(0), ""), "{}", same.stderr);
}

#[test]
fn a_chain_without_key_identifiers_and_only_tls_1_2_are_seen_and_seen_to_move() {
    let folder = driver::folder("lock-tls/bare");
    authority(&folder);
    let bare = leaf(&folder, "bare", "rsa:2048", "-sha256", ANONYMOUS);
    let server = Server::start(&folder, &bare, &["-tls1_2"]);
    assert_eq!(lock(&folder, &server.issuer(), &["--ca", "ca.pem"]).code, Some(0));
    let seen = tls(&folder);
    assert_eq!(seen.protocols, ["TLSv1.2"]);
    assert_eq!(
        (
            seen.chain.len(),
            seen.chain[0].aki.as_str(),
            seen.chain[0].ski.as_deref()
        ),
        (1, "absent", Some("absent"))
    );

    let port = server.port.clone();
    drop(server);
    let identified = leaf(&folder, "identified", "rsa:2048", "-sha256", IDENTIFIED);
    let server = Server::start(&folder, &identified, &[]);
    let file = folder.join("production.lock");
    let text = std::fs::read_to_string(&file)
        .expect("written")
        .replace(&port, &server.port);
    std::fs::write(&file, text).expect("ours");
    let moved = lock(&folder, &server.issuer(), &["--ca", "ca.pem", "--check"]);
    assert_eq!(moved.code, Some(1), "{}", moved.stderr);
    for line in [
        "auth.tls.chain[0].aki: was absent, is present",
        "auth.tls.protocols[1]: was absent, is TLSv1.3",
    ] {
        assert!(moved.stdout.contains(line), "{line} is not in\n{}", moved.stdout);
    }
    assert!(!moved.stdout.contains("not_after"), "{}", moved.stdout);
}

#[test]
fn a_chain_that_nobody_trusts_is_read_and_said_to_be_untrusted() {
    let folder = driver::folder("lock-tls/untrusted");
    authority(&folder);
    let small = leaf(&folder, "small", "rsa:1024", "-sha256", IDENTIFIED);
    let server = Server::start(&folder, &small, &["-cipher", "DEFAULT:@SECLEVEL=0"]);
    let ended = lock(&folder, &server.issuer(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("is not trusted on this machine (unknown issuer)"),
        "{}",
        ended.stderr
    );
    let seen = tls(&folder);
    assert_eq!(seen.trust, Trust::No("unknown issuer".to_owned()));
    assert_eq!(seen.chain[0].key.as_deref(), Some("RSA 1024"));
    assert_eq!(
        taken(&folder).auth.and_then(|auth| auth.discovery),
        Some(serde_json::Value::Null)
    );
}

#[test]
fn a_weak_signature_is_named_though_its_authority_is_known() {
    let folder = driver::folder("lock-tls/sha1");
    authority(&folder);
    let weak = leaf(&folder, "weak", "rsa:2048", "-sha1", IDENTIFIED);
    let server = Server::start(&folder, &weak, &["-cipher", "DEFAULT:@SECLEVEL=0"]);
    let ended = lock(&folder, &server.issuer(), &["--ca", "ca.pem"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let seen = tls(&folder);
    assert_eq!(seen.chain[0].signature, "sha1WithRSA");
    assert_eq!(seen.trust, Trust::No("its keys or signatures are too weak".to_owned()));
}

#[test]
fn a_server_that_only_speaks_the_oldest_tls_is_still_described() {
    let folder = driver::folder("lock-tls/old");
    authority(&folder);
    let own = leaf(&folder, "own", "rsa:2048", "-sha256", IDENTIFIED);
    let old = [
        "-min_protocol",
        "TLSv1",
        "-max_protocol",
        "TLSv1.1",
        "-cipher",
        "ALL:@SECLEVEL=0",
    ];
    let server = Server::start(&folder, &own, &old);
    let ended = lock(&folder, &server.issuer(), &["--ca", "ca.pem"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("its discovery document and keys were not read"),
        "{}",
        ended.stderr
    );
    let seen = tls(&folder);
    assert_eq!(
        (seen.protocols, seen.trust),
        (vec!["TLSv1".to_owned(), "TLSv1.1".to_owned()], Trust::Yes)
    );
    assert_eq!(seen.chain[0].names, ["localhost"]);
    assert_eq!(taken(&folder).auth.and_then(|auth| auth.discovery), None);
}

#[test]
fn a_server_that_speaks_only_the_newest_tls_shows_its_chain() {
    let folder = driver::folder("lock-tls/new");
    authority(&folder);
    openssl(&folder, "ecparam -name prime256v1 -genkey -noout -out p256.key");
    openssl(
        &folder,
        "req -x509 -new -key p256.key -days 20 -subj /CN=localhost -addext subjectAltName=DNS:localhost -out p256.pem",
    );
    let own = Leaf {
        certificate: folder.join("p256.pem"),
        key: folder.join("p256.key"),
    };
    let server = Server::start(&folder, &own, &["-tls1_3"]);
    assert_eq!(lock(&folder, &server.issuer(), &[]).code, Some(0));
    let seen = tls(&folder);
    assert_eq!(seen.protocols, ["TLSv1.3"]);
    assert_eq!(
        (seen.chain[0].key.as_deref(), seen.chain[0].signature.as_str()),
        (Some("EC 256"), "ecdsa-with-SHA256")
    );
}
