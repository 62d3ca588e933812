//! Which values are secrets that stand in clear. A secret is looked at here, and kept nowhere.

use super::settings::is_reference;

/// The kind of secret that a setting holds in clear; `None` when it holds none.
pub(super) fn kind(name: &str, value: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(['_', '-'], ".");
    if value.contains("-----BEGIN") && value.contains("PRIVATE KEY") && !is_reference(value) {
        return Some("private key");
    }
    if name.ends_with("jaas.config") {
        return in_jaas(value).then_some("password");
    }
    if has_cloud_key(value) {
        return Some("cloud key");
    }
    if let Some(kind) = by_name(&name)
        && !is_placeholder(value)
    {
        return Some(kind);
    }
    in_url(value).then_some("password")
}

fn by_name(name: &str) -> Option<&'static str> {
    let squeezed = name.replace('.', "");
    let ends = |endings: &[&str]| endings.iter().any(|ending| squeezed.ends_with(ending));
    if ends(&["password", "passwords", "passwd", "passphrase", "pwd", "authuserinfo"]) {
        return Some("password");
    }
    if ends(&["secretkey", "secretaccesskey", "accountkey", "storagekey"]) {
        return Some("cloud key");
    }
    if ends(&["secret", "token", "apikey", "masterkey", "oldsecret"])
        && !ends(&["enabletoken", "requiretoken"])
    {
        return Some("token");
    }
    None
}

/// What stands for a secret that somebody puts in later, or is none.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    let masked =
        |value: &str| value.chars().all(|c| matches!(c, '*' | '.' | 'x' | 'X' | '?' | '#' | '-' | '_'));
    let wrapped = |open: char, close: char| value.starts_with(open) && value.ends_with(close);
    masked(value)
        || is_reference(value)
        || wrapped('<', '>')
        || wrapped('@', '@')
        || ["your", "replace", "enter-", "enter_"].iter().any(|word| lower.starts_with(word))
        || value.starts_with("ENC(")
        || value.starts_with("{cipher}")
        || value.starts_with("vault:")
        || value.starts_with("arn:aws:")
        || ["true", "false", "null", "none", "nil"].contains(&lower.as_str())
        || value.starts_with('/') && value.len() > 1 && value[1..].contains('/')
}

/// `password="…"`, `clientSecret="…"` and `user_x="…"` in a JAAS line.
fn in_jaas(value: &str) -> bool {
    options(value).any(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let holds = name.starts_with("user_") || by_name(&name.replace(['_', '-'], ".")).is_some();
        holds && !is_placeholder(value)
    })
}

/// `name=value` and `name="value"` of a JAAS line.
fn options(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('=').filter_map(|(at, _)| {
        let before = text[..at].trim_end();
        let start = before.rfind(|c: char| c.is_whitespace() || c == ';').map_or(0, |space| space + 1);
        let after = text[at + 1..].trim_start();
        let value = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => after[1..].split(quote).next(),
            _ => after.split(|c: char| c.is_whitespace() || c == ';').next(),
        };
        let name = before.get(start..)?;
        (!name.is_empty()).then_some((name, value.unwrap_or_default()))
    })
}

/// `scheme://user:password@host`, or `scheme://host?password=…`.
fn in_url(value: &str) -> bool {
    if !value.contains("://") {
        return false;
    }
    let options = value.split(['?', '&', ';']).skip(1).filter_map(|option| option.split_once('='));
    let mut told = options
        .filter(|(name, _)| by_name(&name.trim().to_ascii_lowercase().replace(['_', '-'], ".")).is_some());
    if told.any(|(_, value)| !is_placeholder(value)) {
        return true;
    }
    value.match_indices("://").any(|(at, _)| {
        let authority = value[at + 3..].split(['/', '?', ' ', ',']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !is_placeholder(password))
    })
}

/// An access key of AWS: `AKIA` and 16 capital letters and digits.
fn has_cloud_key(value: &str) -> bool {
    value.match_indices("AKIA").any(|(at, _)| {
        let rest = &value.as_bytes()[at + 4..];
        let length =
            rest.iter().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
        length == 16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_clear_are_told() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"a\" password=\"hunter2\";";
        for (name, value, expected) in [
            ("sasl.jaas.config", jaas, "password"),
            ("listener.name.x.plain.sasl.jaas.config", "X required user_bob=\"b0b\";", "password"),
            ("ssl.keystore.password", "changeme", "password"),
            ("sasl_plain_password", "p", "password"),
            ("basic.auth.user.info", "u:p", "password"),
            ("sasl.oauthbearer.client.secret", "s3", "token"),
            ("aws.secret.access.key", "wJalr", "cloud key"),
            ("anything", "AKIAABCDEFGHIJKLMNOP", "cloud key"),
            ("ssl.keystore.key", "-----BEGIN PRIVATE KEY----- MII", "private key"),
            ("connection.url", "postgresql://u:p@h/db", "password"),
            ("connection.url", "jdbc:postgresql://h/db?user=u&password=sup3rs3cret", "password"),
            ("sasl.client.passwords", "plaintextpass1", "password"),
        ] {
            assert_eq!(kind(name, value), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_stands_for_a_secret_is_none() {
        let jaas = "X required username=\"a\" password=\"${env:PW}\";";
        for (name, value) in [
            ("sasl.jaas.config", jaas),
            ("sasl.jaas.config", "X required useTicketCache=true keyTab=\"/etc/k\";"),
            ("ssl.keystore.password", "${PW}"),
            ("ssl.keystore.password", "<password>"),
            ("ssl.keystore.password", "****"),
            ("ssl.keystore.password", ""),
            ("ssl.keystore.password", "{{ .Values.pw }}"),
            ("ssl.keystore.password", "ENC(abc)"),
            ("ssl.keystore.password", "{cipher}AQB123"),
            ("connection.url", "jdbc:postgresql://h/db?user=u&password=${PW}&ssl=true"),
            ("sasl.password", "YOUR_API_SECRET"),
            ("ssl.keystore.location", "/etc/x"),
            ("connection.url", "postgresql://u:${PW}@h/db"),
            ("connection.url", "http://h:8081"),
            ("bootstrap.servers", "h:9092"),
            ("sasl.oauthbearer.token.endpoint.url", "https://x/token"),
        ] {
            assert_eq!(kind(name, value), None, "{name} = {value}");
        }
    }
}
