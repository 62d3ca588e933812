//! What a key or a value looks like.

use std::net::IpAddr;

/// How far a time in a key may be from the record's own to be taken for it.
const NEAR_MS: i64 = 60 * 60_000;
/// Times that a windowed key may hold: 2001 to 2100, in milliseconds since 1970.
const PLAUSIBLE_MS: std::ops::Range<i64> = 978_307_200_000..4_102_444_800_000;
/// Schema ids above this are not taken for such: registries count up from 1, hosted ones from 100,001.
const MOST_SCHEMA_ID: u32 = 100_000_000;
/// Longest key that is searched for a shape.
const SEARCHED_BYTES: usize = 1_024;

/// The key is a UUID in its usual form of 36 characters.
pub(crate) fn is_uuid(key: &[u8]) -> bool {
    let dashes = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, &u8)| match dashes.contains(&at) {
        true => *byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    key.len() == 36 && key.iter().enumerate().all(fits)
}

/// The key holds the record's own time: in milliseconds or seconds as decimal digits, alone or beside other text.
pub(crate) fn holds_time(key: &[u8], timestamp_ms: i64) -> bool {
    if key.len() > SEARCHED_BYTES || timestamp_ms < 0 {
        return false;
    }
    let near = |ms: i64| ms.abs_diff(timestamp_ms) <= NEAR_MS.unsigned_abs();
    key.split(|byte| !byte.is_ascii_digit()).any(|digits| match (digits.len(), number(digits)) {
        (13, Some(ms)) => near(ms),
        (10, Some(seconds)) => near(seconds.saturating_mul(1_000)),
        (16, Some(us)) => near(us / 1_000),
        _ => false,
    })
}

/// The number that the key is: decimal digits, or 4 or 8 bytes as Kafka's own serializers write them.
pub(crate) fn number(key: &[u8]) -> Option<i64> {
    let is_text = !key.is_empty() && key.len() <= 18 && key.iter().all(u8::is_ascii_digit);
    if is_text {
        return std::str::from_utf8(key).ok()?.parse().ok();
    }
    match key.len() {
        4 => key.try_into().ok().map(i32::from_be_bytes).map(i64::from),
        8 => key.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    }
}

/// An e-mail address is in the key.
pub(crate) fn holds_email(key: &[u8]) -> bool {
    if key.len() > SEARCHED_BYTES || !key.contains(&b'@') {
        return false;
    }
    let outside = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"@._%+-".contains(byte));
    key.split(outside).any(is_email)
}

