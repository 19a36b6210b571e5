//! Byte strings stored once each: a million runs of the same program share one path and often one argv.

use std::collections::HashMap;
use std::sync::Arc;

/// A string of a [`Strings`]; `NONE` is no string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StringId(u32);

impl StringId {
    /// No string.
    pub const NONE: Self = Self(u32::MAX);

    /// Whether there is no string.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// This string, or else the other.
    pub fn or(self, other: Self) -> Self {
        if self.is_none() { other } else { self }
    }
}

/// Interned strings, up to a budget.
#[derive(Debug)]
pub struct Strings {
    ids: HashMap<Arc<[u8]>, u32, foldhash::fast::RandomState>,
    by_id: Vec<Arc<[u8]>>,
    budget_bytes: usize,
}

impl Strings {
    /// Holds at most about `budget_bytes`.
    pub fn new(budget_bytes: usize) -> Self {
        Self { ids: HashMap::default(), by_id: Vec::new(), budget_bytes }
    }

    /// Gives back the room that was kept for more strings.
    pub fn shrink(&mut self) {
        self.ids.shrink_to_fit();
        self.by_id.shrink_to_fit();
    }

    /// The id of `string`; `NONE` when it is empty, and an error when the budget is used up.
    pub fn intern(&mut self, string: &[u8]) -> Result<StringId, OverBudget> {
        if string.is_empty() {
            return Ok(StringId::NONE);
        }
        if let Some(id) = self.ids.get(string) {
            return Ok(StringId(*id));
        }
        // Both maps hold an Arc (16 bytes each), the id, and the allocation's own counters.
        let cost = string.len() + 64;
        let id = u32::try_from(self.by_id.len()).ok().filter(|id| *id != u32::MAX).ok_or(OverBudget)?;
        self.budget_bytes = self.budget_bytes.checked_sub(cost).ok_or(OverBudget)?;
        let string: Arc<[u8]> = string.into();
        self.by_id.push(Arc::clone(&string));
        self.ids.insert(string, id);
        Ok(StringId(id))
    }

    /// The string of an id.
    pub fn get(&self, id: StringId) -> Option<&[u8]> {
        usize::try_from(id.0).ok().and_then(|index| self.by_id.get(index)).map(|string| &**string)
    }
}

/// No room for another string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverBudget;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_an_id_and_the_budget_holds() {
        let mut strings = Strings::new(200);
        let a = strings.intern(b"/bin/sh").expect("room");
        assert_eq!(strings.intern(b"/bin/sh"), Ok(a));
        assert_eq!(strings.get(a), Some(&b"/bin/sh"[..]));
        assert_eq!(strings.intern(b""), Ok(StringId::NONE));
        assert_eq!(strings.get(StringId::NONE), None);
        assert_eq!(strings.intern(&[b'x'; 200]), Err(OverBudget));
        assert_eq!(strings.intern(b"/bin/sh"), Ok(a));
    }
}
