//! What is wrong with files of rules, and where.

use super::*;

fn told(text: &str) -> String {
    match parse(text) {
        Ok(policy) => panic!("accepted: {policy:#?}"),
        Err(Wrong(at, what)) => {
            let (line, column) = place(text, at.start);
            format!("{line}:{column}: {what}")
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_line_and_column() {
    let rule = |body: &str| format!("name = \"acme\"\n[[rule]]\nid = \"a\"\nsays = \"b\"\n{body}\n");
    for (text, expected) in [
        ("name = ", "1:8: "),
        ("name = \"acme\"\nbogus = 1\n", "2:1: unknown field `bogus`"),
        ("name = \"ietf\"\n", "1:8: the name of a rule file"),
        ("name = \"acme\"\n", "1:8: the file has no rules"),
        ("name = \"acme\"\nextends = [\"iett\"]\n", "2:12: `iett` is not a pack; packs are ietf, nist-800-131a"),
        ("name = \"acme\"\nextends = [\"ietf\"]\ndated = \"soon\"\n", "3:9: `soon` is not a date"),
        ("name = \"acme\"\nextends = [\"ietf\"]\ndated = 2026-13-01\n", "3:"),
        (&rule(""), "3:6: the rule has no condition"),
        (&rule("deny = [\"MD6\"]"), "5:9: `MD6` is not an algorithm of the catalog, did you mean MD5?"),
        (&rule("deny = [\"Z*\"]"), "5:9: `Z*` is not an algorithm"),
        (&rule("deny = [\"MD5\"]\nminimum = { rsa = 2048 }"), "3:6: a rule has one condition"),
        (&rule("deny = [\"MD5\"]\nallow = [\"MD5\"]"), "5:9: the rule contradicts itself: it allows and denies MD5"),
        (&rule("deny = [\"MD*\"]\nallow = [\"MD5\"]"), "5:9: the rule contradicts itself"),
        (&rule("minimum = {}"), "3:6: minimum names no size"),
        (&rule("minimum = { rsa = -1 }"), "5:19: "),
        (&rule("require = \"quantum\""), "5:11: unknown variant `quantum`"),
        (&rule("deny = [\"MD5\"]\nlevel = \"error\""), "6:9: unknown variant `error`"),
        (&rule("deny = [\"MD5\"]\nin = [\"files\"]"), "6:7: unknown variant `files`"),
        (&rule("deny = [\"TLS 1.1\"]\nin = [\"calls\"]"), "3:6: calls have no protocol version"),
        (&rule("deny = [\"MD5\"]\nscope = { programs = [\"x\"] }"), "6:11: unknown field `programs`"),
        (&rule("deny = [\"MD5\"]\nscope = { program = [\"{\"] }"), "6:22: "),
        (&rule("deny = [\"MD5\"]\nscope = { program = [] }"), "3:6: an empty list matches nothing"),
        (&rule("deny = [\"MD5\"]\nscope = { protocol = [\"smtp\"] }"), "6:23: `smtp` is not a recorded protocol"),
        (
            &rule("files = { types = [\"keys\"] }"),
            "5:20: `keys` is not a file type; file types are certificate, private_key",
        ),
        (&rule("files = { types = [] }"), "3:6: files names no type"),
        (
            &rule("files = { types = [\"private_key\"] }\nscope = { role = \"client\" }"),
            "3:6: files and libraries are not part",
        ),
        (&rule("libraries = { names = [\"OpenSSL\"], below = \"x\" }"), "5:44: not a version"),
        (
            &rule("deny = [\"MD5\"]\n[[rule]]\nid = \"a\"\nsays = \"c\"\ndeny = [\"MD5\"]"),
            "7:6: `a` is not a unique id",
        ),
        (
            &rule("allow = [\"TLS 1.3\"]\n[[rule]]\nid = \"c\"\nsays = \"c\"\ndeny = [\"TLS *\"]"),
            "3:6: the rule allows TLS 1.3, which acme/c denies",
        ),
        (
            &rule("allow = [\"x25519\"]\n[[rule]]\nid = \"c\"\nsays = \"c\"\nrequire = \"post-quantum\""),
            "3:6: the rule allows no post-quantum",
        ),
        (
            &rule(
                "deny = [\"MD5\"]\n[[waiver]]\nrule = \"acme/a\"\nowner = \"\"\nreason = \"x\"\nexpires = 2027-01-01",
            ),
            "8:9: must not be empty",
        ),
        (
            &rule("deny = [\"MD5\"]\n[[waiver]]\nrule = \"acme/a\"\nowner = \"x\"\nreason = \"x\""),
            "6:1: missing field `expires`",
        ),
        (
            &rule(
                "deny = [\"MD5\"]\n[[waiver]]\nrule = \"acme/a\"\nowner = \"x\"\nreason = \"x\"\nexpires = \"never\"",
            ),
            "10:11: `never` is not a date",
        ),
    ] {
        let told = told(text);
        assert!(told.starts_with(expected), "{text}\n{told}\nexpected {expected}");
    }
}

#[test]
fn days_are_written_either_way() {
    for day in ["2027-01-01", "\"2027-01-01\""] {
        let text = format!("name = \"acme\"\ndated = {day}\nextends = [\"ietf\"]\n");
        let Ok(policy) = parse(&text) else { panic!("{day}") };
        assert_eq!(policy.dated, "2027-01-01".parse().ok());
    }
}

#[test]
fn waivers_are_of_a_rule_or_of_those_that_begin_alike() {
    let waiver = |rule: &str| Waiver {
        rule: rule.to_owned(),
        scope: Scope::default(),
        owner: String::new(),
        reason: String::new(),
        expires: Date::constant(2027, 1, 1),
    };
    assert!(waiver("acme/a").is_of("acme/a") && !waiver("acme/a").is_of("acme/ab"));
    assert!(
        waiver("ietf/rfc-10015/*").is_of("ietf/rfc-10015/2/static-dh") && !waiver("ietf/rfc-10015/*").is_of("ietf/x")
    );
}
