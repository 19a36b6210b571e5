//! What a CBOM lists beside what ran: names that mean the same become one name.
//!
//! Who makes a CBOM writes `AES128-GCM`, `SHA256` and `prime256v1`, or only `AES`. A name that says less stands for all that say
//! more: where `AES` is listed, AES-128-GCM is, and where RSA ran, of which a call does not say the size, RSA-2048 did.

use super::inventory::{Areas, Category, Inventory, Named};
use super::listing::Listed;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

/// Words of a name that are compared.
const MAX_WORDS: usize = 12;

/// Names of the same, in small letters.
const ALIASES: [(&str, &str); 24] = [
    ("sha", "sha1"),
    ("ml-kem", "mlkem"),
    ("ml-dsa", "mldsa"),
    ("slh-dsa", "slhdsa"),
    ("3des-ede", "tdes"),
    ("des-ede3", "tdes"),
    ("desede", "tdes"),
    ("tripledes", "tdes"),
    ("3des", "tdes"),
    ("prime256v1", "secp256r1"),
    ("nistp256", "secp256r1"),
    ("p-256", "secp256r1"),
    ("nistp384", "secp384r1"),
    ("p-384", "secp384r1"),
    ("nistp521", "secp521r1"),
    ("p-521", "secp521r1"),
    ("curve25519", "x25519"),
    ("curve448", "x448"),
    ("ec-secp", "secp"),
    ("sha-2-", "sha"),
    ("arcfour", "rc4"),
    ("pkcs5padding", ""),
    ("encryption", ""),
    ("hmacwith", "hmac-"),
];

/// Ciphers whose mode may follow without a size between: `AES/CBC/PKCS5Padding`.
const BLOCK_CIPHERS: [&str; 3] = ["aes", "camellia", "aria"];

/// Words between which something ends, so that `aes` does not stand for what begins with `aesgcm`.
const END: char = '\u{1}';

/// Both as things to compare: of the CBOM, and of what ran.
pub(super) fn align(listed: &[Listed], ran: &[Listed]) -> (Inventory, Inventory) {
    let (mut old, mut new) = (Inventory::default(), Inventory::default());
    ran.iter().for_each(|one| put(&mut new, one, &one.name));
    let known = Known::new(ran);
    for one in listed {
        let names = known.of(one);
        if names.is_empty() {
            put(&mut old, one, &one.name);
        }
        names.into_iter().for_each(|name| put(&mut old, one, name));
    }
    // What ran and says less than what is listed is listed.
    let listed = Known::new(listed);
    for one in ran.iter().filter(|one| !listed.of(one).is_empty()) {
        put(&mut old, &Listed { version: None, ..one.clone() }, &one.name);
    }
    (old, new)
}

fn put(inventory: &mut Inventory, one: &Listed, name: &str) {
    let Some(category) = one.category else { return };
    let areas = match category {
        // Calls show all that run; handshakes only their own.
        Category::Algorithm => Areas::CALLS,
        Category::Certificate => Areas::NAMES.and(Areas::PROOFS),
        Category::Library => Areas::LIBRARIES,
        _ => Areas::HANDSHAKES,
    };
    let named = Named::new(category, name.as_bytes(), areas);
    let seen_as = (name != one.name).then(|| one.name.as_bytes().into());
    let entry = inventory.entry(Named { seen_as, ..named }, 0);
    if category == Category::Library {
        let version = one
            .version
            .as_deref()
            .map(|version| crate::capture::libraries::product::version_number(version.as_bytes()));
        entry.fact("version", areas, version);
    }
}

/// Things that others may be the same as.
struct Known<'a> {
    algorithms: BTreeMap<String, Vec<&'a str>>,
    certificates: HashMap<&'a str, &'a str>,
    others: HashMap<(Category, &'a str), &'a str>,
}

impl<'a> Known<'a> {
    fn new(things: &'a [Listed]) -> Self {
        let mut known = Self { algorithms: BTreeMap::new(), certificates: HashMap::new(), others: HashMap::new() };
        for one in things {
            let Some(category) = one.category else { continue };
            for form in &one.forms {
                known.others.entry((category, form)).or_insert(&one.name);
                if category == Category::Algorithm {
                    let Words { whole, without_size } = Words::of(form);
                    let without_size = without_size.map(|words| SIZE_LEFT_OUT.to_owned() + &words);
                    for words in [Some(whole), without_size].into_iter().flatten().filter(|words| !words.is_empty()) {
                        known.algorithms.entry(words).or_default().push(&one.name);
                    }
                }
            }
            if let Some(sha256) = &one.sha256 {
                known.certificates.entry(sha256).or_insert(&one.name);
            }
        }
        known
    }

