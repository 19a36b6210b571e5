//! The dynamic linker's cache: where libraries are that nobody has loaded yet.
//!
//! Layout: struct cache_file_new and file_entry_new in sysdeps/generic/dl-cache.h of glibc.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

const PATH: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// Bytes of it that are read: a large system has some hundred KiB.
const MAX_BYTES: u64 = 16 << 20;

/// Paths of all libraries in the cache whose name begins with one of these; none without a cache that can be read.
pub fn libraries(prefixes: &[&str]) -> Vec<PathBuf> {
    let mut bytes = Vec::new();
    let read = File::open(PATH).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    parse(if read.is_ok() { &bytes } else { &[] }, prefixes)
}

fn parse(bytes: &[u8], prefixes: &[&str]) -> Vec<PathBuf> {
    // The old layout may come first, for linkers older than any kernel we run on.
    let Some(at) = memchr::memmem::find(bytes, MAGIC) else { return Vec::new() };
    let cache = bytes.get(at..).unwrap_or_default();
    let word = |at: usize| {
        let word = cache.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_ne_bytes(*word)).ok()
    };
    let text = |at: usize| {
        let rest = cache.get(at..)?;
        std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
    };
    let count = word(MAGIC.len()).unwrap_or(0).min(cache.len() / ENTRY);
    let mut found: Vec<PathBuf> = (0..count)
        .filter_map(|i| {
            let entry = HEADER + i * ENTRY;
            let name = text(word(entry + 4)?)?;
            let path = text(word(entry + 8)?)?;
            prefixes.iter().any(|prefix| name.starts_with(prefix)).then(|| PathBuf::from(path))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&2u32.to_ne_bytes());
        bytes.resize(HEADER, 0);
        let strings = HEADER + 2 * ENTRY;
        let texts = b"libssl.so.3\0/lib/libssl.so.3\0libm.so.6\0/lib/libm.so.6\0";
        for (name, path) in [(0, 12), (29, 39)] {
            bytes.extend_from_slice(&1u32.to_ne_bytes());
            for at in [name, path] {
                bytes.extend_from_slice(&u32::try_from(strings + at).expect("small").to_ne_bytes());
            }
            bytes.resize(bytes.len() + 12, 0);
        }
        bytes.extend_from_slice(texts);
        bytes
    }

    #[test]
    fn finds_by_prefix() {
        assert_eq!(parse(&cache(), &["libssl.so."]), [PathBuf::from("/lib/libssl.so.3")]);
        assert_eq!(parse(&cache(), &["libnothing"]), Vec::<PathBuf>::new());
    }

    #[test]
    fn any_truncation_is_survived() {
        let cache = cache();
        for len in 0..cache.len() {
            let _ = parse(&cache[..len], &["lib"]);
        }
    }
}
