//! What can go wrong on one connection, told apart so that the caller can say what to do.

use std::fmt;
use std::io;
use std::time::Duration;

use klamm_kafka::Mechanism;

use crate::protocol::messages::ApiKey;

/// A failure on the connection to one address.
#[derive(Debug, Clone)]
pub struct WireError {
    address: String,
    kind: WireErrorKind,
    effect: Effect,
}

impl WireError {
    /// A failure at `address` before anything was sent that could change the server.
    pub(crate) fn new(address: impl Into<String>, kind: WireErrorKind) -> Self {
        WireError { address: address.into(), kind, effect: Effect::None }
    }

    /// The same failure of a request that had left: the server may have carried it out.
    pub(crate) fn after_sending(mut self) -> Self {
        self.effect = Effect::Unknown;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &WireErrorKind {
        &self.kind
    }

    /// `host:port` as it was asked for.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the server may have carried the request out.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether a new connection may do better without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        use WireErrorKind as K;
        match &self.kind {
            K::Refused | K::Unreachable { .. } | K::Timeout { .. } | K::Closed { .. } | K::Io { .. } => true,
            K::Address { .. }
            | K::Dns { .. }
            | K::NotKafka { .. }
            | K::TlsExpected
            | K::PlainExpected
            | K::SaslExpected { .. }
            | K::TlsFailed { .. }
            | K::CertificateRejected { .. }
            | K::Security { .. }
            | K::AuthenticationFailed { .. }
            | K::MechanismUnsupported { .. }
            | K::FrameTooLarge { .. }
            | K::Codec { .. }
            | K::UnsupportedVersion { .. } => false,
        }
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        use WireErrorKind as K;
        Some(match &self.kind {
            K::Refused => "is the broker running, and is this its port?",
            K::Unreachable { .. } => "check the network and the firewall between this machine and the broker",
            K::Address { .. } => "write bootstrap addresses as host:port",
            K::Dns { .. } => "check the host name, or the name server of this machine",
            K::NotKafka { .. } => "another program listens on this port: check the bootstrap address",
            K::TlsExpected => "this listener speaks TLS: configure tls, or use the plaintext listener's port",
            K::PlainExpected => "this listener is plaintext: drop tls, or use the TLS listener's port",
            K::SaslExpected { .. } => "this listener asks for authentication: configure sasl",
            K::TlsFailed { .. } => "compare the TLS versions and certificates of both sides",
            K::CertificateRejected { fault, .. } => fault.hint(),
            K::Security { .. } => "check the paths and the contents of the PEM files",
            K::AuthenticationFailed { .. } => "check user name, password and mechanism",
            K::MechanismUnsupported { .. } => "choose one of the mechanisms that the broker offers",
            K::UnsupportedVersion { .. } => "klamm needs Apache Kafka 2.3 or later",
            K::Timeout { .. }
            | K::Closed { .. }
            | K::FrameTooLarge { .. }
            | K::Codec { .. }
            | K::Io { .. } => {
                return None;
            }
        })
    }
}

/// What went wrong on a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WireErrorKind {
    /// The address is not `host:port`.
    Address {
        /// Why it is not.
        message: String,
    },
    /// The host name has no address.
    Dns {
        /// What the resolver said.
        message: String,
    },
    /// Nobody listens on the port.
    Refused,
    /// The host could not be reached, or did not accept within the connect timeout.
    Unreachable {
        /// What the network said.
        message: String,
    },
    /// Something answers, but not Kafka's protocol.
    NotKafka {
        /// What answered, as far as its first bytes tell.
        answer: String,
    },
    /// Plain bytes were sent to a listener that speaks TLS.
    TlsExpected,
    /// TLS was tried on a listener that is plaintext.
    PlainExpected,
    /// The listener closes connections that do not authenticate.
    SaslExpected {
        /// Mechanisms that the broker offers.
        offered: Vec<String>,
    },
    /// The TLS handshake failed for another reason than the server's certificate.
    TlsFailed {
        /// What TLS said.
        message: String,
    },
    /// The server's certificate was not accepted.
    CertificateRejected {
        /// Why.
        fault: CertificateFault,
        /// What TLS said.
        message: String,
    },
    /// Certificates or keys on this side cannot be used.
    Security {
        /// Which, and why.
        message: String,
    },
    /// The broker refused the credentials, or did not prove that it knows them.
    AuthenticationFailed {
        /// Mechanism that was tried.
        mechanism: Mechanism,
        /// What the broker said.
        message: String,
    },
    /// The broker does not offer the mechanism.
    MechanismUnsupported {
        /// Mechanism that was tried.
        mechanism: Mechanism,
        /// Mechanisms that the broker offers; empty when the listener does not authenticate at all.
        offered: Vec<String>,
    },
    /// No answer in time.
    Timeout {
        /// Request that waited.
        api: Api,
        /// How long it waited.
        after: Duration,
    },
    /// The connection ended.
    Closed {
        /// How.
        reason: String,
    },
    /// An answer is larger than the limit.
    FrameTooLarge {
        /// Announced size in bytes.
        size: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// A message does not follow its schema.
    Codec {
        /// Request that it belongs to.
        api: Api,
        /// What is wrong with it.
        message: String,
    },
    /// No version of the request is spoken by both sides.
    UnsupportedVersion {
        /// Request.
        api: Api,
        /// Lowest and highest version of this side.
        ours: (i16, i16),
        /// Lowest and highest version of the broker; `None` when it does not know the request.
        theirs: Option<(i16, i16)>,
    },
    /// The operating system failed the connection in another way.
    Io {
        /// What it said.
        message: String,
    },
}

