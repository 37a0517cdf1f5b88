//! `sslmode` as PostgreSQL's own programs understand it, by rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::CopyError;

/// How much is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What the URL says of TLS.
pub(super) struct Tls {
    name: String,
    trust: Trust,
    roots: Option<PathBuf>,
}

impl Tls {
    /// Takes what is about TLS out of the URL, which is returned without it. Without `sslmode` TLS is used if the server has it.
    pub(super) fn of_url(name: &str, url: &str, workspace: &Path) -> Result<(String, Self), CopyError> {
        let mut tls = Self { name: name.to_owned(), trust: Trust::Prefer, roots: None };
        let Some((start, query)) = url.split_once('?') else { return Ok((url.to_owned(), tls)) };
        let mut rest = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => {
                    tls.trust = match mode {
                        "disable" => Trust::Disable,
                        "prefer" | "allow" => Trust::Prefer,
                        "require" => Trust::Require,
                        "verify-ca" => Trust::VerifyCa,
                        "verify-full" => Trust::VerifyFull,
                        other => {
                            return Err(CopyError::config(
                                format!("the connection `{name}`: `{other}` is no `sslmode`"),
                                "sslmode is disable, prefer, require, verify-ca or verify-full",
                            ));
                        }
                    };
                }
                Some(("sslrootcert", file)) => tls.roots = Some(workspace.join(file)),
                _ => rest.push(pair),
            }
        }
        let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        Ok((format!("{start}{query}"), tls))
    }

    pub(super) fn mode(&self) -> SslMode {
        match self.trust {
            Trust::Disable => SslMode::Disable,
            Trust::Prefer => SslMode::Prefer,
            Trust::Require | Trust::VerifyCa | Trust::VerifyFull => SslMode::Require,
        }
    }

    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, CopyError> {
        let failed = |error: &dyn std::fmt::Display| {
            CopyError::config(
                format!("TLS of the connection `{}` cannot be set up: {error}", self.name),
                "`sslrootcert` names a file of certificates in PEM form",
            )
        };
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?;
        // With a file of certificates `require` means `verify-ca`, as it does for PostgreSQL's own programs.
        let named = match (self.trust, &self.roots) {
            (Trust::VerifyFull, _) => true,
            (Trust::VerifyCa, _) | (Trust::Require, Some(_)) => false,
            _ => {
                let checker = Arc::new(Unchecked { provider, chain: None });
                let config = config.dangerous().with_custom_certificate_verifier(checker);
                return Ok(MakeRustlsConnect::new(config.with_no_client_auth()));
            }
        };
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(file) => {
                for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))? {
                    roots
                        .add(certificate.map_err(|error| failed(&error))?)
                        .map_err(|error| failed(&error))?;
                }
            }
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let config = if named {
            config.with_root_certificates(roots)
        } else {
            let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| failed(&error))?;
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unchecked { provider, chain: Some(chain) }))
        };
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

/// Takes any certificate, or any that somebody trusted has signed, whatever name is in it.
#[derive(Debug)]
struct Unchecked {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
