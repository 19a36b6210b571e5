//! The extension block at the end of a hello (RFC 8446, section 4.2), and the lists inside extensions that both hellos share.

use super::cursor::Cursor;
use crate::protocol::iana::{ExtensionType, is_grease};

/// More extensions than any hello has; past it, a hello is not read further.
const MAX_EXTENSIONS: usize = 256;

/// Hands each extension of the block, in order, to `read`. GREASE extensions are not handed on; the answer is whether there
/// were any.
pub(super) fn read_all<'a>(body: &mut Cursor<'a>, mut read: impl FnMut(ExtensionType, Cursor<'a>)) -> bool {
    // SSL 3.0 and old TLS hellos end here.
    if body.is_empty() && !body.is_cut() {
        return false;
    }
    let Some(mut block) = body.vec16() else { return false };
    let mut grease = false;
    for _ in 0..MAX_EXTENSIONS {
        if block.is_empty() {
            break;
        }
        let Some(code) = block.u16() else { break };
        let Some(data) = block.vec16() else { break };
        if is_grease(code) {
            grease = true;
        } else {
            read(ExtensionType(code), data);
        }
    }
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
