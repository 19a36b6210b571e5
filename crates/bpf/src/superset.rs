//! The kernel records all that the analyzer judges to be crypto: the rules of `filter.h`, told again in Rust and tried on names of
//! real programs. That the programs in the kernel keep to them is what the live tests try.

use crate::select::{
    NAME_KEY_LEN, Selection, TAILS_LEN, Tables, directory_key, head_bits, name_key, set_tail, tail_bit,
};
use crypto_trace_format::catalog::{MAX_NAME_LEN, RANDOM_LEN, judge, wanted};

/// Longest suffix: CT_SUFFIX_MAX.
const SUFFIX_MAX: usize = 15;

struct Kernel {
    tables: Tables,
    name_tails: Box<[u8; TAILS_LEN]>,
    dir_tails: Box<[u8; TAILS_LEN]>,
}

fn is_set(tails: &[u8; TAILS_LEN], bytes: &[u8]) -> bool {
    let bit = tail_bit(bytes);
    tails[bit >> 3] >> (bit & 7) & 1 == 1
}

enum Found {
    Yes,
    No,
    Copy(usize),
}

impl Kernel {
    fn new() -> Self {
        let tables = Tables::new(&Selection::default());
        let (mut name_tails, mut dir_tails) = (Box::new([0; TAILS_LEN]), Box::new([0; TAILS_LEN]));
        tables.set_name_tails(&mut name_tails);
        for key in &tables.directories {
            set_tail(&mut dir_tails, &key[..NAME_KEY_LEN]);
        }
        Self { tables, name_tails, dir_tails }
    }

    /// `tail_wanted()`: whether all of it may be there, whether any may.
    fn tail_wanted(&self, name: &[u8]) -> (bool, bool) {
        let tail = &name[name.len().saturating_sub(8)..];
        let dot = tail.iter().rposition(|byte| *byte == b'.');
        let is_random = tail.len() == 8 && dot == Some(1) && tail[2..].iter().any(|byte| byte & 0x60 != 0x60);
        let all = is_random || is_set(&self.name_tails, tail);
        let by_suffix = dot.is_some_and(|dot| dot > 0 && is_set(&self.name_tails, &tail[dot..]));
        (all, all || by_suffix)
    }

    fn is_in(&self, name: &[u8]) -> bool {
        std::str::from_utf8(name).is_ok_and(|name| self.tables.names.contains(&name_key(name)))
    }

    /// `name_in_tables()`
    fn in_tables(&self, name: &[u8], whole: bool, copy: bool) -> Found {
        if name.len() < 2 {
            return Found::No;
        }
        let marked = copy && matches!(name[0], b'#' | b'.');
        if whole && (self.is_in(name) || (marked && self.is_in(&name[1..]))) {
            return Found::Yes;
        }
        let window = &name[name.len().saturating_sub(MAX_NAME_LEN)..];
        if let Some(dot) = window.iter().rposition(|byte| *byte == b'.') {
            let suffix = window[dot..].to_ascii_lowercase();
            if (2..=SUFFIX_MAX).contains(&suffix.len()) {
                if self.is_in(&suffix) {
                    return Found::Yes;
                }
                let ending =
                    std::str::from_utf8(&suffix).is_ok_and(|text| self.tables.endings.contains(&name_key(text)));
                if suffix.len() < name.len() && (ending || suffix.len() == 1 + RANDOM_LEN) && !copy {
                    return Found::Copy(suffix.len());
                }
            }
        }
        if !copy && matches!(name.last(), Some(b'~' | b'#')) { Found::Copy(1) } else { Found::No }
    }

