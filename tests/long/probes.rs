//! `make test-probes`, with an image of two gigabytes: what the lock's probes read, against what Debian says of the same
//! products.

use crate::driver::{self, end, rehearsal};
use crate::production::{Production, docker};

/// Facts, and the package of Debian's whose upstream version each must be.
const PACKAGES: [(&str, &str); 20] = [
    ("apache", "apache2"),
    ("ca-bundle", "ca-certificates"),
    ("freeradius", "freeradius"),
    ("glewlwyd", "glewlwyd"),
    ("glibc", "libc-bin"),
    ("go", "golang-1.24-go"),
    ("haproxy", "haproxy"),
    ("lemonldap-ng", "lemonldap-ng"),
    ("mariadb", "mariadb-server"),
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("openldap", "slapd"),
    ("openssl", "openssl"),
    ("perl", "perl-base"),
    ("php", "php8.4-cli"),
    ("postgres", "postgresql-17"),
    ("python", "python3.13"),
    ("rabbitmq", "rabbitmq-server"),
    ("redis", "redis-server"),
    ("valkey", "valkey-server"),
];

/// `1:11.8.6+dfsg-0+deb13u1` is 11.8.6.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let version = version
        .rsplit_once('-')
        .map_or(version, |(upstream, _revision)| upstream);
    version.split('+').next().unwrap_or(version).to_owned()
}

/// `make test-probes` makes the image. What Debian says of a package and what its program says of itself have no common
/// source but the product.
#[test]
fn every_product_that_debian_has_tells_its_version() {
    let mut production = Production::of("probes");
    production.start("web", "rehearsal-test/probes:1");
    let name = production.name("web");
    let folder = driver::folder("lock/probes");
    let lock = folder.join("production.lock");
    let from = format!("web=exec:docker exec --interactive {name}");
    let config = driver::root().join("fixtures/small/rehearsal.yaml");
    let mut take = rehearsal(&["lock", "--from", &from, "--config"]);
    take.arg(config).arg("--out").arg(&lock);
    let taken = end(take);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let facts = std::fs::read_to_string(&lock).expect("the lock was written");
    for (fact, package) in PACKAGES {
        let said = docker(&["exec", &name, "dpkg-query", "-W", "-f=${Version}", package]);
        let version = upstream(&said.stdout);
        assert!(!version.is_empty(), "{package} is not installed");
        let line = facts
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{fact}: ")));
        let known = line.map(|value| value.trim_matches('"').to_owned());
        assert_eq!(known, Some(version), "{fact}");
    }
}
