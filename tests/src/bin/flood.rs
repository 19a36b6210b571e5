//! What floods the recorder in live tests: one kind of events, as fast as it can, until its time is over. All it does is on files
//! that are not there or its own, and on loopback.
//!
//! `flood KIND SECONDS [PATH]`. It says how many calls it made.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a wrong argument ends the test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Longest name of a file, and the length of the paths that are made up.
const NAME: usize = 200;
const PATH: usize = 4_000;
/// Bytes of the hellos that are made up; what they hold cannot be compressed.
const HELLO: usize = 8_000;

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn letter(&mut self) -> char {
        char::from(b'a' + u8::try_from(self.next() % 26).unwrap())
    }

    /// A path that does not exist, as long as a path may be.
    fn path(&mut self) -> String {
        (0..PATH).map(|at| if at % NAME == 0 { '/' } else { self.letter() }).chain(".pem".chars()).collect()
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seconds: f64 = args[2].parse().unwrap();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id()));
    let mut calls = 0_u64;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let paths: Vec<String> = (0..64).map(|_| random.path()).collect();
    while Instant::now() < end {
        for path in &paths {
            match args[1].as_str() {
                // Names that were made up.
                "failed" => assert!(std::fs::File::open(path).is_err()),
                // A file that is there.
                "opened" => drop(std::fs::File::open(&args[3]).unwrap()),
                "changed" => assert!(std::fs::rename(path, &args[3]).is_err()),
                // What looks like one end of a TLS connection.
                "hellos" => hello(&listener, &mut random),
                "processes" => drop(std::process::Command::new("/bin/true").arg(&path[1..3_000]).status().unwrap()),
                other => panic!("no flood of {other}"),
            }
            calls += 1;
            if args[1] == "processes" && Instant::now() >= end {
                break;
            }
        }
    }
    println!("{calls}");
}

/// A connection on which one end says a ClientHello that is all random.
fn hello(listener: &TcpListener, random: &mut Random) {
    let mut bytes = vec![0x16, 3, 1];
    bytes.extend(u16::try_from(HELLO + 4).unwrap().to_be_bytes());
    bytes.extend([1, 0]);
    bytes.extend(u16::try_from(HELLO).unwrap().to_be_bytes());
    bytes.extend([3, 3]);
    while bytes.len() < HELLO + 9 {
        bytes.extend(random.next().to_ne_bytes());
    }
    bytes.truncate(HELLO + 9);
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.write_all(&bytes).unwrap();
    far.read_exact(&mut bytes).unwrap();
}
