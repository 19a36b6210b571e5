//! Libraries as they come in everyday software: nginx with the distribution's OpenSSL, NSS, and the OpenSSLs and BoringSSL that
//! are inside of Python wheels.

use serde_json::{Value, json};

use crate::peers::{compare, compare_with_failures, go, nginx, nss, trace_peers, wheels};
use crate::support::{Run, texts};

#[test]
fn nginx_and_curl_are_seen_as_nginx_logs_them() {
    let script = r#"
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed "s/PORT/$port/; s/GROUP/$(id -gn nobody)/" $SOFTWARE/nginx/nginx.conf > nginx.conf
$NGINX -e stderr -p $PWD -c nginx.conf >nginx.log 2>&1 &
servers="$servers $!"
tries=0
until curl --silent --cacert ca.crt https://localhost:$port/ -o /dev/null; do
	tries=$((tries + 1)); [ $tries -lt 200 ] || { cat nginx.log; exit 1; }; sleep 0.02
done
get() { curl --silent --verbose --cacert ca.crt --resolve server.test:$port:127.0.0.1 "$@" 2>curl.log; grep 'SSL connection using' curl.log; }
get https://server.test:$port/
get --tls-max 1.2 https://server.test:$port/
get --curves P-384 --http1.1 https://server.test:$port/
again() { printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -ign_eof -connect 127.0.0.1:$port -servername server.test "$@" >/dev/null 2>&1; }
again -sess_out session
again -sess_in session
told nginx 6
"#;
    let Some(run) = trace_peers(&[nginx], script) else { return };
    // Only nginx tells in full; the clients are looked at below.
    let (servers, clients): (Vec<_>, Vec<_>) =
        run.handshakes.iter().cloned().partition(|event| event["role"] == "server");
    let servers = Run { done: run.done, text: run.text, handshakes: servers };
    let pairs = compare(&servers);
    let of = |name: &str| pairs.iter().map(|pair| &pair.event[name]).collect::<Vec<_>>();
    assert_eq!(of("version"), ["TLS 1.3", "TLS 1.3", "TLS 1.2", "TLS 1.3", "TLS 1.3", "TLS 1.3"]);
    assert_eq!(of("resumption"), ["no", "no", "no", "no", "no", "psk"]);
    assert_eq!(of("process_known_by"), ["sent"; 6], "the worker, not the master that listens");
    assert_eq!(of("process"), ["nginx"; 6]);
    assert_eq!((&pairs[3].event["group"], &pairs[2].event["alpn"]), (&json!("secp384r1"), &json!("h2")));
    assert_eq!(pairs[2].event["certificates"].as_array().unwrap().len(), 1);
    // SSL connection using TLSv1.2 / ECDHE-RSA-AES256-GCM-SHA384
    let told =
        servers.text.lines().filter_map(|line| line.split_once("SSL connection using TLSv").map(|(_, told)| told));
    let told: Vec<_> = told.map(|told| told.split_once(" / ").unwrap()).collect();
    assert_eq!((told.len(), clients.len()), (3, 6));
    for ((version, suite), client) in told.into_iter().zip(&clients[1..]) {
        assert_eq!((&client["version"], &client["process"]), (&json!(format!("TLS {version}")), &json!("curl")));
        let server = pairs.iter().find(|pair| pair.event["remote_port"] == client["local_port"]).unwrap();
        assert_eq!(server.said["openssl_cipher"], suite);
        assert_eq!(client["peer"]["pid"], server.said["pid"]);
    }
}

