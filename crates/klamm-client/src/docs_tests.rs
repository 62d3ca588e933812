//! The tables of `docs/client.md` say what the code does.

use std::path::Path;
use std::time::Duration;

use crate::{Effect, ProduceError, ProduceErrorKind as K, ProducerOptions};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/client.md");
    std::fs::read_to_string(path).unwrap()
}

/// The cells of the row that begins with `name`.
fn row(page: &str, name: &str) -> Vec<String> {
    let row = page.lines().find(|line| line.split('|').nth(1).is_some_and(|cell| cell.contains(name)));
    let row = row.unwrap_or_else(|| panic!("no row for {name}"));
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn each_kind_has_the_effect_and_the_retry_that_the_page_says() {
    let page = page();
    let text = String::new;
    let kinds = [
        ("`NotEnoughReplicas`", K::NotEnoughReplicas { waited: None, in_doubt: false }),
        ("`TimedOut`", K::TimedOut { after: Duration::ZERO, last_answer: None, in_doubt: true }),
        ("`TooLarge`", K::TooLarge { bytes: None, limit: text() }),
        ("`UnknownTopic`", K::UnknownTopic),
        ("`UnknownPartition`", K::UnknownPartition),
        ("`Denied`", K::Denied),
        ("`Invalid`", K::Invalid { message: text() }),
        ("`Fenced`", K::Fenced { message: text() }),
        ("`Fatal`", K::Fatal { message: text() }),
        ("`Closed`", K::Closed),
    ];
    for (name, kind) in kinds {
        let row = row(&page, name);
        let error = ProduceError::new("t", None, kind);
        let effect = if error.effect() == Effect::None { "none" } else { "unknown" };
        assert!(row[2].starts_with(effect), "{name}: {effect}, and the page says {}", row[2]);
        let retryable = if error.is_retryable() { "yes" } else { "no" };
        assert_eq!(row[3], retryable, "{name}");
    }
}

#[test]
fn the_bounds_are_those_of_the_options() {
    let page = page();
    let options = ProducerOptions::default();
    let buffer = format!("{} MiB", options.buffer_bytes >> 20);
    assert!(row(&page, "records on their way")[2].contains(&buffer), "buffer.memory is {buffer}");
    let timeout = format!("{} s", options.delivery_timeout.as_secs());
    assert!(row(&page, "one send")[2].contains(&timeout), "delivery.timeout.ms is {timeout}");
}
