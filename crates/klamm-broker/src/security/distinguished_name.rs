//! The subject of a certificate in the form of RFC 2253, as Java's `X500Principal.getName()` writes it: that is the user that
//! Kafka sees, and what `ssl.principal.mapping.rules` are written for.
//!
//! The certificate has been verified when it comes here, so what is not DER is not expected; it gives no name.

/// The name in the certificate (DER).
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (to_be_signed, _) = element(certificate, SEQUENCE)?;
    // Version (optional), serial number, algorithm, issuer and validity stand before the subject.
    let rest = element(to_be_signed, VERSION).map_or(to_be_signed, |(_, rest)| rest);
    let rest = [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE]
        .into_iter()
        .try_fold(rest, |rest, tag| element(rest, tag).map(|(_, rest)| rest))?;
    let (mut names, _) = element(rest, SEQUENCE)?;
    let mut parts = Vec::new();
    while !names.is_empty() {
        let (mut set, rest) = element(names, SET)?;
        let mut values = Vec::new();
        while !set.is_empty() {
            let (pair, rest) = element(set, SEQUENCE)?;
            values.push(attribute(pair)?);
            set = rest;
        }
        parts.push(values.join("+"));
        names = rest;
    }
    parts.reverse();
    Some(parts.join(","))
}

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// The content of the element with this tag that `der` begins with, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any_element(der)?;
    (found == tag).then_some((content, rest))
}

fn any_element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let bytes = usize::from(first & 0x7f);
        if !(1..=4).contains(&bytes) {
            return None;
        }
        let (digits, after) = rest.split_at_checked(bytes)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// One attribute: `CN=name`.
fn attribute(pair: &[u8]) -> Option<String> {
    let (oid, der) = element(pair, OBJECT_IDENTIFIER)?;
    let (tag, value, _) = any_element(der)?;
    let keyword = match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        _ => return Some(format!("{}=#{}", dotted(oid), hex(der))),
    };
    let value = match text(tag, value) {
        Some(text) => escaped(&text),
        None => format!("#{}", hex(der)),
    };
    Some(format!("{keyword}={value}"))
}

/// The strings of X.520.
fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, PrintableString, T61String (as Java reads it), IA5String.
        0x0c | 0x13 | 0x16 => String::from_utf8(value.to_vec()).ok(),
        0x14 => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString.
        0x1e => {
            let units: Vec<_> =
                value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let inner = value.trim_matches(' ');
    let leading = value.len() - value.trim_start_matches(' ').len();
    let trailing = value.len() - leading.min(value.len()) - inner.len();
    out.push_str(&"\\ ".repeat(leading));
    for letter in inner.chars() {
        match letter {
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => out.extend(['\\', letter]),
            '\0' => out.push_str("\\00"),
            letter => out.push(letter),
        }
    }
    out.push_str(&"\\ ".repeat(trailing));
    out
}

fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if numbers.is_empty() {
            let first = (number / 40).min(2);
            numbers.extend([first, number - first * 40]);
        } else {
            numbers.push(number);
        }
        number = 0;
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = Default::default();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_is_written_as_java_writes_it() {
        let der = certificate(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "A, B+C \"=\""),
            (DnType::OrganizationalUnitName, " x "),
            (DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]), "a@b"),
            (DnType::CommonName, "Größe"),
        ]);
        let name = subject(&der).unwrap();
        assert_eq!(
            name,
            "CN=Größe,1.2.840.113549.1.9.1=#0c03614062,OU=\\ x\\ ,O=A\\, B\\+C \\\"\\=\\\",C=DE"
        );
    }

    /// A certificate of OpenSSL, and what `X500Principal.getName()` of Java 17 says of it.
    #[test]
    fn every_letter_is_escaped_as_java_escapes_it() {
        use base64::Engine as _;
        let der = "MIICajCCAg+gAwIBAgIUFJ3o7KAAIo+n3YAh/7URJnfAtnYwCgYIKoZIzj0EAwIwgYkxCzAJBgNVBAYTAkRFMQowCAYDVQQIDAFz\
         MQswCQYDVQQJDAJzdDERMA8GCgmSJomT8ixkARkWAXgxETAPBgoJkiaJk/IsZAEBDAF1MQowCAYDVQQMDAFUMRAwDgYDVQQLDAcg\
         IHR3byAgMR0wGwYDVQQDDBQjYSNiIDxjPjtkXGU9R3LDtsOfZTAeFw0yNjExMjUxNTExMDhaFw0yNjEyMjUxNTExMDhaMIGJMQsw\
         CQYDVQQGEwJERTEKMAgGA1UECAwBczELMAkGA1UECQwCc3QxETAPBgoJkiaJk/IsZAEZFgF4MREwDwYKCZImiZPyLGQBAQwBdTEK\
         MAgGA1UEDAwBVDEQMA4GA1UECwwHICB0d28gIDEdMBsGA1UEAwwUI2EjYiA8Yz47ZFxlPUdyw7bDn2UwWTATBgcqhkjOPQIBBggq\
         hkjOPQMBBwNCAAQPuWrK4Zy898FUN5oZCBKxU8tTLPCzg+bE2om/A5U25rg3Xwys8Fh9xY28xiF+OY8bV5Lk1D8W4HXCjS1vwKJk\
         o1MwUTAdBgNVHQ4EFgQUN98edycZ3lfgFzQofjNsVJgV6f8wHwYDVR0jBBgwFoAUN98edycZ3lfgFzQofjNsVJgV6f8wDwYDVR0T\
         AQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAgHxBw77ueiit46Z5iM5/xFX34wiTb+dj59aYJnYaPCwCIQDTwtegTVAbBKM3\
         ju4Kwf/bhP+jNusD8Nq8EfzkPWKiTA==";
        let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
        let java = "CN=\\#a\\#b \\<c\\>\\;d\\\\e\\=Größe,OU=\\ \\ two\\ \\ ,2.5.4.12=#0c0154,UID=u,DC=x,STREET=st,ST=s,C=DE";
        assert_eq!(subject(&der).as_deref(), Some(java));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(
            mut der in Just(certificate(&[(DnType::CommonName, "x")])), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let index = at.index(der.len());
            der[index] = byte;
            let _ = subject(&der);
            let _ = subject(&der[..index]);
        }
    }
}
