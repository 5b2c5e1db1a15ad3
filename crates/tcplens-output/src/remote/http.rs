//! One HTTP client for all destinations on other machines: HTTP/1.1, TLS by rustls, connections kept, every step with a time limit.
//! Not how often something is tried again: who sends knows what may be sent twice.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, RustlsConnector};
use ureq::{Agent, Body};

use super::abrupt::Abrupt;

/// Most bytes that are read of an answer that is held in memory.
pub const ANSWER_BYTES: u64 = 16 << 20;
/// Where Debian and most others keep the certificates that the machine trusts.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// For the connection, its TLS handshake included.
    pub connect: Duration,
    /// For one whole exchange.
    pub whole: Duration,
    /// Certificates (PEM) to trust in place of the machine's.
    pub authorities: Option<PathBuf>,
    /// What was not delivered when an exchange is given up, or this process is killed, must not arrive later.
    pub is_abrupt: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(60),
            authorities: None,
            is_abrupt: false,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The certificates cannot be used.
    #[error("cannot read certificates from {path}: {why}; name a PEM file")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody answered, or not to the end: what was sent may have arrived, or not.
    #[error("cannot reach {url}: {why}")]
    Unreached {
        /// What was asked.
        url: String,
        /// What happened.
        why: String,
    },
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// At most [`ANSWER_BYTES`] of the body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the server says that it went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first line of the body, for messages.
    #[must_use]
    pub fn first_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.lines().find(|line| !line.trim().is_empty());
        let line: String = line.unwrap_or_default().chars().take(300).collect();
        match line.is_empty() {
            true => format!("HTTP status {}", self.status),
            false => line,
        }
    }
}

/// A client. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
}

impl Http {
    /// A client. Nothing is connected yet; certificates are read now, while there may be privileges.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub fn new(settings: &HttpSettings) -> Result<Http, HttpError> {
        let roots = match &settings.authorities {
            Some(path) => Some(certificates(path)?),
            // Where the machine has none of its own, those that came with this program.
            None => certificates(Path::new(SYSTEM)).ok(),
        };
        let roots = roots.map_or(RootCerts::WebPki, |certificates| {
            RootCerts::new_with_certs(&certificates)
        });
        let config = Agent::config_builder()
            .timeout_connect(Some(settings.connect))
            .timeout_global(Some(settings.whole))
            .http_status_as_error(false)
            .user_agent(concat!("tcplens/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            // What the environment says of proxies is for browsers: this is the operator's own server.
            .proxy(None)
            .build();
        let agent = match settings.is_abrupt {
            true => Agent::with_parts(
                config,
                Abrupt.chain(RustlsConnector::default()),
                DefaultResolver::default(),
            ),
            false => config.new_agent(),
        };
        Ok(Http { agent })
    }

    /// Sends a body and waits for the answer, whatever its status.
    ///
    /// # Errors
    /// Nobody answered.
    pub fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, HttpError> {
        self.ask(url, headers, body).map(|(answer, _)| answer)
    }

    /// The same, and how long the server wants to be left alone, where it says so in seconds (RFC 9110 section 10.2.3).
    ///
    /// # Errors
    /// Nobody answered.
    pub fn ask(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(Answer, Option<Duration>), HttpError> {
        let mut response = self.send(url, headers, body, None)?;
        let status = response.status().as_u16();
        let wait = response.headers().get("retry-after");
        let wait = wait.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut answer = Vec::new();
        let mut body = response.body_mut().as_reader().take(ANSWER_BYTES);
        body.read_to_end(&mut answer)
            .map_err(|error| unreached(url, &error))?;
        let answer = Answer {
            status,
            body: answer,
        };
        Ok((answer, wait.map(Duration::from_secs)))
    }

    /// Sends a body; the answer is read as it comes. Of a status that is none of success, the answer. `whole`: for all of it, in
    /// place of what is usual.
    ///
    /// # Errors
    /// Nobody answered.
    pub fn stream(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        whole: Option<Duration>,
    ) -> Result<Result<impl Read + Send + use<>, Answer>, HttpError> {
        let mut response = self.send(url, headers, body, whole)?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(Ok(response.into_body().into_reader()));
        }
        let mut answer = Vec::new();
        let mut body = response.body_mut().as_reader().take(ANSWER_BYTES);
        body.read_to_end(&mut answer)
            .map_err(|error| unreached(url, &error))?;
        Ok(Err(Answer {
            status,
            body: answer,
        }))
    }

    fn send(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        whole: Option<Duration>,
    ) -> Result<ureq::http::Response<Body>, HttpError> {
        let mut request = self.agent.post(url);
        if whole.is_some() {
            request = request.config().timeout_global(whole).build();
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body).map_err(|error| unreached(url, &error))
    }
}

fn unreached(url: &str, error: &dyn std::error::Error) -> HttpError {
    HttpError::Unreached {
        // What comes behind may hold a query, or a password.
        url: url.split(['?', '#']).next().unwrap_or(url).to_owned(),
        why: error.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, HttpError> {
    let failed = |why: String| HttpError::Authorities {
        path: path.display().to_string(),
        why,
    };
    let read = || -> io::Result<Vec<u8>> { fs::read(path) };
    let pem = read().map_err(|error| failed(error.to_string()))?;
    let items = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    let found: Vec<_> = items.collect();
    match found.is_empty() {
        true => Err(failed("there is no certificate in it".into())),
        false => Ok(found),
    }
}
