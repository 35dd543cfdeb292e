//! Which command reads a dump in a service's container: the client that every image of the product has, as the product's
//! administrator, by the variables with which its image is configured.

use crate::config::dump::Content;

const POSTGRES: &str = r#"export PGUSER="${PGUSER:-${POSTGRES_USER:-postgres}}"
export PGDATABASE="${PGDATABASE:-${POSTGRES_DB:-$PGUSER}}" PGPASSWORD="${PGPASSWORD:-${POSTGRES_PASSWORD:-}}"
"#;

/// Stops at the first error: half of production's data is another production.
const SQL: &str = r#"if command -v psql >/dev/null; then
  exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null --file=-
fi
for client in mariadb mysql; do
  if command -v "$client" >/dev/null; then
    export MYSQL_PWD="${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}"
    database="${MARIADB_DATABASE:-${MYSQL_DATABASE:-}}"
    exec "$client" --user=root ${database:+"--database=$database"}
  fi
done
echo 'this container has none of psql, mariadb, mysql' >&2
exit 127"#;

const POSTGRES_ARCHIVE: &str = r#"command -v pg_restore >/dev/null || { echo 'this container has no pg_restore' >&2; exit 127; }
exec pg_restore --exit-on-error --no-password --dbname="$PGDATABASE""#;

const MONGO_ARCHIVE: &str = r#"command -v mongorestore >/dev/null || { echo 'this container has no mongorestore' >&2; exit 127; }
if [ -n "${MONGO_INITDB_ROOT_USERNAME:-}" ]; then
  set -- "--username=$MONGO_INITDB_ROOT_USERNAME" "--password=${MONGO_INITDB_ROOT_PASSWORD:-}" --authenticationDatabase=admin
fi
exec mongorestore --archive --quiet --stopOnError "$@""#;

/// A command that reads it from its standard input, and how people call it.
pub(super) struct Client {
    pub words: Vec<String>,
    pub called: String,
}

/// The client of what a dump holds.
///
/// # Errors
/// There is none: what it holds, in words.
pub(super) fn of(content: Content) -> Result<Client, &'static str> {
    let (called, script) = match content {
        Content::Text => ("its SQL client", format!("{POSTGRES}{SQL}")),
        Content::PostgresArchive => ("pg_restore", format!("{POSTGRES}{POSTGRES_ARCHIVE}")),
        Content::MongoArchive => ("mongorestore", MONGO_ARCHIVE.to_owned()),
        Content::Tar => return Err("a tar archive"),
        Content::Other => return Err("neither SQL nor an archive of pg_dump's or mongodump's"),
    };
    Ok(Client {
        words: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        called: called.to_owned(),
    })
}

/// The one that the configuration names.
pub(super) fn named(words: &[String]) -> Client {
    Client {
        words: words.to_vec(),
        called: format!("`{}`", words.join(" ")),
    }
}
