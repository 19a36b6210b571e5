//! Exchanges made by hand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use super::*;
use crate::protocol::Chunk;
use crate::protocol::Said;

const SPI: u64 = 0x1122_3344_5566_7788;

fn payload(next: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[next, 0][..], &len, body].concat()
}

fn message(responder: u64, exchange: u8, flags: u8, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let first = payloads.first().map_or(0, |one| one.0);
    let next = payloads.iter().skip(1).map(|one| one.0).chain([0]);
    let body: Vec<u8> = payloads.iter().zip(next).flat_map(|((_, body), next)| payload(next, body)).collect();
    let len = u32::try_from(28 + body.len()).unwrap().to_be_bytes();
    [&SPI.to_be_bytes()[..], &responder.to_be_bytes(), &[first, 0x20, exchange, flags, 0, 0, 0, 0], &len, &body]
        .concat()
}

fn transform(is_last: bool, ty: u8, id: u16, bits: Option<u16>) -> Vec<u8> {
    let attribute = bits.map(|bits| [&[0x80, 14][..], &bits.to_be_bytes()].concat()).unwrap_or_default();
    let len = u16::try_from(8 + attribute.len()).unwrap().to_be_bytes();
    [&[if is_last { 0 } else { 3 }, 0][..], &len, &[ty, 0], &id.to_be_bytes(), &attribute].concat()
}

/// An SA payload of one proposal.
fn sa(transforms: &[(u8, u16, Option<u16>)]) -> (u8, Vec<u8>) {
    let last = transforms.len() - 1;
    let all = transforms.iter().enumerate().flat_map(|(at, one)| transform(at == last, one.0, one.1, one.2));
    let all: Vec<u8> = all.collect();
    let len = u16::try_from(8 + all.len()).unwrap().to_be_bytes();
    let count = u8::try_from(transforms.len()).unwrap();
    (33, [&[0, 0][..], &len, &[1, 1, 0, count], &all].concat())
}

fn ke(group: u16) -> (u8, Vec<u8>) {
    (34, [&group.to_be_bytes()[..], &[0; 34]].concat())
}

fn notification(number: u16, data: &[u8]) -> (u8, Vec<u8>) {
    (41, [&[0, 0][..], &number.to_be_bytes(), data].concat())
}

const HYBRID: [(u8, u16, Option<u16>); 4] = [(1, 20, Some(256)), (2, 7, None), (4, 31, None), (6, 36, None)];

fn request(group: u16, extra: &[(u8, Vec<u8>)]) -> Vec<u8> {
    message(0, 34, 0x08, &[&[sa(&HYBRID), ke(group)], extra].concat())
}

fn answer(transforms: &[(u8, u16, Option<u16>)], extra: &[(u8, Vec<u8>)]) -> Vec<u8> {
    message(9, 34, 0x20, &[&[sa(transforms), ke(31)], extra].concat())
}

fn said(datagrams: &[Vec<u8>]) -> Said<'_> {
    let chunks = datagrams.iter().scan(0, |offset, bytes| {
        let at = *offset;
        *offset += u32::try_from(bytes.len()).unwrap();
        Some(Chunk { offset: at, bytes })
    });
    Said { chunks: chunks.collect(), ..Said::default() }
}

/// As the initiator saw it; the responder sees the same.
fn view(asked: &[Vec<u8>], answered: &[Vec<u8>]) -> View {
    let ours = View::read(&Ends { sent: said(asked), received: said(answered), opened_by: None });
    let theirs = View::read(&Ends { sent: said(answered), received: said(asked), opened_by: None });
    assert_eq!((ours.role, theirs.role), (Some(Role::Client), Some(Role::Server)));
    assert_eq!((&ours.initiator, &ours.responder), (&theirs.initiator, &theirs.responder));
    assert_eq!((ours.outcome, ours.post_quantum()), (theirs.outcome, theirs.post_quantum()));
    ours
}

/// With an additional key exchange, which happens.
fn hybrid(extra: &[(u8, Vec<u8>)]) -> View {
    let intermediate = |flags| message(9, 43, flags, &[]);
    view(&[request(31, extra), intermediate(0x08)], &[answer(&HYBRID, extra), intermediate(0x20)])
}

#[test]
fn an_additional_key_exchange_with_ml_kem_is_post_quantum() {
    let both = [notification(notify::INTERMEDIATE_EXCHANGE_SUPPORTED, &[]), notification(16388, &[7; 20])];
    let seen = hybrid(&both);
    assert_eq!((seen.outcome, seen.post_quantum()), (Outcome::ServerHello, Some(true)));
    assert!(seen.intermediate && seen.nat_detection && !seen.retried && !seen.may_go_on());
    assert!(seen.both_notify(notify::INTERMEDIATE_EXCHANGE_SUPPORTED));
    assert!(!seen.both_notify(notify::FRAGMENTATION_SUPPORTED));
    let encryption = seen.used(TransformType::ENCRYPTION).unwrap();
    assert_eq!((encryption.id, encryption.key_bits), (20, Some(256)));
    assert_eq!(seen.used(TransformType(6)).unwrap().id, 36);
    assert_eq!(seen.responder.as_ref().unwrap().responder_spi, 9);
    assert_eq!(seen.notes(false, false), [""; 0]);
}