    /// Names of what is the same.
    fn of(&self, one: &Listed) -> BTreeSet<&'a str> {
        let Some(category) = one.category else { return BTreeSet::new() };
        if let (Category::Certificate, Some(name)) =
            (category, one.sha256.as_ref().and_then(|sha256| self.certificates.get(sha256.as_str())))
        {
            return BTreeSet::from([*name]);
        }
        let mut names = BTreeSet::new();
        for form in &one.forms {
            if category == Category::Algorithm {
                self.algorithms_of(&Words::of(form), &mut names);
            } else if let Some(name) = self.others.get(&(category, form.as_str())) {
                names.insert(*name);
            }
        }
        names
    }

    /// Those that say the same, more, or less.
    fn algorithms_of(&self, Words { whole, without_size }: &Words, names: &mut BTreeSet<&'a str>) {
        if whole.is_empty() {
            return;
        }
        let mut any = |words: &str| {
            let more = self.algorithms.range::<str, _>((Bound::Included(words), Bound::Unbounded));
            for (_, more) in more.take_while(|(other, _)| other.starts_with(words)) {
                names.extend(more);
            }
        };
        any(whole);
        let mut less = Vec::new();
        match without_size {
            // `AES-CBC` says less than this.
            Some(words) => less.push(words.as_str()),
            // `AES-128-CBC` says more.
            None => any(&(SIZE_LEFT_OUT.to_owned() + whole)),
        }
        less.extend(whole.match_indices(END).filter_map(|(at, _)| whole.get(..=at)));
        names.extend(less.into_iter().filter_map(|less| self.algorithms.get(less)).flatten());
    }
}

/// What the words of a name begin with whose size is left out.
const SIZE_LEFT_OUT: &str = "\u{2}";

/// A name in words of letters or digits, each with an end.
struct Words {
    whole: String,
    /// Of a block cipher with a size and a mode.
    without_size: Option<String>,
}

impl Words {
    fn of(name: &str) -> Self {
        let mut name = name.to_ascii_lowercase();
        for (alias, same) in ALIASES {
            let is_whole = alias == "sha";
            if is_whole && name == alias || !is_whole && name.contains(alias) {
                name = name.replace(alias, same);
            }
        }
        let mut all: Vec<String> = Vec::new();
        let mut before = None;
        for letter in name.chars().filter(|letter| letter.is_alphanumeric() || !letter.is_control()) {
            let sort = letter.is_alphanumeric().then(|| letter.is_ascii_digit());
            let has_room = all.len() < MAX_WORDS;
            match (sort, all.last_mut()) {
                (Some(_), Some(word)) if before == sort => word.push(letter),
                (Some(_), _) if has_room => all.push(letter.to_string()),
                (Some(_), _) => break,
                (None, _) => {}
            }
            before = sort;
        }
        let joined = |words: &[&String]| words.iter().flat_map(|word| word.chars().chain([END])).collect::<String>();
        let without_size = match all.as_slice() {
            [cipher, size, rest @ ..] if !rest.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit()) => {
                let rest = std::iter::once(cipher).chain(rest).collect::<Vec<_>>();
                BLOCK_CIPHERS.contains(&cipher.as_str()).then(|| joined(&rest))
            }
            _ => None,
        };
        Self { whole: joined(&all.iter().collect::<Vec<_>>()), without_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn algorithm(name: &str) -> Listed {
        Listed {
            category: Some(Category::Algorithm),
            name: name.to_owned(),
            forms: vec![name.to_owned()],
            ..Listed::default()
        }
    }

    #[track_caller]
    fn same(listed: &str, ran: &str, expected: bool) {
        let (old, new) = align(&[algorithm(listed)], &[algorithm(ran)]);
        let is_same = old.items.keys().eq(new.items.keys());
        assert_eq!(is_same, expected, "{listed} and {ran}");
    }

    #[test]
    fn names_that_mean_the_same_are_the_same() {
        for (listed, ran) in [
            ("AES128-GCM", "AES-128-GCM"),
            ("SHA256", "SHA-256"),
            ("SHA", "SHA-1"),
            ("SHA-2-256", "SHA-256"),
            ("prime256v1", "secp256r1"),
            ("EC-secp256r1", "secp256r1"),
            ("ML-KEM-768", "MLKEM768"),
            ("DESede", "3DES-EDE"),
            ("RSA-2048", "RSA-2048"),
            // One of them says less.
            ("AES", "AES-128-GCM"),
            ("AES/CBC/PKCS5Padding", "AES-256-CBC"),
            ("RSA-2048", "RSA"),
            ("RSA", "RSA signature"),
            ("HMAC", "HMAC-SHA-256"),
            ("aes128-GCM", "AES-128-GCM"),
            ("rsaEncryption", "RSA"),
            ("hmacWithSHA256", "HMAC-SHA-256"),
        ] {
            same(listed, ran, true);
        }
        for (listed, ran) in [
            ("AES-128-GCM", "AES-256-GCM"),
            ("AES/CBC", "AES-128-GCM"),
            ("SHA256", "SHA3-256"),
            ("SHA", "SHA-256"),
            ("RSA-2048", "RSA-4096"),
            ("MD5", "MD4"),
            ("", "AES-128-GCM"),
        ] {
            same(listed, ran, false);
        }
    }

    #[test]
    fn certificates_are_the_same_by_fingerprint_or_by_whom_they_are_for() {
        let certificate = |name: &str, form: &str, sha256: Option<&str>| Listed {
            category: Some(Category::Certificate),
            name: name.to_owned(),
            forms: vec![form.to_owned()],
            sha256: sha256.map(str::to_owned),
            version: None,
        };
        let ran = [certificate("C=DE, CN=a", "C=DE,CN=a", Some("ab"))];
        for listed in [certificate("CN=a,C=DE", "C=DE,CN=a", None), certificate("x", "x", Some("ab"))] {
            let (old, new) = align(&[listed], &ran);
            assert!(old.items.keys().eq(new.items.keys()));
        }
        let (old, new) = align(&[certificate("CN=b", "CN=b", Some("cd"))], &ran);
        assert!(!old.items.keys().eq(new.items.keys()));
    }
}
