//! A load for benchmarks: processes that open and close one file, flat out or at a rate, and say what an open cost them.
//!
//! `open_storm PROCESSES OPENS RATE PATH [stat|exec]`: OPENS in all, RATE per second in all (0: flat out). With `stat` it calls
//! fstat(2) instead, a system call that is not traced; with `exec` it runs the program PATH and waits for it. Prints nanoseconds
//! per operation, of its own CPU time and of wall time.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark's load")]

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.len() < 4 {
        println!("usage: open_storm PROCESSES OPENS RATE PATH [stat|exec]");
        std::process::exit(2);
    }
    let number = |i: usize| args[i].parse::<u64>().unwrap();
    let (processes, opens, rate) = (number(0), number(1), number(2));
    if processes > 1 {
        let mut share = args.clone();
        share[0] = "1".to_owned();
        share[1] = (opens / processes).to_string();
        share[2] = (rate / processes).to_string();
        let start =
            || Command::new(std::env::current_exe().unwrap()).args(&share).stdout(std::process::Stdio::null()).spawn();
        let started = Instant::now();
        let children: Vec<_> = (0..processes).map(|_| start().unwrap()).collect();
        for mut child in children {
            child.wait().unwrap();
        }
        println!("0 {:.1}", started.elapsed().as_nanos() as f64 / opens as f64);
        return;
    }
    let path = args[3].as_str();
    let what = args.get(4).map_or("open", String::as_str);
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let started = Instant::now();
    let cpu_started = cpu_ns();
    for i in 0..opens {
        match what {
            "stat" => drop(fstat(&file).unwrap()),
            "exec" => drop(Command::new(path).status().unwrap()),
            _ => drop(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()),
        }
        if rate > 0 && i % 10 == 9 {
            let due = Duration::from_nanos((i + 1) * 1_000_000_000 / rate);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
    let per_open = |ns: u128| ns as f64 / opens.max(1) as f64;
    println!("{:.1} {:.1}", per_open(u128::from(cpu_ns() - cpu_started)), per_open(started.elapsed().as_nanos()));
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
