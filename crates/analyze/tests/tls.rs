//! TLS of real software, parsed and compared with what that software said of it. See `data/tls/README.md`.

mod tls {
    mod certificates;
    mod hostile;
    mod left_out;
    mod recorded;
    mod vectors;

    use crypto_trace_analyze::protocol::tls::{Chunk, Stream};
    use std::collections::HashMap;
    use std::path::Path;

    /// The names of all recordings.
    const RECORDINGS: [&str; 18] = [
        "openssl13",
        "openssl13_retry",
        "openssl13_resumed",
        "openssl12",
        "openssl12_ec",
        "openssl12_dhe",
        "openssl12_rsa",
        "openssl12_mutual",
        "openssl12_ticket",
        "openssl12_session_id",
        "openssl10",
        "openssl_no_shared_cipher",
        "openssl_protocol_version",
        "gnutls13",
        "gnutls12",
        "python_ssl",
        "openssl4_mlkem",
        "chrome_mlkem",
    ];

    fn read(file: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(file);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn client_bytes(name: &str) -> Vec<u8> {
        read(&format!("{name}.client.bin"))
    }

    fn server_bytes(name: &str) -> Vec<u8> {
        read(&format!("{name}.server.bin"))
    }

    fn client(name: &str) -> Stream {
        both(name).0
    }

    /// Both sides, each with what the other tells of it.
    fn both(name: &str) -> (Stream, Stream) {
        let (client, server) = (client_bytes(name), server_bytes(name));
        let chunk = |bytes| [Chunk { offset: 0, bytes }];
        Stream::parse_both(&chunk(&client), &chunk(&server))
    }

    fn server(name: &str) -> Stream {
        both(name).1
    }

    /// What the software said, by key.
    fn report(name: &str) -> HashMap<String, String> {
        let text = String::from_utf8(read(&format!("{name}.report"))).expect("UTF-8");
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }
}
