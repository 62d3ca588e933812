//! What a Prometheus server answers to a query.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::Sample;

/// Names of all metrics that are looked at. Those of MBeans are whatever the JMX exporter's rules make of them.
const NAMES: &str = "node_cpu_seconds_total|node_memory_Mem(Available|Total)_bytes\
    |node_filesystem_(size|avail)_bytes|node_filefd_(allocated|maximum)\
    |java_lang_(?i:operatingsystem)_.*|(?i:kafka_server_socket_?server_?metrics_(failed_?authentication.*|connections))\
    |(?i:kafka_.*(isr_?shrinks|avg_?idle|uncleanable|time_?since_?last_?run|errors_?(total|count|per_?sec)\
    |errors_?per_?sec_?count|deprecated_?requests|time_?between_?poll_?max|throttle_?time_?avg|request_?rate|fetch_?rate).*)\
    |kafka_(server_(ReplicaManager|KafkaRequestHandlerPool)|network_(SocketServer|RequestMetrics)\
    |log_LogCleaner(Manager)?)_(Count|Value|OneMinuteRate)";

/// The query for one look, so many seconds ago.
pub(crate) fn query(seconds_ago: u64) -> String {
    // A regular expression is anchored, and in PromQL a backslash would have to be doubled: there is none.
    let selector = format!("{{__name__=~\"{NAMES}\"}}");
    if seconds_ago == 0 { selector } else { format!("{selector} offset {seconds_ago}s") }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// The samples of an answer.
pub(crate) fn parse(body: &str) -> Result<Vec<Sample>, String> {
    let answer: Answer =
        serde_json::from_str(body).map_err(|error| format!("the answer is none of Prometheus: {error}"))?;
    if answer.status != "success" {
        return Err(format!("the query failed: {}", answer.error));
    }
    let series = answer.data.map(|data| data.result).unwrap_or_default();
    let sample = |mut series: Series| {
        let name = series.metric.remove("__name__")?;
        Some(Sample { name, labels: series.metric, value: series.value.1.parse().ok()? })
    };
    Ok(series.into_iter().filter_map(sample).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_samples_with_their_labels() {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"node_filefd_allocated","instance":"b1:9100"},"value":[1760000000.1,"17"]},
            {"metric":{"instance":"b1:9100"},"value":[1760000000.1,"1"]}]}}"#;
        let found = parse(body).expect("an answer");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].value), ("node_filefd_allocated", 17.0));
        assert_eq!(found[0].labels["instance"], "b1:9100");
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = parse(r#"{"status":"error","errorType":"bad_data","error":"too many samples"}"#);
        assert_eq!(refused, Err("the query failed: too many samples".to_owned()));
        assert!(parse("<html>").is_err());
    }

    #[test]
    fn the_earlier_look_is_the_same_query() {
        assert_eq!(query(300), query(0) + " offset 300s");
        assert!(!query(0).contains([' ', '\n', '\\']));
    }

    #[test]
    fn queries_are_promql() {
        for ago in [0, 300] {
            promql_parser::parser::parse(&query(ago)).expect("valid");
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_reading(body: String) {
            let _ = parse(&body);
        }
    }
}
