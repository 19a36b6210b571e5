//! Shapes of hellos.

use super::*;
use crate::protocol::iana::{CipherSuite, Group, Version};
use crate::protocol::quic::{Parameter, Quic};

/// A hello as a client of TLS 1.3 writes it.
fn hello() -> ClientHello {
    let mut hello = ClientHello::default();
    hello.legacy_version = Version::TLS_1_2;
    hello.cipher_suites = vec![CipherSuite(0x1301), CipherSuite(0x1303)];
    hello.extensions = [0, 43, 51, 16, 10].map(ExtensionType).into();
    hello.supported_versions = vec![Version::TLS_1_3];
    hello.groups = vec![Group(0x11ec), Group(29)];
    hello.key_shares = vec![Group(0x11ec)];
    hello
}

fn shape(hello: &ClientHello) -> Option<TlsShape> {
    TlsShape::new(hello, &Transport::Tcp)
}

fn quic(parameters: &[(u64, u64, Option<u64>)]) -> Transport {
    let client_parameters = parameters.iter().map(|(id, len, value)| Parameter { id: *id, len: *len, value: *value });
    Transport::Quic(Box::new(Quic { client_parameters: client_parameters.collect(), ..Quic::default() }))
}

#[test]
fn what_programs_decide_is_no_part_of_a_shape() {
    let whole = shape(&hello()).expect("a shape");
    assert_eq!(whole.extensions, "002b 0033 000a");
    let mut without_names = hello();
    without_names.extensions = [43, 51, 10, 21].map(ExtensionType).into();
    assert_eq!(shape(&without_names), Some(whole));
}

#[test]
fn groups_shares_versions_and_orders_tell_hellos_apart() {
    let whole = shape(&hello());
    let others: [fn(&mut ClientHello); 6] = [
        |hello| hello.groups.truncate(1),
        |hello| hello.key_shares.push(Group(29)),
        |hello| hello.supported_versions.push(Version::TLS_1_2),
        |hello| hello.cipher_suites.reverse(),
        |hello| hello.extensions.reverse(),
        |hello| hello.grease = true,
    ];
    for (number, change) in others.iter().enumerate() {
        let mut other = hello();
        change(&mut other);
        assert!(shape(&other).is_some() && shape(&other) != whole, "{number}");
    }
}

#[test]
fn a_hello_that_goes_on_with_an_earlier_answer_has_no_shape() {
    let later: [fn(&mut ClientHello); 6] = [
        |hello| hello.pre_shared_key = true,
        |hello| hello.early_data = true,
        |hello| hello.session_ticket_bytes = Some(192),
        |hello| hello.extensions.push(ExtensionType::COOKIE),
        |hello| hello.truncated = true,
        |hello| hello.malformed = true,
    ];
    for (number, change) in later.iter().enumerate() {
        let mut other = hello();
        change(&mut other);
        assert_eq!(shape(&other), None, "{number}");
    }
    let mut asks_for_ticket = hello();
    asks_for_ticket.session_ticket_bytes = Some(0);
    assert!(shape(&asks_for_ticket).is_some());
}

#[test]
fn orders_that_change_each_time_are_compared_as_sets() {
    let mut other = hello();
    other.extensions.reverse();
    let [one, other] = [&hello(), &other].map(|hello| shape(hello).expect("a shape"));
    assert_ne!(one, other);
    assert_eq!(one.sorted(true, false), other.sorted(true, false));
    assert_ne!(one.sorted(true, false), one.sorted(false, false));
    assert_eq!(one.sorted(false, false), one);
}

#[test]
fn of_transport_parameters_numbers_lengths_and_some_values_count() {
    let of = |parameters| TlsShape::new(&hello(), &quic(parameters)).expect("a shape").parameters;
    let all = [(0x01, 4, Some(30_000)), (0x0a, 1, Some(3)), (0x0f, 8, None), (0xff04_de1b, 2, None)];
    assert_eq!(of(&all), "01 0a=3 0f:8 ff04de1b");
    let shape = TlsShape::new(&hello(), &quic(&all)).expect("a shape");
    assert_eq!((shape.transport.as_str(), shape.sorted(false, true).parameters_shuffled), ("quic", true));
}
