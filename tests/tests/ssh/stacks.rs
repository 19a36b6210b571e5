//! What other stacks of SSH do that OpenSSH does not; `make test-peers` has all of them, and many more fields.

use crypto_trace_tests::{live, said, software};
use serde_json::{Value, json};

use crate::logins::{OPENSSH, inside};
use crate::support::trace;

/// Each direction was shown with what was agreed on for one of them.
#[test]
fn each_direction_has_the_cipher_that_was_agreed_on_for_it() {
    let Some(_permit) = live() else { return };
    let (Some(sshd), Some(_)) = (software::sshd(), software::libssh2()) else { return };
    // LIBSSH2_METHOD_* of libssh2.h, in its order; it tells what it agreed on by the same numbers.
    let script = r#"cat > client.py <<'PYTHON'
import ctypes, socket
C = ctypes.CDLL("libssh2.so.1")
C.libssh2_session_init_ex.restype = ctypes.c_void_p
C.libssh2_session_methods.restype = ctypes.c_char_p
session = ctypes.c_void_p(C.libssh2_session_init_ex(None, None, None, None))
wanted = {2: b"aes256-ctr", 3: b"aes128-ctr", 4: b"hmac-sha2-512", 5: b"hmac-sha2-256", 6: b"none", 7: b"none"}
for number, name in wanted.items():
    assert C.libssh2_session_method_pref(session, number, name) == 0
end = socket.create_connection(("127.0.0.1", 2222))
assert C.libssh2_session_handshake(session, end.fileno()) == 0
for number in range(8):
    print(f"agreed {number}:", C.libssh2_session_methods(session, number).decode())
PYTHON
python3 client.py"#;
    let run = trace(&(sshd.line().to_owned() + "\n" + &inside(OPENSSH, script)));
    let members = [
        "kex",
        "host_key_algorithm",
        "cipher_client_to_server",
        "cipher_server_to_client",
        "mac_client_to_server",
        "mac_server_to_client",
        "compression_client_to_server",
        "compression_server_to_client",
    ];
    for event in [run.one("client", "client.py"), run.one("server", "sshd")] {
        for (number, member) in members.iter().enumerate() {
            assert_eq!(event[member], run.said(&format!("agreed {number}: ")), "{member}: {event:#}");
        }
        assert_eq!(event["cipher_client_to_server"], "aes256-ctr");
        assert_eq!(event["cipher_server_to_client"], "aes128-ctr");
        assert!(event["client_software"].as_str().unwrap().starts_with("libssh2_"), "{event:#}");
    }
}

/// They are known only under the names of those who made them, or by the number of a curve.
#[test]
fn methods_of_vendors_are_told_as_they_are_named() {
    let Some(_permit) = live() else { return };
    let Some(asyncssh) = software::asyncssh() else { return };
    let script = r#"
cat > peer.py <<'PYTHON'
import asyncio, asyncssh, sys
async def main():
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp521")
    print("fingerprint:", key.get_fingerprint())
    for method in sys.argv[1:]:
        server = await asyncssh.create_server(asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[key], kex_algs=[method], config=None)
        try:
            await asyncssh.connect("127.0.0.1", server.get_port(), username="nobody", known_hosts=None, kex_algs=[method], config=None,
                client_keys=None, password_auth=False, kbdint_auth=False)
        except asyncssh.PermissionDenied:
            print("spoken:", method)
        server.close()
asyncio.run(main())
PYTHON
python3 peer.py ecdh-sha2-1.3.132.0.10 diffie-hellman-group14-sha256@ssh.com diffie-hellman-group-exchange-sha512@ssh.com mlkem1024nistp384-sha384"#;
    let run = trace(&format!("{}\n{script}\n", asyncssh.line()));
    let expected = [
        ("ecdh-sha2-1.3.132.0.10", false, None),
        ("diffie-hellman-group14-sha256@ssh.com", false, None),
        ("diffie-hellman-group-exchange-sha512@ssh.com", false, Some(2048)),
        ("mlkem1024nistp384-sha384", true, None),
    ];
    assert_eq!(run.handshakes.len(), 2 * expected.len(), "{}\n{:#?}", run.text, run.handshakes);
    for (method, post_quantum, least_bits) in expected {
        assert!(run.text.contains(&format!("spoken: {method}\n")), "{}", run.text);
        let found: Vec<_> = run.handshakes.iter().filter(|event| event["kex"] == method).collect();
        assert_eq!(found.len(), 2, "{method}: {:#?}", run.handshakes);
        for event in found {
            assert_eq!(
                (&event["outcome"], &event["post_quantum"]),
                (&json!("agreed"), &json!(post_quantum)),
                "{method}"
            );
            assert!(event["dh_bits"].as_u64() >= least_bits, "{event:#}");
            assert_eq!(event["host_key"]["fingerprint"], said(&run.text, "fingerprint: "), "{event:#}");
            assert_eq!(event["host_key"]["key_bits"], 521);
        }
    }
}

