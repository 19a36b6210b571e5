//! Real programs that make, load and replace keys and certificates, each with what is its own: keys, homes, ports in a network
//! namespace. Each is a script that runs under strace.

use std::process::Command;

use crypto_trace_tests::{Body, Capture, live, run, skip, software};

use crate::{calls, compare, log};

/// What each script begins with: a server's certificate where it is asked for.
const PRELUDE: &str = r#"
set -eu
exec </dev/null
export HOME="$PWD/home"
mkdir -p home
# certificate: server.key, server.crt, for 127.0.0.1
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=server.test" \
		-addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt 2>/dev/null
}
"#;

/// Runs a script under strace, which is recorded; what both saw of it is the same, and at least so many calls. `tools`: lines that
/// tell the script where tools are.
fn check(tools: &[software::Tool], script: &str, least: usize) {
    check_after("", tools, script, least);
}

/// The same after something that takes too long under strace.
fn check_after(before: &str, tools: &[software::Tool], script: &str, least: usize) {
    if !rustix::process::geteuid().is_root() {
        return skip("what is run here needs root");
    }
    let Some(strace) = software::strace() else { return };
    let dir = tempfile::Builder::new().prefix("ct-strace-").tempdir().unwrap();
    let lines: String = tools.iter().map(|tool| tool.line().to_owned() + "\n").collect();
    std::fs::write(dir.path().join("before"), format!("{lines}{PRELUDE}{before}")).unwrap();
    std::fs::write(dir.path().join("script"), format!("{lines}{PRELUDE}{script}")).unwrap();
    let prepared = run(Command::new("sh").arg("before").current_dir(dir.path()));
    assert_eq!(prepared.code(), 0, "{}", prepared.stderr);
    let out = dir.path().join("strace.out");
    let filter = calls::filter();
    let words = ["timeout", "-k", "1", "50", strace.path().to_str().unwrap(), "-f", "-y", "-xx", "-X", "raw"];
    let words =
        words.into_iter().chain(["-s", "4096", "-e", &filter, "-e", "signal=none", "-o", out.to_str().unwrap()]);
    let capture = Capture::new().options(["--tls", "off"]).current_dir(dir.path());
    let done = capture.command(words.chain(["sh", "script"])).run();
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);

    let trace = done.trace();
    assert!(trace.losses().is_empty(), "{:?}", trace.losses());
    // What strace and timeout open themselves is none of the script's.
    let mut outside = Vec::new();
    for (event, exec) in trace.execs() {
        if exec.exe.ends_with(b"/strace") || exec.exe.ends_with(b"/timeout") {
            outside.push(event.header.tgid);
        }
    }
    assert!(outside.len() >= 2, "no process of strace: {outside:?}");
    let log = log::read(&std::fs::read_to_string(&out).unwrap());
    let theirs: Vec<_> = log.iter().filter_map(calls::of_strace).collect();
    let mut events: Vec<_> =
        trace.events.iter().filter(|event| matches!(event.body, Body::Open(_) | Body::Change(_))).collect();
    events.sort_by_key(|event| event.header.time_ns);
    events.retain(|event| !outside.contains(&event.header.tgid));
    let ours: Vec<_> = events.into_iter().filter_map(calls::of_record).collect();
    report(theirs.len(), log.len());
    let found = compare::differences(&theirs, &ours);
    assert!(found.is_empty(), "{} differences, of {} calls:\n{}", found.len(), theirs.len(), found.join("\n"));
    assert!(theirs.len() >= least, "{} calls were compared, not {least}", theirs.len());
}

/// For those who read the test's output.
#[allow(clippy::print_stderr, reason = "this is for the person who runs the tests")]
fn report(wanted: usize, all: usize) {
    eprintln!("{wanted} calls on wanted names, of {all}, are compared");
}

#[test]
fn what_strace_sees_of_keys_handled_by_hand_is_recorded() {
    let Some(_permit) = live() else { return };
    check(
        &[],
        r#"
certificate
umask 077
cp server.key other.key
mv other.key renamed.key
ln renamed.key hard.key
ln -s renamed.key soft.pem
cat soft.pem hard.key ./home/../renamed.key > all.pem
openssl x509 -in server.crt -noout
mkdir -p ssl/private .ssh
cp server.key ssl/private/without-a-suffix
cat ssl/private/without-a-suffix > .ssh/x
(cd ssl && cat private/without-a-suffix ../.ssh/x > private/y)
for missing in none.pem ssl/private/none .ssh/none server.key/below.pem nowhere/none.key; do
	if cat $missing 2>/dev/null; then exit 1; fi
done
ln -s loop.pem loop.pem
if cat loop.pem 2>/dev/null; then exit 1; fi
name=$(printf 'odd "<>, {(\n\377.key')
cp server.key "$name"
cat "$name" >/dev/null
chmod 640 renamed.key
rm hard.key
exec 3<renamed.key
rm renamed.key
cat /proc/self/fd/3 >/dev/null
cat <&3 >/dev/null
"#,
        30,
    );
}

