//! Text of many rows of which few differ: each text once, and which of them how many rows in a row have.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Rows in a row that have the same text, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the text, or [`Run::NULL`].
    pub text: u32,
    /// How many rows.
    pub rows: u32,
}

impl Run {
    /// No text.
    pub const NULL: u32 = u32::MAX;
}

/// Texts that differ, in the order in which they came first.
#[derive(Debug, Default)]
pub struct Dictionary {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    state: RandomState,
}

impl Dictionary {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts.
    pub fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes in memory.
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>() + self.numbers.allocation_size()
    }

    /// The text of that number; nothing where there is none.
    #[inline]
    pub fn get(&self, number: u32) -> &[u8] {
        text(&self.bytes, &self.ends, number)
    }

    /// All texts, by number.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).map(|number| self.get(number))
    }

    /// The number of a text, which is a new one if the text is.
    pub fn number(&mut self, text: &[u8]) -> u32 {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.number_of_tail(start)
    }

    /// The number of the text that was appended from `start` on, which is taken away again if it is known.
    #[inline]
    fn number_of_tail(&mut self, start: usize) -> u32 {
        let Self { bytes, ends, numbers, state } = self;
        let tail = bytes.get(start..).unwrap_or_default();
        let hash = state.hash_one(tail);
        if let Some(known) = numbers.find(hash, |number| text(bytes, ends, *number) == tail) {
            let known = *known;
            bytes.truncate(start);
            return known;
        }
        // Tables are cut long before there are as many.
        let number = u32::try_from(ends.len()).unwrap_or(Run::NULL);
        ends.push(bytes.len());
        numbers.insert_unique(hash, number, |number| state.hash_one(text(bytes, ends, *number)));
        number
    }
}

fn text<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or_default();
    ends.get(number).and_then(|end| bytes.get(start..*end)).unwrap_or_default()
}

/// A column of text.
#[derive(Debug, Default)]
pub struct Repeated {
    dictionary: Dictionary,
    runs: Vec<Run>,
    rows: usize,
}

impl Repeated {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.dictionary.text_bytes() + self.dictionary.len() * size_of::<usize>() + self.runs.len() * size_of::<Run>()
    }

    /// The texts.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// Which rows have which of them.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The text of the first row, if there is one and it has any.
    #[inline]
    pub fn first(&self) -> Option<&[u8]> {
        self.runs.first().filter(|run| run.text != Run::NULL).map(|run| self.dictionary.get(run.text))
    }

    /// Appends a row without text.
    #[inline]
    pub fn push_null(&mut self) {
        self.push_number(Run::NULL);
    }

    /// Appends a row with this text.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        if let Some(last) = self.runs.last_mut()
            && last.text != Run::NULL
            && self.dictionary.get(last.text) == text
        {
            last.rows += 1;
            self.rows += 1;
            return;
        }
        let number = self.dictionary.number(text);
        self.push_number(number);
    }

    /// Appends a row with the text that `append` appends. Returns how many bytes it has.
    #[inline]
    pub fn push_with(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.dictionary.bytes.len();
        append(&mut self.dictionary.bytes);
        let bytes = self.dictionary.bytes.len() - start;
        if let Some(last) = self.runs.last_mut()
            && last.text != Run::NULL
            && Some(self.dictionary.get(last.text)) == self.dictionary.bytes.get(start..)
        {
            self.dictionary.bytes.truncate(start);
            last.rows += 1;
            self.rows += 1;
            return bytes;
        }
        let number = self.dictionary.number_of_tail(start);
        self.push_number(number);
        bytes
    }

    /// Number of the text of the last row, or [`Run::NULL`]: holds until the rows are taken.
    pub fn last_number(&self) -> u32 {
        self.runs.last().map_or(Run::NULL, |run| run.text)
    }

    /// Appends a row with the text of that number, see [`Self::last_number`].
    #[inline]
    pub fn push_number(&mut self, text: u32) {
        self.rows += 1;
        match self.runs.last_mut() {
            Some(last) if last.text == text => last.rows += 1,
            _ => self.runs.push(Run { text, rows: 1 }),
        }
    }

    /// What there is, which leaves none.
    pub fn take(&mut self) -> Self {
        let runs = Vec::with_capacity(self.runs.len());
        std::mem::replace(self, Self { runs, ..Self::default() })
    }

    /// The same as Apache Arrow has it, a text for each row.
    ///
    /// # Errors
    /// When it is no text, which is a fault of this program.
    pub fn to_array(&self) -> Result<StringArray, ArrowError> {
        let bytes = self.runs.iter().map(|run| self.dictionary.get(run.text).len() * run.rows as usize).sum();
        let mut text = Vec::with_capacity(bytes);
        let mut ends = Vec::with_capacity(self.rows + 1);
        ends.push(0);
        let mut nulls = NullBufferBuilder::new(self.rows);
        for run in &self.runs {
            let rows = run.rows as usize;
            if run.text == Run::NULL {
                nulls.append_n_nulls(rows);
            } else {
                nulls.append_n_non_nulls(rows);
            }
            let value = self.dictionary.get(run.text);
            for _ in 0..rows {
                text.extend_from_slice(value);
                // Tables are cut long before.
                ends.push(i32::try_from(text.len()).unwrap_or(i32::MAX));
            }
        }
        let nulls: Option<NullBuffer> = nulls.finish();
        StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(text), nulls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;

    #[test]
    fn rows_are_what_was_pushed() {
        let rows = [Some("a"), Some("a"), None, None, Some("b"), Some(""), Some("a"), Some(""), None];
        let mut column = Repeated::default();
        for row in rows {
            match row {
                Some(text) if text != "b" => column.push(text.as_bytes()),
                Some(text) => assert_eq!(column.push_with(|bytes| bytes.extend_from_slice(text.as_bytes())), 1),
                None => column.push_null(),
            }
        }
        assert_eq!((column.len(), column.dictionary().len(), column.runs().len()), (9, 3, 7));
        let taken = column.take();
        assert!(column.is_empty() && column.dictionary().is_empty());
        assert_eq!(taken.to_array().expect("an array"), StringArray::from(rows.to_vec()));
        assert_eq!(taken.to_array().expect("an array").null_count(), 3);
    }
}
