//! `production.hosts`: the names under which people reach production from outside its files.

use url::Url;

use super::super::grammar;
use super::super::settings::Host;
use super::fields::Fields;
use super::step::check_header;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Entry, Node};

/// How an entry's key is to be written.
const LIKE: &str = "write it like `https://shop.example.com`";

pub(super) fn hosts(production: &Fields) -> Vec<Host> {
    let mut places: Vec<(Option<(String, u16)>, &str)> = Vec::new();
    let mut all = Vec::new();
    for entry in production.entries("hosts") {
        let place = match place(&entry.key) {
            Ok(place) => Some(place),
            Err(why) => {
                let error = Diagnostic::at(&entry.key_span, format!("`{}` {why}", entry.key));
                production.reader.refuse(error.help(LIKE));
                None
            }
        };
        let same = places.iter().find(|(other, _)| place.is_some() && *other == place);
        if let Some((_, other)) = same {
            let message = format!("`{}` and `{other}` are one name on one port", entry.key);
            let error = Diagnostic::at(&entry.key_span, message);
            production
                .reader
                .refuse(error.help("one service answers there: take one of them out"));
        }
        places.push((place, &entry.key));
        all.push(host(production, entry));
    }
    all
}

fn host(production: &Fields, entry: &Entry) -> Host {
    let fields = production.reader.fields(&entry.node, &grammar::HOST);
    Host {
        url: entry.key.clone(),
        service: fields.filled("service").unwrap_or_default(),
        service_span: fields
            .get("service")
            .map_or_else(|| entry.key_span.clone(), |node| node.span.clone()),
        port: fields.get("port").and_then(|node| port(&fields, node)),
        headers: headers(&fields),
        span: entry.key_span.clone(),
    }
}

fn port(fields: &Fields, node: &Node) -> Option<u16> {
    let port = node.as_int().and_then(|port| u16::try_from(port).ok());
    if port.is_none() {
        fields
            .reader
            .refuse_value(node, "is no port", "write a number from 1 to 65535");
    }
    port
}

fn headers(fields: &Fields) -> Vec<(String, Option<String>)> {
    let value = |node: &Node| (!node.is_null()).then(|| fields.reader.text(node));
    let read = |entry: &Entry| {
        check_header(fields.reader, entry);
        (entry.key.clone(), value(&entry.node))
    };
    fields.entries("headers").iter().map(read).collect()
}

/// Name and port of a URL that has nothing else.
///
/// # Errors
/// Why it is no name of `production.hosts`, in words.
pub fn place(url: &str) -> Result<(String, u16), &'static str> {
    let url = Url::parse(url).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not a URL of HTTP");
    }
    let Some(name) = url.domain() else {
        return Err("has an address where a name is needed");
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err("has more than a scheme, a name and a port");
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Err("leads each container to itself");
    }
    Ok((name.to_owned(), url.port_or_known_default().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_host_is_a_scheme_a_name_and_a_port() {
        assert_eq!(
            place("https://Shop.example.com"),
            Ok(("shop.example.com".to_owned(), 443))
        );
        assert_eq!(
            place("http://shop.example.com:8080/"),
            Ok(("shop.example.com".to_owned(), 8080))
        );
        for wrong in [
            "shop.example.com",
            "ftp://shop.example.com",
            "https://192.0.2.1",
            "https://[::1]",
            "https://shop.example.com/app",
            "https://shop.example.com/?a=b",
            "https://me@shop.example.com",
            "http://localhost:8080",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
