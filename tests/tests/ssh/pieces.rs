//! What real software said, sent again in other pieces, and what is no SSH.

use crypto_trace_tests::live;
use serde_json::{Value, json};

use crate::support::{Run, trace};

/// Python that sends what OpenSSH's sides said, in pieces that `pieces` makes of each.
const REPLAY: &str = r#"
import socket, sys, time
def read(side): return open("DATA/openssh.%s.bin" % side, "rb").read()
def line(data): return data.index(b"\n") + 1
def talk(client, server, first="both"):
    listener = socket.create_server(("127.0.0.1", 0))
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    for end in (a, b): end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if first == "client":
        order = [(a, client), (b, server)]
    else:
        order = [(b, server), (a, client)]
    for end, pieces in order:
        other = b if end is a else a
        for piece in pieces:
            end.sendall(piece)
            left = len(piece)
            while left: left -= len(other.recv(left))
    a.close(); b.close(); listener.close()
client, server = read("client"), read("server")
"#;

fn replay(body: &str) -> Run {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/analyze/tests/data/ssh");
    let python = REPLAY.replace("DATA", data) + body;
    trace(&format!("cat > replay.py <<'PYTHON'\n{python}\nPYTHON\npython3 replay.py\n"))
}

const FINGERPRINT: &str = "SHA256:Oo2S8oE+k4/qerUybJhDp5+4t56O4OxWVkfFXzqW6Ig";

/// Both ends of each of `connections` tell all there is.
fn check(run: &Run, connections: usize) {
    assert_eq!(run.handshakes.len(), 2 * connections, "{:#?}", run.handshakes);
    for event in &run.handshakes {
        assert_eq!(
            (&event["outcome"], &event["kex"]),
            (&json!("agreed"), &json!("sntrup761x25519-sha512")),
            "{event:#}"
        );
        assert_eq!(event["host_key"]["fingerprint"], FINGERPRINT, "{event:#}");
        assert_eq!(event["host_key"]["certificate"]["key_id"], "host one");
        assert_eq!(event["hello_notes"], Value::Null, "{event:#}");
    }
}

#[test]
fn pieces_of_any_size_are_the_same() {
    let Some(_permit) = live() else { return };
    let run = replay(
        r#"
def cut(data, n): return [data[at:at + n] for at in range(0, len(data), n)]
for n in (16, 100, 1000, 100000): talk(cut(client, n), cut(server, n))
# The opening line, and the head of the first packet, in pieces as small as can be.
def small(data, n): return cut(data[:line(data) + 20], n) + [data[line(data) + 20:]]
for n in (1, 2, 3, 5, 7): talk(small(client, n), small(server, n))
"#,
    );
    check(&run, 9);
}

#[test]
fn whoever_speaks_first_and_lines_before_the_opening_one() {
    let Some(_permit) = live() else { return };
    let run = replay(
        r#"
talk([client], [server], "client")
text = b"Welcome to this host.\r\nOf SSH- this line only speaks.\r\n"
talk([client], [text + server])
talk([client], [text, server])
"#,
    );
    check(&run, 3);
    let offsets: Vec<_> = run.handshakes.iter().filter_map(|event| event["stream_offset"].as_u64()).collect();
    assert_eq!(offsets.len(), 4);
}

#[test]
fn a_line_that_ends_in_lf_alone_and_a_version_of_both_protocols() {
    let Some(_permit) = live() else { return };
    let run = replay(
        r#"
bare = b"SSH-1.99-JSCH-0.1.54\n"
talk([bare + client[line(client):]], [server])
"#,
    );
    check(&run, 1);
    for event in &run.handshakes {
        assert_eq!((&event["client_software"], &event["client_version"]), (&json!("JSCH-0.1.54"), &json!("1.99")));
    }
}

#[test]
fn what_is_no_ssh_is_not_taken_for_it() {
    let Some(_permit) = live() else { return };
    let run = replay(
        r#"
page = b"HTTP/1.1 200 OK\r\n\r\nAn opening line looks like this:\n" + server
talk([b"GET / HTTP/1.1\r\n\r\n"], [page], "client")
talk([b"hello"], [b"220 mail.example.test\r\n250 SSH-2.0-no\r\n"])
talk([b"\x16\x03\x01"], [b"SSX-2.0-x\r\n"])
"#,
    );
    assert_eq!(run.handshakes, [] as [Value; 0]);
}

#[test]
fn an_opening_line_alone_and_what_is_no_packet() {
    let Some(_permit) = live() else { return };
    let run = replay(
        r#"
talk([client[:line(client)]], [server[:line(server)]])
talk([client[:line(client)] + b"\xff" * 100], [server])
talk([b"SSH-1.5-old\r\n"], [b"SSH-1.5-older\r\n"])
"#,
    );
    assert_eq!(run.handshakes.len(), 6, "{:#?}", run.handshakes);
    let outcomes: Vec<&Value> = run.handshakes.iter().map(|event| &event["outcome"]).collect();
    assert!(outcomes.iter().all(|outcome| **outcome == "none"), "{outcomes:?}");
    // Nothing of the key exchange tells the sides apart: who opened the connection does.
    assert_eq!(run.handshakes.iter().filter(|event| event["role"] == "client").count(), 3);
}
