//! Which opens are recorded by the name of the file: copies of wanted names, names by their beginning, and new kinds of keys.

use crypto_trace_tests::{Capture, live};

use crate::support::{directory, said, touch};

/// Half of the names that real programs keep keys under were not known, and no backup or temporary was.
#[test]
fn names_of_real_programs_their_copies_and_caches_are_recorded_and_others_not() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let wanted = [
        "server.key~",
        "server.key.bak",
        "server.pem.dpkg-old",
        "id_rsa.old",
        "id_rsa~",
        "#id_rsa#",
        "#server.key#",
        ".id_rsa.swp",
        ".server.key.Xa83kd",
        "a-name-longer-than-the-window-of-the-programs.key.bak",
        "krb5cc_1000",
        "krb5cc_1000_Xa83kd",
        "known_hosts.old",
        "sshd_config",
        "cert9.db-journal",
        "Kexample.com.+013+12345.private",
        "release.tar.gz.minisig",
        ".ssh/github",
        ".kube/config",
        "swanctl/x509ca/ca",
    ];
    let others = [
        "notes.bak",
        "notes~",
        "#notes#",
        "notes.Xa83kd",
        ".notes.swp",
        "krb5cd_1000",
        "libx.so.6",
        "config",
        "x509ca/ca",
        "server.keyx.bak",
    ];
    let mut steps: Vec<std::ffi::OsString> = Vec::new();
    for name in wanted.iter().chain(&others) {
        steps.extend(["openat", "0", "0"].map(Into::into));
        steps.push(touch(&dir.join(name)).into());
    }
    // Those that are not there are asked for by the letters of the path alone.
    for name in ["gone.key.bak", "krb5cc_77", "#gone.key#", "gone.bak", "gone~"] {
        steps.extend(["openat", "0", "0"].map(Into::into));
        steps.push(dir.join(name).into());
    }
    let done = Capture::new().workload(steps).run();
    assert_eq!(said(&done.stdout).len(), wanted.len() + others.len() + 5, "{}", done.stderr);
    let trace = done.trace();
    for name in wanted.iter().chain(&["gone.key.bak", "krb5cc_77", "#gone.key#"]) {
        trace.open_of(name);
    }
    assert_eq!(trace.opens().len(), wanted.len() + 3, "{:#?}", trace.opens());
}
