//! One end of DTLS by dimpl: dimpl-peer server|client PORT [12|13]
//!
//! Without a version it takes what the other end speaks. Says what it agreed on, one `told` line for each thing.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{certificate, Config, Dtls, Output};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Seconds that a run may take.
const PATIENCE: u64 = 60;

fn new(version: Option<&str>) -> Result<Dtls> {
    let config = Arc::new(Config::default());
    let own = certificate::generate_self_signed_certificate().map_err(|error| format!("{error:?}"))?;
    Ok(match version {
        Some("12") => Dtls::new_12(config, own, Instant::now()),
        Some("13") => Dtls::new_13(config, own, Instant::now()),
        _ => Dtls::new_auto(config, own, Instant::now()),
    })
}

fn run(role: &str, port: u16, version: Option<&str>) -> Result<()> {
    let is_client = role == "client";
    let socket = UdpSocket::bind(("127.0.0.1", if is_client { 0 } else { port }))?;
    if is_client {
        socket.connect(("127.0.0.1", port))?;
    }
    println!("ready");
    let mut dtls = new(version)?;
    dtls.set_active(is_client);
    dtls.handle_timeout(Instant::now())?;
    let (mut out, mut buffer) = (vec![0; 4096], [0; 65535]);
    let end = Instant::now() + Duration::from_secs(PATIENCE);
    let (mut peer, mut connected) = (None, false);
    while Instant::now() < end {
        let next = loop {
            match dtls.poll_output(&mut out) {
                Output::Packet(packet) if is_client => drop(socket.send(packet)?),
                Output::Packet(packet) => drop(socket.send_to(packet, peer.ok_or("an answer to nobody")?)?),
                Output::BufferTooSmall { needed } => out.resize(needed, 0),
                Output::Timeout(at) => break at,
                Output::Connected => connected = true,
                Output::CloseNotify => return Ok(()),
                Output::ApplicationData(said) if is_client => {
                    println!("heard {}", said.len());
                    return Ok(());
                }
                _ => {}
            }
        };
        if connected {
            let version = format!("{:?}", dtls.protocol_version().ok_or("no version")?);
            println!("told {role} version {}", version.replace("DTLS1_", "DTLS 1."));
            connected = false;
            dtls.send_application_data(b"hello")?;
            continue;
        }
        let wait = next.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), Duration::from_millis(200));
        socket.set_read_timeout(Some(wait))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                peer = Some(from);
                dtls.handle_packet(&buffer[..len])?;
            }
            Err(_) => dtls.handle_timeout(Instant::now())?,
        }
    }
    Err("nothing was heard".into())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[1..] {
        [role @ ("client" | "server"), port] => run(role, port.parse()?, None),
        [role @ ("client" | "server"), port, version] => run(role, port.parse()?, Some(version)),
        _ => Err("dimpl-peer server|client PORT [12|13]".into()),
    }
}
