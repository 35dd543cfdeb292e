//! Data like production's on a real PostgreSQL and a real MariaDB: every way in which a dump is kept and comes into the
//! mirror, and what is said where it does not.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::docker;
use crate::driver;
use crate::stage::{LIMIT, Stage, says};
use rehearsal::config::settings::{Dump, Restore, Target};
use rehearsal::mirror::start::BroughtUp;
use rehearsal::world::model::{
    Attachment, Condition, Dependency, Health, Mount, Service, Source, VolumeOptions, World,
};
use rehearsal::yaml::span::{self, Span};

const ROWS: &str = "CREATE TABLE orders (id integer); INSERT INTO orders SELECT generate_series(1, 1234);\n";

/// A database, and beside it a service that waits for it and one that keeps files.
fn world() -> World {
    let service = |name: &str, image: &str| Service {
        name: name.to_owned(),
        image: image.to_owned(),
        networks: [("default".to_owned(), Attachment::named([name]))].into(),
        ..Service::default()
    };
    let variables = [
        ("POSTGRES_USER", "shop"),
        ("POSTGRES_PASSWORD", "x"),
        ("POSTGRES_DB", "shop"),
    ];
    let db = Service {
        env: variables
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
            .into(),
        ..service("db", "incident/postgres:15")
    };
    let tools = Service {
        command: Some(["sleep", "600"].map(str::to_owned).to_vec()),
        entrypoint: Some(vec![]),
        health: Some(Health {
            test: vec!["NONE".to_owned()],
            ..Health::default()
        }),
        ..service("tools", "incident/postgres:15")
    };
    let files = Service {
        command: Some(["sleep", "600"].map(str::to_owned).to_vec()),
        mounts: vec![Mount {
            target: "/srv/files".to_owned(),
            source: Source::Volume("uploads".to_owned()),
            read_only: false,
            volume: VolumeOptions::default(),
        }],
        depends_on: vec![Dependency {
            service: "db".to_owned(),
            condition: Condition::Healthy,
            restart: false,
            optional: false,
        }],
        ..service("files", docker::IMAGE)
    };
    World {
        services: [db, tools, files].map(|service| (service.name.clone(), service)).into(),
        networks: [("default".to_owned(), Default::default())].into(),
        volumes: vec!["uploads".to_owned()],
        ..World::default()
    }
}

fn restore(into: Target, from: Dump) -> Restore {
    let source = span::Source {
        path: "rehearsal.yaml".into(),
        text: "restore".to_owned(),
    };
    Restore {
        into,
        from,
        through: None,
        span: Span {
            source: Arc::new(source),
            range: 0..1,
        },
    }
}

fn file(path: &Path) -> Dump {
    Dump::File {
        path: path.to_path_buf(),
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
    }
}

fn output(script: &str) -> Dump {
    Dump::Output {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        service: "tools".to_owned(),
        service_span: restore(Target::Service(String::new()), file(Path::new("/x"))).span,
    }
}

fn db() -> Target {
    Target::Service("db".to_owned())
}

