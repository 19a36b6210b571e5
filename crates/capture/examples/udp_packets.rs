//! A load for benchmarks: datagrams on loopback that open no handshake.
//!
//! `udp_packets PACKETS dns|quic`: short ones like questions of DNS, with numbers of which half begin as a long header of QUIC does;
//! or 1,200 bytes each, as of an established connection of QUIC. One thread sends them and another receives them; each is looked at
//! twice, when it leaves and when it arrives. Prints nanoseconds of CPU time of the process per datagram.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark's load")]

use std::net::UdpSocket;

use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mut args = std::env::args().skip(1);
    let packets: u64 = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let is_quic = args.next().as_deref() == Some("quic");
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    // Recursion desired, one question.
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7];
    message.resize(if is_quic { 1200 } else { 45 }, b'x');
    let mut buffer = [0; 1 << 11];
    let started = cpu_ns();
    for number in 0..packets {
        let low = u8::try_from(number % 256).unwrap();
        if let Some(first) = message.first_mut() {
            *first = if is_quic { 0x40 | low & 0x3f } else { low };
        }
        sender.send(&message).unwrap();
        receiver.recv(&mut buffer).unwrap();
    }
    println!("{:.1}", (cpu_ns() - started) as f64 / packets as f64);
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