    /// `name_wanted()`
    fn name_wanted(&self, name: &[u8]) -> bool {
        let (head, mask) = self.tables.head.map(head_bits).unwrap();
        let ends = matches!(name.last(), Some(b'0'..=b'9')) || (name.len() >= 8 && name[name.len() - 7] == b'_');
        if name.len() >= 8 && ends && u64::from_le_bytes(name[..8].try_into().unwrap()) & mask == head {
            return true;
        }
        let (all, any) = self.tail_wanted(name);
        if name.len() < 2 || !any {
            return false;
        }
        match self.in_tables(name, all && name.len() <= MAX_NAME_LEN, false) {
            Found::Yes => true,
            Found::No => false,
            Found::Copy(ending) => {
                let name = &name[..name.len() - ending];
                matches!(self.in_tables(name, name.len() <= MAX_NAME_LEN, true), Found::Yes)
            }
        }
    }

    /// `dir_wanted()`
    fn dir_wanted(&self, directory: &str) -> bool {
        let mut parts = directory.rsplit('/');
        let parent = parts.next().unwrap_or_default();
        if parent.len() < 2 || !is_set(&self.dir_tails, &parent.as_bytes()[parent.len().saturating_sub(8)..]) {
            return false;
        }
        let both = parts.next().map(|grandparent| directory_key(&format!("{grandparent}/{parent}")));
        self.tables.directories.contains(&directory_key(parent))
            || both.is_some_and(|key| self.tables.directories.contains(&key))
    }

    fn wants(&self, path: &str) -> bool {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.name_wanted(name.as_bytes()) || self.dir_wanted(directory)
    }
}

#[test]
fn the_kernel_records_what_the_analyzer_knows() {
    let kernel = Kernel::new();
    let names = include_str!("../../../testdata/catalog-names.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for path in names.map(|line| line.split('\t').next().unwrap()) {
        if judge(path.as_bytes()).is_some() {
            count += 1;
            assert!(kernel.wants(path), "{path}");
        }
        assert_eq!(kernel.wants(path), wanted(path.as_bytes()), "{path}");
    }
    assert!(count > 600, "{count}");
}

/// Backups and temporaries of keys were never recorded.
#[test]
fn copies_of_wanted_names_are_recorded_and_of_others_not() {
    let kernel = Kernel::new();
    for name in
        ["server.key", "id_rsa", "a.pem", "authorized_keys", "identity", "server.keytab", "krb5.conf", "key3.db"]
    {
        for copy in
            ["~", ".bak", ".old", ".new", ".tmp", ".orig", ".dpkg-old", ".dpkg-dist", ".rpmsave", ".Xa83kd", ".000001"]
        {
            assert!(kernel.wants(&format!("/srv/{name}{copy}")), "{name}{copy}");
            assert!(judge(format!("/srv/{name}{copy}").as_bytes()).is_some(), "{name}{copy}");
            assert!(wanted(format!("/srv/{name}{copy}").as_bytes()), "{name}{copy}");
        }
        for marked in [format!("/srv/#{name}#"), format!("/srv/.{name}.swp")] {
            assert!(kernel.wants(&marked) && wanted(marked.as_bytes()), "{marked}");
        }
    }
    for name in ["notes.txt", "passwd", "main.c", "libx.so", "xserver.keyx", "my_id_rsa"] {
        for copy in ["~", ".bak", ".old", ".new", ".tmp", ".Xa83kd", "#"] {
            let path = format!("/srv/{name}{copy}");
            assert!(!kernel.wants(&path) && !wanted(path.as_bytes()), "{path}");
        }
    }
    assert!(kernel.wants("/tmp/krb5cc_1000") && kernel.wants("/tmp/krb5cc_1000_Xa83kd"));
    assert!(!kernel.wants("/tmp/krb5cd_1000") && !kernel.wants("/usr/lib/libkrb5cc.so.6"));
}

/// What reaches the slower half of the filter for nothing: each bit that is set lets one in 262,144 other names through.
#[test]
fn few_names_that_are_not_wanted_are_looked_at_twice() {
    let bits: u32 = Kernel::new().name_tails.iter().map(|byte| byte.count_ones()).sum();
    assert!(bits < 5_000, "{bits}");
}
