//! docs/shipping.md: every command in its blocks is run as it stands there, against a real SSH server and a real store.
//!
//! The directories, users and host names of the page exist in a mount and network namespace of the test's own.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{Finished, analyze_binary, capture_binary, directory, live, run, software};

const PAGE: &str = include_str!("../../docs/shipping.md");

/// The blocks of this language below a heading of the page.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap();
    // Between fences, every second piece is a block, its language in its first line.
    let blocks = section.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap());
    blocks.filter(|(of, _)| *of == language).map(|(_, text)| text.to_owned()).collect()
}

/// What every script begins with: a host called web1 with four sealed segments and one that is being written, in a directory
/// as the service's, and the users of the page. `$SHIP COMMAND` runs one as who ships.
const BEGIN: &str = r#"
set -eu
ip link set lo up
mount --make-rprivate /
for place in /var/log /srv /run /home /usr/local/bin; do mount -t tmpfs -o mode=755 none "$place"; done
printf '%s\n' "root:x:0:0::$PWD:/bin/sh" nobody:x:65534:65534::/:/bin/sh sshd:x:989:65534::/run/sshd:/bin/sh \
	ship:x:991:991::/home/ship:/bin/sh crypto-trace-ship:x:990:990::/home/crypto-trace-ship:/bin/sh > passwd
