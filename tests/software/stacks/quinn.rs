//! A first packet of quinn with its defaults, rustls below it: quinn PORT

use std::sync::Arc;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = std::env::args().nth(1).expect("a port");
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let roots = rustls::RootCertStore::empty();
    endpoint.set_default_client_config(quinn::ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client"));
    let server = format!("127.0.0.1:{port}").parse().expect("an address");
    let connecting = endpoint.connect(server, "server.test").expect("a connection");
    let _ = tokio::time::timeout(Duration::from_secs(1), connecting).await;
}
