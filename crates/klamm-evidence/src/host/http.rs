//! One GET with bounds on time and size.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Most bytes of an answer.
const BODY_BYTES: u64 = 16 << 20;
/// Most redirects that are followed.
const REDIRECTS: u32 = 3;

/// A client for the addresses of one collection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// For a whole request.
    pub(crate) timeout: Duration,
    /// Authorities that are trusted; the operating system's when there are none.
    pub(crate) ca_pem: Option<PathBuf>,
}

impl Client {
    /// Gets `url`, with `query` as its parameter of that name, off the reactor.
    pub(crate) async fn get(&self, url: &str, query: Option<&str>) -> Result<String, String> {
        let (client, url, query) = (self.clone(), url.to_owned(), query.map(str::to_owned));
        match tokio::task::spawn_blocking(move || client.get_blocking(&url, query.as_deref())).await {
            Ok(got) => got,
            Err(error) => Err(format!("the request was lost: {error}")),
        }
    }

    fn get_blocking(&self, url: &str, query: Option<&str>) -> Result<String, String> {
        let mut request = self.agent(url)?.get(url);
        if let Some(query) = query {
            request = request.query("query", query);
        }
        let mut answer = request.call().map_err(|error| told(&error, self.timeout))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("answers with status {}", status.as_u16()));
        }
        let body = answer.body_mut().with_config().limit(BODY_BYTES).read_to_vec();
        let body = body.map_err(|error| told(&error, self.timeout))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn agent(&self, url: &str) -> Result<Agent, String> {
        let mut config = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            // Exporters are inside; a proxy for the way out would not find them.
            .proxy(None);
        // A plain address may redirect to TLS, but most do not, and reading all authorities takes its time.
        if url.starts_with("https:") {
            config = config.tls_config(self.tls()?);
        } else {
            config = config.max_redirects(0);
        }
        Ok(config.build().into())
    }

    fn tls(&self) -> Result<TlsConfig, String> {
        let authorities =
            klamm_wire::authorities(self.ca_pem.as_deref()).map_err(|error| error.to_string())?;
        let roots = authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let roots = RootCerts::Specific(Arc::new(roots));
        let provider = klamm_wire::crypto_provider();
        Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
    }
}

/// What happened, without the address: it may hold a password.
fn told(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no whole answer within {} ms", timeout.as_millis()),
        ureq::Error::BodyExceedsLimit(limit) => format!("the answer is longer than {limit} bytes"),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "this is no address".to_owned(),
        other => other.to_string(),
    }
}