printf '%s\n' root:x:0: nogroup:x:65534: ship:x:991: crypto-trace-ship:x:990: crypto-trace:x:970:crypto-trace-ship > group
printf '127.0.0.1 localhost collector\n' > hosts
for file in passwd group hosts; do mount --bind "$file" "/etc/$file"; done
mkdir -m 2750 /var/log/crypto-trace
mkdir -m 700 /home/ship /home/crypto-trace-ship
mkdir -p /srv/crypto-trace/web1
chown 991:991 /home/ship /srv/crypto-trace/web1
chown 990:990 /home/crypto-trace-ship
chgrp 970 /var/log/crypto-trace
install -m 640 -g 970 made/*.ctseg /var/log/crypto-trace/
install -m 640 -g 970 made/*.ctseg.open /var/log/crypto-trace/
SHIP="setpriv --reuid 990 --regid 990 --init-groups env HOME=/home/crypto-trace-ship USER=crypto-trace-ship"
again() {
	count=0
	until "$@" >again.log 2>&1; do
		count=$((count + 1))
		[ $count -lt 100 ] || { cat again.log ./*.log >&2; exit 1; }
		sleep 0.1
	done
}
started=""
trap '[ -z "$started" ] || kill $started' EXIT
"#;

/// An SSH server of its own, whose user may do what the page says.
const SSH_SERVER: &str = r#"
mkdir -m 755 /run/sshd
mkdir -m 700 /home/ship/.ssh /home/crypto-trace-ship/.ssh
ssh-keygen -q -t ed25519 -N '' -f host_key
ssh-keygen -q -t ed25519 -N '' -f /home/crypto-trace-ship/.ssh/id_ed25519
sed "s|ssh-ed25519 AAAA….*|$(cat /home/crypto-trace-ship/.ssh/id_ed25519.pub)|" authorized > /home/ship/.ssh/authorized_keys
printf '%s\n' 'Host collector' 'Port 2222' 'StrictHostKeyChecking accept-new' 'BatchMode yes' > /home/crypto-trace-ship/.ssh/config
chown -R 991:991 /home/ship
chown -R 990:990 /home/crypto-trace-ship
# Root ships with the same key.
cp -r /home/crypto-trace-ship/.ssh "$PWD/.ssh"
chown -R 0:0 "$PWD/.ssh"
cat > sshd_config <<CONFIG
Port 2222
ListenAddress 127.0.0.1
HostKey $PWD/host_key
PidFile none
UsePAM no
UseDNS no
PasswordAuthentication no
$SSHD_OPTIONS
CONFIG
"$SSHD" -D -e -f sshd_config 2>sshd.log &
started="$started $!"
again sh -c 'ssh-keyscan -p 2222 127.0.0.1 2>/dev/null | grep -q ed25519'
"#;

/// The store, with a bucket, and the configuration of the page for both who use it.
const STORE: &str = r#"
mkdir -p store/crypto-trace
NANIO_ACCESS_KEY=example NANIO_SECRET_KEY=example-secret PYTHONPATH="$S3" python3 -m nanio serve \
	--data-dir store --host 127.0.0.1 --port 9000 >store.log 2>&1 &
started="$started $!"
for home in "$PWD" /home/crypto-trace-ship; do
	mkdir -p "$home/.config/rclone"
	cp rclone.conf "$home/.config/rclone/rclone.conf"
done
chown -R 990:990 /home/crypto-trace-ship
export HOME="$PWD"
again rclone lsd store:
"#;

/// Directories of segments: four sealed ones of a recording on loopback, and a fifth that is being written.
fn segments(dir: &Path) -> PathBuf {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let segments = dir.join("made");
    std::fs::create_dir(&segments).unwrap();
    for name in ["tls-nginx", "tls-loopback", "burst", "paths"] {
        std::fs::copy(testdata.join(name).join("capture.ctseg"), segments.join(format!("{name}.ctseg"))).unwrap();
    }
    let open = std::fs::read(testdata.join("algorithms/capture.ctseg")).unwrap();
    std::fs::write(segments.join("algorithms.ctseg.open"), &open[..open.len() / 2]).unwrap();
    segments
}

/// Runs `script` after what all have in common, in namespaces of its own.
fn shipped(tools: &[&software::Tool], files: &[(&str, String)], script: &str) -> Finished {
    let (_keep, dir) = directory();
    segments(&dir);
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let lines: String = tools.iter().map(|tool| format!("{}\n", tool.line())).collect();
    let programs = format!(
        "mkdir programs\nln -s '{}' programs/crypto-trace-capture\nln -s '{}' programs/crypto-trace-analyze\n\
         export PATH=\"$PWD/programs:/usr/local/sbin:/usr/sbin:/sbin:$PATH\"\n",
        capture_binary().display(),
        analyze_binary().display()
    );
    std::fs::write(dir.join("script"), format!("{lines}{programs}{BEGIN}{script}")).unwrap();
    let mut command = Command::new("unshare");
    // Whatever is set here for Amazon's libraries is not meant for this store.
    let set = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("AWS_"));
    set.for_each(|name| {
        command.env_remove(name);
    });
    run(command.args(["-mn", "sh", "script"]).current_dir(&dir))
}

#[track_caller]
fn succeeds(done: &Finished) {
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
}

#[test]
fn rsync_ships_sealed_segments_and_no_others() {
    let Some(_permit) = live() else { return };
    let (Some(sshd), Some(rsync)) = (software::sshd(), software::rsync()) else { return };
    let [add, take] = blocks("rsync over SSH", "sh").try_into().unwrap();
    let authorized = blocks("rsync over SSH", "").into_iter().find(|block| block.starts_with("restrict")).unwrap();
    let extracted = blocks("Only what may leave: extract", "sh").remove(0);
    let files = [("authorized", authorized), ("add", add), ("take", take), ("extract", extracted)];
    let script = format!(
        "{SSH_SERVER}{}",
        r#"
target=/srv/crypto-trace/web1
$SHIP sh add
for file in made/*.ctseg; do cmp "$file" "$target/${file##*/}"; done
[ "$(ls -A "$target" | wc -l)" = 4 ]
# Nothing is sent twice, and what is there is not written again.
printf x > changed
cp changed "$target/burst.ctseg"
$SHIP sh add
cmp changed "$target/burst.ctseg"
# The key reads nothing and has no shell.
if $SHIP rsync ship@collector:burst.ctseg stolen 2>stolen.log || [ -e stolen ]; then exit 1; fi
if $SHIP ssh ship@collector id 2>>stolen.log | grep uid; then exit 1; fi
# As who may delete: what has arrived goes, what is being written stays.
rm "$target"/*
if sh take 2>take.log || ! grep -q 'remove-source-files has been disabled' take.log; then exit 1; fi
[ "$(ls /var/log/crypto-trace | wc -l)" = 5 ]
sed -i 's/ -no-del//' /home/ship/.ssh/authorized_keys
sh take
[ "$(ls /var/log/crypto-trace)" = algorithms.ctseg.open ]
for file in made/*.ctseg; do cmp "$file" "$target/${file##*/}"; done
# A part of it, without names.
rm "$target"/*
cp made/tls-nginx.ctseg /var/log/crypto-trace/
sh -e extract
[ "$(ls "$target" | wc -l)" = 2 ]
crypto-trace-analyze info "$target"
"#
    );
    let done = shipped(&[&sshd, &rsync], &files, &script);
    succeeds(&done);
    let info = done.text();
    assert!(info.contains("extract --name nginx --since 2026-11-") && info.contains("--privacy hash"), "{info}");
}

#[test]
fn rclone_ships_sealed_segments_to_a_store_with_the_protocol_of_s3() {
    let Some(_permit) = live() else { return };
    let (Some(store), Some(rclone)) = (software::s3_store(), software::rclone()) else { return };
    let page = "A store with the protocol of S3";
    let [copy, take, read] = blocks(page, "sh").try_into().unwrap();
    let files = [("rclone.conf", blocks(page, "ini").remove(0)), ("copy", copy), ("take", take), ("read", read)];
    let script = format!(
        "{STORE}{}",
        r#"
bucket=store/crypto-trace/web1
$SHIP sh copy
for file in made/*.ctseg; do cmp "$file" "$bucket/${file##*/}"; done
[ "$(ls "$bucket" | wc -l)" = 4 ]
sh -e read > verified
[ "$(grep -c ': ok' verified)" = 4 ]
# What is there under that name and is another file is an error.
cp made/paths.ctseg /var/log/crypto-trace/burst.ctseg
if sh take 2>immutable.log; then exit 1; fi
grep -q 'immutable file modified' immutable.log
[ -e /var/log/crypto-trace/burst.ctseg ]
cp made/burst.ctseg /var/log/crypto-trace/burst.ctseg
rm "$bucket"/burst.ctseg
sh take
[ "$(ls /var/log/crypto-trace)" = algorithms.ctseg.open ]
for file in made/*.ctseg; do cmp "$file" "$bucket/${file##*/}"; done
"#
    );
    succeeds(&shipped(&[&store, &rclone], &files, &script));
}

#[test]
fn a_segment_is_shipped_as_soon_as_it_is_sealed() {
    let Some(_permit) = live() else { return };
    let (Some(store), Some(rclone)) = (software::s3_store(), software::rclone()) else { return };
    let [record, program] = blocks("As soon as a segment is sealed", "sh").try_into().unwrap();
    let conf = blocks("A store with the protocol of S3", "ini").remove(0);
    let files = [("rclone.conf", conf), ("record", record), ("program", program)];
    let script = format!(
        "{STORE}{}",
        r#"
rm /var/log/crypto-trace/*
install -m 755 program /usr/local/bin/segment-sealed
sh record 2>record.log || { cat record.log >&2; exit 1; }
cat record.log
[ "$(ls /var/log/crypto-trace | wc -l)" = 1 ]
for file in /var/log/crypto-trace/*.ctseg; do cmp "$file" "store/crypto-trace/web1/${file##*/}"; done
"#
    );
    let done = shipped(&[&store, &rclone], &files, &script);
    succeeds(&done);
    assert!(!done.text().contains("--on-seal"), "{}", done.text());
}
