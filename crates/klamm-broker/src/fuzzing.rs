//! What the targets of cargo-fuzz in `fuzz/` call. No panic and no runaway allocation may come of any input.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::journal::{Durability, Journal};
use crate::security::{Principal, Session};
use crate::settings::LogSettings;
use crate::{Api, Broker, BrokerConfig, api, log};

/// How long a request may wait: joins and fetches wait for what never comes here.
const PATIENCE: Duration = Duration::from_millis(20);

struct Live {
    runtime: Runtime,
    broker: Broker,
}

static LIVE: LazyLock<Result<Live, String>> = LazyLock::new(|| {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let broker =
        runtime.block_on(Broker::start(BrokerConfig::default())).map_err(|error| error.to_string())?;
    Ok(Live { runtime, broker })
});

/// One frame, as a connection gives it to the handlers.
///
/// # Errors
/// No broker could be started: nothing was tried.
pub fn frame(bytes: &[u8]) -> Result<(), &'static str> {
    let live = LIVE.as_ref().map_err(String::as_str)?;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 9092));
    let listener = live.broker.listeners.first().cloned().ok_or("a broker without a listener")?;
    let node = &live.broker.node;
    let session = Session::new(listener, local, local, Principal::anonymous(), node.config.clock.clone());
    let handled = api::handle_frame(node, &session, Bytes::copy_from_slice(bytes));
    // Only that it comes back, or waits.
    let _ = live.runtime.block_on(async { tokio::time::timeout(PATIENCE, handled).await });
    Ok(())
}

/// The body of a request: the first byte chooses the API, the second one its version.
pub fn request(bytes: &[u8]) {
    let [which, version, body @ ..] = bytes else { return };
    let api = Api::ALL[usize::from(*which) % Api::ALL.len()];
    let (first, last) = api.versions().into_inner();
    let version = first + i16::from(*version) % (last - first + 1);
    let _ = api::decodes(api, version, Bytes::copy_from_slice(body));
}

/// A record batch, as a produce request brings it: as it is, and with length, format and checksum put right, without which nothing
/// behind them is looked at.
pub fn batch(bytes: &[u8]) {
    let check = |bytes: &[u8]| log::check_untrusted(&Bytes::copy_from_slice(bytes), &LogSettings::default());
    check(bytes);
    let mut mended = bytes.to_vec();
    let length = u32::try_from(mended.len().saturating_sub(12)).unwrap_or(0);
    let crc = mended.get(21..).map_or(0, crc32c::crc32c);
    let fields = [(8, &length.to_be_bytes()[..]), (16, &[2]), (17, &crc.to_be_bytes())];
    for (at, value) in fields {
        let Some(field) = mended.get_mut(at..at + value.len()) else { return };
        field.copy_from_slice(value);
    }
    check(&mended);
}

/// The bytes of a journal, opened and replayed.
///
/// # Errors
/// The bytes could not be put into a file: nothing was tried.
pub fn journal(bytes: &[u8]) -> io::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), bytes)?;
    // That it is refused is as good as that it opens.
    let _ = Journal::open(file.path(), Durability::PageCache, |_: serde_json::Value| {});
    Ok(())
}