fn is_email(word: &[u8]) -> bool {
    let mut parts = word.split(|byte| *byte == b'@');
    let (Some(local), Some(domain), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Some(dot) = domain.iter().rposition(|byte| *byte == b'.') else { return false };
    let (name, ending) = (&domain[..dot], &domain[dot + 1..]);
    let is_address = std::str::from_utf8(domain).is_ok_and(|domain| domain.parse::<IpAddr>().is_ok());
    !local.is_empty()
        && !name.is_empty()
        && !domain.starts_with(b".")
        && ending.len() >= 2
        && ending.iter().all(u8::is_ascii_alphabetic)
        && !is_address
}

/// A key as Kafka Streams writes it for windows and sessions: the plain key, then one time or two, or a time and a
/// sequence number, in binary. Streams puts those by the plain key.
pub(crate) fn is_windowed(key: &[u8]) -> bool {
    let time_at = |from_end: usize| {
        // The plain key before it is not empty.
        let start = key.len().checked_sub(from_end).filter(|start| *start > 0)?;
        let bytes: [u8; 8] = key.get(start..start + 8)?.try_into().ok()?;
        Some(i64::from_be_bytes(bytes)).filter(|ms| PLAUSIBLE_MS.contains(ms))
    };
    // A store's changelog has 4 more bytes: a number that tells duplicates apart.
    let sequence = key.len().checked_sub(4).and_then(|start| key.get(start..));
    let in_store = time_at(12).is_some() && sequence.is_some_and(|bytes| bytes[..2] == [0, 0]);
    time_at(8).is_some() || in_store
}

/// The id of a schema, if the value begins as Confluent's serializers write it: a zero byte, then the id.
pub(crate) fn schema_id(value: &[u8]) -> Option<u32> {
    let id: [u8; 4] = value.get(1..5)?.try_into().ok()?;
    let id = u32::from_be_bytes(id);
    (value[0] == 0 && value.len() > 5 && (1..=MOST_SCHEMA_ID).contains(&id)).then_some(id)
}

/// The value is a JSON object or array. A bare number or word would be, too, but says nothing.
pub(crate) fn is_json(value: &[u8]) -> bool {
    let first = value.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[')) && serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok()
}

/// A key as text of at most 60 characters: bytes that are no text as hexadecimal digits.
pub(crate) fn shown(key: &[u8]) -> String {
    const MOST: usize = 60;
    let text = match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => key.iter().take(MOST).fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    };
    match text.chars().count() > MOST {
        true => text.chars().take(MOST - 1).chain(['…']).collect(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uuids_are_known_by_their_form() {
        assert!(is_uuid(b"123e4567-e89b-12d3-a456-426614174000"));
        assert!(!is_uuid(b"123e4567xe89b-12d3-a456-426614174000"));
        assert!(!is_uuid(b"customer-17"));
    }

    #[test]
    fn a_time_counts_only_when_it_is_the_records() {
        let at = 1_760_000_000_000;
        for key in ["1760000000123", "user-7-1760000000000", "1760000000", "a:1760000000000000"] {
            assert!(holds_time(key.as_bytes(), at), "{key}");
        }
        for key in ["user-7", "1600000000000", "17600000001", "0041760000000"] {
            assert!(!holds_time(key.as_bytes(), at), "{key}");
        }
    }

    #[test]
    fn mail_addresses_are_found_inside_of_other_text() {
        for key in ["ann@example.org", "{\"email\":\"ann.b+c@mail.example.org\"}", "user:ann@example.org"] {
            assert!(holds_email(key.as_bytes()), "{key}");
        }
        for key in
            ["@example.org", "image@sha256", "a@b@c.de", "ann@10.0.0.1", "twitter @ann", "a@.de", "a@b.1"]
        {
            assert!(!holds_email(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn windowed_keys_end_in_a_time() {
        let time = 1_760_000_000_000_i64.to_be_bytes();
        assert!(is_windowed(&[b"user-7".as_slice(), &time].concat()));
        assert!(is_windowed(&[b"user-7".as_slice(), &time, &time].concat()));
        assert!(is_windowed(&[b"user-7".as_slice(), &time, &[0, 0, 0, 1]].concat()));
        assert!(!is_windowed(&time), "a number that is a time is a key of its own");
        assert!(!is_windowed(b"user-7-1760000000000"));
    }

    #[test]
    fn framed_values_have_a_plausible_id() {
        assert_eq!(schema_id(&[0, 0, 0, 0, 7, 1]), Some(7));
        assert_eq!(schema_id(&[0, 0, 1, 134, 161, 2, 3]), Some(100_001));
        for value in
            [&[0, 0, 0, 0, 0, 1][..], &[0, 0, 0, 0, 7], &[0, 255, 0, 0, 0, 1], &[1, 0, 0, 0, 7, 1], b"{}"]
        {
            assert_eq!(schema_id(value), None, "{value:?}");
        }
    }

    #[test]
    fn json_is_an_object_or_an_array() {
        assert!(is_json(b" {\"a\": [1]}") && is_json(b"[]"));
        assert!(!is_json(b"{\"a\": ") && !is_json(b"12") && !is_json(b""));
    }

    proptest! {
        #[test]
        fn no_key_breaks_anything_and_its_text_is_short(key: Vec<u8>, time: i64) {
            let _ = (is_uuid(&key), holds_time(&key, time), number(&key), holds_email(&key), is_windowed(&key));
            let _ = (schema_id(&key), is_json(&key));
            prop_assert!(shown(&key).chars().count() <= 60);
        }

        #[test]
        fn numbers_are_read_back(number_in in 0..1_000_000_000_000_i64) {
            prop_assert_eq!(number(number_in.to_string().as_bytes()), Some(number_in));
            prop_assert_eq!(number(&number_in.to_be_bytes()).is_some(), true);
        }
    }
}