/// Neither of NSS's programs names suites or groups, but they have their protocol version and key sizes told, and do as they are
/// told.
#[test]
fn nss_is_seen_as_it_was_told_to_be() {
    let script = "
certutil -N -d sql:. --empty-password
openssl pkcs12 -export -in server.crt -inkey server.key -name server -passout pass: -out server.p12
pk12util -i server.p12 -d sql:. -W '' >/dev/null
certutil -A -d sql:. -n ca -t C,, -i ca.crt
port=$(python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); print(s.getsockname()[1])')
selfserv -d sql:. -n server -p $port -v -V tls1.2:tls1.3 -H 1 >nss.log 2>&1 &
servers=\"$servers $!\"
until grep -q 'About to call accept' nss.log; do sleep 0.02; done
client() { timeout 10 tstclnt -Q -O -v -d sql:. -h 127.0.0.1 -a server.test -p $port \"$@\" 2>&1 | grep -e 'SSL version' -e 'Key Exchange' | tr -d '\\n'; echo; }
client -V tls1.3:tls1.3 -c :1302 -I P384
client -V tls1.3:tls1.3 -c :1303 -I FF2048 -i 32
client -V tls1.2:tls1.2 -c :C02F -I P256
client -V tls1.2:tls1.2 -c :009C
";
    let Some(run) = trace_peers(&[nss], script) else { return };
    let ends = |role: &str| run.handshakes.iter().filter(|event| event["role"] == role).collect::<Vec<_>>();
    let (clients, servers) = (ends("client"), ends("server"));
    assert_eq!((clients.len(), servers.len()), (4, 4), "{}", run.text);
    // tstclnt: SSL version 3.4 using 256-bit AES-GCM with 128-bit AEAD MAC … Key Exchange: 384-bit TLS 1.3
    let told: Vec<_> = run.text.lines().filter(|line| line.contains("SSL version")).collect();
    let expected = [
        ("version 3.4", "256-bit AES-GCM", "384-bit TLS 1.3", "TLS 1.3", "TLS_AES_256_GCM_SHA384", json!("secp384r1")),
        (
            "version 3.4",
            "256-bit CHACHA20POLY1305",
            "2048-bit TLS 1.3",
            "TLS 1.3",
            "TLS_CHACHA20_POLY1305_SHA256",
            json!("ffdhe2048"),
        ),
        (
            "version 3.3",
            "128-bit AES-GCM",
            "256-bit ECDHE",
            "TLS 1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            json!("secp256r1"),
        ),
        ("version 3.3", "128-bit AES-GCM", "2048-bit RSA", "TLS 1.2", "TLS_RSA_WITH_AES_128_GCM_SHA256", Value::Null),
    ];
    assert_eq!(told.len(), expected.len(), "{}", run.text);
    for (at, (number, cipher, exchange, version, suite, group)) in expected.into_iter().enumerate() {
        for said in [number, cipher, exchange] {
            assert!(told[at].contains(said), "{said} in {}", told[at]);
        }
        for event in [clients[at], servers[at]] {
            assert_eq!((&event["version"], &event["cipher_suite"]), (&json!(version), &json!(suite)), "{event:#}");
            assert_eq!((&event["group"], &event["server_name"]), (&group, &json!("server.test")), "{event:#}");
            assert_eq!(event["offered"]["ech"], at == 1, "it was told to send one, of nothing: {event:#}");
        }
    }
}

/// psycopg2's libpq has OpenSSL's shared libraries in the wheel, under names of their own; `cryptography` has it linked into a
/// module. Both speak ML-KEM, which the OpenSSL of this distribution does not. And the hello comes after an SSLRequest.
#[test]
fn the_libraries_inside_of_wheels_are_seen_as_they_tell_it() {
    let script = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout o.pem -out other.crt 2>/dev/null
serve s python3 $SOFTWARE/python/postgres.py server.crt server.key
client() { python3 $SOFTWARE/python/psycopg.py $(port s) \"$@\"; }
client ca.crt
client ca.crt ssl_max_protocol_version=TLSv1.2
client other.crt ssl_max_protocol_version=TLSv1.2
told s 3
";
    let Some(run) = trace_peers(&[wheels], script) else { return };
    let pairs = compare_with_failures(&run, 2);
    assert_eq!(pairs.len(), 6);
    for pair in &pairs {
        assert!(pair.event["stream_offset"].as_u64().unwrap() >= 1, "{:#}", pair.event);
    }
    assert_eq!(pairs[0].event["group"], "X25519MLKEM768");
    assert_eq!(pairs[0].event["post_quantum"], true);
    assert_eq!(pairs[1].event["version"], "TLS 1.2");
    let failed = ["outcome", "alert", "alert_from"].map(|name| pairs[2].event[name].as_str().unwrap());
    assert_eq!(failed, ["alert", "unknown_ca", "client"]);
    assert!(pairs[2].said["error"].as_str().unwrap().contains("certificate verify failed"), "{}", pairs[2].said);
    // The library that made them is in the recording too, under the name it has in the wheel.
    let trace = run.done.trace();
    let vendored = trace.libs().iter().any(|(_, lib)| {
        let path = String::from_utf8_lossy(&lib.path).into_owned();
        path.contains("psycopg2_binary.libs/libssl-")
    });
    assert!(vendored, "libssl of the wheel was loaded");
}

/// The hello of a browser: values of no meaning, extensions in any order, an encrypted hello of nothing, two packets long.
#[test]
fn boringssl_set_up_as_chrome_does_is_seen_as_the_server_tells_it() {
    let script = "
serve s $GO server server.crt server.key alpn=http/1.1
python3 $SOFTWARE/python/chrome.py https://localhost:$(port s)/ ca.crt 2>chrome.log
grep 'SSL connection using' chrome.log
told s 1
";
    let Some(run) = trace_peers(&[go, wheels], script) else { return };
    let pairs = compare(&run);
    assert_eq!(pairs.len(), 2);
    let client = pairs[0].event;
    let told: Vec<_> = run.said("SSL connection using TLSv").split(" / ").collect();
    assert_eq!((&client["version"], &client["cipher_suite"]), (&json!(format!("TLS {}", told[0])), &json!(told[1])));
    for pair in &pairs {
        let offered = &pair.event["offered"];
        assert_eq!(pair.event["group"], "X25519MLKEM768");
        assert_eq!((&offered["grease"], &offered["ech"]), (&json!(true), &json!(true)), "{offered:#}");
        assert_eq!(texts(&offered["alpn"]), ["h2", "http/1.1"]);
        assert_eq!(texts(&offered["key_shares"]), ["X25519MLKEM768", "x25519"]);
        // Whatever the order of the extensions, JA4 is the same for both ends.
        assert_eq!(pair.event["ja4"], client["ja4"]);
    }
}
