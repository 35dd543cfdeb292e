//! Frames that a container forges past the agent, by the engine's bridge: what becomes of them beyond the engine's
//! machine, where the border is heard and where it is closed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use rehearsal::engine::network::Gateway;
use rehearsal::world::model::{Attachment, Network, Service, World};

use crate::docker::{IMAGE, docker, root};
use crate::stage::{Stage, comes_up};

/// It has Perl, which opens raw sockets.
const DEBIAN: &str = "debian:bookworm-slim";
/// Sent by one forger.
const FRAMES: usize = 3;
/// Where a datagram goes, beyond.
const PORT: u16 = 5599;

/// Sends UDP in Ethernet frames of its own making: to the MAC, from the address, to the address, to the port, so often.
const FORGER: &str = r#"
my ($to, $from, $beyond, $port, $frames) = @ARGV;
my ($own, $index) = map { open(my $f, "<", "/sys/class/net/eth0/$_") or die; chomp(my $l = <$f>); $l } qw(address ifindex);
my $mac = sub { pack("H12", $_[0] =~ s/://gr) };
my $ip = sub { pack("C4", split /\./, $_[0]) };
my $udp = pack("n4", 4444, $port, 12, 0) . "past";
my $head = pack("CCnnnCCn", 0x45, 0, 20 + length $udp, 1, 0, 64, 17, 0) . $ip->($from) . $ip->($beyond);
my $sum = unpack("%32n*", $head);
$sum = ($sum & 0xffff) + ($sum >> 16) for 1, 2;
substr($head, 10, 2) = pack("n", ~$sum & 0xffff);
socket(my $socket, 17, 3, 0) or die "no raw socket: $!";
my $link = pack("SnlSCCa8", 17, 0x0800, $index, 1, 0, 6, $mac->($to));
my $frame = $mac->($to) . $mac->($own) . pack("n", 0x0800) . $head . $udp;
send($socket, $frame, 0, $link) or die "not sent: $!" for 1 .. $frames;
"#;

/// A listener of the test's own on another machine than the engine's.
enum Beyond {
    /// The engine is this machine's: a network namespace behind it.
    Namespace(String),
    /// The engine is in a container: this machine is another one.
    Here(UdpSocket, Cell<usize>, String),
}

fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Beyond {
    fn open() -> Self {
        let elsewhere = |host: std::ffi::OsString| host.to_string_lossy().starts_with("tcp://");
        if std::env::var_os("DOCKER_HOST").is_some_and(elsewhere) {
            // Its way out leads here.
            let routes = docker(&["run", "--rm", "--network", "host", IMAGE, "ip", "route"]);
            let address = routes.split_once("default via ").unwrap().1;
            let address = address.split(' ').next().unwrap().to_owned();
            let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
            socket.set_nonblocking(true).unwrap();
            return Self::Here(socket, Cell::new(0), address);
        }
        let name = format!("rehearsal{}", std::process::id());
        let (outer, inner) = (format!("rh{}", std::process::id()), format!("ri{}", std::process::id()));
        let beyond = Self::Namespace(name.clone());
        ip(&format!("netns add {name}"));
        ip(&format!("link add {outer} type veth peer name {inner} netns {name}"));
        ip(&format!("address add {}1/30 dev {outer}", beyond.network()));
        ip(&format!("link set {outer} up"));
        ip(&format!("-n {name} address add {}/30 dev {inner}", beyond.address()));
        ip(&format!("-n {name} link set {inner} up"));
        ip(&format!("-n {name} route add default via {}1", beyond.network()));
        beyond
    }

    /// Of this process alone.
    fn network(&self) -> String {
        format!("10.253.{}.", std::process::id() % 250)
    }

    fn address(&self) -> String {
        match self {
            Self::Namespace(_) => format!("{}2", self.network()),
            Self::Here(_, _, address) => address.clone(),
        }
    }

    /// Datagrams that have come so far.
    fn came(&self) -> usize {
        match self {
            Self::Namespace(name) => {
                let counters = ip(&format!("netns exec {name} cat /proc/net/snmp"));
                let row = counters
                    .lines()
                    .filter(|line| line.starts_with("Udp: "))
                    .nth(1)
                    .unwrap();
                // Nobody listens there: the kernel counts them so.
                row.split(' ').nth(2).unwrap().parse().unwrap()
            }
            Self::Here(socket, came, _) => {
                while socket.recv(&mut [0; 64]).is_ok() {
                    came.set(came.get() + 1);
                }
                came.get()
            }
        }
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        if let Self::Namespace(name) = self {
            // Its end of the pair goes with it, and so does ours.
            ip(&format!("netns delete {name}"));
        }
    }
}

async fn stage_of(gateway: Gateway) -> Stage {
    let made = Command::new(root().join("fixtures/base-images.sh"))
        .arg("bookworm")
        .status();
    assert!(made.unwrap().success(), "fixtures/base-images.sh failed");
    let service = |name: &str, image: &str| Service {
        name: name.to_owned(),
        image: image.to_owned(),
        command: Some(["sleep", "infinity"].map(str::to_owned).to_vec()),
        networks: BTreeMap::from([("front".to_owned(), Attachment::named([name]))]),
        stop_signal: Some("SIGKILL".to_owned()),
        ..Service::default()
    };
    let services = [("web", DEBIAN), ("other", IMAGE)];
    let world = World {
        services: services
            .map(|(name, image)| (name.to_owned(), service(name, image)))
            .into(),
        networks: BTreeMap::from([("front".to_owned(), Network::default())]),
        ..World::default()
    };
    let stage = Stage::changed(world, |setup| setup.gateway = gateway).await;
    comes_up(&stage.mirror).await;
    stage
}

/// The candidate knows the bridge's MAC: it hears it in the bridge's own multicasts.
async fn forge(stage: &Stage, beyond: &Beyond) {
    let network = docker(&["network", "inspect", "--format", "{{.Id}}", &stage.engine.name("front")]);
    let file = format!("/sys/class/net/br-{}/address", &network[..12]);
    let bridge = docker(&["run", "--rm", "--network", "host", IMAGE, "cat", &file]);
    let form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let own = docker(&[
        "inspect",
        "--format",
        form,
        &stage.mirror.container_of("web").unwrap().name,
    ]);
    let (port, frames) = (PORT.to_string(), FRAMES.to_string());
    let words = ["perl", "-e", FORGER, &bridge, &own, &beyond.address(), &port, &frames].map(str::to_owned);
    let output = stage.mirror.exec("web", &words, None).await.unwrap();
    assert_eq!(output.exit, 0, "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn forged_frames_leave_the_engines_machine_where_the_border_is_heard_and_not_where_it_is_closed() {
    let beyond = Beyond::open();
    let closed = stage_of(Gateway::Nobody).await;
    forge(&closed, &beyond).await;
    let line = "timeout 60 wget -qO- http://203.0.113.9/ 2>&1";
    let words = ["sh", "-c", line].map(str::to_owned);
    let refused = closed.mirror.exec("other", &words, None).await.unwrap();
    let refused = String::from_utf8_lossy(&refused.stdout).into_owned();
    // As where nobody is: some engines give no way there, some one that ends at nobody.
    let ends = ["unreachable", "o route to host"];
    assert!(ends.iter().any(|words| refused.contains(words)), "{refused}");
    let told = closed.mirror.attempts().await.unwrap().raw_unheard;
    assert!(
        told.len() == 1 && told[0].ends_with("`policy.border` closes it"),
        "{told:?}"
    );
    closed.down().await;

    // The plan says that these get out. When they have come, the others, sent before, would have.
    let heard = stage_of(Gateway::Agent).await;
    forge(&heard, &beyond).await;
    for _ in 0..200 {
        if beyond.came() >= FRAMES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(beyond.came(), FRAMES);
    heard.down().await;
}
