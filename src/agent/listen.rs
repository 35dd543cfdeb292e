//! Listening: at the agent's own addresses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// At each of our own addresses of IPv4, where the agent has taken gateways: every other address would be ours as well.
/// Of IPv6 everywhere; no foreign address of it is ours.
pub(super) async fn listen_at(own: &[Ipv4Addr], port: u16) -> std::io::Result<Vec<TcpListener>> {
    if own.is_empty() {
        return Ok(vec![listen(port).await?]);
    }
    let each = own.iter().map(|address| TcpListener::bind((*address, port)));
    let mut all = futures_util::future::try_join_all(each).await?;
    // A container that has no IPv6 has nobody who asks by it.
    all.extend(listen_v6(port).ok());
    Ok(all)
}

/// The same over UDP: a socket for each address, so that an answer comes from where the question went.
pub(super) async fn datagrams_at(own: &[Ipv4Addr], port: u16) -> std::io::Result<Vec<UdpSocket>> {
    if own.is_empty() {
        let socket = match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(socket) => socket,
            Err(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await?,
        };
        return Ok(vec![socket]);
    }
    let each = own.iter().map(|address| UdpSocket::bind((*address, port)));
    let mut all = futures_util::future::try_join_all(each).await?;
    all.extend(datagrams_v6(port).ok());
    Ok(all)
}

fn datagrams_v6(port: u16) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    socket.set_only_v6(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

fn listen_v6(port: u16) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// On every address, of both families where the container has both.
pub(super) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    }
}
