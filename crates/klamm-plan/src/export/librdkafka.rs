//! librdkafka: other names, other defaults, and some settings that only it has.

use klamm_kafka::{consumer_config, producer_config};

use super::properties::Page;
use crate::Setting;

pub(super) fn producer(settings: &[Setting], page: &mut Page) {
    for setting in settings {
        match producer_config(&setting.name).and_then(|config| config.librdkafka_name) {
            Some(name) => page.setting(name, setting),
            None => page.missing(setting, "librdkafka has no such setting."),
        }
    }
    page.extra(
        "partitioner",
        "murmur2_random",
        "The same keys on the same partitions as Java's client: librdkafka's own default is CRC32 (consistent_random), which \
         breaks co-partitioning with Java. [librdkafka: CONFIGURATION.md, partitioner]",
    );
}

pub(super) fn consumer(settings: &[Setting], page: &mut Page) {
    for setting in settings {
        if setting.name == "partition.assignment.strategy" {
            // The same assignor under librdkafka's word for it.
            page.setting(
                &setting.name,
                &Setting { value: "cooperative-sticky".to_owned(), ..setting.clone() },
            );
            continue;
        }
        match consumer_config(&setting.name).and_then(|config| config.librdkafka_name) {
            Some(name) => page.setting(name, setting),
            None => page.missing(
                setting,
                "librdkafka hands records out one by one or as many as the program asks for, so bound the batch there.",
            ),
        }
    }
    page.extra(
        "enable.auto.offset.store",
        "false",
        "An offset is stored for the next commit when its record is done, not when it is handed to the program. [librdkafka: \
         CONFIGURATION.md, enable.auto.offset.store]",
    );
}
