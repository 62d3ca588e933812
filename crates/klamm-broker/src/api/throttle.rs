//! What a request uses of its client's quotas, and how the client is slowed down (KIP-219): it is answered at once with the
//! time, and its connection is not read for so long.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{Api, Call, Handler, Reply};
use crate::quota::{Consumer, Kind, most_in_window};

/// Waits for a handler, and tells how long it kept a thread busy: the time that it waited for something does not count.
pub(super) async fn timed<F: Future>(handler: F) -> (F::Output, Duration) {
    let mut handler = pin!(handler);
    let mut busy = Duration::ZERO;
    let output = std::future::poll_fn(|context| {
        let begin = Instant::now();
        let polled = handler.as_mut().poll(context);
        busy += begin.elapsed();
        match polled {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    });
    let output = output.await;
    (output, busy)
}

/// Adds what a request used, and throttles its client if that was too much. `busy` counts where an answer is waited for.
pub(super) fn charge<H: Handler>(
    api: Api,
    call: &Call<'_>,
    request_bytes: usize,
    response: &mut H::Response,
    busy: Option<Duration>,
) {
    let limits = &call.node.security.store.read().quotas;
    // SASL comes before the client is somebody.
    if limits.is_empty() || matches!(api, Api::SaslHandshake | Api::SaslAuthenticate) {
        return;
    }
    let (who, now_ms) = (call.consumer(), call.node.config.clock.monotonic_ms());
    let usage = &call.node.usage;
    let percent = busy.map_or(0.0, |busy| busy.as_secs_f64() * 100.0);
    let request_ms = match busy {
        Some(_) => usage.record(limits, Kind::Request, who, percent, now_ms),
        None => 0,
    };
    let bytes = match api {
        Api::Produce => Some((Kind::Produce, request_bytes)),
        Api::Fetch => Some((Kind::Fetch, response.bytes(call.version).unwrap_or(0))),
        _ => None,
    };
    let bytes_ms = bytes.map_or(0, |(kind, bytes)| usage.record(limits, kind, who, bytes as f64, now_ms));
    let throttle_ms = request_ms.max(bytes_ms);
    if throttle_ms <= 0 {
        return;
    }
    if let Some((Kind::Fetch, bytes)) = bytes {
        // Nothing is sent until the wait is over, so nothing was used.
        usage.take_back(limits, Kind::Fetch, who, bytes as f64, now_ms);
        *response = H::Response::default();
    }
    H::throttled(response, i32::try_from(throttle_ms).unwrap_or(i32::MAX));
    call.session.mute(throttle_ms);
}

impl Call<'_> {
    /// The most bytes that a fetch can be answered with, as its quota goes.
    pub fn fetch_quota_bytes(&self) -> usize {
        let limits = &self.node.security.store.read().quotas;
        let most = most_in_window(limits, Kind::Fetch, self.consumer());
        most.map_or(usize::MAX, |most| most as usize)
    }

    fn consumer(&self) -> Consumer<'_> {
        Consumer { user: &self.principal.name, client_id: self.client_id }
    }
}
