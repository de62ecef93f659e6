//! TLS by rustls, verified as far as libpq's `sslmode` asks.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{RootCertificates, Ssl, SslMode, read};

/// Why TLS could not be set up, before any connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file that cannot be read.
    #[error("the {what} {file} could not be read")]
    File {
        /// `root certificate`, `client certificate` or `client key`.
        what: &'static str,
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file without what it should have.
    #[error("{file} has no {what} in PEM form{}", if *.encrypted { " (it is encrypted)" } else { "" })]
    Empty {
        /// `root certificate`, `client certificate` or `client key`.
        what: &'static str,
        /// The file.
        file: String,
        /// It holds an encrypted key.
        encrypted: bool,
    },
    /// Others may read the key.
    #[error("the client key {file} can be read by others")]
    KeyOpenToOthers {
        /// The file.
        file: String,
    },
    /// Verification was asked for, but there is nothing to verify against.
    #[error("sslmode {mode} needs root certificates, and there are none")]
    NoRoots {
        /// The mode.
        mode: &'static str,
    },
    /// The certificate and key were refused.
    #[error("the client certificate and its key cannot be used")]
    Client {
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl TlsError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "check sslrootcert, sslcert and sslkey",
            Self::Empty {
                encrypted: true, ..
            } => "decrypt the key; encrypted ones are not supported",
            Self::Empty { .. } => "give a PEM file",
            Self::KeyOpenToOthers { .. } => "run chmod 0600 on it",
            Self::NoRoots { .. } => {
                "give sslrootcert a file, or \"system\", or put the file at ~/.postgresql/root.crt"
            }
            Self::Client { .. } => "check that sslcert and sslkey belong together",
        }
    }
}

/// What the server's certificate has to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// The connector for these options.
pub(super) fn connector(ssl: &Ssl) -> Result<MakeRustlsConnect, TlsError> {
    let check = match ssl.mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => Check::Nothing,
        // As in libpq, a root certificate that is there is used.
        SslMode::Require if ssl.roots.is_some() => Check::Chain,
        SslMode::Require => Check::Nothing,
        SslMode::VerifyCa => Check::Chain,
        SslMode::VerifyFull => Check::ChainAndName,
    };
    let (roots, exact) = match (&ssl.roots, check) {
        (_, Check::Nothing) => (RootCertStore::empty(), Vec::new()),
        (None, _) => {
            return Err(TlsError::NoRoots {
                mode: match check {
                    Check::ChainAndName => "verify-full",
                    _ => "verify-ca",
                },
            });
        }
        (Some(RootCertificates::System), _) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots {
                    mode: "verify-full",
                });
            }
            (roots, Vec::new())
        }
        (Some(RootCertificates::File(file)), _) => {
            let certificates = certificates("root certificate", file)?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates.iter().cloned());
            (roots, certificates)
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        provider: Arc::clone(&provider),
        roots,
        exact,
        check,
    };
    // The provider has suites for both versions, so this cannot fail.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Client { source })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &ssl.client {
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                certificates("client certificate", certificate)?,
                private_key(key)?,
            )
            .map_err(|source| TlsError::Client { source })?,
        None => builder.with_no_client_auth(),
    };
    if ssl.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn pem(what: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    read(file).map_err(|source| TlsError::File {
        what,
        file: file.display().to_string(),
        source,
    })
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem(what, file)?)
        .filter_map(Result::ok)
        .collect();
    if found.is_empty() {
        return Err(TlsError::Empty {
            what,
            file: file.display().to_string(),
            encrypted: false,
        });
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "client key";
    let bytes = pem(what, file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        // libpq lets the superuser's key be readable by a group.
        let open = file.metadata().is_ok_and(|meta| {
            let forbidden = if meta.uid() == 0 { 0o037 } else { 0o077 };
            meta.mode() & forbidden != 0
        });
        if open {
            return Err(TlsError::KeyOpenToOthers {
                file: file.display().to_string(),
            });
        }
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| TlsError::Empty {
        what,
        file: file.display().to_string(),
        encrypted: String::from_utf8_lossy(&bytes).contains("ENCRYPTED"),
    })
}

/// Verifies as much as was asked for; signatures of the handshake always.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    /// The trusted certificates themselves: a server's self-signed certificate
    /// that is also the root file is trusted, as OpenSSL does.
    exact: Vec<CertificateDer<'static>>,
    check: Check,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        match chain {
            // A self-signed certificate marked as an authority: the period of
            // validity has been checked before this is said.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                if other.to_string().contains("CaUsedAsEndEntity")
                    && self.exact.iter().any(|trusted| trusted == end_entity) => {}
            other => other?,
        }
        if self.check == Check::ChainAndName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
