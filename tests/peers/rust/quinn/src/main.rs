//! One end of QUIC by quinn and rustls: quinn-peer server PORT CERTIFICATE KEY [retry], quinn-peer client PORT
//!
//! The client connects twice, the second time with what the first gave it and data before the answer. Says what it agreed on, one
//! `told` line for each thing.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{Connection, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls13_signature, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Any certificate will do.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}

fn tell(role: &str, connection: &Connection) {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if let Some(name) = data.and_then(|data| data.server_name) {
        println!("told {role} server_name {name}");
    }
}

async fn client(port: u16) -> Result<()> {
    let provider = Arc::new(provider());
    let mut crypto = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    crypto.alpn_protocols = vec![b"demo".to_vec()];
    crypto.enable_early_data = true;
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto)?)));
    let server = format!("127.0.0.1:{port}").parse()?;
    for _ in 0..2 {
        let connection = match endpoint.connect(server, "server.test")?.into_0rtt() {
            Ok((connection, _)) => connection,
            Err(connecting) => connecting.await?,
        };
        let (mut send, mut receive) = connection.open_bi().await?;
        send.write_all(b"hello").await?;
        send.finish()?;
        receive.read_to_end(100).await?;
        tell("client", &connection);
        connection.close(0u32.into(), b"");
        endpoint.wait_idle().await;
    }
    Ok(())
}

async fn server(port: u16, certificate: &str, key: &str, retry: bool) -> Result<()> {
    let certificates = vec![CertificateDer::from_pem_file(certificate)?];
    let mut crypto = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_file(key)?)?;
    crypto.alpn_protocols = vec![b"demo".to_vec()];
    crypto.max_early_data_size = u32::MAX;
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(crypto)?));
    let endpoint = Endpoint::server(config, format!("127.0.0.1:{port}").parse()?)?;
    println!("ready");
    while let Some(incoming) = endpoint.accept().await {
        if retry && !incoming.remote_address_validated() {
            incoming.retry()?;
            continue;
        }
        let connecting = incoming.accept()?;
        tokio::spawn(async move {
            if let Err(error) = answer(connecting).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

/// Sends back what it hears. Some clients say nothing.
async fn answer(connecting: quinn::Connecting) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connection = connecting.await?;
    tell("server", &connection);
    let (mut send, mut receive) = connection.accept_bi().await?;
    let said = receive.read_to_end(100).await?;
    send.write_all(&said).await?;
    send.finish()?;
    connection.closed().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run = async {
        match words[1..] {
            ["client", port] => client(port.parse()?).await,
            ["server", port, certificate, key] => server(port.parse()?, certificate, key, false).await,
            ["server", port, certificate, key, "retry"] => server(port.parse()?, certificate, key, true).await,
            _ => Err("quinn-peer client PORT, or server PORT CERTIFICATE KEY [retry]".into()),
        }
    };
    tokio::time::timeout(Duration::from_secs(120), run).await?
}
