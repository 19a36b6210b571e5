//! A hello of rustls with its defaults: rustls PORT

use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};

fn main() {
    let port = std::env::args().nth(1).expect("a port");
    #[cfg(feature = "safe-defaults")]
    let builder = ClientConfig::builder().with_safe_defaults();
    #[cfg(not(feature = "safe-defaults"))]
    let builder = ClientConfig::builder();
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), "server.test".try_into().expect("a name")).expect("a client");
    let mut socket = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a listener");
    let _ = client.complete_io(&mut socket);
}