#[test]
fn a_key_exchange_is_post_quantum_by_what_was_chosen() {
    let of = |transforms: &[_]| view(&[request(31, &[])], &[answer(transforms, &[])]).post_quantum();
    assert_eq!(of(&[(1, 20, Some(256)), (4, 31, None)]), Some(false));
    assert_eq!(of(&[(1, 20, Some(256)), (4, 37, None)]), Some(true));
    assert_eq!(of(&[(1, 20, Some(256)), (4, 31, None), (6, 0, None)]), Some(false));
    assert_eq!(of(&[(1, 20, Some(256)), (4, 1040, None)]), None);
    assert_eq!(view(&[request(31, &[])], &[]).post_quantum(), None);
}

/// strongSwan 6.0.1 as Debian 13 has it chooses ML-KEM without having it, and gives up then.
#[test]
fn an_additional_key_exchange_that_was_chosen_is_not_yet_done() {
    let intermediate = message(9, 43, 0x08, &[]);
    for asked in [vec![request(31, &[])], vec![request(31, &[]), intermediate]] {
        let seen = view(&asked, &[answer(&HYBRID, &[])]);
        assert_eq!((seen.outcome, seen.post_quantum()), (Outcome::ServerHello, None));
        assert_eq!(seen.notes(false, false), ["additional_key_exchange_not_seen"]);
        assert!(seen.may_go_on());
    }
    assert_eq!((hybrid(&[]).post_quantum(), hybrid(&[]).notes(false, false)), (Some(true), vec![]));
}

#[test]
fn a_cookie_and_another_method_are_one_handshake() {
    let cookie = notification(notify::COOKIE, &[5; 20]);
    let asks_cookie = message(0, 34, 0x20, std::slice::from_ref(&cookie));
    let wants = message(0, 34, 0x20, &[notification(notify::INVALID_KE_PAYLOAD, &[0, 31])]);
    let with_cookie = message(0, 34, 0x08, &[cookie.clone(), sa(&HYBRID), ke(14)]);
    let asked = [request(14, &[]), with_cookie, request(31, &[cookie])];
    let seen = view(&asked, &[asks_cookie.clone(), wants.clone(), answer(&HYBRID, &[])]);
    assert_eq!((seen.outcome, seen.error), (Outcome::ServerHello, None));
    assert!(seen.cookie && seen.retried);
    assert_eq!(seen.wanted_key_exchange, Some(31));
    assert_eq!(seen.initiator.unwrap().key_exchange, Some(31));
    let unfinished = view(&asked[..2], &[asks_cookie, wants]);
    assert_eq!((unfinished.outcome, unfinished.error), (Outcome::None, Some(17)));
}

#[test]
fn a_responder_that_wants_nothing_of_it_fails_the_handshake() {
    let refused = message(0, 34, 0x20, &[notification(notify::NO_PROPOSAL_CHOSEN, &[])]);
    let seen = view(&[request(31, &[])], &[refused]);
    assert_eq!((seen.outcome, seen.error), (Outcome::Alert, Some(14)));
    assert_eq!(super::super::error_name(14), Some("NO_PROPOSAL_CHOSEN"));
}

#[test]
fn four_zeros_come_first_on_the_second_port() {
    let marked = |bytes: Vec<u8>| [&[0; 4][..], &bytes].concat();
    let seen = view(&[marked(request(31, &[]))], &[marked(answer(&HYBRID, &[]))]);
    assert!(seen.has_marker);
    assert_eq!(seen.exchange_name().unwrap(), "Curve25519 + ML-KEM-768");
}

#[test]
fn messages_cut_at_every_byte_say_only_what_is_there() {
    let vendor = (43, b"strongSwan".to_vec());
    let (asked, answered) = (request(31, std::slice::from_ref(&vendor)), answer(&HYBRID, &[vendor]));
    for len in 0..answered.len() {
        let (cut, asked) = ([answered[..len].to_vec()], [asked.clone()]);
        let seen = View::read(&Ends { sent: said(&asked), received: said(&cut), opened_by: None });
        let chosen = seen.chosen.map(|chosen| chosen.transforms.clone()).unwrap_or_default();
        let whole = Message::parse(&answered).unwrap().proposals[0].transforms.clone();
        assert!(whole.starts_with(&chosen), "{len}: {chosen:?}");
        match seen.responder {
            Some(responder) => assert!(responder.is_cut && !responder.is_malformed, "{len}"),
            None => assert!(len < 28, "{len}"),
        }
    }
}

#[test]
fn every_byte_changed_breaks_nothing() {
    let answered = answer(&HYBRID, &[notification(notify::INVALID_KE_PAYLOAD, &[0, 31])]);
    for at in 0..answered.len() {
        for value in [0, 1, 7, 0x7f, 0xff] {
            let mut other = answered.clone();
            other[at] = value;
            let seen = [other];
            let view = View::read(&Ends { sent: said(&seen), ..Ends::default() });
            assert!(view.chosen.is_none_or(|chosen| chosen.transforms.len() <= 32), "{at}");
        }
    }
}
