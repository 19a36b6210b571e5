//! `--ignore`, exit codes, and what is wrong with a command line.

use super::*;

fn keys(id: u8, names: &[&str]) -> Recording {
    let mut records = Vec::new();
    let nginx = process(500, "/usr/sbin/nginx", &mut records);
    records.extend(names.iter().map(|name| nginx.opens(3_000, name, 0o600)));
    recording(id, &records)
}

#[test]
fn rules_leave_differences_out_and_are_counted() {
    let (old, new) = (keys(1, &["/srv/a.key"]), keys(2, &["/srv/a.key", "/srv/b.key", "/opt/c.key", "/opt/d.pem"]));
    let left = |rules: &[&str]| {
        let args: Vec<&str> = rules.iter().flat_map(|rule| ["--ignore", rule]).collect();
        let document = diff_of(&old.path, &new.path, &args);
        [names(&document, "appeared"), names(&document, "changed")].concat()
    };
    assert_eq!(
        left(&[]),
        ["key_file /opt/c.key", "key_file /srv/b.key", "certificate_file /opt/d.pem", "program /usr/sbin/nginx"]
    );
    assert_eq!(left(&["file", "program.opens"]), [""; 0]);
    assert_eq!(left(&["key_file:/opt/**", "program"]), ["key_file /srv/b.key", "certificate_file /opt/d.pem"]);
    assert_eq!(left(&["*:*.key", "program:nginx"]), ["certificate_file /opt/d.pem"]);
    let document = diff_of(&old.path, &new.path, &["--ignore", "key_file", "--ignore", "library"]);
    let expected = serde_json::json!([{"rule": "key_file", "differences": 2}, {"rule": "library", "differences": 0}]);
    assert_eq!(document["ignored"], expected);
    let paths = [old.path.to_str().unwrap(), new.path.to_str().unwrap()];
    let output = run(&["diff", paths[0], paths[1], "--ignore", "library"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("--ignore library: no difference is left out by this rule"), "{stderr}");
    // Everything is left out: nothing differs.
    let args = ["diff", paths[0], paths[1], "--exit-code"];
    assert_eq!(run(&args).status.code(), Some(10));
    assert_eq!(run(&[&args[..], &["--ignore", "file", "--ignore", "program"]].concat()).status.code(), Some(0));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let (old, new) = (keys(1, &["/srv/a.key"]), keys(2, &["/srv/a.key"]));
    let paths = ["diff", old.path.to_str().unwrap(), new.path.to_str().unwrap()];
    let with = |args: &[&'static str]| -> Vec<String> {
        paths.iter().map(|arg| (*arg).to_owned()).chain(args.iter().map(|arg| (*arg).to_owned())).collect()
    };
    let failed = |args: Vec<String>, code| failure(&args.iter().map(String::as_str).collect::<Vec<_>>(), code);
    let error = failed(with(&["--ignore", "libary"]), 2);
    assert!(error.contains("column 1: there is no category `libary`, did you mean library?"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crypto-diff.ignore");
    std::fs::write(&file, "# known\nlibrary\nfile.readers:a{\n").unwrap();
    let args = [&paths[..], &["--ignore-file", file.to_str().unwrap()]].concat();
    let error = failure(&args, 1);
    assert!(error.contains("crypto-diff.ignore:3:14: "), "{error}");
    let error = failure(&["diff", paths[1], "-"], 2);
    assert!(error.contains("not stdin"), "{error}");
    // An input is not emptied.
    for (input, other) in [(paths[1], paths[2]), (paths[2], paths[1])] {
        let before = std::fs::read(input).unwrap();
        let error = failure(&["diff", input, other, "-o", input], 1);
        assert!(error.contains("is an input and cannot be the output"), "{error}");
        assert_eq!(std::fs::read(input).unwrap(), before);
        let error = failure(&["diff", other, input, "-o", input], 1);
        assert!(error.contains("is an input and cannot be the output"), "{error}");
        assert_eq!(std::fs::read(input).unwrap(), before);
    }
}

/// File names are bytes that an attacker may choose.
#[test]
fn names_of_the_host_are_safe_and_redacted_and_those_that_look_alike_are_told_apart() {
    let old = keys(1, &["/home/alice/a.key"]);
    let new = keys(2, &["/home/bob/a.key", "/srv/\u{1b}[31mred\u{202e}.key"]);
    let document = diff_of(&old.path, &new.path, &[]);
    assert_eq!(names(&document, "vanished"), ["key_file /home/USER/a.key"]);
    assert!(names(&document, "appeared").contains(&"key_file /home/USER/a.key".to_owned()));
    let paths = [old.path.to_str().unwrap(), new.path.to_str().unwrap()];
    for format in ["text", "json"] {
        let text = told(&["diff", paths[0], paths[1], "-f", format]);
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains("alice"), "{text}");
    }
    assert!(told(&["diff", paths[0], paths[1], "--no-redact"]).contains("/home/alice/a.key"));
}
