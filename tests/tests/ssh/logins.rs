//! Logins by OpenSSH and dropbear: what is shown is what the software itself reports.

use crypto_trace_tests::{live, software};
use serde_json::{Value, json};

use crate::support::{trace, trace_with};

/// A server of OpenSSH on port 2222, with keys made for it, and the client that asks it; in namespaces of their own.
pub const OPENSSH: &str = r#"
ip link set lo up
mount --make-rprivate /
mkdir -m 755 empty
mkdir -m 700 home home/.ssh
export HOME="$PWD/home"
printf 'root:*:0:0::%s:/bin/sh\nsshd:*:65534:65534::/run/sshd:/bin/false\n' "$HOME" > passwd
mount --bind passwd /etc/passwd
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host_key
ssh-keygen -q -t ecdsa -N '' -f home/.ssh/id_ecdsa
cp home/.ssh/id_ecdsa.pub home/.ssh/authorized_keys
cat > sshd_config <<CONFIG
Port 2222
ListenAddress 127.0.0.1
HostKey $PWD/host_key
PidFile none
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
$SSHD_OPTIONS
CONFIG
"$SSHD" -D -e -f sshd_config 2>sshd.log &
server=$!
trap 'kill $server' EXIT
until grep -qs 'Server listening' sshd.log; do kill -0 $server; sleep 0.05; done
login() {
	ssh -v -F none -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=accept-new "$@" root@127.0.0.1 'echo welcome' 2>ssh.log
	grep -h 'kex: \|Server host key: ' ssh.log
}
"#;

/// What runs such a script as `inside`.
pub fn inside(prelude: &str, script: &str) -> String {
    format!("cat > inside <<'INSIDE'\nset -eu\n{prelude}\n{script}\nINSIDE\nunshare -mn sh inside\n")
}

#[test]
fn both_ends_of_a_login_are_seen_as_the_client_tells_it() {
    let Some(_permit) = live() else { return };
    let Some(sshd) = software::sshd() else { return };
    let run = trace(&(sshd.line().to_owned() + "\n" + &inside(OPENSSH, "login\nssh-keygen -lf host_key.pub")));
    assert!(run.text.contains("welcome"), "{}", run.text);
    assert_eq!(run.handshakes.len(), 2, "{:#?}", run.handshakes);
    let (client, server) = (run.one("client", "ssh -v"), run.one("server", "sshd"));
    let key = run.said("Server host key: ").split(' ').collect::<Vec<_>>();
    for event in [client, server] {
        assert_eq!(event["outcome"], "agreed");
        assert_eq!(event["kex"], run.said("kex: algorithm: "));
        assert_eq!(event["host_key_algorithm"], run.said("kex: host key algorithm: "));
        assert_eq!(event["cipher_server_to_client"], run.said("server->client cipher: ").split(' ').next().unwrap());
        assert_eq!(event["cipher_client_to_server"], run.said("client->server cipher: ").split(' ').next().unwrap());
        assert_eq!(
            (&event["host_key"]["key_type"], &event["host_key"]["fingerprint"]),
            (&json!(key[0]), &json!(key[1]))
        );
        assert_eq!((&event["host_key"]["key_bits"], run.said("256 ").split(' ').next()), (&json!(256), Some(key[1])));
        assert!(event["client_software"].as_str().unwrap().starts_with("OpenSSH_"));
        assert_eq!((&event["hello_notes"], &event["process_known_by"]), (&Value::Null, &json!("sent")));
        assert!(event["client_offered"]["kex"].as_array().unwrap().contains(&event["kex"]));
        assert!(event["server_offered"]["kex"].as_array().unwrap().contains(&event["kex"]));
    }
    assert_eq!((&client["peer"]["pid"], &server["peer"]["pid"]), (&server["pid"], &client["pid"]));
    assert_eq!((&client["remote_port"], &client["uid"]), (&json!(2222), &json!(0)));
}

#[test]
fn the_prime_that_a_server_chooses_is_seen_and_what_is_not_in_common_told() {
    let Some(_permit) = live() else { return };
    let Some(sshd) = software::sshd() else { return };
    let script = "login -o KexAlgorithms=diffie-hellman-group-exchange-sha256
ssh -F none -p 2222 -o BatchMode=yes -o KexAlgorithms=diffie-hellman-group1-sha1 root@127.0.0.1 true 2>/dev/null || true";
    let run = trace(&(sshd.line().to_owned() + "\n" + &inside(OPENSSH, script)));
    let (agreed, failed) = (run.one("client", "group-exchange"), run.one("client", "group1-sha1"));
    assert!(agreed["dh_bits"].as_u64().unwrap() >= 2048, "{agreed:#}");
    assert_eq!((&agreed["post_quantum"], &agreed["host_key"]["key_type"]), (&json!(false), &json!("ssh-ed25519")));
    assert_eq!((&failed["outcome"], &failed["nothing_in_common"]), (&json!("failed"), &json!(["kex"])));
    assert_eq!((&failed["kex"], &failed["host_key"]), (&Value::Null, &Value::Null));
}

#[test]
fn with_privacy_the_host_key_stays_out() {
    let Some(_permit) = live() else { return };
    let Some(sshd) = software::sshd() else { return };
    let script = sshd.line().to_owned() + "\n" + &inside(OPENSSH, "login");
    let run = trace_with(&["--wire", "ssh", "--privacy", "hash"], &script);
    let client = run.one("client", "ssh -v");
    assert_eq!((&client["kex"], &client["host_key"]), (&json!(run.said("kex: algorithm: ")), &Value::Null));
    assert_eq!(client["hello_notes"], json!(["hello_cut"]));
}

/// It sends opening line, offer and a guess in one segment, before the server has spoken.
#[test]
fn a_guess_of_dropbear_is_told() {
    let Some(_permit) = live() else { return };
    let (Some(dropbear), Some(sshd)) = (software::dropbear(), software::sshd()) else { return };
    let script = "dropbearkey -t ed25519 -f key >key.txt 2>&1
grep Fingerprint: key.txt
dropbear -F -E -r key -p 127.0.0.1:2223 -P dropbear.pid 2>dropbear.log &
trap 'kill $server $!' EXIT
until grep -q 'Not backgrounding' dropbear.log; do sleep 0.05; done
sleep 0.2
dbclient -y -p 2223 root@127.0.0.1 true 2>dbclient.log || true
dbclient -y -p 2222 root@127.0.0.1 true 2>>dbclient.log || true";
    let run = trace(&(dropbear.line().to_owned() + "\n" + sshd.line() + "\n" + &inside(OPENSSH, script)));
    let (right, wrong) = (run.one("client", "-p 2223"), run.one("client", "-p 2222"));
    assert_eq!(right["hello_notes"], json!(["guessed_right"]));
    assert_eq!(right["host_key"]["fingerprint"], run.said("Fingerprint: "));
    assert_eq!(wrong["client_offered"]["first_kex_packet_follows"], true);
    assert_eq!(wrong["hello_notes"], json!(["guessed_wrong"]));
    assert!(right["server_software"].as_str().unwrap().starts_with("dropbear"));
}
