//! Reads Kafka's primitive types from bytes that nobody vouches for: no length is trusted, nothing is set aside for it.

/// What is left to read. Every method gives `None` when the bytes end or make no sense.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// Two bytes, big-endian as all numbers.
    pub fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    /// Four bytes.
    pub fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.bytes(8)?.try_into().ok()?))
    }

    /// A string with two bytes of length.
    pub fn string(&mut self) -> Option<String> {
        self.nullable_string()?
    }

    /// The same, or null: the outer `None` is bad bytes, the inner one null.
    pub fn nullable_string(&mut self) -> Option<Option<String>> {
        match self.i16()? {
            -1 => Some(None),
            length => {
                let bytes = self.bytes(usize::try_from(length).ok()?)?;
                Some(Some(std::str::from_utf8(bytes).ok()?.to_owned()))
            }
        }
    }

    /// Bytes with four bytes of length, or null.
    pub fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Some(None),
            length => Some(Some(self.bytes(usize::try_from(length).ok()?)?)),
        }
    }

    /// An array with four bytes of length; a null one is empty.
    pub fn array<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.i32()?.max(0);
        (0..count).map(|_| each(self)).collect()
    }

    /// An unsigned varint of no more than 32 bits.
    pub fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A string of the flexible versions; the outer `None` is bad bytes, the inner one null.
    pub fn compact_nullable_string(&mut self) -> Option<Option<String>> {
        match usize::try_from(self.varint()?).ok()? {
            0 => Some(None),
            length => Some(Some(std::str::from_utf8(self.bytes(length - 1)?).ok()?.to_owned())),
        }
    }

    /// A string of the flexible versions that cannot be null.
    pub fn compact_string(&mut self) -> Option<String> {
        self.compact_nullable_string()?
    }

    /// An array of the flexible versions; a null one is empty.
    pub fn compact_array<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.varint()?.saturating_sub(1);
        (0..count).map(|_| each(self)).collect()
    }

    /// Passes over the tagged fields at the end of a structure.
    pub fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = usize::try_from(self.varint()?).ok()?;
            self.bytes(length)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_the_bytes_do_not_keep_are_refused_without_a_reservation() {
        assert_eq!(Reader(&[0x7f, 0xff, 0xff, 0xff]).array(Reader::i32), None);
        assert_eq!(Reader(&[0x7f, 0xff, b'a']).string(), None);
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).compact_array(Reader::i64), None);
        assert_eq!(Reader(&[0xff; 6]).varint(), None);
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff]).array(Reader::i32), Some(vec![]));
        assert_eq!(Reader(&[0x7f, 0xff, 0xff, 0xff, 1]).nullable_bytes(), None);
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xfe]).nullable_bytes(), None, "-2 is no length");
    }

    #[test]
    fn null_is_told_from_nothing() {
        let mut reader = Reader(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(reader.nullable_string(), Some(None));
        assert_eq!(reader.nullable_string(), Some(Some(String::new())));
        assert_eq!((reader.nullable_bytes(), reader.nullable_bytes()), (Some(None), Some(Some(&[][..]))));
        assert_eq!(Reader(&[0xff, 0xff]).string(), None, "it cannot be null");
    }
}
