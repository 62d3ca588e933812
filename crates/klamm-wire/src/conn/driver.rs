//! The task that owns the socket.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::ConnectOptions;
use super::dial::Transport;
use super::inbound::Inbound;
use super::link::CORRELATION_AT;
use crate::error::{Api, WireError, WireErrorKind, from_io};
use crate::protocol::messages::ApiKey;

/// A request on its way to the task.
pub(super) struct Outgoing {
    pub(super) api: Api,
    pub(super) frame: BytesMut,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) reply: oneshot::Sender<Result<Bytes, WireError>>,
    pub(super) place: OwnedSemaphorePermit,
}

/// A request that waits for its answer.
struct Waiting {
    api: Api,
    correlation: i32,
    deadline: Instant,
    timeout: Duration,
    reply: oneshot::Sender<Result<Bytes, WireError>>,
    _place: OwnedSemaphorePermit,
}

pub(super) struct Driver {
    address: Arc<str>,
    reader: ReadHalf<Transport>,
    writer: WriteHalf<Transport>,
    inbox: mpsc::Receiver<Outgoing>,
    inbound: Inbound,
    /// Frames that have not left entirely, oldest first; as many as the last entries of `waiting`.
    outbound: VecDeque<BytesMut>,
    unflushed: bool,
    waiting: VecDeque<Waiting>,
    correlation: i32,
    idle_timeout: Duration,
    idle_since: Instant,
    end: Arc<OnceLock<WireError>>,
}

enum Event {
    Request(Option<Outgoing>),
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Flushed(io::Result<()>),
    Deadline,
}

impl Driver {
    pub(super) fn new(
        address: Arc<str>,
        transport: Transport,
        inbox: mpsc::Receiver<Outgoing>,
        end: Arc<OnceLock<WireError>>,
        options: &ConnectOptions,
    ) -> Self {
        let (reader, writer) = tokio::io::split(transport);
        Driver {
            address,
            reader,
            writer,
            inbox,
            inbound: Inbound::new(options.max_response_bytes),
            outbound: VecDeque::new(),
            unflushed: false,
            waiting: VecDeque::new(),
            correlation: 0,
            idle_timeout: options.idle_timeout,
            idle_since: Instant::now(),
            end,
        }
    }

    /// Serves until the connection ends, then tells everybody who waits.
    pub(super) async fn run(mut self) {
        let kind = loop {
            let event = self.event().await;
            if let Err(kind) = self.handle(event) {
                break kind;
            }
        };
        let error = WireError::new(&*self.address, kind);
        // Set before the channel closes, so that whoever finds it closed finds the reason too.
        let _ = self.end.set(error.clone());
        self.inbox.close();
        self.fail(&error);
    }

    /// Waits for the next thing to happen. Each branch may be dropped half-way without losing bytes.
    async fn event(&mut self) -> Event {
        let deadline = self.deadline();
        let front = self.outbound.front_mut();
        let (writing, flushing) = (front.is_some(), front.is_none() && self.unflushed);
        let writer = &mut self.writer;
        let send = async move {
            match front {
                Some(frame) => Event::Written(writer.write_buf(frame).await),
                None => Event::Flushed(writer.flush().await),
            }
        };
        tokio::select! {
            request = self.inbox.recv() => Event::Request(request),
            read = self.reader.read_buf(self.inbound.room()) => Event::Read(read),
            sent = send, if writing || flushing => sent,
            () = sleep_until(deadline) => Event::Deadline,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), WireErrorKind> {
        match event {
            Event::Request(Some(request)) => self.enqueue(request),
            Event::Request(None) => {
                return Err(WireErrorKind::Closed { reason: "it was ended on this side".to_owned() });
            }
            Event::Read(Ok(0)) => return Err(self.hung_up()),
            Event::Read(Ok(_)) => {
                while let Some(frame) = self.inbound.next()? {
                    self.deliver(frame)?;
                }
            }
            Event::Written(Ok(0)) => return Err(self.hung_up()),
            Event::Written(Ok(_)) => {
                self.unflushed = true;
                if self.outbound.front().is_some_and(BytesMut::is_empty) {
                    self.outbound.pop_front();
                }
            }
            Event::Flushed(Ok(())) => self.unflushed = false,
            Event::Read(Err(error)) | Event::Written(Err(error)) | Event::Flushed(Err(error)) => {
                return Err(from_io(&error));
            }
            Event::Deadline => return self.overdue(),
        }
        Ok(())
    }

    fn enqueue(&mut self, request: Outgoing) {
        let Outgoing { api, mut frame, deadline, timeout, reply, place } = request;
        if reply.is_closed() {
            // The caller has gone before anything left: the broker need not work for nobody.
            return;
        }
        self.correlation = self.correlation.checked_add(1).unwrap_or(1);
        frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&self.correlation.to_be_bytes());
        self.outbound.push_back(frame);
        self.waiting.push_back(Waiting {
            api,
            correlation: self.correlation,
            deadline,
            timeout,
            reply,
            _place: place,
        });
    }

