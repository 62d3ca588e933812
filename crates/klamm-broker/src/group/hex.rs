//! Bytes in the journal: JSON has none, so they are written as hexadecimal text.

use bytes::Bytes;

pub(crate) fn write(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn read(text: &str) -> Option<Bytes> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().map(Bytes::from)
}

/// For a field of type `Bytes`.
pub(crate) mod one {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::write(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        super::read(&text).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

/// For a field of names with bytes.
pub(crate) mod pairs {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(all: &[(String, Bytes)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|(name, bytes)| (name, super::write(bytes))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Bytes)>, D::Error> {
        let all = Vec::<(String, String)>::deserialize(from)?;
        let read = |(name, text): (String, String)| Some((name, super::read(&text)?));
        let all: Option<Vec<_>> = all.into_iter().map(read).collect();
        all.ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(super::read(&super::write(&bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn anything_else_is_not_read() {
        assert_eq!(super::read("0"), None);
        assert_eq!(super::read("0x"), None);
    }
}
