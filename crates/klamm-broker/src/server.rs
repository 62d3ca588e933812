//! Connections: accepted up to a limit, read one request at a time, answered in order.
//!
//! A connection handles its next request only when the last one is answered, as Kafka does by muting the channel. What a
//! client pipelines waits in the socket, so one connection holds at most one request and one answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use klamm_wire::frame::{FrameError, read_frame, write_frame};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{Answer, handle_frame};
use crate::node::Node;

/// A client that takes nothing for this long is gone, or as good as.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long accepting pauses when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` turns true, then drops them all and returns.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    connections.spawn({
        let node = node.clone();
        async move { node.groups.watch_deadlines().await }
    });
    connections.spawn({
        let node = node.clone();
        async move { node.watch_retention().await }
    });
    let background = connections.len();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                // Closed at once beyond the limit: a client sees it, and tries again later.
                Ok(_) if connections.len() - background >= node.config.max_connections => {}
                Ok((stream, peer)) => drop(connections.spawn(connection(stream, peer, node.clone()))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    // Handlers are cancelled where they wait; none waits in the midst of a change.
    connections.shutdown().await;
}

/// Returns when `stop` is true, or when nobody is left who could set it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, node: Arc<Node>) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    loop {
        let frame = match timeout(node.config.max_idle, read_request(&mut reader, &node)).await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return node.closures.note(peer, &error.to_string()),
            Err(_) => return node.closures.note(peer, "no request for too long"),
        };
        let answer = match handle_frame(&node, peer, local, frame).await {
            Answer::Respond(answer) => answer,
            Answer::Silent => continue,
            Answer::Close(why) => return node.closures.note(peer, &why),
        };
        let written = timeout(WRITE_TIMEOUT, async {
            write_frame(&mut writer, &answer).await?;
            writer.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return node.closures.note(peer, &error.to_string()),
            Err(_) => return node.closures.note(peer, "the client does not read its answers"),
        }
    }
}

async fn read_request(
    reader: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
    node: &Node,
) -> Result<Option<bytes::Bytes>, FrameError> {
    read_frame(reader, node.config.max_request_bytes).await
}
