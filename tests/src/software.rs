//! Software that the tests trace, in `tests/software` and of the distribution: where it is, and how a script finds it.
//!
//! What has to be built is built once, below `target/software`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::skip;

/// What is said to those who lack something.
const SETUP: &str = "is missing: scripts/setup --tests installs it";

/// Where the sources and scripts are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("software")
}

/// Where what the tests need is installed and built.
fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/software")
}

/// Something a script needs.
#[derive(Debug)]
pub struct Tool {
    path: PathBuf,
    /// The line that tells the script where it is.
    line: String,
}

impl Tool {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line of a shell script that tells it where the tool is.
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// Gives a tool, or says that there is none.
fn tool(name: &str, path: Option<PathBuf>, line: impl FnOnce(&str) -> String) -> Option<Tool> {
    let Some(path) = path else {
        skip(&format!("{name} {SETUP}"));
        return None;
    };
    Some(Tool { line: line(path.to_str().unwrap()), path })
}

/// Where a program is in PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Builds a peer once; `None` when what builds it is missing.
fn built(
    cell: &'static OnceLock<Option<PathBuf>>,
    build: impl FnOnce() -> Option<(Command, PathBuf)>,
) -> Option<PathBuf> {
    let build = || {
        let (mut command, path) = build()?;
        std::fs::create_dir_all(target()).unwrap();
        // Not by the harness: the first time, building may take longer than anything that a test waits for.
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} failed:\n{said}");
        Some(path)
    };
    cell.get_or_init(build).clone()
}

/// A static binary of Go's crypto/tls: `$GO`.
pub fn go() -> Option<Tool> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = built(&BUILT, || {
        let compiler = target().join("wheels/go/bin/go");
        let path = target().join("go-peer");
        let mut command = Command::new(&compiler);
        command.args(["build", "-trimpath", "-o"]).arg(&path).arg(".").current_dir(directory().join("go"));
        // Statically linked, from the standard library alone, by this very toolchain.
        command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "");
        command.env("GOCACHE", target().join("go-cache")).env("GOENV", "off").env_remove("GOROOT");
        compiler.is_file().then_some((command, path))
    });
    tool("a Go toolchain", path, |path| format!("GO='{path}'"))
}

/// A binary of rustls with AWS-LC inside: `$RUSTLS`.
pub fn rustls() -> Option<Tool> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = built(&BUILT, || {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--locked", "--target-dir"]).arg(target().join("rustls"));
        command.current_dir(directory().join("rustls"));
        Some((command, target().join("rustls/debug/rustls-peer")))
    });
    tool("rustls", path, |path| format!("RUSTLS='{path}'"))
}

/// Java's virtual machine, with least start-up time, and the classes of the peer: `$JAVA`.
pub fn java() -> Option<Tool> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = built(&BUILT, || {
        let mut command = Command::new(find("javac")?);
        command.arg("-d").arg(target().join("java"));
        command.args(["Peer.java", "Crowd.java"].map(|source| directory().join("java").join(source)));
        Some((command, target().join("java")))
    });
    let options = "-Xshare:auto -XX:+UseSerialGC -XX:TieredStopAtLevel=1";
    tool("javac", path, |path| format!("JAVA='java {options} -cp {path}'"))
}

/// Python modules from wheels, with libraries of their own.
pub fn wheels() -> Option<Tool> {
    let path = target().join("wheels");
    tool("psycopg2-binary", path.join("psycopg2").is_dir().then_some(path), |path| {
        format!("export PYTHONPATH='{path}'")
    })
}

/// aioquic, and the program that is both of its ends: `$QUIC`.
pub fn aioquic() -> Option<Tool> {
    let path = target().join("wheels");
    let peer = directory().join("quic/peer.py").display().to_string();
    let found = path.join("aioquic").is_dir().then_some(path).filter(|_| find("python3").is_some());
    tool("aioquic", found, |path| format!("export PYTHONPATH='{path}'; QUIC='python3 {peer}'"))
}

