//! The table of probes. A new one is a row here and a test in `parse.rs`.

use Kind::{Machine, Packages, Product, Runtime, System};
use Parse::{Pattern, With};

use super::parse;
use super::question::{Kind, Parse, Probe};

const fn probe(name: &'static str, kind: Kind, command: &'static str, parse: Parse) -> Probe {
    Probe {
        name,
        kind,
        command,
        parse,
    }
}

/// Products that people sign in with, as the probes call them.
pub const AUTH_PRODUCTS: [&str; 9] = [
    "keycloak",
    "glewlwyd",
    "lemonldap-ng",
    "django-oauth-toolkit",
    "openldap",
    "authelia",
    "authentik",
    "dex",
    "freeradius",
];

const DPKG: &str = r"dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\n'";
const RPM: &str = r"rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}.%{ARCH}\n'";
const APK: &str = "apk info -v 2>/dev/null";
const LIBC: &str = "ldd --version; getconf GNU_LIBC_VERSION; \
    for l in /lib/ld-musl-*.so.1; do [ -e \"$l\" ] && ls -d \"$l\" && \"$l\"; done";
const MYSQL: &str = "if command -v mariadbd >/dev/null; then mariadbd --version; else mysqld --version; fi";
// Valkey may bear Redis' name; the words of the answer tell them apart.
const VALKEY: &str = "valkey-server --version || redis-server --version";
// The server's own program, never the client's: on Debian it is not in the path.
const POSTGRES: &str = "if command -v postgres >/dev/null; then postgres --version; \
    else for p in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do [ -x \"$p\" ] && \"$p\" --version; done; fi";
// Files tell as much as programs do, and need neither a start nor the right virtual environment.
const PYTHON_PACKAGES: &str = "ls -d /usr/lib/python3*/*-packages/django_oauth_toolkit-* \
    /usr/local/lib/python3*/*-packages/django_oauth_toolkit-* /opt/*/lib/python3*/*-packages/django_oauth_toolkit-* \
    /opt/*/*/lib/python3*/*-packages/django_oauth_toolkit-* /srv/*/lib/python3*/*-packages/django_oauth_toolkit-* \
    /srv/*/*/lib/python3*/*-packages/django_oauth_toolkit-* /app/*/lib/python3*/*-packages/django_oauth_toolkit-* \
    /*/lib/python3*/*-packages/django_oauth_toolkit-* 2>/dev/null";
const KEYCLOAK: &str = "cat /opt/keycloak/version.txt /opt/jboss/keycloak/version.txt /opt/bitnami/keycloak/version.txt; \
    ls /opt/keycloak/lib/lib/main/ | grep keycloak-core";
const RABBITMQ: &str = "ls -d /opt/rabbitmq/plugins/rabbit-[0-9]* /usr/lib/rabbitmq/lib/rabbitmq_server-[0-9]* \
    /opt/bitnami/rabbitmq/plugins/rabbit-[0-9]*";
const LEMON: &str = "perl -MLemonldap::NG::Common -e 'print $Lemonldap::NG::Common::VERSION'";
// Debian's program has a name of its own.
const FREERADIUS: &str = "freeradius -v || radiusd -v";
// Its image has the package at the root.
const AUTHENTIK: &str = "grep -E '^(__version__|VERSION) ' /authentik/__init__.py";
const OPENSSL: &str = "openssl version || { dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\\n' 'libssl*'; \
    apk info -v 2>/dev/null | grep '^libssl'; rpm -q openssl-libs; }";
const CA: &str =
    "dpkg-query -W ca-certificates; rpm -q ca-certificates; apk info -v 2>/dev/null | grep '^ca-certificates'";

