//! Connections of datagrams that one end has by several sockets, and sockets that have several.

use super::*;

/// The beginning of a QUIC packet: whom it is for, and who sent it.
fn quic_head(to: &[u8], from: &[u8]) -> Vec<u8> {
    let cid = |cid: &[u8]| [&[u8::try_from(cid.len()).expect("short")], cid].concat();
    [&[0xc0, 0, 0, 0, 1][..], &cid(to), &cid(from)].concat()
}

/// The beginning of a DTLS record with a ClientHello of this random, or with a ServerHello.
fn dtls_head(random: Option<u8>) -> Vec<u8> {
    let kind = if random.is_some() { 1 } else { 2 };
    let body = [&[0xfe, 0xfd][..], &[random.unwrap_or(9); 32]].concat();
    let record = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 46];
    [&record[..], &[kind, 0, 0, 34, 0, 0, 0, 0, 0, 0, 0, 34], &body].concat()
}

/// HAProxy hears of each client by its listening socket, and goes on by another that is connected to it; so do servers of DTLS.
#[test]
fn a_server_that_goes_on_with_another_socket_has_one_end_of_each_connection() {
    const LISTENER: u64 = 1;
    // What the client says, what it is answered, and what it says to that.
    let quic_of = |id: &[u8]| [quic_head(b"original", id), quic_head(id, b"server"), quic_head(b"server", id)];
    let dtls_of = |random| [dtls_head(Some(random)), dtls_head(None), dtls_head(None)];
    let (quic, dtls) = ([quic_of(b"one"), quic_of(b"")], [dtls_of(1), dtls_of(2)]);
    for (protocol, said) in [(Protocol::QUIC, quic), (Protocol::DTLS, dtls)] {
        for backwards in [false, true] {
            let of = |cookie, sent| TlsHelloFixed { protocol: protocol.0, ..fixed(cookie, false, sent) };
            let mut records: Vec<(Header, TlsHelloFixed, &[u8])> = Vec::new();
            for (number, [hello, answer, finish]) in (0u64..).zip(&said) {
                let port = 40_000 + u16::try_from(number).expect("small");
                let of_port = |fixed| TlsHelloFixed { remote_port: port, ..fixed };
                let at = |add: u64| header(7, 100 + 10 * number + add);
                records.push((at(0), of_port(of(LISTENER, false)), hello));
                records.push((at(1), of_port(of(10 + number, true)), answer));
                records.push((at(2), of_port(of(10 + number, false)), finish));
            }
            if backwards {
                records.reverse();
            }
            let all = gathered(&records);
            let sides: Vec<_> = all
                .connections()
                .iter()
                .map(|connection| (connection.sent.said().chunks.len(), connection.received.said().chunks.len()))
                .collect();
            assert_eq!(sides.len(), 2, "{protocol:?}, backwards {backwards}: {sides:?}");
            assert!(sides.iter().all(|(sent, received)| *sent == 1 && *received == 2), "{protocol:?}: {sides:?}");
        }
    }
}

/// A client that binds to the port of an earlier one is another connection, however alike what is answered.
#[test]
fn clients_that_use_a_port_again_are_not_taken_for_one() {
    let to_server = [quic_head(b"original", b""), quic_head(b"another", b"")];
    let to_client = quic_head(b"", b"");
    let of = |cookie, sent| TlsHelloFixed { protocol: Protocol::QUIC.0, ..fixed(cookie, true, sent) };
    let mut records: Vec<(Header, TlsHelloFixed, &[u8])> = Vec::new();
    for (cookie, to_server) in (1..).zip(&to_server) {
        records.push((header(7, cookie * 10), of(cookie, true), to_server));
        records.push((header(7, cookie * 10 + 1), of(cookie, false), &to_client));
    }
    let all = gathered(&records);
    assert_eq!(all.connections().len(), 2);
}