/// Why a server's certificate was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Not signed by an authority that is trusted here.
    UnknownAuthority,
    /// Not issued for this host name.
    WrongName,
    /// Expired or not yet valid.
    OutOfDate,
    /// Anything else.
    Other,
}

impl CertificateFault {
    fn hint(self) -> &'static str {
        match self {
            CertificateFault::UnknownAuthority => {
                "point tls.ca at the PEM of the authority that signed the broker"
            }
            CertificateFault::WrongName => {
                "connect by a name that the certificate carries; names are always checked"
            }
            CertificateFault::OutOfDate => "renew the broker's certificate, or set this machine's clock",
            CertificateFault::Other => "look at the broker's certificate with openssl s_client",
        }
    }
}

/// Whether a failed request may have changed the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changed nothing.
    None,
    /// It may have been carried out.
    Unknown,
}

/// An API key that prints as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api(pub i16);

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ApiKey::try_from(self.0) {
            Ok(key) => write!(f, "{key:?}"),
            Err(()) => write!(f, "api {}", self.0),
        }
    }
}

impl std::error::Error for WireError {}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.kind)
    }
}

impl fmt::Display for WireErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use WireErrorKind as K;
        match self {
            K::Address { message } => write!(f, "not an address: {message}"),
            K::Dns { message } => write!(f, "host name cannot be resolved: {message}"),
            K::Refused => f.write_str("connection refused"),
            K::Unreachable { message } => write!(f, "cannot be reached: {message}"),
            K::NotKafka { answer } => write!(f, "does not speak Kafka's protocol: {answer}"),
            K::TlsExpected => f.write_str("the listener speaks TLS, the connection was plaintext"),
            K::PlainExpected => f.write_str("the listener is plaintext, the connection was TLS"),
            K::SaslExpected { offered } => {
                write!(f, "the listener asks for authentication by {}", offered.join(", "))
            }
            K::TlsFailed { message } => write!(f, "TLS handshake failed: {message}"),
            K::CertificateRejected { message, .. } => {
                write!(f, "the broker's certificate is not accepted: {message}")
            }
            K::Security { message } => f.write_str(message),
            K::AuthenticationFailed { mechanism, message } => {
                write!(f, "authentication by {mechanism} failed: {message}")
            }
            K::MechanismUnsupported { mechanism, offered } if offered.is_empty() => {
                write!(f, "the listener does not authenticate, {mechanism} was configured")
            }
            K::MechanismUnsupported { mechanism, offered } => {
                write!(f, "the broker does not offer {mechanism}, only {}", offered.join(", "))
            }
            K::Timeout { api, after } => write!(f, "no answer to {api} within {} ms", after.as_millis()),
            K::Closed { reason } => write!(f, "connection closed: {reason}"),
            K::FrameTooLarge { size, limit } => {
                write!(f, "an answer of {size} bytes is over the limit of {limit} bytes")
            }
            K::Codec { api, message } => write!(f, "{api} message does not follow its schema: {message}"),
            K::UnsupportedVersion { api, ours, theirs: Some(theirs) } => {
                write!(f, "{api} versions {}-{} here, {}-{} there", ours.0, ours.1, theirs.0, theirs.1)
            }
            K::UnsupportedVersion { api, theirs: None, .. } => write!(f, "the broker does not know {api}"),
            K::Io { message } => f.write_str(message),
        }
    }
}

/// Sorts an operating system error, looking inside for what TLS said.
pub(crate) fn from_io(error: &io::Error) -> WireErrorKind {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return crate::tls::sort(tls);
    }
    let message = error.to_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => WireErrorKind::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => WireErrorKind::Closed { reason: message },
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            WireErrorKind::Unreachable { message }
        }
        _ => WireErrorKind::Io { message },
    }
}
