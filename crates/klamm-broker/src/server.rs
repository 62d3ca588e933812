//! Connections: accepted up to a limit, read one request at a time, answered in order.
//!
//! A connection handles its next request only when the last one is answered, as Kafka does by muting the channel. What a
//! client pipelines waits in the socket, so one connection holds at most one request and one answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klamm_wire::frame::read_frame;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{Answer, Frame, LENGTH_BYTES, handle_frame};
use crate::node::Node;
use crate::outlet::{Outlet, write_frame};
use crate::security::config::Listener;
use crate::security::{Bound, Greeting, Session, accept, greet};
use crate::sync::lock;

/// How long accepting pauses when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` turns true, then drops them all and returns.
pub(crate) async fn serve(listeners: Vec<Bound>, node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    connections.spawn({
        let node = node.clone();
        async move { node.groups.watch_deadlines(&node.topics).await }
    });
    connections.spawn({
        let node = node.clone();
        async move { node.watch_retention().await }
    });
    connections.spawn({
        let node = node.clone();
        async move { node.watch_transactions().await }
    });
    connections.spawn(node.clone().watch_compaction());
    connections.spawn({
        let node = node.clone();
        async move { node.watch_offsets().await }
    });
    let slots = Slots::default();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accept(&listeners) => match accepted {
                Ok((stream, peer, listener)) => match slots.take(peer.ip(), &node) {
                    Ok(slot) => {
                        let node = node.clone();
                        connections.spawn(async move {
                            connection(stream, peer, listener, node).await;
                            drop(slot);
                        });
                    }
                    // Closed at once beyond the limit: a client sees it, and tries again later.
                    Err(limit) => node.closures.note(peer, limit),
                },
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(ended) = connections.join_next() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    node.closures.note_panic();
                }
            }
        }
    }
    drop(listeners);
    // Handlers are cancelled where they wait; none waits in the midst of a change.
    connections.shutdown().await;
}

/// How many connections there are, and from where.
#[derive(Debug, Default, Clone)]
struct Slots {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// The place of one connection, free again on drop.
#[derive(Debug)]
struct Slot {
    slots: Slots,
    ip: IpAddr,
}

impl Slots {
    /// A place for a connection from `ip`, or which limit there is no place by. The limits may change while the broker runs.
    fn take(&self, ip: IpAddr, node: &Node) -> Result<Slot, &'static str> {
        let settings = node.topics.broker_settings();
        let limit = |name| settings.number(name).and_then(|number| usize::try_from(number).ok());
        let full = |taken: usize, name| limit(name).is_some_and(|limit| taken >= limit);
        let mut taken = lock(&self.taken);
        if full(taken.all, "max.connections") {
            return Err("there are max.connections already");
        }
        let from_ip = taken.by_ip.get(&ip).copied().unwrap_or(0);
        if full(from_ip, "max.connections.per.ip") {
            return Err("there are max.connections.per.ip from this address already");
        }
        taken.all += 1;
        taken.by_ip.insert(ip, from_ip + 1);
        Ok(Slot { slots: self.clone(), ip })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.slots.taken);
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by_ip.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_ip.remove(&self.ip);
            }
        }
    }
}

/// Returns when `stop` is true, or when nobody is left who could set it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, listener: Arc<Listener>, node: Arc<Node>) {
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let greeted = match timeout(node.config.max_idle, greet(stream, peer, listener, &node)).await {
        Ok(greeted) => greeted,
        Err(_) => Err("no TLS handshake for too long".to_owned()),
    };
    match greeted {
        Ok(Greeting::Plain(mut stream, session)) => {
            noted(requests(&mut stream, &session, &node), peer, &node).await
        }
        Ok(Greeting::Tls(mut stream, session)) => {
            noted(requests(&mut *stream, &session, &node), peer, &node).await
        }
        Err(why) => node.closures.note(peer, &why),
    }
}

/// The reason is there before the client sees the end.
async fn noted(requests: impl Future<Output = Result<(), String>>, peer: SocketAddr, node: &Node) {
    if let Err(why) = requests.await {
        node.closures.note(peer, &why);
    }
}

/// Handles one request after the other until the client leaves, or for the reason that is returned.
async fn requests<S: Outlet>(stream: &mut S, session: &Session, node: &Node) -> Result<(), String> {
    // Small: a thousand idle connections have one each, and what is larger is read past it.
    let mut stream = BufReader::with_capacity(4 * 1024, stream);
    loop {
        let limit = match session.is_authenticating() {
            true => node.config.security.sasl.max_receive_bytes.min(node.config.max_request_bytes),
            false => node.config.max_request_bytes,
        };
        let frame = match timeout(node.config.max_idle, read_frame(&mut stream, limit)).await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("no request for too long".to_owned()),
        };
        let answer = match session.takes_bare_messages() {
            true => session.bare_message(node, &frame),
            false => handle_frame(node, session, frame).await,
        };
        let failure = session.failure();
        if failure.is_some() {
            // Guessing is slow, whatever the answer.
            tokio::time::sleep(node.config.security.failed_authentication_delay).await;
        }
        match answer {
            Answer::Respond(answer) => write(*stream.get_mut(), answer, node.config.max_write_stall).await?,
            Answer::Cut(answer) => {
                return Err(write_half(*stream.get_mut(), &answer, node.config.max_write_stall).await);
            }
            Answer::Silent => {}
            Answer::Close(why) => return Err(why),
        }
        if let Some(why) = failure {
            return Err(why);
        }
        session.while_muted().await;
    }
}

/// A client that takes nothing for as long as `patience` is gone, or as good as.
async fn write<S: Outlet>(stream: &mut S, answer: Frame, patience: Duration) -> Result<(), String> {
    match timeout(patience, write_frame(stream, answer)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the client does not read its answers".to_owned()),
    }
}

/// For the fault that cuts an answer. Gives the reason for closing.
async fn write_half<S: Outlet>(stream: &mut S, frame: &[u8], patience: Duration) -> String {
    // The length, which says more than what follows it, and half of that.
    let half = &frame[..(frame.len() + LENGTH_BYTES) / 2];
    let _ = timeout(patience, async {
        stream.write_all(half).await?;
        stream.flush().await
    })
    .await;
    "a fault was injected".to_owned()
}