/// Keys that are born by renaming: each call that gives and takes names, modes and owners, well or not, relative to a descriptor or
/// not; and their like on names that are not wanted.
#[test]
fn what_strace_sees_of_names_modes_and_owners_is_recorded() {
    let Some(_permit) = live() else { return };
    check(
        &[],
        r#"
mkdir -p at/ssl/private .ssh
cat > changes.py <<'PYTHON'
import os

def tried(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except OSError:
        pass

at = os.open("at", os.O_RDONLY | os.O_DIRECTORY)
private = os.open("at/ssl/private", os.O_RDONLY | os.O_DIRECTORY)
for name in ["a.tmp", "a.pem", "plain", ".ssh/none-of-these"]:
    for new in ["b.key", "other", ".ssh/another", os.path.abspath("c.key~"), "no/where.pem"]:
        open(name, "w").close()
        tried(os.rename, name, new)
        tried(os.rename, new, name, src_dir_fd=at, dst_dir_fd=at)
        tried(os.link, name, "linked-" + new)
        tried(os.link, new, "inside", dst_dir_fd=private)
        tried(os.link, new, "inside.key", src_dir_fd=at, dst_dir_fd=private)
        tried(os.symlink, name, "at/" + new)
        tried(os.symlink, "text.pem", new, dir_fd=at)
        tried(os.rename, "inside", "renamed", src_dir_fd=private, dst_dir_fd=private)
        tried(os.chmod, new, 0o640)
        tried(os.chmod, new, 0o604, dir_fd=at)
        tried(os.chown, new, 0, 0)
        tried(os.chown, new, -1, 12, dir_fd=at)
        tried(os.lchown, new, 1, -1)
        tried(os.chown, "renamed", 1, 2, dir_fd=private, follow_symlinks=False)
        tried(os.rmdir, new)
        tried(os.unlink, "renamed", dir_fd=private)
        tried(os.unlink, "inside.key", dir_fd=private)
        tried(os.unlink, new, dir_fd=at)
        tried(os.unlink, "at/" + new)
        tried(os.rmdir, new, dir_fd=at)
        with open(new if os.path.dirname(new) != "no" else "d.pem", "w") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fchown(file.fileno(), 3, 4)
            os.unlink(file.name)
            os.fchmod(file.fileno(), 0o400)
        tried(os.unlink, name)
PYTHON
python3 -I changes.py
mv none.pem other.pem 2>/dev/null || true
touch e.pem e
mv e.pem e
mv --no-target-directory -n e f.pem
ln f.pem g
ln -sf f.pem h
chmod 600 f.pem g
chown 0:0 f.pem
rm f.pem g h
rmdir .ssh
"#,
        250,
    );
}

#[test]
fn what_strace_sees_of_a_login_by_ssh_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(sshd) = software::sshd() else { return };
    // The home of who logs in, and the user that sshd wants to be there, are in a mount namespace of their own.
    check(
        &[sshd],
        r#"
cat > inside <<'INSIDE'
set -eu
ip link set lo up
mount --make-rprivate /
mkdir -m 755 empty
mkdir -m 700 home/.ssh
printf 'root:*:0:0::%s:/bin/sh\nsshd:*:65534:65534::/run/sshd:/bin/false\n' "$HOME" > passwd
mount --bind passwd /etc/passwd
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key
ssh-keygen -q -t rsa -b 2048 -N '' -f ssh_host_rsa_key
ssh-keygen -q -t ecdsa -N '' -f home/.ssh/id_ecdsa
cp home/.ssh/id_ecdsa.pub home/.ssh/authorized_keys
cat > sshd_config <<CONFIG
Port 2222
ListenAddress 127.0.0.1
HostKey $PWD/ssh_host_ed25519_key
HostKey $PWD/ssh_host_rsa_key
PidFile none
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
$SSHD_OPTIONS
CONFIG
"$SSHD" -D -e -f sshd_config 2>sshd.log &
sshd=$!
trap 'kill $sshd' EXIT
again() {
	count=0
	until "$@" 2>ssh.log; do
		count=$((count + 1))
		[ $count -lt 100 ] || { cat ssh.log sshd.log >&2; exit 1; }
		sleep 0.1
	done
}
again ssh -F none -p 2222 -o StrictHostKeyChecking=accept-new root@127.0.0.1 'cat .ssh/authorized_keys >/dev/null'
ssh -F none -p 2222 -o BatchMode=yes root@127.0.0.1 'echo welcome'
INSIDE
unshare -mn sh inside
"#,
        40,
    );
}

#[test]
fn what_strace_sees_of_gpg_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(gpg) = software::gpg() else { return };
    check(
        &[gpg],
        r#"
export GNUPGHOME="$PWD/gnupg"
mkdir -m 700 gnupg
trap 'gpgconf --kill all' EXIT
gpg --batch --quiet --passphrase '' --quick-generate-key 'A test <a@example.test>' default default never 2>/dev/null
echo text > text
gpg --batch --quiet --detach-sign -o text.sig text
gpg --batch --quiet --verify text.sig text 2>/dev/null
gpg --batch --quiet --armor --export > public.asc
gpg --batch --quiet --encrypt -r a@example.test --trust-model always --no-auto-key-locate -o text.gpg text
gpg --batch --quiet --decrypt text.gpg 2>/dev/null >/dev/null
gpg --batch --list-secret-keys >/dev/null 2>&1
"#,
        40,
    );
}

