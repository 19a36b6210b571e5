//! A first packet of quinn with its defaults, rustls below it: quinn PORT

use std::sync::Arc;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = std::env::args().nth(1).expect("a port");
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    // As ClientConfig::with_root_certificates has it, which takes no store without any.
    let tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("suites of QUIC");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let server = format!("127.0.0.1:{port}").parse().expect("an address");
    let connecting = endpoint.connect(server, "server.test").expect("a connection");
    let _ = tokio::time::timeout(Duration::from_secs(1), connecting).await;
}
