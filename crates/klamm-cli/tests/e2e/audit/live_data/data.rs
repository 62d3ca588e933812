//! Keys and partitions: what only a look at records shows.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Site, asked, commands, found};

/// Topics with one mistake each.
const HOT: &str = "hot";
const FEW: &str = "few";
const BARE: &str = "bare";
const MIXED: &str = "mixed";
const GROWN: &str = "grown";
const SKEWED: &str = "skewed";
/// The spec promises an order for this one.
pub const TIMED: &str = "timed";

/// So many records are looked at; what is written to mend is much more, so that it is what is newest everywhere.
const SAMPLE: [&str; 2] = ["--sample", "3000"];
const MISTAKEN: u64 = 3_000;
const MENDED: u64 = 14_000;

pub async fn mistakes(site: &Site) -> Result<()> {
    make(site).await?;
    let sampled = [&["klamm.yaml"], &SAMPLE[..]].concat();
    let seen = site.audit("KL201,KL202,KL206,KL207,KL208,KL209", &sampled).await?;
    let large = site.audit("KL205", &[]).await?;
    let on = |topic: &str| format!("topic {topic}");

    let hot = found(&seen, "KL201", &on(HOT), "tenant-0")?;
    let few = found(&seen, "KL202", &on(FEW), "3 different keys for 6 partitions")?;
    let timed = found(&seen, "KL207", &on(TIMED), "timestamp")?;
    let skewed = found(&large, "KL205", &on(SKEWED), "partition 0 holds")?;
    for (finding, told) in [(hot, "composite key"), (few, "finer key"), (skewed, "partitioner choose")] {
        let said = site.run_fix(finding).await?.join("\n");
        ensure!(!said.is_empty(), "{finding}: its command says nothing");
        ensure!(finding["fix"].to_string().contains(told), "{finding}");
    }
    ensure!(asked(timed).contains("take the part out of the key"), "{timed}");
    site.run_fix(found(&seen, "KL209", &on(BARE), "records without a key")?).await?;
    let mixed = found(&seen, "KL206", &on(MIXED), "CRC32")?;
    ensure!(asked(mixed).contains("partitioner=murmur2_random"), "{mixed}");
    let grown = found(&seen, "KL208", &on(GROWN), "where 4 partitions put them, there are 6 now")?;

    let murmur = json!({ "partitioner": "murmur2_random" });
    let mend = json!([
        { "topic": HOT, "records": MENDED, "keys": "composite" },
        { "topic": FEW, "records": MENDED, "keys": "orders" },
        { "topic": TIMED, "records": MENDED, "keys": "orders" },
        { "topic": SKEWED, "records": 240, "keys": "none", "bytes": 900_000, "settings": { "sticky.partitioning.linger.ms": 0 } },
    ]);
    site.write(&mend).await?;
    move_to_places(site, MIXED, &mixed_copy(mixed)?).await?;
    let copy = commands(grown).first().cloned().context("KL208 prints the copy")?;
    move_to_places(site, GROWN, &copy).await?;
    // The producers go on where the records are now, all with the partitioner that the finding names.
    let on_places = [MIXED, GROWN].map(|topic| {
        json!({ "topic": format!("{topic}-6"), "records": 500, "keys": "orders", "settings": murmur })
    });
    site.write(&Value::from(on_places.to_vec())).await?;

    let gone: Vec<(&str, String)> =
        vec![("KL201", on(HOT)), ("KL202", on(FEW)), ("KL207", on(TIMED)), ("KL209", on(BARE))];
    let moved = ["KL206", "KL208"].into_iter().flat_map(|rule| {
        [MIXED, GROWN]
            .into_iter()
            .flat_map(move |topic| [(rule, format!("topic {topic}")), (rule, format!("topic {topic}-6"))])
    });
    let gone = [gone, moved.collect()].concat();
    site.gone(&gone, &sampled).await?;
    site.gone(&[("KL205", on(SKEWED))], &[]).await
}

async fn make(site: &Site) -> Result<()> {
    let plain: &[(&str, &str)] = &[];
    let six = [HOT, FEW, BARE, MIXED, TIMED].map(|topic| (topic, 6, plain));
    site.topics(&[&six[..], &[(GROWN, 4, plain), (SKEWED, 4, plain)]].concat()).await?;
    let murmur = json!({ "partitioner": "murmur2_random" });
    site.write(&json!([
        { "topic": HOT, "records": MISTAKEN, "keys": "hot", "settings": murmur },
        { "topic": FEW, "records": MISTAKEN, "keys": "few", "settings": murmur },
        { "topic": BARE, "records": 500, "keys": "none" },
        // Java's partitioner is kafka-python's; librdkafka has another one unless it is told.
        { "topic": MIXED, "records": 1_500, "keys": "orders", "client": "kafka-python" },
        { "topic": MIXED, "records": 1_500, "keys": "orders" },
        { "topic": TIMED, "records": MISTAKEN, "keys": "timed", "settings": murmur },
        { "topic": GROWN, "records": 1_500, "keys": "orders", "settings": murmur },
        { "topic": SKEWED, "records": 310, "keys": "none", "partition": 0, "bytes": 900_000 },
    ]))
    .await?;
    let compacted = "kafka-configs.sh --bootstrap-server B --alter --entity-type topics --entity-name bare \
        --add-config cleanup.policy=compact";
    site.shell(&compacted.replace('B', &site.bootstrap)).await?;
    site.admin.create_partitions(GROWN, 6).await?;
    let grown = vec![GROWN.to_owned()];
    site.admin.wait_until_ready(&grown, super::SHOWS).await?;
    let after = json!([{ "topic": GROWN, "records": 1_500, "keys": "orders", "client": "kafka-python" }]);
    site.write(&after).await
}

/// The copy that KL206 asks for, cut out of its sentence.
fn mixed_copy(finding: &Value) -> Result<String> {
    let asked = asked(finding);
    let at = asked.find("klamm repartition").with_context(|| format!("no copy in {asked}"))?;
    Ok(asked[at..].lines().next().unwrap_or_default().to_owned())
}

/// Copies a topic key by key, moves to the copy, and takes the former topic away, as the copying says.
async fn move_to_places(site: &Site, topic: &str, copy: &str) -> Result<()> {
    site.shell(copy).await?;
    let moved = site.shell(&format!("{copy} --cut-over")).await?;
    ensure!(moved.contains(&format!("delete {topic}")), "{moved}");
    site.admin.delete_topics(&[topic.to_owned()]).await?;
    Ok(())
}