#[test]
fn what_strace_sees_of_a_database_with_tls_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(postgres) = software::postgres() else { return };
    check_after(
        r#"
certificate
chmod 755 .
chmod 600 server.key
chown -R 65534:65534 home server.key
setpriv --reuid 65534 --regid 65534 --clear-groups "$POSTGRES/initdb" -D home/data -A trust -U test --no-sync --no-locale -E UTF8 \
	>initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
cat >> home/data/postgresql.conf <<CONFIG
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_cert_file = '$PWD/server.crt'
ssl_key_file = '$PWD/server.key'
fsync = off
CONFIG
"#,
        &[postgres],
        r#"
cat > inside <<'INSIDE'
set -eu
ip link set lo up
as() { exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
(as "$POSTGRES/postgres" -D "$HOME/data") >postgres.log 2>&1 &
server=$!
trap 'kill -INT $server; wait $server' EXIT
count=0
until (as psql "host=127.0.0.1 user=test dbname=postgres sslmode=verify-full sslrootcert=$PWD/server.crt" -c 'select 1') >psql.log 2>&1; do
	count=$((count + 1))
	[ $count -lt 100 ] || { cat psql.log postgres.log >&2; exit 1; }
	sleep 0.1
done
INSIDE
unshare -n sh inside
"#,
        8,
    );
}

#[test]
fn what_strace_sees_of_a_web_server_that_loads_a_new_certificate_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(nginx) = software::nginx() else { return };
    check(
        &[nginx],
        r#"
certificate
mkdir logs
cat > nginx.conf <<CONFIG
user root;
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/logs/error.log;
events {}
http {
	access_log off;
	client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3;
	uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5;
	server {
		listen 127.0.0.1:4433 ssl;
		ssl_certificate $PWD/server.crt;
		ssl_certificate_key $PWD/server.key;
		return 200;
	}
}
CONFIG
cat > inside <<'INSIDE'
set -eu
ip link set lo up
"$NGINX" -p "$PWD" -e logs/error.log -c nginx.conf 2>nginx.log &
server=$!
trap 'kill -QUIT $server; wait $server' EXIT
fetch() {
	count=0
	until curl -q -sS --cacert server.crt https://127.0.0.1:4433/ 2>curl.log; do
		count=$((count + 1))
		[ $count -lt 100 ] || { cat curl.log nginx.log logs/error.log >&2; exit 1; }
		sleep 0.1
	done
}
fetch
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=new" \
	-addext subjectAltName=IP:127.0.0.1 -keyout new.key -out new.crt 2>/dev/null
mv new.key server.key
mv new.crt server.crt
"$NGINX" -p "$PWD" -e logs/error.log -c nginx.conf -s reload
fetch
INSIDE
unshare -n sh inside
"#,
        20,
    );
}

#[test]
fn what_strace_sees_of_keytool_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(keytool) = software::keytool() else { return };
    check(
        &[keytool],
        r#"
key() { "$KEYTOOL" -J-Xshare:auto -J-XX:TieredStopAtLevel=1 -storepass secret "$@" 2>>keytool.log || { cat keytool.log >&2; exit 1; }; }
key -genkeypair -alias a -keyalg EC -dname CN=a -keystore a.p12
key -exportcert -alias a -keystore a.p12 -file a.crt
key -importcert -noprompt -alias a -file a.crt -keystore trust.jks
"#,
        10,
    );
}

#[test]
fn what_strace_sees_of_signing_a_zone_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(bind) = software::dnssec_keygen() else { return };
    check(
        &[bind],
        r#"
mkdir keys
dnssec-keygen -q -K keys -a ED25519 -f KSK example.test >/dev/null
dnssec-keygen -q -K keys -a ED25519 example.test >/dev/null
dnssec-settime -K keys -I +1y $(ls keys | grep private | head -1) >/dev/null
printf '@ 300 IN SOA a a 1 2 3 4 5\n@ 300 IN NS a\na 300 IN A 127.0.0.1\n' > zone
dnssec-signzone -K keys -S -o example.test -f zone.signed zone >/dev/null 2>sign.log || { cat sign.log >&2; exit 1; }
"#,
        10,
    );
}

#[test]
fn what_strace_sees_of_a_software_token_is_recorded() {
    let Some(_permit) = live() else { return };
    let Some(softhsm) = software::softhsm() else { return };
    check(
        &[softhsm],
        r#"
mkdir -p softhsm/tokens
printf 'directories.tokendir = %s/softhsm/tokens\nobjectstore.backend = file\n' "$PWD" > softhsm2.conf
export SOFTHSM2_CONF="$PWD/softhsm2.conf"
softhsm2-util --init-token --free --label test --so-pin 1234 --pin 1234 >/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out token.pem 2>/dev/null
softhsm2-util --import token.pem --token test --label key --id a1 --pin 1234 >/dev/null
softhsm2-util --show-slots >/dev/null
softhsm2-util --delete-token --token test >/dev/null
"#,
        20,
    );
}
