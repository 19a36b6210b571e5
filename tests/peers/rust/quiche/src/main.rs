//! One end of QUIC by quiche and BoringSSL: quiche-peer server PORT CERTIFICATE KEY, quiche-peer client PORT [negotiate]
//!
//! The client connects twice, the second time with the session that the first gave it and data before the answer; `negotiate`: once, in
//! a version that nobody speaks. Says what it agreed on, one `told` line for each thing.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use quiche::{Config, Connection, ConnectionId, RecvInfo};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A reserved version, which servers answer with those that they speak (RFC 9000, section 15).
const RESERVED: u32 = 0x1a2a_3a4a;

const DATAGRAM: usize = 1350;

/// Seconds that a run may take.
const PATIENCE: u64 = 120;

fn config(version: u32) -> Result<Config> {
    let mut config = Config::new(version)?;
    config.verify_peer(false);
    config.set_application_protos(&[b"demo"])?;
    config.set_max_idle_timeout(5000);
    config.set_initial_max_data(1_000_000);
    config.set_initial_max_stream_data_bidi_local(100_000);
    config.set_initial_max_stream_data_bidi_remote(100_000);
    config.set_initial_max_streams_bidi(10);
    config.set_initial_max_streams_uni(10);
    config.enable_early_data();
    Ok(config)
}

fn new_cid() -> Result<ConnectionId<'static>> {
    let mut bytes = vec![0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(ConnectionId::from_vec(bytes))
}

fn tell(role: &str, connection: &mut Connection) {
    let tls: &mut boring::ssl::SslRef = connection.as_mut();
    if let Some(suite) = tls.current_cipher().and_then(|cipher| cipher.standard_name()) {
        println!("told {role} cipher_suite {suite}");
    }
    if let Some(group) = tls.curve_name() {
        println!("told {role} group {group}");
    }
    println!("told {role} resumed {}", if tls.session_reused() { "True" } else { "False" });
    if let (Some(name), "server") = (connection.server_name(), role) {
        println!("told {role} server_name {name}");
    }
    if let ("server", Some(said)) = (role, connection.peer_transport_params()) {
        println!("told server parameter.max_idle_timeout {}", said.max_idle_timeout);
        println!("told server parameter.initial_max_data {}", said.initial_max_data);
    }
}

fn send(socket: &UdpSocket, connection: &mut Connection) -> Result<()> {
    let mut out = [0; DATAGRAM];
    loop {
        match connection.send(&mut out) {
            Ok((written, info)) => socket.send_to(&out[..written], info.to)?,
            Err(quiche::Error::Done) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
    }
}

/// The next datagram, unless time passes first.
fn receive<'a>(socket: &UdpSocket, buffer: &'a mut [u8], wait: Option<Duration>) -> Result<Option<(&'a mut [u8], SocketAddr)>> {
    let wait = wait.unwrap_or(Duration::from_millis(200)).max(Duration::from_millis(1));
    socket.set_read_timeout(Some(wait.min(Duration::from_millis(200))))?;
    match socket.recv_from(buffer) {
        Ok((len, from)) => Ok(Some((&mut buffer[..len], from))),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One connection; gives the session to go on with.
fn ask(server: SocketAddr, version: u32, session: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let local = socket.local_addr()?;
    let mut connection = quiche::connect(Some("server.test"), &new_cid()?, local, server, &mut config(version)?)?;
    if let Some(session) = session {
        connection.set_session(session)?;
    }
    let (mut buffer, mut asked, mut told) = ([0; 65535], false, false);
    let end = Instant::now() + Duration::from_secs(PATIENCE);
    send(&socket, &mut connection)?;
    while !connection.is_closed() && Instant::now() < end {
        let wait = connection.timeout();
        match receive(&socket, &mut buffer, wait)? {
            Some((datagram, from)) => {
                let _ = connection.recv(datagram, RecvInfo { from, to: local });
            }
            None if connection.timeout().is_some_and(|left| left.is_zero()) => connection.on_timeout(),
            None => {}
        }
        if (connection.is_established() || connection.is_in_early_data()) && !asked {
            connection.stream_send(0, b"hello", true)?;
            asked = true;
        }
        if connection.is_established() && !told {
            tell("client", &mut connection);
            told = true;
        }
        let mut answer = [0; 100];
        if let Ok((_, true)) = connection.stream_recv(0, &mut answer) {
            connection.close(true, 0, b"")?;
        }
        send(&socket, &mut connection)?;
    }
    told.then_some(()).ok_or("no connection")?;
    Ok(connection.session().map(<[u8]>::to_vec))
}

fn client(port: u16, negotiate: bool) -> Result<()> {
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    if negotiate {
        return ask(server, RESERVED, None).map(drop);
    }
    let session = ask(server, quiche::PROTOCOL_VERSION, None)?;
    ask(server, quiche::PROTOCOL_VERSION, session.as_deref()).map(drop)
}

fn server(port: u16, certificate: &str, key: &str) -> Result<()> {
    let mut config = config(quiche::PROTOCOL_VERSION)?;
    config.load_cert_chain_from_pem_file(certificate)?;
    config.load_priv_key_from_pem_file(key)?;
    let socket = UdpSocket::bind(("127.0.0.1", port))?;
    let local = socket.local_addr()?;
    println!("ready");
    let mut connections: HashMap<SocketAddr, (Connection, bool)> = HashMap::new();
    let mut buffer = [0; 65535];
    let end = Instant::now() + Duration::from_secs(PATIENCE);
    while Instant::now() < end {
        let wait = connections.values().filter_map(|(connection, _)| connection.timeout()).min();
        if let Some((datagram, from)) = receive(&socket, &mut buffer, wait)? {
            let head = quiche::Header::from_slice(datagram, quiche::MAX_CONN_ID_LEN)?;
            if !quiche::version_is_supported(head.version) && head.ty != quiche::Type::Short {
                let mut out = [0; DATAGRAM];
                let written = quiche::negotiate_version(&head.scid, &head.dcid, &mut out)?;
                socket.send_to(&out[..written], from)?;
                continue;
            }
            if !connections.contains_key(&from) {
                let accepted = quiche::accept(&new_cid()?, None, local, from, &mut config)?;
                connections.insert(from, (accepted, false));
            }
            if let Some((connection, _)) = connections.get_mut(&from) {
                let _ = connection.recv(datagram, RecvInfo { from, to: local });
            }
        }
        for (connection, told) in connections.values_mut() {
            if connection.timeout().is_some_and(|left| left.is_zero()) {
                connection.on_timeout();
            }
            if connection.is_established() && !*told {
                tell("server", connection);
                *told = true;
            }
            let mut said = [0; 100];
            if let Ok((len, true)) = connection.stream_recv(0, &mut said) {
                connection.stream_send(0, &said[..len], true)?;
            }
            send(&socket, connection)?;
        }
        connections.retain(|_, (connection, _)| !connection.is_closed());
    }
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[1..] {
        ["client", port] => client(port.parse()?, false),
        ["client", port, "negotiate"] => client(port.parse()?, true),
        ["server", port, certificate, key] => server(port.parse()?, certificate, key),
        _ => Err("quiche-peer client PORT [negotiate], or server PORT CERTIFICATE KEY".into()),
    }
}