/// Every built-in probe.
pub const ALL: &[Probe] = &[
    probe("kernel", Machine, "uname -r", Pattern(r"^(\d\S*)")),
    probe(
        "cpu",
        Machine,
        "uname -m; grep -m1 -E '^(flags|Features)' /proc/cpuinfo",
        With(parse::cpu),
    ),
    probe(
        "os",
        System,
        "cat /etc/os-release || cat /usr/lib/os-release",
        With(parse::os),
    ),
    probe("glibc", System, LIBC, With(parse::glibc)),
    probe(
        "musl",
        System,
        LIBC,
        Pattern(r"musl libc[^\n]*\n(?:[^\n]*\n)??Version (\d\S*)"),
    ),
    probe("openssl", System, OPENSSL, With(parse::openssl)),
    probe(
        "ca-bundle",
        System,
        CA,
        Pattern(r"ca-certificates(?:-bundle)?[-\t ](\d{4,}(?:\.\d+)?)"),
    ),
    probe(
        "python",
        Runtime,
        "python3 --version || python --version",
        Pattern(r"Python (\d\S*)"),
    ),
    probe(
        "node",
        Runtime,
        "node --version || nodejs --version",
        Pattern(r"(?m)^v(\d+\.\S+)"),
    ),
    probe("java", Runtime, "java -version", Pattern(r#"version "?([^"\s]+)"#)),
    probe("php", Runtime, "php --version", Pattern(r"(?m)^PHP (\d[^\s]*)")),
    probe("perl", Runtime, "perl -v", Pattern(r"\(v(\d[^)\s]*)\)")),
    probe(
        "ruby",
        Runtime,
        "ruby --version",
        Pattern(r"(?m)^(?:ruby|jruby|truffleruby) (\d+\.\d+\.\d+[a-z0-9]*)"),
    ),
    probe("go", Runtime, "go version", Pattern(r"go version go(\d\S*)")),
    probe("dotnet", Runtime, "dotnet --list-runtimes", With(parse::dotnet)),
    probe("postgres", Product, POSTGRES, With(parse::postgres)),
    probe("mariadb", Product, MYSQL, Pattern(r"Ver (\d[\d.]*)-MariaDB")),
    probe("mysql", Product, MYSQL, With(parse::mysql)),
    probe(
        "redis",
        Product,
        "redis-server --version",
        Pattern(r"Redis server v=(\d\S*)"),
    ),
    probe("valkey", Product, VALKEY, Pattern(r"Valkey server v=(\d\S*)")),
    probe(
        "rabbitmq",
        Product,
        RABBITMQ,
        Pattern(r"/rabbit(?:mq_server)?-(\d[0-9A-Za-z.]*?)(?:\.ez)?(?:\s|$)"),
    ),
    probe(
        "nginx",
        Product,
        "nginx -v",
        Pattern(r"(?:nginx|openresty|angie)/(\d[\d.]*)"),
    ),
    probe(
        "apache",
        Product,
        "apache2 -v || httpd -v",
        Pattern(r"Apache/(\d[\d.]*)"),
    ),
    probe(
        "haproxy",
        Product,
        "haproxy -v",
        Pattern(r"HA-?Proxy version (\d[0-9A-Za-z.]*)"),
    ),
    probe(
        "openldap",
        Product,
        "slapd -VV || /usr/lib/openldap/slapd -VV || /opt/bitnami/openldap/sbin/slapd -VV",
        Pattern(r"OpenLDAP: slapd (\d[\d.]*)"),
    ),
    probe(
        "glewlwyd",
        Product,
        "glewlwyd --version",
        Pattern(r"(?m)^(?:[Gg]lewlwyd[^\d\n]*)?(\d+\.\d+[0-9A-Za-z.]*)\s*$"),
    ),
    probe("lemonldap-ng", Product, LEMON, Pattern(r"^(\d+\.\d+[\d.]*)\s*$")),
    probe(
        "django-oauth-toolkit",
        Product,
        PYTHON_PACKAGES,
        Pattern(r"django_oauth_toolkit-(\d[0-9A-Za-z.]*?)(?:-py[\d.]+)?\.(?:dist|egg)-info"),
    ),
    probe(
        "keycloak",
        Product,
        KEYCLOAK,
        Pattern(r"(?i)keycloak(?:-core|\s*-\s*version)?[-\s]+v?(\d+\.\d+[\d.]*\d)"),
    ),
    probe(
        "authelia",
        Product,
        "authelia --version",
        Pattern(r"(?m)^authelia version v?(\d+\.\d+[0-9A-Za-z.]*)"),
    ),
    probe(
        "authentik",
        Product,
        AUTHENTIK,
        Pattern(r#"(?m)^(?:__version__|VERSION) = "(\d+\.\d+[0-9A-Za-z.]*)"#),
    ),
    probe(
        "dex",
        Product,
        "dex version",
        Pattern(r"(?m)^Dex Version: v?(\d+\.\d+[0-9A-Za-z.]*)"),
    ),
    probe(
        "freeradius",
        Product,
        FREERADIUS,
        Pattern(r"FreeRADIUS Version (\d+\.\d+[\d.]*)"),
    ),
    probe("dpkg", Packages, DPKG, With(parse::dpkg)),
    probe("rpm", Packages, RPM, With(parse::rpm)),
    probe("apk", Packages, APK, With(parse::apk)),
];