/// DuckDB, which asks exported tables.
pub fn duckdb() -> Option<Tool> {
    let path = target().join("duckdb");
    let path = path.join("duckdb").is_dir().then_some(path).filter(|_| find("python3").is_some());
    tool("duckdb", path, |path| format!("export PYTHONPATH='{path}'"))
}

/// The published schema of OCSF, and what validates by it, for Python.
pub fn ocsf() -> Option<Tool> {
    let path = target().join("ocsf");
    let path = path.join("ocsf_json_schema").is_dir().then_some(path).filter(|_| find("python3").is_some());
    tool("ocsf-json-schema", path, |path| format!("export PYTHONPATH='{path}'"))
}

/// The published fields of ECS, for Node.
pub fn ecs() -> Option<Tool> {
    let path = target().join("ecs-node/node_modules/@elastic/ecs/generated/ecs_flat.js");
    let path = Some(path).filter(|path| path.is_file() && find("node").is_some());
    tool("@elastic/ecs", path, |_| String::new())
}

/// Python modules that validate and read bills of materials.
pub fn cyclonedx_python() -> Option<Tool> {
    let path = target().join("cbom-wheels");
    let path = path.join("cyclonedx").is_dir().then_some(path).filter(|_| find("python3").is_some());
    tool("cyclonedx-python-lib", path, |path| format!("export PYTHONPATH='{path}'"))
}

/// A library of Node that validates bills of materials.
pub fn cyclonedx_node() -> Option<Tool> {
    let path = target().join("cbom-node");
    let path = path.join("node_modules/@cyclonedx/cyclonedx-library").is_dir().then_some(path);
    tool("@cyclonedx/cyclonedx-library", path.filter(|_| find("node").is_some()), |_| String::new())
}

/// Modules of Node that drive a browser, which looks at pages: the directory of the modules.
pub fn browser() -> Option<Tool> {
    let path = target().join("report-node");
    let path = path.join("node_modules/puppeteer-core").is_dir().then_some(path);
    let is_there = find("node").is_some() && find("chromium").is_some();
    tool("puppeteer-core and chromium", path.filter(|_| is_there), |_| String::new())
}

/// xmllint of libxml2, which holds XML to a schema.
pub fn xmllint() -> Option<Tool> {
    tool("xmllint", find("xmllint"), |_| String::new())
}

/// nginx, from the distribution.
pub fn nginx() -> Option<Tool> {
    tool("nginx", find("nginx"), |path| format!("export NGINX='{path}'"))
}

/// The test programs of NSS, from the distribution.
pub fn nss() -> Option<Tool> {
    tool("selfserv", find("selfserv"), |_| String::new())
}

/// Apache's httpd, from the distribution: `$APACHE`; its modules are in `$MODULES`.
pub fn apache() -> Option<Tool> {
    let modules = Path::new("/usr/lib/apache2/modules");
    let path = find("apache2").filter(|_| modules.join("mod_ssl.so").is_file());
    tool("apache2-bin", path, |path| format!("APACHE='{path}' MODULES='{}'", modules.display()))
}

/// GnuTLS: its library, by the name that programs load it by.
pub fn gnutls() -> Option<Tool> {
    tool("gnutls-cli", find("gnutls-cli"), |_| String::new())
}

/// Decodes packets: tshark, and dumpcap, which comes with it.
pub fn tshark() -> Option<Tool> {
    tool("tshark", find("tshark").filter(|_| find("dumpcap").is_some()), |_| String::new())
}

/// What traces system calls, for those who compare.
pub fn strace() -> Option<Tool> {
    tool("strace", find("strace"), |_| String::new())
}

/// GnuPG, from the distribution.
pub fn gpg() -> Option<Tool> {
    tool("gpg", find("gpg").filter(|_| find("gpg-agent").is_some() && find("gpgconf").is_some()), |_| String::new())
}

