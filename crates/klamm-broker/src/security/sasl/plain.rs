//! PLAIN (RFC 4616): the name and the password as they are.

use std::collections::BTreeMap;

use super::{Authenticated, Denied, Step};

pub(super) fn check(users: &BTreeMap<String, String>, message: &[u8]) -> Result<Step, Denied> {
    let message = String::from_utf8_lossy(message);
    let tokens: Vec<_> = message.splitn(4, '\0').collect();
    let [acting_for, name, password] = tokens[..] else {
        let got = tokens.len();
        return Err(Denied::told(format!("Invalid SASL/PLAIN response: expected 3 tokens, got {got}")));
    };
    if name.is_empty() {
        return Err(Denied::told("Authentication failed: username not specified"));
    }
    if password.is_empty() {
        return Err(Denied::told("Authentication failed: password not specified"));
    }
    if !users.get(name).is_some_and(|known| same(known.as_bytes(), password.as_bytes())) {
        return Err(Denied::told("Authentication failed: Invalid username or password"));
    }
    if !acting_for.is_empty() && acting_for != name {
        return Err(Denied::told(super::OTHER_IDENTITY));
    }
    Ok(Step::Done(Authenticated { answer: Vec::new(), name: name.to_owned(), expires_at_ms: None }))
}

/// Compares in a time that does not depend on where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_and_ones_own_name_are_taken() {
        let users = BTreeMap::from([("alice".to_owned(), "pw".to_owned())]);
        let told = |message: &str| check(&users, message.as_bytes()).err().and_then(|denied| denied.told);
        assert_eq!(told("\0alice\0pw"), None);
        assert_eq!(told("alice\0alice\0pw"), None);
        let invalid = Some("Authentication failed: Invalid username or password".to_owned());
        assert_eq!(told("\0alice\0pW"), invalid);
        assert_eq!(told("\0bob\0pw"), invalid);
        assert_eq!(told("bob\0alice\0pw").as_deref(), Some(super::super::OTHER_IDENTITY));
        assert_eq!(told("\0\0pw").as_deref(), Some("Authentication failed: username not specified"));
        assert_eq!(told("\0alice\0").as_deref(), Some("Authentication failed: password not specified"));
        assert!(told("alice").is_some_and(|told| told.ends_with("got 1")));
        assert!(told("\0alice\0pw\0").is_some_and(|told| told.ends_with("got 4")));
    }
}