fn uploads() -> Target {
    Target::Volume("uploads".to_owned())
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

fn written(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

async fn brought_up(restores: Vec<Restore>) -> (Stage, BroughtUp) {
    let stage = Stage::changed(world(), |setup| setup.restores = restores).await;
    let brought_up = stage.mirror.start(LIMIT).await.unwrap();
    (stage, brought_up)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_which_dumps_are_kept_comes_into_the_mirror_before_others_start() {
    let folder = driver::folder("restore-ways");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o640);
    header.set_uid(33);
    archive.append_data(&mut header, "2024/a.txt", &b"one"[..]).unwrap();
    let archive = gzip(&archive.into_inner().unwrap());
    // Whole before any of it is read: else the table is there still when pg_restore makes it.
    let customers = "export PGPASSWORD=x PGHOST=db PGUSER=shop; psql -qd shop -c 'CREATE TABLE customers (id integer)' && \
                     pg_dump -Fc -t customers shop >/tmp/customers && psql -qd shop -c 'DROP TABLE customers' && \
                     cat /tmp/customers";
    let through = Restore {
        through: Some(["sh", "-c", "cat >/tmp/heard"].map(str::to_owned).to_vec()),
        ..restore(db(), output("seq 1 300000"))
    };
    let restores = vec![
        restore(uploads(), file(&written(&folder, "files.tar.gz", &archive))),
        restore(
            uploads(),
            file(&written(&folder, "shop.db.gz", &gzip(b"SQLite format 3\0"))),
        ),
        restore(db(), file(&written(&folder, "orders.sql.gz", &gzip(ROWS.as_bytes())))),
        restore(db(), output(customers)),
        through,
    ];
    let (stage, brought_up) = brought_up(restores).await;
    assert_eq!(brought_up.failure(), None, "{brought_up:?}");
    let sizes: Vec<u64> = brought_up.restored.iter().map(|one| one.unpacked).collect();
    assert_eq!((sizes[1], sizes[2], sizes[4]), (16, ROWS.len() as u64, 1_988_895));
    let files = brought_up
        .started
        .iter()
        .find(|one| one.replica.service == "files")
        .unwrap();
    assert!(
        brought_up
            .restored
            .iter()
            .all(|one| one.begun + one.took <= files.begun),
        "{brought_up:?}"
    );
    let mirror = &stage.mirror;
    assert_eq!(
        says(mirror, "db", "psql -U shop -Atc 'select count(*) from orders'").await,
        "1234"
    );
    assert_eq!(
        says(mirror, "db", "psql -U shop -Atc 'select count(*) from customers'").await,
        "0"
    );
    assert_eq!(says(mirror, "db", "wc -l </tmp/heard").await, "300000");
    let seen = says(
        mirror,
        "files",
        "cd /srv/files && stat -c '%u %a' 2024/a.txt && cat 2024/a.txt && wc -c <shop.db",
    )
    .await;
    assert_eq!(seen, "33 640\none16");
    stage.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_told_with_its_cause_and_nothing_else_starts() {
    let folder = driver::folder("restore-wrong");
    let long: String = (0..200_000).map(|number| format!("-- {number}\n")).collect();
    let mut cut = gzip((ROWS.to_owned() + &long).as_bytes());
    cut.truncate(cut.len() / 2);
    let wrong = [
        (
            restore(
                db(),
                file(&written(&folder, "a.sql", b"SELECT 1;\nSELECT * FROM nowhere;\n")),
            ),
            "\"nowhere\" does not exist",
        ),
        (
            restore(db(), file(&written(&folder, "cut.sql.gz", &cut))),
            "unexpected end of file",
        ),
        (
            restore(db(), output("echo 'SELECT 1;'; echo 'no such backup' >&2; exit 4")),
            "ended with code 4: no such backup",
        ),
        (restore(db(), output("true")), "there was nothing to restore"),
        (
            restore(db(), file(&written(&folder, "shop.bin", b"\0\0\0"))),
            "name the command that reads it",
        ),
        (
            restore(uploads(), output("echo text")),
            "a volume gets a tar archive, and this is none",
        ),
        (
            restore(uploads(), file(&written(&folder, "cut.tar.gz", &cut_archive()))),
            "unexpected end of file",
        ),
    ];
    for (restore, words) in wrong {
        let (stage, brought_up) = brought_up(vec![restore]).await;
        let failure = brought_up.failure().expect(words);
        assert!(failure.contains(words), "`{words}` is not in {failure}");
        assert!(
            !brought_up.started.iter().any(|one| one.replica.service == "files"),
            "{failure}"
        );
        let place = &brought_up.restored[0].failure.as_ref().unwrap().place;
        assert_eq!(place, "rehearsal.yaml:1:1");
        stage.down().await;
    }
}

/// Half of a packed archive of what no packer makes smaller.
fn cut_archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let noise: Vec<u8> = (0..300_000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut header = tar::Header::new_gnu();
    header.set_size(noise.len() as u64);
    archive.append_data(&mut header, "noise", &noise[..]).unwrap();
    let mut packed = gzip(&archive.into_inner().unwrap());
    packed.truncate(packed.len() / 2);
    packed
}

/// Two MariaDBs: one as images of today are, and one whose client and variables have MySQL's names.
fn mariadb() -> World {
    let service = |name: &str, prefix: &str| Service {
        name: name.to_owned(),
        image: "incident/mariadb:10.11".to_owned(),
        env: [("ROOT_PASSWORD", "x"), ("DATABASE", "shop")]
            .map(|(variable, value)| (format!("{prefix}_{variable}"), Some(value.to_owned())))
            .into(),
        networks: [("default".to_owned(), Attachment::named([name]))].into(),
        ..Service::default()
    };
    let by_old_names = "cd /usr/bin && rm -f mysql && mv mariadb mysql && exec entrypoint.sh mariadbd";
    let old = Service {
        entrypoint: Some(["bash", "-c", by_old_names].map(str::to_owned).to_vec()),
        ..service("old", "MYSQL")
    };
    World {
        services: [service("db", "MARIADB"), old]
            .map(|own| (own.name.clone(), own))
            .into(),
        networks: [("default".to_owned(), Default::default())].into(),
        ..World::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_gets_sql_under_both_its_names_as_its_own_program_dumps_it_and_stops_at_the_first_error() {
    let folder = driver::folder("restore-mariadb");
    let rows = gzip(b"CREATE TABLE orders (id integer);\nINSERT INTO orders SELECT seq FROM seq_1_to_1234;\n");
    let wrong = b"CREATE TABLE half (id integer);\nINSERT INTO nowhere VALUES (1);\nDROP TABLE half;\n";
    let dumped = Dump::Output {
        command: ["mariadb-dump", "--host=db", "--user=root", "--password=x", "shop"]
            .map(str::to_owned)
            .to_vec(),
        service: "old".to_owned(),
        service_span: restore(db(), file(Path::new("/x"))).span,
    };
    let restores = vec![
        restore(db(), file(&written(&folder, "orders.sql.gz", &rows))),
        restore(Target::Service("old".to_owned()), dumped),
        restore(db(), file(&written(&folder, "wrong.sql", wrong))),
    ];
    let stage = Stage::changed(mariadb(), |setup| setup.restores = restores).await;
    let brought_up = stage.mirror.start(LIMIT).await.unwrap();
    let failures: Vec<Option<String>> = brought_up.restored.iter().map(|one| one.failure_line()).collect();
    assert_eq!((failures.len(), &failures[..2]), (3, &[None, None][..]), "{failures:?}");
    let told = failures[2].as_ref().expect("it is wrong");
    assert!(
        told.contains("ERROR 1146 (42S02) at line 2: Table 'shop.nowhere' doesn't exist"),
        "{told}"
    );
    let mirror = &stage.mirror;
    let count = "-px -uroot -Ne 'SELECT COUNT(*) FROM orders' shop";
    assert_eq!(says(mirror, "old", &format!("mysql {count}")).await, "1234");
    let tables = says(mirror, "db", "mariadb -px -uroot -Ne 'SHOW TABLES' shop").await;
    assert_eq!(tables, "half\norders");
    stage.down().await;
}
