//! Zigzag varints as Kafka's records use them, read strictly.

/// Appends `value` as a zigzag varint.
pub fn put(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        buffer.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buffer.push(rest as u8);
}

/// Bytes that [`put`] appends for `value`.
pub fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Takes a 32-bit varint off the front of `bytes`: at most five bytes, and no bit beyond the 32nd.
pub fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let raw = take(bytes, 5)?;
    let raw = u32::try_from(raw).ok()?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// Takes a 64-bit varint off the front of `bytes`: at most ten bytes, and no bit beyond the 64th.
pub fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take(bytes, 10)?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

fn take(bytes: &mut &[u8], most_bytes: usize) -> Option<u64> {
    // Nearly every varint of a record is one byte: lengths and deltas under 64.
    let (&first, mut rest) = bytes.split_first()?;
    let mut value = u64::from(first & 0x7f);
    let mut last = first;
    let mut shift = 7;
    for _ in 1..most_bytes {
        if last & 0x80 == 0 {
            break;
        }
        let (&byte, tail) = rest.split_first()?;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        shift += 7;
        (last, rest) = (byte, tail);
    }
    *bytes = rest;
    (last & 0x80 == 0).then_some(value)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(value in any::<i64>(), tail in any::<Vec<u8>>()) {
            let mut buffer = Vec::new();
            put(&mut buffer, value);
            prop_assert_eq!(buffer.len(), size(value));
            buffer.extend_from_slice(&tail);
            let mut rest = buffer.as_slice();
            prop_assert_eq!(take_i64(&mut rest), Some(value));
            prop_assert_eq!(rest, tail.as_slice());
        }

        #[test]
        fn thirty_two_bits_are_enough_for_an_i32_and_no_more(value in any::<i64>()) {
            let mut buffer = Vec::new();
            put(&mut buffer, value);
            prop_assert_eq!(take_i32(&mut buffer.as_slice()), i32::try_from(value).ok());
        }
    }

    #[test]
    fn a_varint_that_never_ends_is_refused() {
        assert_eq!(take_i64(&mut [0xff; 11].as_slice()), None);
        assert_eq!(take_i32(&mut [0xff; 6].as_slice()), None);
        assert_eq!(take_i32(&mut [0x80].as_slice()), None);
        assert_eq!(take_i64(&mut [].as_slice()), None);
    }
}
