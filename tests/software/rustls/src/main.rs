//! A TLS server and client of rustls that says of each connection what rustls itself knows of it, for tests to compare with.
//! One line of JSON a connection, with the member names of a tls_handshake event.
//!
//!     rustls-peer server CERT KEY [OPTION]...
//!     rustls-peer client ADDRESS CA SERVER_NAME [OPTION]...
//!     rustls-peer crowd COUNT SEED [PORT]...           many of many kinds, see `crowd`
//!
//! Options: `tls1.2`, `tls1.3`, `alpn=A,B`, `twice` (client: again, resuming).

mod crowd;

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, CommonState, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, StreamOwned, SupportedProtocolVersion,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the options ask for.
#[derive(Default)]
struct Options {
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    twice: bool,
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { versions: vec![&TLS12, &TLS13], ..Options::default() };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("tls1.2", _) => options.versions = vec![&TLS12],
            ("tls1.3", _) => options.versions = vec![&TLS13],
            ("alpn", names) => options.alpn = names.split(',').map(Vec::from).collect(),
            ("twice", _) => options.twice = true,
            _ => return Err(format!("unknown option {word}").into()),
        }
    }
    Ok(options)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_file_iter(path)?.collect::<std::result::Result<_, _>>()?)
}

/// Says what is known of a connection after its handshake, successful or not.
fn tell(
    role: &str,
    addresses: (SocketAddr, SocketAddr),
    state: &CommonState,
    server_name: Option<&str>,
    error: Option<&str>,
) -> Result<()> {
    let (local, remote) = addresses;
    let mut line = format!(
        r#"{{"role":"{role}","pid":{},"local_address":"{}","local_port":{},"remote_address":"{}","remote_port":{}"#,
        std::process::id(),
        local.ip(),
        local.port(),
        remote.ip(),
        remote.port()
    );
    if let Some(error) = error {
        line += &format!(r#","error":{error:?}}}"#);
        println!("{line}");
        return Ok(());
    }
    let version = match state.protocol_version().ok_or("no version")? {
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        other => return Err(format!("version {other:?}").into()),
    };
    let suite = state.negotiated_cipher_suite().ok_or("no suite")?.suite();
    line += &format!(r#","version":"{version}","cipher_suite_id":"0x{:04x}""#, u16::from(suite));
    // rustls does not know it of a resumed TLS 1.2 session, where there is none.
    match state.negotiated_key_exchange_group() {
        Some(group) => line += &format!(r#","group_id":"0x{:04x}""#, u16::from(group.name())),
        None => line += r#","group_id":null"#,
    }
    let kind = state.handshake_kind().ok_or("no kind")?;
    line += &format!(r#","resumed":{}"#, matches!(kind, HandshakeKind::Resumed));
    line += &format!(r#","retried":{}"#, matches!(kind, HandshakeKind::FullWithHelloRetryRequest));
    line +=
        &format!(r#","negotiated_protocol":"{}""#, String::from_utf8_lossy(state.alpn_protocol().unwrap_or_default()));
    if let Some(name) = server_name {
        line += &format!(r#","server_name":"{name}""#);
    }
    if role == "client" {
        let digest = |der: &CertificateDer<'_>| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex:?}")
        };
        let digests: Vec<_> = state.peer_certificates().unwrap_or_default().iter().map(digest).collect();
        line += &format!(r#","certificates":[{}]"#, digests.join(","));
    }
    println!("{line}}}");
    Ok(())
}

/// Answers one connection, whatever it asks for, and stays until the client goes.
fn serve(mut socket: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    // The other end may be gone when they are told.
    let addresses = (socket.local_addr()?, socket.peer_addr()?);
    let mut connection = ServerConnection::new(config)?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut socket) {
            return tell("server", addresses, &connection, None, Some(&error.to_string()));
        }
    }
    tell("server", addresses, &connection, connection.server_name(), None)?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")?;
    stream.flush()?;
    // Whether the client says goodbye is its own affair.
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

fn connect(address: &str, name: &str, config: Arc<ClientConfig>) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    let addresses = (socket.local_addr()?, socket.peer_addr()?);
    let mut connection = ClientConnection::new(config, ServerName::try_from(name.to_owned())?)?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut socket) {
            tell("client", addresses, &connection, None, Some(&error.to_string()))?;
            return Err(error.into());
        }
    }
    tell("client", addresses, &connection, Some(name), None)?;
    // With it come the tickets of TLS 1.3.
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    stream.read_line(&mut String::new())?;
    let stream = stream.get_mut();
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

fn run(args: &[String]) -> Result<()> {
    match args {
        [mode, cert, key, words @ ..] if mode == "server" => {
            let options = options(words)?;
            let mut config = ServerConfig::builder_with_protocol_versions(&options.versions)
                .with_no_client_auth()
                .with_single_cert(certificates(cert)?, PrivateKeyDer::from_pem_file(key)?)?;
            config.alpn_protocols = options.alpn;
            let config = Arc::new(config);
            let listener = TcpListener::bind("127.0.0.1:0")?;
            println!("ACCEPT {}", listener.local_addr()?);
            for socket in listener.incoming() {
                let (socket, config) = (socket?, Arc::clone(&config));
                std::thread::spawn(move || {
                    if let Err(error) = serve(socket, config) {
                        eprintln!("rustls-peer: {error}");
                    }
                });
            }
            Ok(())
        }
        [mode, address, ca, name, words @ ..] if mode == "client" => {
            let options = options(words)?;
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca)? {
                roots.add(certificate)?;
            }
            let mut config = ClientConfig::builder_with_protocol_versions(&options.versions)
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = options.alpn;
            let config = Arc::new(config);
            if options.twice {
                connect(address, name, Arc::clone(&config))?;
            }
            connect(address, name, config)
        }
        [mode, count, seed, ports @ ..] if mode == "crowd" => {
            let ports = ports.iter().map(|port| port.parse()).collect::<std::result::Result<Vec<u16>, _>>()?;
            crowd::crowd(count.parse()?, seed.parse()?, &ports)
        }
        _ => Err("server CERT KEY… or client ADDRESS CA SERVER_NAME… or crowd COUNT SEED…".into()),
    }
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let Err(error) = run(&args) {
        eprintln!("rustls-peer: {error}");
        std::process::exit(1);
    }
}
