//! The extension block at the end of a hello (RFC 8446, section 4.2), and the lists inside extensions that both hellos share.

use crate::protocol::iana::{ExtensionType, is_grease};
use crypto_trace_format::wire::cursor::Cursor;
use crypto_trace_format::wire::tls::read_extensions;

/// More extensions than any hello has; those after them are not looked at.
const MAX_EXTENSIONS: usize = 256;

/// Hands each extension of the block, in order, to `read`. GREASE extensions are not handed on; the answer is whether there
/// were any.
pub(super) fn read_all<'a>(body: &mut Cursor<'a>, mut read: impl FnMut(ExtensionType, Cursor<'a>)) -> bool {
    let (mut grease, mut count) = (false, 0);
    read_extensions(body, |code, data| {
        count += 1;
        if count > MAX_EXTENSIONS {
        } else if is_grease(code) {
            grease = true;
        } else {
            read(ExtensionType(code), data);
        }
    });
    grease
}

/// The names in an ALPN extension (RFC 7301, section 3.1). A GREASE name is two bytes, both the same GREASE half (RFC 8701,
/// section 3.1), and is left out; a name that was cut is left out too.
pub(super) fn alpn(mut data: Cursor<'_>) -> Vec<Box<[u8]>> {
    let mut names = Vec::new();
    let Some(mut list) = data.vec16() else { return names };
    while !list.is_empty() {
        let Some(name) = list.vec8() else { break };
        let grease = matches!(name.rest(), [high, low] if is_grease(u16::from_be_bytes([*high, *low])));
        if !grease && name.is_complete() {
            names.push(name.rest().into());
        }
    }
    names
}
