//! What names of keys say about them: shared by every rule that looks at keys, so that all mean the same words.

/// Attributes of an entity that change while it lives. A key that is one of them names another partition after the change.
const MUTABLE: &[&str] = &[
    "email",
    "mail",
    "phone",
    "telephone",
    "mobile",
    "username",
    "nickname",
    "surname",
    "firstname",
    "lastname",
    "fullname",
    "displayname",
    "status",
    "address",
    "street",
];
/// Words that may follow one of them without making it another thing: `email_address`, `phoneNumber`.
const TAILS: &[&str] = &["address", "number", "text", "value", "string"];
/// What `name` belongs to when it is a person's or a customer's, who may take another one.
const NAMED: &[&str] = &["user", "first", "last", "full", "display", "nick", "customer", "person", "company"];
/// What makes an `address` the name of a thing itself.
const FIXED_ADDRESSES: &[&str] = &["ip", "mac", "wallet", "contract", "host", "memory", "token"];
/// Words that are another value for each record.
const SCATTERED: &[&str] = &[
    "timestamp",
    "time",
    "ts",
    "now",
    "datetime",
    "random",
    "rand",
    "nonce",
    "salt",
    "offset",
    "millis",
    "nanos",
];

/// The attribute that changes, if the key is one: `customerEmail` is `email`.
pub(crate) fn mutable_attribute(key: &str) -> Option<String> {
    let mut words = words(key);
    while words.len() > 1 && words.last().is_some_and(|last| TAILS.contains(&last.as_str())) {
        let before = words.get(words.len() - 2)?;
        if !MUTABLE.contains(&before.as_str()) {
            break;
        }
        words.pop();
    }
    let (last, before) = words.split_last()?;
    let before = before.last().map(String::as_str);
    let changes = match last.as_str() {
        "name" => before.is_none_or(|word| NAMED.contains(&word)),
        "address" => before.is_none_or(|word| !FIXED_ADDRESSES.contains(&word)),
        word => MUTABLE.contains(&word),
    };
    changes.then(|| last.clone())
}

/// The part of a key that is another one for each record, by its name: `orderId+timestamp` is `timestamp`.
pub(crate) fn scattered_part(key: &str) -> Option<String> {
    let parts = key.split([':', '+', '|', ',']).map(str::trim);
    let scattered = |part: &&str| {
        let words = words(part);
        let at = part.to_ascii_lowercase().ends_with("_at");
        at || words.last().is_some_and(|last| SCATTERED.contains(&last.as_str()))
    };
    parts.into_iter().find(scattered).map(str::to_owned)
}

/// `customerEmail`, `customer_email`, `getCustomerEmail()` are `customer`, `email`.
fn words(key: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut small = false;
    let mut open = false;
    for c in key.chars() {
        if !c.is_ascii_alphanumeric() {
            open = false;
            continue;
        }
        if !open || (small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
        small = c.is_ascii_lowercase() || c.is_ascii_digit();
        open = true;
    }
    if words.len() > 1 && words.first().is_some_and(|first| first == "get") {
        words.remove(0);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_change_are_told_from_ids() {
        for key in
            ["email", "customerEmail", "email_address", "phoneNumber", "name", "user_name", "getStatus()"]
        {
            assert!(mutable_attribute(key).is_some(), "{key}");
        }
        for key in ["customerId", "email_id", "ip_address", "topic_name", "walletAddress", "orderNumber", ""]
        {
            assert_eq!(mutable_attribute(key), None, "{key}");
        }
    }

    #[test]
    fn parts_that_scatter_are_found_in_composite_keys() {
        assert_eq!(scattered_part("orderId:timestamp").as_deref(), Some("timestamp"));
        assert_eq!(scattered_part("created_at").as_deref(), Some("created_at"));
        assert_eq!(scattered_part("eventTime").as_deref(), Some("eventTime"));
        assert_eq!(scattered_part("orderId"), None);
        assert_eq!(scattered_part("estate"), None);
    }
}
