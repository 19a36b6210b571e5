//! Handshakes of WireGuard, from bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::protocol::{Chunk, Said};

const INITIATION: [u8; 8] = [1, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];
const RESPONSE: [u8; 12] = [2, 0, 0, 0, 9, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];
const TO_ANOTHER: [u8; 12] = [2, 0, 0, 0, 9, 0, 0, 0, 0x79, 0x56, 0x34, 0x12];
const COOKIE_REPLY: [u8; 8] = [3, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];

fn view(sent: &[&[u8]], received: &[&[u8]]) -> View {
    let said = |all: &[&'static [u8]]| Said {
        chunks: (0..).zip(all).map(|(at, bytes)| Chunk { offset: at << 16, bytes }).collect(),
        ..Said::default()
    };
    // Bytes of a test live as long as it does.
    let kept = |all: &[&[u8]]| -> Vec<&'static [u8]> { all.iter().map(|one| &*one.to_vec().leak()).collect() };
    View::read(&Ends { sent: said(&kept(sent)), received: said(&kept(received)), opened_by: None })
}

#[test]
fn who_asks_is_the_client_and_an_answer_names_the_question() {
    let client = view(&[&INITIATION], &[&RESPONSE]);
    assert_eq!((client.role, client.outcome()), (Some(Role::Client), Outcome::ServerHello));
    assert_eq!((client.initiator, client.responder), (Some(0x1234_5678), Some(9)));
    let server = view(&[&RESPONSE], &[&INITIATION]);
    assert_eq!((server.role, server.outcome()), (Some(Role::Server), Outcome::ServerHello));
    assert!(server.notes(false, false).is_empty());
}

#[test]
fn an_answer_to_another_question_is_none() {
    let client = view(&[&INITIATION], &[&TO_ANOTHER]);
    assert_eq!((client.outcome(), client.responder), (Outcome::None, None));
    assert_eq!(client.notes(false, false), ["response_not_seen"]);
    // What is sent the way of the question is no answer.
    assert_eq!(view(&[&INITIATION, &RESPONSE], &[]).outcome(), Outcome::None);
}

#[test]
fn a_cookie_is_told() {
    let client = view(&[&INITIATION], &[&COOKIE_REPLY]);
    assert!(client.cookie);
    assert_eq!(client.outcome(), Outcome::None);
}

#[test]
fn whatever_is_cut_or_is_no_message_is_malformed() {
    for len in 0..RESPONSE.len() {
        let cut = RESPONSE.get(..len).unwrap();
        assert_eq!(Message::parse(cut), None, "{len}");
        assert_eq!(view(&[&INITIATION], &[cut]).notes(false, false), ["response_not_seen", "malformed"]);
    }
    for bytes in [[0; 12], [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(Message::parse(&bytes), None);
    }
}
