//! What answers mean, where one pattern does not tell; and every probe's test on what real programs print.

use crate::text::pattern;

use super::question::{captured, digest_of};

/// `debian 11`, `alpine 3.19.1`, `debian trixie` where there is no number.
pub(super) fn os(output: &str) -> Option<String> {
    let value = |key: &str| {
        let line = output
            .lines()
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    let version = value("VERSION_ID")
        .or_else(|| value("VERSION_CODENAME"))
        .or_else(|| value("BUILD_ID"));
    Some(
        format!("{} {}", value("ID")?, version.unwrap_or_default())
            .trim()
            .to_owned(),
    )
}

/// From `getconf` where it is there, else from the last word of `ldd`'s first line.
pub(super) fn glibc(output: &str) -> Option<String> {
    if output.contains("musl libc") {
        return None;
    }
    captured(r"(?m)^glibc (\d\S*)", output).or_else(|| captured(r"(?m)^ldd \(.*\) (\d\S*)\s*$", output))
}

/// The program's version, else the library's package's.
pub(super) fn openssl(output: &str) -> Option<String> {
    if let Some(version) = captured(r"(?m)^(LibreSSL \d\S*|BoringSSL\S*)", output) {
        return Some(version);
    }
    captured(r"(?m)^OpenSSL (\d\S*)", output)
        .or_else(|| captured(r"(?m)^ii\s+libssl[\d.]+\S* (?:\d+:)?(\d[0-9A-Za-z.]*)", output))
        .or_else(|| captured(r"(?m)^libssl[\d.]*-(\d[0-9A-Za-z.]*)-r", output))
        .or_else(|| captured(r"(?m)^openssl-libs-(?:\d+:)?(\d[0-9A-Za-z.]*)-", output))
}

/// The parent of all: the highest runtime that is installed.
pub(super) fn dotnet(output: &str) -> Option<String> {
    let pattern = pattern(r"(?m)^Microsoft\.NETCore\.App (\d\S*)");
    let versions = pattern
        .captures_iter(output)
        .filter_map(|found| Some(found.get(1)?.as_str()));
    versions
        .max_by(|one, other| crate::text::version::compare(one, other))
        .map(str::to_owned)
}

/// Each version that is installed: a server may hold several.
pub(super) fn postgres(output: &str) -> Option<String> {
    let pattern = pattern(r"\(PostgreSQL\) (\d[0-9A-Za-z.]*)|^EnterpriseDB Advanced Server (\d\S*)");
    let found = pattern
        .captures_iter(output)
        .filter_map(|found| Some(found.get(1).or_else(|| found.get(2))?.as_str()));
    let mut versions: Vec<&str> = found.collect();
    versions.sort_by(|one, other| crate::text::version::compare(one, other));
    versions.dedup();
    (!versions.is_empty()).then(|| versions.join(", "))
}

/// MySQL itself: MariaDB calls itself the same.
pub(super) fn mysql(output: &str) -> Option<String> {
    if output.contains("MariaDB") {
        return None;
    }
    captured(r"mysqld\s+Ver (\d[\d.]*)", output)
}

/// The extensions that software is built for, by the levels of x86-64, and those beside the levels.
pub(super) fn cpu(output: &str) -> Option<String> {
    let machine = output.lines().next()?.trim();
    let flags: Vec<&str> = output
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split(':')
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let has = |wanted: &[&str]| wanted.iter().all(|flag| flags.contains(flag));
    let level = if machine != "x86_64" {
        machine.to_owned()
    } else {
        format!("x86-64-v{}", level(&has))
    };
    let beside = [
        "aes",
        "avx512vnni",
        "sha_ni",
        "vaes",
        "amx_tile",
        "atomics",
        "sha2",
        "crc32",
        "sve",
        "sve2",
    ];
    let beside = beside.iter().filter(|flag| flags.contains(flag)).copied();
    let good = !machine.is_empty()
        && machine
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    good.then(|| {
        std::iter::once(level.as_str())
            .chain(beside)
            .collect::<Vec<_>>()
            .join(" ")
    })
}

fn level(has: &impl Fn(&[&str]) -> bool) -> u8 {
    let levels: [&[&str]; 3] = [
        &["cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"],
        &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"],
        &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    ];
    1 + levels.iter().map_while(|flags| has(flags).then_some(1)).sum::<u8>()
}

/// Packages that are installed: `ii`, and `hi` where somebody holds them.
pub(super) fn dpkg(output: &str) -> Option<String> {
    let installed = output
        .lines()
        .filter_map(|line| line.strip_prefix("ii ").or_else(|| line.strip_prefix("hi ")));
    digest_of(installed.map(|line| line.trim().to_owned()))
}

/// Packages, without the keys that RPM keeps among them.
pub(super) fn rpm(output: &str) -> Option<String> {
    let pattern = pattern(r"^\S+ \S+-\S+$");
    let packages = output
        .lines()
        .filter(|line| pattern.is_match(line) && !line.starts_with("gpg-pubkey "));
    digest_of(packages.map(str::to_owned))
}

/// Packages as `name-version-rN`.
pub(super) fn apk(output: &str) -> Option<String> {
    let pattern = pattern(r"^\S+-\d\S*-r\d+$");
    digest_of(output.lines().filter(|line| pattern.is_match(line)).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::find;

    /// Probe, what a real program printed, the fact.
    const SAID: &[(&str, &str, Option<&str>)] = &[
        ("kernel", "5.15.0-91-generic\n", Some("5.15.0-91-generic")),
        ("kernel", "sh: uname: not found\n", None),
        (
            "os",
            "PRETTY_NAME=\"Debian GNU/Linux 11 (bullseye)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"11\"\nVERSION_CODENAME=bullseye\nID=debian\n",
            Some("debian 11"),
        ),
        (
            "os",
            "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\n",
            Some("alpine 3.19.1"),
        ),
        (
            "os",
            "PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nVERSION_CODENAME=forky\nID=debian\n",
            Some("debian forky"),
        ),
        ("os", "ID='rhel'\nVERSION_ID='9.3'\n", Some("rhel 9.3")),
        ("os", "ID=arch\nBUILD_ID=rolling\n", Some("arch rolling")),
        ("os", "cat: /etc/os-release: No such file or directory\n", None),
        (
            "cpu",
            "x86_64\nflags\t\t: fpu sse pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm aes avx avx2 bmi1 bmi2 f16c fma abm movbe xsave sha_ni\n",
            Some("x86-64-v3 aes sha_ni"),
        ),
        ("cpu", "x86_64\nflags\t\t: fpu sse sse2\n", Some("x86-64-v1")),
        (
            "cpu",
            "aarch64\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\n",
            Some("aarch64 aes atomics sha2 crc32"),
        ),
        ("cpu", "sh: 1: uname: not found\n", None),
        (
            "glibc",
            "ldd (Debian GLIBC 2.31-13+deb11u11) 2.31\nCopyright (C) 2020\nglibc 2.31\n",
            Some("2.31"),
        ),
        (
            "glibc",
            "ldd (GNU libc) 2.17\nCopyright (C) 2012\nsh: getconf: not found\n",
            Some("2.17"),
        ),
        (
            "glibc",
            "ldd (Ubuntu GLIBC 2.35-0ubuntu3.6) 2.35\nCopyright\n",
            Some("2.35"),
        ),
        (
            "glibc",
            "musl libc (x86_64)\nVersion 1.2.4\nDynamic Program Loader\nUsage: ldd [options]\n",
            None,
        ),
        (
            "musl",
            "musl libc (x86_64)\nVersion 1.2.4\nDynamic Program Loader\n",
            Some("1.2.4"),
        ),
        (
            "musl",
            "/lib/ld-musl-x86_64.so.1\nmusl libc (x86_64)\nVersion 1.2.5_git20240512\n",
            Some("1.2.5_git20240512"),
        ),
        ("musl", "ldd (Debian GLIBC 2.36-9+deb12u8) 2.36\n", None),
        ("openssl", "OpenSSL 1.1.1w  11 Sep 2023\n", Some("1.1.1w")),
        (
            "openssl",
            "OpenSSL 3.0.22 25 Aug 2026 (Library: OpenSSL 3.0.22 25 Aug 2026)\n",
            Some("3.0.22"),
        ),
        ("openssl", "OpenSSL 1.0.2k-fips  26 Jan 2017\n", Some("1.0.2k-fips")),
        ("openssl", "LibreSSL 3.8.2\n", Some("LibreSSL 3.8.2")),
        (
            "openssl",
            "sh: 1: openssl: not found\nii  libssl3 3.0.15-1~deb12u1\nun  libssl-dev \n",
            Some("3.0.15"),
        ),
        (
            "openssl",
            "sh: openssl: not found\nlibssl3-3.1.4-r5\nsh: rpm: not found\n",
            Some("3.1.4"),
        ),
        (
            "openssl",
            "sh: openssl: command not found\nopenssl-libs-3.0.7-25.el9_3.x86_64\n",
            Some("3.0.7"),
        ),
        (
            "openssl",
            "sh: openssl: command not found\npackage openssl-libs is not installed\n",
            None,
        ),
        (
            "ca-bundle",
            "ca-certificates\t20250419~deb12u1~deb11u1\n",
            Some("20250419"),
        ),
        (
            "ca-bundle",
            "sh: dpkg-query: not found\nca-certificates-2023.2.60_v7.0.306-90.1.el9_2.noarch\n",
            Some("2023.2"),
        ),
        ("ca-bundle", "ca-certificates-bundle-20230506-r0\n", Some("20230506")),
        (
            "ca-bundle",
            "dpkg-query: no packages found matching ca-certificates\n",
            None,
        ),
        ("ca-bundle", "ca-certificates\t\n", None),
        ("python", "Python 3.9.2\n", Some("3.9.2")),
        ("python", "sh: 1: python3: not found\nPython 2.7.18\n", Some("2.7.18")),
        ("python", "Python 3.13.0rc2\n", Some("3.13.0rc2")),
        ("python", "sh: 1: python3: not found\nsh: 1: python: not found\n", None),
        ("node", "v18.19.0\n", Some("18.19.0")),
        ("node", "(node:7) Warning: something\nv20.11.1\n", Some("20.11.1")),
        ("node", "sh: node: not found\n", None),
        (
            "java",
            "openjdk version \"17.0.9\" 2023-10-17\nOpenJDK Runtime Environment (build 17.0.9+9)\n",
            Some("17.0.9"),
        ),
        (
            "java",
            "java version \"1.8.0_392\"\nJava(TM) SE Runtime Environment\n",
            Some("1.8.0_392"),
        ),
        (
            "java",
            "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"21\" 2023-09-19\n",
            Some("21"),
        ),
        ("java", "sh: 1: java: not found\n", None),
        (
            "php",
            "PHP 7.4.33 (cli) (built: Jul  9 2024 16:56:44) ( NTS )\nCopyright (c) The PHP Group\n",
            Some("7.4.33"),
        ),
        (
            "php",
            "PHP Warning:  Module loaded twice\nPHP 8.2.7 (cli) (built: Jun  9 2023)\n",
            Some("8.2.7"),
        ),
        ("php", "sh: php: not found\n", None),
        (
            "perl",
            "\nThis is perl 5, version 32, subversion 1 (v5.32.1) built for x86_64-linux-gnu-thread-multi\n",
            Some("5.32.1"),
        ),
        ("perl", "sh: perl: not found\n", None),
        (
            "ruby",
            "ruby 2.7.4p191 (2021-07-07 revision a21a3b7d23) [x86_64-linux-gnu]\n",
            Some("2.7.4p191"),
        ),
        (
            "ruby",
            "ruby 3.3.0 (2023-12-25 revision 5124f9ac75) [x86_64-linux]\n",
            Some("3.3.0"),
        ),
        ("go", "go version go1.21.5 linux/amd64\n", Some("1.21.5")),
        ("go", "sh: go: not found\n", None),
        (
            "dotnet",
            "Microsoft.AspNetCore.App 8.0.1 [/usr/share/dotnet/shared]\nMicrosoft.NETCore.App 6.0.26 [/x]\nMicrosoft.NETCore.App 8.0.1 [/x]\n",
            Some("8.0.1"),
        ),
        (
            "dotnet",
            "Microsoft.NETCore.App 8.0.9 [/x]\nMicrosoft.NETCore.App 8.0.10 [/x]\n",
            Some("8.0.10"),
        ),
        ("dotnet", "sh: dotnet: not found\n", None),
        (
            "postgres",
            "postgres (PostgreSQL) 13.16 (Debian 13.16-1.pgdg110+1)\n",
            Some("13.16"),
        ),
        ("postgres", "postgres (PostgreSQL) 16beta1\n", Some("16beta1")),
        (
            "postgres",
            "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\npostgres (PostgreSQL) 9.6.24\n",
            Some("9.6.24, 15.14"),
        ),
        ("postgres", "", None),
        (
            "mariadb",
            "mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)\n",
            Some("10.11.6"),
        ),
        (
            "mariadb",
            "mysqld  Ver 10.5.26-MariaDB-0+deb11u2 for debian-linux-gnu on x86_64 (Debian 11)\n",
            Some("10.5.26"),
        ),
        (
            "mariadb",
            "/usr/sbin/mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)\n",
            None,
        ),
        (
            "mysql",
            "/usr/sbin/mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)\n",
            Some("8.0.36"),
        ),
        (
            "mysql",
            "mysqld  Ver 5.7.44-log for Linux on x86_64 (MySQL Community Server (GPL))\n",
            Some("5.7.44"),
        ),
        (
            "mysql",
            "mysqld  Ver 10.5.26-MariaDB-0+deb11u2 for debian-linux-gnu on x86_64 (Debian 11)\n",
            None,
        ),
        ("mysql", "sh: 1: mysqld: not found\n", None),
        (
            "redis",
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=5f8d\n",
            Some("7.0.15"),
        ),
        (
            "redis",
            "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=a\n",
            None,
        ),
        (
            "valkey",
            "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=a\n",
            Some("8.0.1"),
        ),
        ("rabbitmq", "/opt/rabbitmq/plugins/rabbit-3.12.12\n", Some("3.12.12")),
        (
            "rabbitmq",
            "ls: cannot access '/opt/rabbitmq/plugins/rabbit-[0-9]*': No such file or directory\n/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8\n",
            Some("3.10.8"),
        ),
        ("rabbitmq", "/opt/rabbitmq/plugins/rabbit-3.8.9.ez\n", Some("3.8.9")),
        (
            "rabbitmq",
            "ls: cannot access '/opt/rabbitmq/plugins/rabbit-[0-9]*': No such file or directory\n",
            None,
        ),
        ("nginx", "nginx version: nginx/1.18.0 (Ubuntu)\n", Some("1.18.0")),
        ("nginx", "nginx version: openresty/1.21.4.1\n", Some("1.21.4.1")),
        ("nginx", "sh: 1: nginx: not found\n", None),
        (
            "apache",
            "Server version: Apache/2.4.62 (Debian)\nServer built:   2024-10-04T15:21:08\n",
            Some("2.4.62"),
        ),
        (
            "apache",
            "[warn] module ssl_module is already loaded, skipping\nServer version: Apache/2.4.6 (CentOS)\n",
            Some("2.4.6"),
        ),
        (
            "haproxy",
            "HAProxy version 2.6.12-1+deb12u1 2023/12/16 - https://haproxy.org/\nStatus: long-term supported branch\n",
            Some("2.6.12"),
        ),
        (
            "haproxy",
            "HA-Proxy version 2.2.9-2+deb11u6 2023/12/19 - https://haproxy.org/\n",
            Some("2.2.9"),
        ),
        (
            "openldap",
            "@(#) $OpenLDAP: slapd 2.5.13+dfsg-5 (Feb  8 2023 01:56:12) $\n\tDebian OpenLDAP Maintainers\n",
            Some("2.5.13"),
        ),
        (
            "openldap",
            "@(#) $OpenLDAP: slapd 2.4.57 (May 13 2022 21:34:52) $\n",
            Some("2.4.57"),
        ),
        ("openldap", "sh: slapd: not found\n", None),
        ("glewlwyd", "2.7.5\n", Some("2.7.5")),
        ("glewlwyd", "Glewlwyd SSO server 2.5.2\n", Some("2.5.2")),
        ("glewlwyd", "sh: 1: glewlwyd: not found\n", None),
        ("lemonldap-ng", "2.16.1", Some("2.16.1")),
        (
            "lemonldap-ng",
            "Can't locate Lemonldap/NG/Common.pm in @INC (@INC contains: /etc/perl /usr/lib/perl5/5.36) at -e line 0.\n",
            None,
        ),
        (
            "django-oauth-toolkit",
            "/usr/lib/python3/dist-packages/django_oauth_toolkit-1.3.3.egg-info\n",
            Some("1.3.3"),
        ),
        (
            "django-oauth-toolkit",
            "/usr/local/lib/python3.11/site-packages/django_oauth_toolkit-2.3.0.dist-info\n",
            Some("2.3.0"),
        ),
        (
            "django-oauth-toolkit",
            "/srv/idp/venv/lib/python3.8/site-packages/django_oauth_toolkit-1.5.0-py3.8.egg-info\n",
            Some("1.5.0"),
        ),
        ("django-oauth-toolkit", "", None),
        ("keycloak", "Keycloak - Version 12.0.4\n", Some("12.0.4")),
        (
            "keycloak",
            "cat: /opt/keycloak/version.txt: No such file or directory\nKeycloak - Version 9.0.3\n",
            Some("9.0.3"),
        ),
        ("keycloak", "org.keycloak.keycloak-core-26.0.5.jar\n", Some("26.0.5")),
        (
            "keycloak",
            "cat: /opt/keycloak/version.txt: No such file or directory\nls: cannot access '/opt/keycloak/lib/lib/main/'\n",
            None,
        ),
        ("authelia", "authelia version v4.38.10\n", Some("4.38.10")),
        ("authelia", "sh: authelia: not found\n", None),
        ("authentik", "__version__ = \"2025.6.1\"\n", Some("2025.6.1")),
        ("authentik", "VERSION = \"2025.10.0-rc1\"\n", Some("2025.10.0")),
        (
            "authentik",
            "grep: /authentik/__init__.py: No such file or directory\n",
            None,
        ),
        ("dex", "Dex Version: v2.38.0\nGo Version: go1.21.6\n", Some("2.38.0")),
        ("dex", "sh: dex: not found\n", None),
        (
            "freeradius",
            "radiusd: FreeRADIUS Version 3.2.1, for host x86_64-pc-linux-gnu, built on Aug 18 2023 at 22:26:34\n",
            Some("3.2.1"),
        ),
        (
            "freeradius",
            "sh: freeradius: not found\nsh: radiusd: not found\n",
            None,
        ),
        (
            "dpkg",
            "ii  zlib1g 1:1.2.11\nii  adduser 3.118\nrc  gone 1.0\n",
            Some("2 packages, sha256 a80ab44bd2b8f9b8"),
        ),
        ("dpkg", "hi  held 1\n", Some("1 packages, sha256 5ed0e5cc5d6b6b4c")),
        ("dpkg", "sh: 1: dpkg-query: not found\n", None),
        (
            "rpm",
            "bash 5.1.8-6.el9_1.x86_64\ngpg-pubkey fd431d51-4ae0493b.(none)\n",
            Some("1 packages, sha256 "),
        ),
        ("rpm", "sh: 1: rpm: not found\n", None),
        (
            "apk",
            "musl-1.2.4-r2\nWARNING: opening from cache\nbusybox-1.36.1-r15\n",
            Some("2 packages, sha256 "),
        ),
        ("apk", "sh: apk: not found\n", None),
    ];

    #[test]
    fn answers_of_real_programs_are_understood() {
        let mut wrong = Vec::new();
        for (name, output, fact) in SAID {
            let read = find(name).expect(name).read(output);
            let good = match (fact, &read) {
                (Some(fact), Some(read)) if fact.contains("sha256") => {
                    read.starts_with(fact.split("sha256").next().unwrap_or_default())
                }
                (fact, read) => fact.map(str::to_owned) == *read,
            };
            if !good {
                wrong.push(format!("{name}: {output:?} is {read:?}, not {fact:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_probe_is_tested() {
        for probe in super::super::ALL {
            assert!(
                SAID.iter().any(|(name, _, fact)| *name == probe.name && fact.is_some()),
                "{}",
                probe.name
            );
        }
    }

    #[test]
    fn the_order_of_packages_is_no_difference_and_a_version_is() {
        let dpkg = |output| find("dpkg").and_then(|probe| probe.read(output));
        assert_eq!(dpkg("ii  a 1\nii  b 2\n"), dpkg("ii  b 2\nii  a 1\n"));
        assert_ne!(dpkg("ii  a 1\n"), dpkg("ii  a 2\n"));
    }
}
