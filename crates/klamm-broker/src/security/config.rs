//! How listeners are secured, and who may do what: what a broker is started with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use klamm_wire::{ClientAuth, ServerTls};

/// `security.protocol` of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS; a client's certificate, where one is asked for, is its identity.
    Ssl,
    /// Authenticated by SASL, not encrypted.
    SaslPlaintext,
    /// Authenticated by SASL inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Bytes travel inside TLS.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Clients authenticate by SASL.
    pub const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SecurityProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |protocol: &Self| protocol.name().eq_ignore_ascii_case(text);
        let unknown =
            || format!("unknown security protocol {text:?}: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL");
        Self::ALL.into_iter().find(named).ok_or_else(unknown)
    }
}

/// An address to listen on, and how it is secured (`listeners`, `listener.security.protocol.map`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name; Kafka's habit is to name it after its protocol.
    pub name: String,
    /// Port 0 lets the system choose.
    pub addr: SocketAddr,
    /// How it is secured.
    pub protocol: SecurityProtocol,
    /// The host that clients are told to connect to (`advertised.listeners`); `None`: the address that they came to.
    pub advertised_host: Option<String>,
}

impl Listener {
    /// A listener on a port of 127.0.0.1 that the system chooses, named after its protocol.
    pub fn local(protocol: SecurityProtocol) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { name: protocol.name().to_owned(), addr, protocol, advertised_host: None }
    }
}

/// SASL mechanisms that a broker may enable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// RFC 4616.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with SHA-512 (KIP-84).
    ScramSha512,
    /// RFC 7628 (KIP-255).
    OauthBearer,
}

impl SaslMechanism {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The one with this name, which Kafka compares by letter and case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// How clients authenticate on SASL listeners. The default enables nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SaslConfig {
    /// `sasl.enabled.mechanisms`.
    pub mechanisms: Vec<SaslMechanism>,
    /// Users of PLAIN, with their passwords (Kafka has them in `sasl.jaas.config`).
    pub plain_users: BTreeMap<String, String>,
    /// Users of SCRAM, with their passwords, that are there from the start, with both mechanisms. Further ones come by
    /// `AlterUserScramCredentials`.
    pub scram_users: BTreeMap<String, String>,
    /// How tokens of OAUTHBEARER are checked.
    pub oauth: OauthConfig,
    /// `connections.max.reauth.ms`: sessions end after this long unless the client authenticates again (KIP-368).
    pub max_reauth: Option<Duration>,
    /// `sasl.server.max.receive.size`: the largest request before authentication.
    pub max_receive_bytes: usize,
}

impl Default for SaslConfig {
    fn default() -> Self {
        Self {
            mechanisms: Vec::new(),
            plain_users: BTreeMap::new(),
            scram_users: BTreeMap::new(),
            oauth: OauthConfig::default(),
            max_reauth: None,
            max_receive_bytes: 524_288,
        }
    }
}

/// How tokens of OAUTHBEARER are checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OauthConfig {
    /// A file with a JSON Web Key Set, whose keys sign the tokens. `None`: unsigned tokens (`"alg":"none"`) are believed, as
    /// Kafka's default validator does, which is for development.
    pub jwks: Option<PathBuf>,
    /// `sasl.oauthbearer.expected.issuer`, of signed tokens.
    pub expected_issuer: Option<String>,
    /// `sasl.oauthbearer.expected.audience`, of signed tokens: one of these.
    pub expected_audience: Vec<String>,
    /// `sasl.oauthbearer.sub.claim.name`, `unsecuredValidatorPrincipalClaimName`.
    pub principal_claim: String,
    /// `sasl.oauthbearer.scope.claim.name`, `unsecuredValidatorScopeClaimName`.
    pub scope_claim: String,
    /// `unsecuredValidatorRequiredScope`: all of these.
    pub required_scope: Vec<String>,
    /// `sasl.oauthbearer.clock.skew.seconds`, `unsecuredValidatorAllowableClockSkewMs`.
    pub clock_skew: Duration,
}

impl Default for OauthConfig {
    fn default() -> Self {
        Self {
            jwks: None,
            expected_issuer: None,
            expected_audience: Vec::new(),
            principal_claim: "sub".to_owned(),
            scope_claim: "scope".to_owned(),
            required_scope: Vec::new(),
            clock_skew: Duration::ZERO,
        }
    }
}

/// The authorizer (`authorizer.class.name`), with the rules of Kafka's `StandardAuthorizer`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizerConfig {
    /// `super.users`, as `User:name`: they may do everything.
    pub super_users: BTreeSet<String>,
    /// `allow.everyone.if.no.acl.found`: what no rule is about is allowed.
    pub allow_everyone_if_no_acl_found: bool,
}

/// Everything about security that a broker is started with. The default is none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// Certificate and key of SSL and SASL_SSL listeners. As in Kafka, clients of SASL_SSL are not asked for certificates.
    pub tls: Option<ServerTls>,
    /// `ssl.principal.mapping.rules`: names of users out of the names in certificates.
    pub principal_mapping_rules: String,
    /// SASL.
    pub sasl: SaslConfig,
    /// `connection.failed.authentication.delay.ms`: a refusal waits so long.
    pub failed_authentication_delay: Duration,
    /// `None`: everybody may do everything.
    pub authorizer: Option<AuthorizerConfig>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            tls: None,
            principal_mapping_rules: "DEFAULT".to_owned(),
            sasl: SaslConfig::default(),
            failed_authentication_delay: Duration::from_millis(100),
            authorizer: None,
        }
    }
}
