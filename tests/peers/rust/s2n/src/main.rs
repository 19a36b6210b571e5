//! One end of QUIC by s2n-quic and s2n-tls: s2n-peer server PORT CERTIFICATE KEY [retry], s2n-peer client PORT CERTIFICATE
//!
//! Says what it agreed on, one `told` line for each thing.

use std::path::Path;
use std::time::Duration;

use s2n_quic::client::Connect;
use s2n_quic::provider::endpoint_limits;
use s2n_quic::provider::event::{events, ConnectionInfo, ConnectionMeta, Subscriber};
use s2n_quic::{Client, Server};
use s2n_quic_tls as tls;
use tokio::io::AsyncWriteExt as _;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Says what happens to connections, with whom this end is.
struct Tell(&'static str);

impl Subscriber for Tell {
    type ConnectionContext = ();

    fn create_connection_context(&mut self, _: &ConnectionMeta, _: &ConnectionInfo) {}

    fn on_server_name_information(&mut self, _: &mut (), _: &ConnectionMeta, event: &events::ServerNameInformation<'_>) {
        println!("told {} server_name {}", self.0, event.chosen_server_name);
    }

    fn on_key_exchange_group(&mut self, _: &mut (), _: &ConnectionMeta, event: &events::KeyExchangeGroup<'_>) {
        println!("told {} group {}", self.0, event.chosen_group_name);
    }

    fn on_key_update(&mut self, _: &mut (), _: &ConnectionMeta, event: &events::KeyUpdate) {
        if matches!(event.key_type, events::KeyType::OneRtt { .. }) {
            println!("told {} cipher_suite {:?}", self.0, event.cipher_suite);
        }
    }
}

/// Wants a Retry of everybody.
struct Suspicious;

impl endpoint_limits::Limiter for Suspicious {
    fn on_connection_attempt(&mut self, _: &endpoint_limits::ConnectionAttempt) -> endpoint_limits::Outcome {
        endpoint_limits::Outcome::retry()
    }
}

async fn client(port: u16, certificate: &str) -> Result<()> {
    let tls = tls::Client::builder()
        .with_certificate(Path::new(certificate))?
        .with_application_protocols(["demo"])?
        .build()?;
    let client = Client::builder().with_tls(tls)?.with_event(Tell("client"))?.with_io("127.0.0.1:0")?.start()?;
    let server: std::net::SocketAddr = format!("127.0.0.1:{port}").parse()?;
    let mut connection = client.connect(Connect::new(server).with_server_name("server.test")).await?;
    let mut stream = connection.open_bidirectional_stream().await?;
    stream.write_all(b"hello").await?;
    stream.finish()?;
    while stream.receive().await?.is_some() {}
    connection.close(0u32.into());
    Ok(())
}

async fn server(port: u16, certificate: &str, key: &str, retry: bool) -> Result<()> {
    let tls = tls::Server::builder()
        .with_certificate(Path::new(certificate), Path::new(key))?
        .with_application_protocols(["demo"])?
        .build()?;
    let address = format!("127.0.0.1:{port}");
    let builder = Server::builder().with_tls(tls)?.with_event(Tell("server"))?;
    let mut server = if retry {
        builder.with_endpoint_limits(Suspicious)?.with_io(address.as_str())?.start()?
    } else {
        builder.with_io(address.as_str())?.start()?
    };
    println!("ready");
    while let Some(mut connection) = server.accept().await {
        tokio::spawn(async move {
            while let Ok(Some(mut stream)) = connection.accept_bidirectional_stream().await {
                while let Ok(Some(said)) = stream.receive().await {
                    let _ = stream.send(said).await;
                }
                let _ = stream.finish();
            }
        });
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run = async {
        match words[1..] {
            ["client", port, certificate] => client(port.parse()?, certificate).await,
            ["server", port, certificate, key] => server(port.parse()?, certificate, key, false).await,
            ["server", port, certificate, key, "retry"] => server(port.parse()?, certificate, key, true).await,
            _ => Err("s2n-peer client PORT CERTIFICATE, or server PORT CERTIFICATE KEY [retry]".into()),
        }
    };
    tokio::time::timeout(Duration::from_secs(120), run).await?
}
