//! Who is trusted where a connection is encrypted: whom the system trusts, and the certificate that a connection names.

use std::sync::Arc;

use millrace_spec::problem::Problem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// `ca` is PEM.
///
/// # Errors
/// If `ca` has no certificate.
pub(crate) fn client(ca: Option<&str>) -> Result<Arc<ClientConfig>, Problem> {
    let mut roots = RootCertStore::empty();
    // A certificate of the system's that cannot be read is trusted by nobody; the others count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = ca {
        let refused = |why: String| {
            let problem = Problem::error("bad-certificate", format!("`ca` of the connection: {why}"));
            problem.hint("it is a text that begins with `-----BEGIN CERTIFICATE-----`")
        };
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| refused(error.to_string()))?;
            roots.add(certificate).map_err(|error| refused(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(refused("there is no certificate in it".to_owned()));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::error("event-source", error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
