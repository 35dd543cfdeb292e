//! Published ports in their short form: `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each side a number or a range.

/// One published port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShortPort {
    pub host_ip: Option<String>,
    pub published: Option<String>,
    pub target: u16,
    pub protocol: String,
}

/// All ports that `text` means, in Compose's order. The error is a message without a place.
pub(super) fn expand(text: &str) -> Result<Vec<ShortPort>, String> {
    let (address, protocol) = match text.split_once('/') {
        Some((address, protocol)) => (address, protocol.to_ascii_lowercase()),
        None => (text, "tcp".to_owned()),
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("`{protocol}` is none of the protocols `tcp`, `udp`, `sctp`"));
    }
    let (host_ip, host, container) = split(address);
    if container.is_empty() {
        return Err(format!("`{text}` names no port of the container"));
    }
    let invalid = |part: &str| format!("`{part}` in `{text}` is not a port or a range of ports");
    let (first, last) = range(container).ok_or_else(|| invalid(container))?;
    let published = match host {
        Some(host) if !host.is_empty() => Some(range(host).ok_or_else(|| invalid(host))?),
        _ => None,
    };
    let fits = |(low, high): (u16, u16)| high - low == last - first;
    if let Some(published) = published
        && !fits(published)
        && first != last
    {
        return Err(format!("the two ranges of `{text}` differ in length"));
    }
    let mut ports: Vec<_> = (first..=last)
        .map(|target| ShortPort {
            host_ip: host_ip.map(str::to_owned),
            published: published.map(|(low, high)| match fits((low, high)) {
                true => (low + (target - first)).to_string(),
                false => format!("{low}-{high}"),
            }),
            target,
            protocol: protocol.clone(),
        })
        .collect();
    ports.sort_by_key(|port| port.target.to_string());
    Ok(ports)
}

/// Address, host port, container port; an IPv6 address may stand in brackets.
fn split(text: &str) -> (Option<&str>, Option<&str>, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else {
        return (None, None, text);
    };
    let Some((address, host)) = rest.rsplit_once(':') else {
        return (None, Some(rest), container);
    };
    let address = address
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(address);
    ((!address.is_empty()).then_some(address), Some(host), container)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let ports = expand(text).expect(text).into_iter();
        let option = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        ports
            .map(|port| {
                format!(
                    "{} {} {} {}",
                    option(port.host_ip),
                    option(port.published),
                    port.target,
                    port.protocol
                )
            })
            .collect()
    }

    #[test]
    fn every_short_form_is_understood() {
        assert_eq!(shown("80"), ["- - 80 tcp"]);
        assert_eq!(shown("8080:80/UDP"), ["- 8080 80 udp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1 - 80 tcp"]);
        assert_eq!(shown("[::1]:8080:80"), ["::1 8080 80 tcp"]);
        assert_eq!(shown("9000-9001:90-91"), ["- 9000 90 tcp", "- 9001 91 tcp"]);
        assert_eq!(shown("9000-9010:90"), ["- 9000-9010 90 tcp"]);
    }

    #[test]
    fn wrong_ports_are_refused() {
        for text in ["", "80:", "a", "80/x", "70000", "1-2:1-3", "5-4"] {
            assert!(expand(text).is_err(), "{text}");
        }
    }
}
