//! What comes before a connection's first request: the TLS handshake, and the principal that a certificate stands for.

use std::net::SocketAddr;
use std::sync::Arc;

use klamm_wire::{ServerStream, peer_certificate};
use tokio::net::TcpStream;

use super::config::Listener;
use super::distinguished_name::subject;
use super::{Principal, Security, Session};
use crate::node::Node;

/// A connection that may send requests.
pub(crate) enum Greeting {
    Plain(TcpStream, Session),
    Tls(Box<ServerStream>, Session),
}

/// Waits for what the listener's protocol wants. What went wrong is for who runs the broker; the client sees the end.
pub(crate) async fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<Listener>,
    node: &Node,
) -> Result<Greeting, String> {
    let local = stream.local_addr().map_err(|error| error.to_string())?;
    let session =
        |principal| Session::new(listener.clone(), peer, local, principal, node.config.clock.clone());
    let Some(acceptor) = node.security.acceptor(listener.protocol) else {
        return Ok(Greeting::Plain(stream, session(Principal::anonymous())));
    };
    let stream = acceptor.accept(stream).await.map_err(|error| format!("TLS handshake failed: {error}"))?;
    let principal = principal(&node.security, &stream)?;
    Ok(Greeting::Tls(Box::new(stream), session(principal)))
}

fn principal(security: &Security, stream: &ServerStream) -> Result<Principal, String> {
    let Some(certificate) = peer_certificate(stream) else { return Ok(Principal::anonymous()) };
    let name = subject(certificate).ok_or("the client's certificate has no readable subject")?;
    let user = security.mapping.apply(&name);
    user.map(Principal::user)
        .ok_or_else(|| format!("no rule of ssl.principal.mapping.rules applies to {name}"))
}
