//! A load for benchmarks: one loopback TCP connection, which is not TLS, full of short packets.
//!
//! `tcp_packets PACKETS [in-turn]`: one thread sends packets of 64 bytes, another reads them; or, in turn, one thread sends and reads
//! each, which takes the same each time. Prints nanoseconds of CPU time of the process per packet; each is looked at twice, when it
//! leaves and when it arrives.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark's load")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::time::{ClockId, clock_gettime};

/// Packets after which nothing is looked for any more, and a few.
const WARM: u64 = 1_100;

fn main() {
    let packets: u64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    if std::env::args().nth(2).as_deref() == Some("in-turn") {
        return in_turn(packets, &listener);
    }
    let reader = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut buffer = [0; 1 << 16];
        while peer.read(&mut buffer).unwrap() > 0 {}
    });
    let mut peer = TcpStream::connect(address).unwrap();
    peer.set_nodelay(true).unwrap();
    let message = [b'x'; 64];
    let started = cpu_ns();
    for _ in 0..packets {
        peer.write_all(&message).unwrap();
    }
    println!("{:.1}", (cpu_ns() - started) as f64 / packets as f64);
    drop(peer);
    reader.join().unwrap();
}

fn in_turn(packets: u64, listener: &TcpListener) {
    let mut one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    one.set_nodelay(true).unwrap();
    let (message, mut buffer) = ([b'x'; 64], [0; 64]);
    let mut turns = |turns: u64| {
        for _ in 0..turns {
            one.write_all(&message).unwrap();
            other.read_exact(&mut buffer).unwrap();
        }
    };
    // A connection is established when it was given up to look for hellos in it.
    turns(WARM);
    let started = cpu_ns();
    turns(packets);
    println!("{:.1}", (cpu_ns() - started) as f64 / packets as f64);
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