    fn deliver(&mut self, frame: Bytes) -> Result<(), WireErrorKind> {
        let correlation = frame.get(..4).and_then(|id| id.try_into().ok()).map(i32::from_be_bytes);
        match self.waiting.pop_front() {
            Some(waiting) if Some(waiting.correlation) == correlation => {
                self.inbound.greeted();
                self.idle_since = Instant::now();
                // A caller that has gone does not want it any more.
                let _ = waiting.reply.send(Ok(frame));
                Ok(())
            }
            _ if !self.inbound.has_greeted() => {
                Err(WireErrorKind::NotKafka { answer: "its answer belongs to no request".to_owned() })
            }
            waiting => {
                let api = waiting.as_ref().map_or(Api(ApiKey::ApiVersions as i16), |waiting| waiting.api);
                if let Some(waiting) = waiting {
                    self.waiting.push_front(waiting);
                }
                let message =
                    format!("correlation id {} belongs to no request", correlation.unwrap_or_default());
                Err(WireErrorKind::Codec { api, message })
            }
        }
    }

    fn deadline(&self) -> Instant {
        let soonest = self.waiting.iter().map(|waiting| waiting.deadline).min();
        soonest.unwrap_or(self.idle_since + self.idle_timeout)
    }

    /// Answers come in order: behind one that does not come, none will.
    fn overdue(&mut self) -> Result<(), WireErrorKind> {
        let now = Instant::now();
        let Some(late) = self.waiting.iter().position(|waiting| waiting.deadline <= now) else {
            if self.waiting.is_empty() && self.idle_since + self.idle_timeout <= now {
                return Err(WireErrorKind::Closed { reason: "it was idle".to_owned() });
            }
            return Ok(());
        };
        let left = late + self.outbound.len() < self.waiting.len();
        let Some(waiting) = self.waiting.remove(late) else { return Ok(()) };
        if !left {
            // Keeps `outbound` as long as the requests that have not left; the connection ends anyway.
            self.outbound.pop_back();
        }
        let kind = WireErrorKind::Timeout { api: waiting.api, after: waiting.timeout };
        let error = WireError::new(&*self.address, kind);
        let _ = waiting.reply.send(Err(if left { error.after_sending() } else { error }));
        let (api, after) = (waiting.api, waiting.timeout.as_millis());
        Err(WireErrorKind::Closed { reason: format!("{api} was not answered within {after} ms") })
    }

    fn hung_up(&self) -> WireErrorKind {
        let reason = match (self.inbound.has_greeted(), self.inbound.is_empty()) {
            (false, true) => "by the other side at the first request",
            (_, true) => "by the other side",
            (_, false) => "by the other side in the middle of an answer",
        };
        WireErrorKind::Closed { reason: reason.to_owned() }
    }

    fn fail(&mut self, error: &WireError) {
        // A frame that has not left entirely cannot have been carried out.
        let left = self.waiting.len().saturating_sub(self.outbound.len());
        for (index, waiting) in self.waiting.drain(..).enumerate() {
            let error = error.clone();
            let _ = waiting.reply.send(Err(if index < left { error.after_sending() } else { error }));
        }
        while let Ok(request) = self.inbox.try_recv() {
            let _ = request.reply.send(Err(error.clone()));
        }
    }
}
