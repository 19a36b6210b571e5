//! tshark as an oracle: it decodes the packets of the same connections that are recorded, and every field that both know is the
//! same.
//!
//! `stacks` makes the connections, `packets` and `tshark` say what tshark makes of them, `compare` compares, `report` counts.
#![allow(clippy::unwrap_used, reason = "tests")]

mod codes;
mod compare;
mod packets;
mod report;
mod stacks;
mod tshark;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use crypto_trace_tests::{analyze_binary, live, run, skip, software};
use serde_json::Value;

use crate::report::Report;
use crate::stacks::{DECODE_AS, Run, STACKS};

/// Names the one stack that is to be looked at, for who looks for a fault.
const ONLY: &str = "CRYPTO_TRACE_ORACLE_STACK";

/// Handshakes that are compared at least.
const LEAST: usize = 1500;

#[test]
fn what_tshark_decodes_is_what_was_recorded() {
    let Some(_permit) = live() else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("network namespaces need root");
    }
    if software::tshark().is_none() {
        return;
    }
    let mut report = Report::default();
    let mut ran = Vec::new();
    let only = std::env::var(ONLY).ok();
    for stack in STACKS.iter().filter(|stack| only.as_ref().is_none_or(|only| stack.name == only)) {
        let Some(run) = stack.run() else { continue };
        compare(&mut report, stack.name, &run);
        ran.push((stack.name, stack.least));
    }
    report.print();
    report.check(ran.len() == STACKS.len(), LEAST, &ran);
}

/// Both ends of each connection of a stack.
fn compare(report: &mut Report, stack: &'static str, run: &Run) {
    let mut events = events(run);
    let proxied = packets::divide_proxy_headers(&run.packets);
    let mut flows = tshark::flows(&run.packets, DECODE_AS);
    for flow in &mut flows {
        flow.proxied |= proxied.contains(&flow.client.port());
        let deferred = run.deferred.contains(&flow.server.port());
        let mut found = Vec::new();
        for (role, local, remote) in [("client", flow.client, flow.server), ("server", flow.server, flow.client)] {
            let event =
                events.get_mut(&(local, remote)).filter(|events| !events.is_empty()).map(|events| events.remove(0));
            // A connection without TLS is none of ours.
            if flow.hello.is_some() || event.is_some() {
                found.push((role, event));
            }
        }
        report.add(stack, flow, deferred, &found);
    }
    for (ends, events) in events {
        for event in events {
            report.unknown_connection(stack, &format!("{ends:?}: {event}"));
        }
    }
}

type Ends = (SocketAddr, SocketAddr);

/// The handshakes that were recorded, by their own end and the other one, in order of time.
fn events(run_of_stack: &Run) -> BTreeMap<Ends, Vec<Value>> {
    let mut command = Command::new(analyze_binary());
    let done = run(command.args(["events", "--type", "tls_handshake"]).arg(&run_of_stack.done.output));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let mut events: BTreeMap<Ends, Vec<Value>> = BTreeMap::new();
    for line in done.text().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let end = |address: &str, port: &str| {
            let address: IpAddr = event[address].as_str().unwrap().parse().unwrap();
            SocketAddr::new(address.to_canonical(), event[port].as_u64().unwrap().try_into().unwrap())
        };
        let ends = (end("local_address", "local_port"), end("remote_address", "remote_port"));
        events.entry(ends).or_default().push(event);
    }
    events
}