/// A host's certificate, as the client that verifies it tells it.
#[test]
fn the_certificate_of_a_host_is_told_as_the_client_tells_it() {
    let Some(_permit) = live() else { return };
    let Some(sshd) = software::sshd() else { return };
    let certified = "ssh-keygen -q -t ecdsa -N '' -f authority
ssh-keygen -q -t ed25519 -N '' -f host_key
ssh-keygen -q -s authority -I 'host of a test' -h -n 127.0.0.1,localhost -z 4711 -V -1d:+1d host_key.pub
cp host_key-cert.pub host_key.pub.certificate";
    // The server takes the certificate from its options; the client trusts who signed it.
    let prelude = OPENSSH.replace("ssh-keygen -q -t ed25519 -N '' -f host_key", certified);
    let prelude = prelude.replace("$SSHD_OPTIONS\n", "HostCertificate $PWD/host_key-cert.pub\n$SSHD_OPTIONS\n");
    let script = "echo \"@cert-authority * $(cat authority.pub)\" > known
login -o UserKnownHostsFile=known
grep 'Server host certificate: ' ssh.log
ssh-keygen -lf host_key.pub
ssh-keygen -lf authority.pub";
    let run = trace(&(sshd.line().to_owned() + "\n" + &inside(&prelude, script)));
    assert!(run.text.contains("welcome"), "{}", run.text);
    // Server host certificate: TYPE FINGERPRINT, serial NUMBER ID "…" CA TYPE FINGERPRINT valid …
    let told = run.said("Server host certificate: ").to_owned();
    for event in [run.one("client", "ssh -v"), run.one("server", "sshd")] {
        let (key, certificate) = (&event["host_key"], &event["host_key"]["certificate"]);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let line = format!(
            "{} {}, serial {} ID \"{}\" CA {} {} ",
            text(&key["key_type"]),
            text(&key["fingerprint"]),
            text(&certificate["serial"]),
            text(&certificate["key_id"]),
            text(&certificate["ca_key_type"]),
            text(&certificate["ca_fingerprint"])
        );
        assert!(told.starts_with(&line), "{told}\n{line}");
        assert_eq!((&key["key_bits"], &certificate["kind"]), (&json!(256), &json!("host")));
        assert_eq!(certificate["principals"], json!(["127.0.0.1", "localhost"]));
    }
}

/// Its opening line has another word each time: whoever counts servers by it counts one for each connection.
#[test]
fn what_differs_at_each_connection_is_told_as_it_was_said() {
    let Some(_permit) = live() else { return };
    let (Some(tinyssh), Some(_)) = (software::tinyssh(), software::sshd()) else { return };
    let script = r#"
"$TINYSSH-makekey" -q keys
cat > serve.py <<'PYTHON'
import os, socket, subprocess
listener = socket.create_server(("127.0.0.1", 0))
for _ in range(2):
    client = subprocess.Popen(["ssh", "-v", "-F", "none", "-p", str(listener.getsockname()[1]), "-o", "BatchMode=yes",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "nobody@127.0.0.1"], stderr=subprocess.PIPE, text=True)
    end, _ = listener.accept()
    server = subprocess.Popen([os.environ["TINYSSH"], "keys"], stdin=end, stdout=end, stderr=subprocess.DEVNULL)
    end.close()
    for line in client.communicate()[1].splitlines():
        if "remote software version" in line or "Server host key" in line:
            print(line)
    server.wait()
PYTHON
export TINYSSH
python3 serve.py"#;
    let run = trace(&format!("{}\n{script}\n", tinyssh.line()));
    let servers: Vec<_> = run.handshakes.iter().filter(|event| event["role"] == "server").collect();
    let versions: Vec<_> = run.text.lines().filter_map(|line| line.split_once("software version ")).collect();
    assert_eq!((servers.len(), versions.len()), (2, 2), "{}\n{:#?}", run.text, run.handshakes);
    for (event, (_, version)) in servers.iter().zip(&versions) {
        let comments = event["server_comments"].as_str().map(|comments| format!(" {comments}")).unwrap_or_default();
        assert_eq!(format!("{}{comments}", event["server_software"].as_str().unwrap()), *version);
        assert_eq!((&event["outcome"], &event["host_key"]["key_type"]), (&json!("agreed"), &json!("ssh-ed25519")));
        assert_eq!(event["server_offered"]["host_keys"], json!(["ssh-ed25519"]));
    }
    assert_ne!(versions[0].1, versions[1].1, "it did not differ");
    assert_eq!(servers[0]["host_key"]["fingerprint"], servers[1]["host_key"]["fingerprint"]);
    // What it offers is the same, whatever it calls itself.
    assert_eq!(servers[0]["hassh_server"], servers[1]["hassh_server"]);
}
