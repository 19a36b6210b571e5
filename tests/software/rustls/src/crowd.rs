//! Many connections, one after the other, each of another kind; which, is drawn by a seed: the same every time. Nothing is said
//! of them.
//!
//! To servers of its own, with `server.crt`, `ec.crt` and their keys; in the working directory are also `ca.crt`, `other.crt` and
//! `client.crt` with its key. Or to the ports that are given.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream, SupportedProtocolVersion,
};

use crate::{Result, certificates};

/// Knuth's generator (The Art of Computer Programming, volume 2, section 3.3.4).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn roots(path: &str) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

/// The provider with these groups only, by their names in it.
fn provider(groups: &[&str], suites: Option<&str>) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if !groups.is_empty() {
        let all = std::mem::take(&mut provider.kx_groups);
        let named =
            |name: &&str| all.iter().copied().find(|group| format!("{:?}", group.name()).eq_ignore_ascii_case(name));
        provider.kx_groups = groups.iter().filter_map(named).collect();
    }
    if let Some(suites) = suites {
        provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains(suites));
    }
    Arc::new(provider)
}

type Versions = &'static [&'static SupportedProtocolVersion];

/// Servers on ports from 20200 on; what each is asked for comes back with its port.
fn servers() -> Result<Vec<(u16, &'static str)>> {
    const SERVERS: [(&str, Versions, &[&str], Option<usize>); 8] = [
        ("server", &[&TLS12, &TLS13], &[], None),
        ("server", &[&TLS12], &[], None),
        ("server", &[&TLS13], &["secp384r1"], None),
        ("ec", &[&TLS12, &TLS13], &[], Some(300)),
        ("server", &[&TLS12], &[], Some(100)),
        ("server certificate", &[&TLS12, &TLS13], &[], None),
        ("ec certificate", &[&TLS12], &[], Some(600)),
        ("server no-tickets", &[&TLS12, &TLS13], &[], None),
    ];
    let mut ports = Vec::new();
    for (port, (words, versions, groups, fragment)) in (20200..).zip(SERVERS) {
        let name = words.split(' ').next().ok_or("no name")?;
        let builder = ServerConfig::builder_with_provider(provider(groups, None)).with_protocol_versions(versions)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots("ca.crt")?, provider(&[], None)).build()?;
        let builder = match words.contains("certificate") {
            true => builder.with_client_cert_verifier(verifier),
            false => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_file(format!("{name}.key"))?;
        let mut config = builder.with_single_cert(certificates(&format!("{name}.crt"))?, key)?;
        config.max_fragment_size = fragment;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        match words.contains("no-tickets") {
            true => config.session_storage = Arc::new(NoServerSessionStorage {}),
            false => config.ticketer = aws_lc_rs::Ticketer::new()?,
        }
        let (config, listener) = (Arc::new(config), TcpListener::bind(("127.0.0.1", port))?);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // That clients give up is a part of it.
                std::thread::spawn(move || answer(socket, config).ok());
            }
        });
        ports.push((port, words));
    }
    Ok(ports)
}

fn answer(mut socket: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut connection = ServerConnection::new(config)?;
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream.write_all(b"ok\n")?;
    stream.flush()?;
    // Whether the client says goodbye is its own affair.
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

/// A client's configuration.
fn client(draw: &mut Draw, certificate: bool) -> Result<ClientConfig> {
    const VERSIONS: [Versions; 4] = [&[&TLS12], &[&TLS13], &[&TLS12, &TLS13], &[&TLS12, &TLS13]];
    const GROUPS: [&[&str]; 5] =
        [&[], &["x25519", "secp384r1"], &["secp256r1", "secp384r1"], &["secp384r1"], &["X25519MLKEM768", "secp384r1"]];
    const SUITES: [Option<&str>; 5] = [None, None, Some("AES_128"), Some("AES_256"), Some("CHACHA20")];
    const ALPN: [&[&str]; 6] = [&[], &[], &["h2", "http/1.1"], &["h2"], &["http/1.1"], &["nothing-of-this", "h3"]];
    let versions = draw.pick(&VERSIONS);
    let provider = provider(draw.pick(&GROUPS), draw.pick(&SUITES));
    let known = if draw.below(16) == 0 { "other.crt" } else { "ca.crt" };
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = builder.with_root_certificates(roots(known)?);
    let mut config = match certificate && draw.below(5) > 0 {
        true => {
            builder.with_client_auth_cert(certificates("client.crt")?, PrivateKeyDer::from_pem_file("client.key")?)?
        }
        false => builder.with_no_client_auth(),
    };
    config.alpn_protocols = draw.pick(&ALPN).iter().map(|name| name.as_bytes().to_vec()).collect();
    config.max_fragment_size = draw.pick(&[None, None, None, Some(64), Some(200)]);
    config.resumption = Resumption::in_memory_sessions(32);
    config.enable_sni = draw.below(8) > 0;
    Ok(config)
}

fn connect(port: u16, name: &str, config: Arc<ClientConfig>) -> Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut connection = ClientConnection::new(config, ServerName::try_from(name.to_owned())?)?;
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream.write_all(b"GET / HTTP/1.0\r\nHost: server.test\r\n\r\n")?;
    // With it come the tickets of TLS 1.3.
    let _ = stream.read(&mut [0; 64])?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

pub fn crowd(count: usize, seed: u64, ports: &[u16]) -> Result<()> {
    let mut draw = Draw(seed);
    let ports = if ports.is_empty() { servers()? } else { ports.iter().map(|port| (*port, "")).collect() };
    let mut configs = Vec::new();
    for (_, words) in &ports {
        configs.push(Arc::new(client(&mut draw, words.contains("certificate"))?));
    }
    let mut failed = 0;
    for at in 0..count {
        let at = at % ports.len();
        let (port, words) = ports[at];
        if draw.below(2) == 0 {
            configs[at] = Arc::new(client(&mut draw, words.contains("certificate"))?);
        }
        let name = draw.pick(&["server.test", "localhost", "127.0.0.1"]);
        failed += usize::from(connect(port, name, Arc::clone(&configs[at])).is_err());
    }
    println!("connections {count} failed {failed}");
    if failed > count / 2 { Err("nearly nothing works".into()) } else { Ok(()) }
}
