//! A first hello of s2n-tls with its defaults: s2n PORT

use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("a port");
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
    let connector = s2n_tls_tokio::TlsConnector::new(s2n_tls::config::Config::new());
    let _ = tokio::time::timeout(Duration::from_secs(3), connector.connect("server.test", stream)).await;
}
