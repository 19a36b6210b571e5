//! A load for benchmarks: one loopback TCP connection, which is not TLS, full of short packets.
//!
//! `tcp_packets PACKETS`: one thread sends packets of 64 bytes, another reads them. Prints nanoseconds of CPU time of the
//! process per packet; each is looked at twice, when it leaves and when it arrives.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark's load")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::time::{ClockId, clock_gettime};

fn main() {
    let packets: u64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
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

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