/// Java's tool for key stores: `$KEYTOOL`.
pub fn keytool() -> Option<Tool> {
    tool("keytool", find("keytool"), |path| format!("KEYTOOL='{path}'"))
}

/// BIND's tools for signed zones.
pub fn dnssec_keygen() -> Option<Tool> {
    tool("dnssec-keygen", find("dnssec-keygen"), |_| String::new())
}

/// A token made of files.
pub fn softhsm() -> Option<Tool> {
    tool("softhsm2-util", find("softhsm2-util"), |_| String::new())
}

/// OpenSSH's server, from the distribution or unpacked beside it: `$SSHD`, and options that tell it where its other programs are.
pub fn sshd() -> Option<Tool> {
    let unpacked = target().join("unpacked");
    let root = if Path::new("/usr/sbin/sshd").is_file() { PathBuf::from("/") } else { unpacked };
    let path = Some(root.join("usr/sbin/sshd")).filter(|path| path.is_file() && find("ssh").is_some());
    let option = |option: &str, program: &str| {
        let path = root.join("usr/lib/openssh").join(program);
        if path.is_file() { format!("{option} {}\n", path.display()) } else { String::new() }
    };
    let options = option("SshdSessionPath", "sshd-session") + &option("SshdAuthPath", "sshd-auth");
    tool("sshd", path, |path| format!("export SSHD='{path}' SSHD_OPTIONS='{options}'"))
}

/// dropbear, its client and what makes its keys.
pub fn dropbear() -> Option<Tool> {
    let all = || ["dbclient", "dropbearkey"].iter().all(|program| find(program).is_some());
    tool("dropbear", find("dropbear").filter(|_| all()), |_| String::new())
}

/// strongSwan with itself: `$IKE PROPOSALS PROPOSALS…`, see `ike/strongswan.sh`.
pub fn strongswan() -> Option<Tool> {
    let unpacked = target().join("unpacked/usr/lib/ipsec/charon");
    let charon = [PathBuf::from("/usr/lib/ipsec/charon"), unpacked].into_iter().find(|path| path.is_file());
    let script = directory().join("ike/strongswan.sh").display().to_string();
    let found = charon.filter(|_| find("swanctl").is_some() && find("unshare").is_some());
    tool("strongSwan", found, |path| format!("IKE='sh {script} {path}'"))
}

/// wireguard-go with itself: `$WIREGUARD WHAT`, see `wireguard/tunnel.sh`.
pub fn wireguard() -> Option<Tool> {
    let script = directory().join("wireguard/tunnel.sh").display().to_string();
    let found = find("wireguard-go").filter(|_| find("wg").is_some() && find("unshare").is_some());
    tool("wireguard-go", found, |path| format!("WIREGUARD='sh {script} {path}'"))
}

/// rsync, and what restricts a key to it.
pub fn rsync() -> Option<Tool> {
    tool("rsync", find("rsync").filter(|_| find("rrsync").is_some()), |_| String::new())
}

/// rclone.
pub fn rclone() -> Option<Tool> {
    tool("rclone", find("rclone"), |_| String::new())
}

/// A store with the protocol of S3: `$S3` is where Python finds its module `nanio`.
pub fn s3_store() -> Option<Tool> {
    let path = Some(target().join("s3-wheels")).filter(|path| path.join("nanio").is_dir());
    tool("a store with the protocol of S3", path, |path| format!("export S3='{path}'"))
}

/// PostgreSQL's server and its client: `$POSTGRES` is the directory of the server's programs.
pub fn postgres() -> Option<Tool> {
    let unpacked = target().join("unpacked");
    let below = |root: &Path| {
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
        let programs = versions.filter_map(Result::ok).map(|version| version.path().join("bin"));
        programs.filter(|programs| programs.join("initdb").is_file() && programs.join("postgres").is_file()).max()
    };
    let path = below(Path::new("/")).or_else(|| below(&unpacked)).filter(|_| find("psql").is_some());
    tool("PostgreSQL", path, |path| format!("export POSTGRES='{path}'"))
}
