//! A first hello of russh with its defaults: russh PORT

use std::sync::Arc;
use std::time::Duration;

struct Client;

impl russh::client::Handler for Client {
    type Error = russh::Error;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("a port");
    let connecting = russh::client::connect(Arc::default(), ("127.0.0.1", port), Client);
    let _ = tokio::time::timeout(Duration::from_secs(3), connecting).await;
}
