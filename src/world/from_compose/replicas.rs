//! Several containers of one service: what only one of them can have makes the deploy of the second fail.

use crate::compose::{Port, Service};
use crate::yaml::diagnostic::Diagnostic;

/// # Errors
/// The service has an address or a port of production's machine that only one container can have.
pub(super) fn can_be(from: &Service) -> Result<(), Diagnostic> {
    let count = from.replicas();
    if count < 2 {
        return Ok(());
    }
    let alone = address(from).or_else(|| from.ports.iter().find_map(|port| published(port, count)));
    alone.map_or(Ok(()), |(what, way_out)| {
        let name = &from.name;
        let message = format!(
            "`{name}` runs {count} times and has {what}: `docker compose up` starts the first and fails at the second"
        );
        Err(Diagnostic::at(&from.span, message).help(way_out))
    })
}

fn address(from: &Service) -> Option<(String, &'static str)> {
    let fixed =
        |network: &crate::compose::NetworkAttachment| network.ipv4_address.clone().or(network.ipv6_address.clone());
    let address = from.networks.values().find_map(fixed)?;
    let way_out = "take the fixed address away: others find all replicas by the service's name";
    Some((format!("the fixed address {address}"), way_out))
}

fn published(port: &Port, count: u32) -> Option<(String, &'static str)> {
    let published = port.published.as_deref().filter(|ports| !ports.is_empty())?;
    let way_out = "publish a range with a port for each, none that is fixed, or put a front before them";
    (ports_in(published)? < count).then(|| (format!("the port {published} of the host"), way_out))
}

/// `8080` or `8080-8082`; `None` for what is no port.
fn ports_in(published: &str) -> Option<u32> {
    let (first, last) = published.split_once('-').unwrap_or((published, published));
    let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    // 0 lets the engine choose.
    (first > 0).then(|| last.saturating_sub(first) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{self, LoadOptions};

    #[test]
    fn a_range_has_as_many_ports_as_it_says_and_zero_has_any() {
        assert_eq!(ports_in("8080"), Some(1));
        assert_eq!(ports_in("8080-8082"), Some(3));
        assert_eq!(ports_in("0"), None);
        assert_eq!(ports_in("http"), None);
    }

    /// What is said of `web` with these keys.
    fn refusal(keys: &str) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("compose.yaml");
        let networks = "networks: {front: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}";
        let text = format!("name: x\nservices:\n  web: {{image: 'a:1', {keys}}}\n{networks}\n");
        std::fs::write(&file, text).expect("written");
        let project = compose::load(&LoadOptions {
            files: vec![file],
            ..LoadOptions::default()
        });
        let project = project.unwrap_or_else(|error| panic!("{error}"));
        can_be(&project.services["web"]).err().map(|error| error.to_string())
    }

    #[test]
    fn what_only_one_container_can_have_is_refused_with_the_way_out() {
        let one_port = refusal("scale: 2, ports: ['8080:80']").expect("refused");
        assert!(
            one_port.contains("`web` runs 2 times and has the port 8080 of the host"),
            "{one_port}"
        );
        assert!(
            one_port.contains("compose.yaml:3:3") && one_port.contains("publish a range"),
            "{one_port}"
        );
        let address = refusal("scale: 2, networks: {front: {ipv4_address: 10.9.0.7}}").expect("refused");
        assert!(address.contains("the fixed address 10.9.0.7"), "{address}");
    }

    #[test]
    fn what_each_can_have_for_itself_is_taken() {
        for keys in [
            "scale: 2, ports: ['8080-8081:80']",
            "scale: 2, ports: ['80']",
            "scale: 2, networks: {front: {}}",
            "ports: ['8080:80'], networks: {front: {ipv4_address: 10.9.0.7}}",
        ] {
            assert_eq!(refusal(keys), None, "{keys}");
        }
    }
}
