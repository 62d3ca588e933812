//! `klamm keys`, and `klamm plan --sample`: what the records of a live topic say of its keys.

use klamm_admin::{Admin, AdminError, OffsetSpec};
use klamm_plan::{KeySample, SampledKeys};
use serde_json::json;

use crate::args::KeysArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::{connect, screen};

/// Bytes of one fetch.
const FETCH_BYTES: i32 = 1 << 20;

/// Exit code 1 when some records are not where the partitioner puts their key.
pub async fn run(args: &KeysArgs) -> Outcome {
    let options = connect::options_of_plan(&args.cluster)?;
    let admin = connect::connect(&options).await?;
    let mut exit = Exit::Clean;
    for topic in &args.topics {
        let found = sample(&admin, topic, args.sample).await?;
        if found.as_ref().is_some_and(|found| found.misplaced > 0) {
            exit = Exit::Findings;
        }
        match args.output.json {
            true => screen::say_json(&json!({ "event": "keys", "topic": topic, "keys": found })),
            false => screen::say_text(&text(topic, found.as_ref())),
        }
    }
    Ok(exit)
}

/// Reads the newest records of `topic`, about `records` of them, each partition by its share; `None` when none has a key.
pub async fn sample(admin: &Admin, topic: &str, records: u64) -> Result<Option<SampledKeys>, Failure> {
    let facts = admin.facts(&[topic.to_owned()]).await.map_err(|error| connect::failed(&error))?;
    if !facts.topics.contains_key(topic) {
        return Err(
            Failure::new(format!("there is no topic {topic}")).hint("`klamm import` lists what there is")
        );
    }
    take(admin, topic, records).await.map_err(|error| connect::failed(&error))
}

async fn take(admin: &Admin, topic: &str, records: u64) -> Result<Option<SampledKeys>, AdminError> {
    let starts = admin.list_offsets(topic, OffsetSpec::Earliest).await?;
    let ends = admin.list_offsets(topic, OffsetSpec::LatestStable).await?;
    let ranges: Vec<(i32, i64, i64)> =
        starts.iter().zip(&ends).map(|((partition, start), (_, end))| (*partition, *start, *end)).collect();
    let all: i64 = ranges.iter().map(|(_, start, end)| end - start).sum();
    // A partition with more records has the keys that are used more: each is read by its share.
    let wanted = |start: i64, end: i64| {
        let share = i128::from(end - start) * i128::from(records) / i128::from(all.max(1));
        start.max(end - i64::try_from(share).unwrap_or(i64::MAX).max(1))
    };
    let ranges: Vec<(i32, i64, i64)> = ranges
        .into_iter()
        .filter(|(_, start, end)| start < end)
        .map(|(partition, start, end)| (partition, wanted(start, end), end))
        .collect();
    let mut sample = KeySample::new(i32::try_from(starts.len()).unwrap_or(i32::MAX));
    for (partition, from, end) in ranges.iter().copied() {
        let mut each = |record: klamm_wire::batch::RecordView<'_>| sample.take(partition, record.key);
        admin.read_committed(topic, partition, (from, end), FETCH_BYTES, &mut each).await?;
    }
    let Some(hottest) = sample.hottest().map(<[u8]>::to_vec) else { return Ok(None) };
    // What is inside the most used key can be looked at only once it is known which one that is.
    for (partition, from, end) in ranges {
        let mut each = |record: klamm_wire::batch::RecordView<'_>| {
            if let Some(value) = record.value.filter(|_| record.key == Some(&hottest)) {
                sample.look_inside(value);
            }
        };
        admin.read_committed(topic, partition, (from, end), FETCH_BYTES, &mut each).await?;
    }
    Ok(sample.found())
}

/// What was found, as a person reads it.
pub fn text(topic: &str, found: Option<&SampledKeys>) -> String {
    let Some(found) = found else { return format!("keys      {topic}: no record has a key\n") };
    let share = found.hottest_share();
    let SampledKeys { records, unkeyed, misplaced, distinct, hottest, .. } = found;
    let mut text = format!(
        "keys      {topic}: the newest {records} records have about {distinct} keys; {hottest:?} is in {share} of them\n"
    );
    if *unkeyed > 0 {
        text.push_str(&format!("  {unkeyed} records have no key\n"));
    }
    if let Some((field, values)) = &found.within {
        text.push_str(&format!(
            "  {hottest:?} has {values} values of {field}: a key with it would spread, and give up the order between them\n"
        ));
    }
    if *misplaced > 0 {
        text.push_str(&format!(
            "  {misplaced} records are not where murmur2 puts their key: some producer uses another partitioner\n"
        ));
    }
    text + &format!("  in the spec: {}\n", found.yaml())
}
