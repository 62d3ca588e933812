//! What is refused, where, and with what help.

use std::collections::BTreeMap;

use klamm_contract::{Consistency, Delivery, Order, Profile};
use klamm_plan::spec::{self, SecretRef, SpecSet, Start, needs, parse, parse_with};

use crate::{ORDERS, problems};

const HEAD: &str = "klamm: 1\nservice: s\n";

/// Code, line, column and message of everything that is wrong with `text`.
fn wrong(text: &str) -> Vec<(&'static str, usize, usize, String)> {
    let place =
        |problem: &klamm_plan::Diagnostic| problem.span.map_or((0, 0), |span| (span.line, span.column));
    problems(text)
        .into_iter()
        .map(|problem| (problem.code, place(&problem).0, place(&problem).1, problem.message))
        .collect()
}

fn codes(text: &str) -> Vec<&'static str> {
    wrong(text).into_iter().map(|(code, ..)| code).collect()
}

#[test]
fn the_short_form_takes_defaults() {
    let spec = parse("klamm.yaml", &format!("{HEAD}topics:\n  t:\nconsumers:\n  g: {{ reads: [t] }}\n"))
        .expect("a spec");
    let topic = &spec.topics[0];
    assert_eq!(
        (topic.consistency, topic.order.value, topic.survive.value.brokers),
        (Consistency::Strong, Order::None, 1)
    );
    assert_eq!(
        (topic.retain.value.to_string(), topic.write.rate.to_string()),
        ("7d".to_owned(), "1 MB/s".to_owned())
    );
    let consumer = &spec.consumers[0];
    assert_eq!((consumer.delivery, consumer.start), (Delivery::AtLeastOnce, Start::Earliest));
    assert_eq!(spec.profile, Profile::Prod);
}

#[test]
fn what_was_written_is_printed_back() {
    let spec = parse("klamm.yaml", ORDERS).expect("the example");
    let write = &spec.topics[0].write;
    assert_eq!(
        (write.rate.to_string(), write.record.to_string(), write.peak.to_string()),
        ("20 MB/s".into(), "1 KB".into(), "3x".into())
    );
    assert_eq!(spec.topics[0].retain.value.to_string(), "7d");
}

#[test]
fn an_unknown_field_names_its_place_its_nearest_and_what_is_allowed() {
    let text = format!("{HEAD}topics:\n  t:\n    consistancy: strong\n");
    let problems = problems(&text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(
        problems[0].to_string(),
        "klamm.yaml:5:5: unknown field \"consistancy\", did you mean \"consistency\"?"
    );
    let help = problems[0].help.as_deref();
    assert_eq!(
        help,
        Some(
            "allowed here: consistency, survive, key, order, write, retain, partitions, copies, produce, keys, growth, timestamps, settings, producer"
        )
    );
    let span = problems[0].span.expect("a place");
    assert_eq!(&text[span.start..span.end], "consistancy");
}

#[test]
fn everything_that_is_wrong_is_told_together() {
    let text = "klamm: 1
service: s
colour: red
topics:
  a b:
    survive: { broker: 1 }
  t:
    consistency: srong
    retain: 7 days
    write: { rate: 20 mb/s, peak: 0.5x }
consumers:
  g:
    delivery: at_least_once
";
    let found: Vec<(&str, usize)> = wrong(text).into_iter().map(|(code, line, ..)| (code, line)).collect();
    let expected = [
        ("unknown-field", 3),
        ("unknown-field", 6),
        ("unknown-value", 8),
        ("bad-unit", 9),
        ("bad-unit", 10),
        ("missing-field", 13),
    ];
    assert_eq!(found, expected);
}

#[test]
fn semantic_errors_are_told_together_each_with_its_place() {
    let text = "klamm: 2
service: s
cluster: { bootstrap: [nowhere], brokers: 2, racks: [a, b, c] }
topics:
  a.b: { order: per_key }
  a_b: { retain: compact }
  c: { order: global, partitions: 3 }
consumers:
  g: { reads: [d, c, c], work: { p50: 2 ms, p99: 1 ms } }
";
    let found: Vec<(&str, usize)> = wrong(text).into_iter().map(|(code, line, ..)| (code, line)).collect();
    let expected = [
        ("unknown-version", 1),
        ("bad-address", 3),
        ("more-racks-than-brokers", 3),
        ("order-without-key", 5),
        ("topic-name-collision", 6),
        ("compact-without-key", 6),
        ("order-over-partitions", 7),
        ("unknown-topic", 9),
        ("duplicate-read", 9),
        ("bad-work", 9),
    ];
    assert_eq!(found, expected);
}

#[test]
fn wrong_shapes_are_refused_without_a_panic() {
    assert_eq!(codes(""), ["missing-field", "missing-field"]);
    assert_eq!(codes("just text"), ["wrong-type"]);
    assert_eq!(codes("klamm: one\nservice: [a]\n"), ["not-a-number", "wrong-type"]);
    assert_eq!(codes("klamm: 99999999999\nservice: s\n"), ["number-too-large"]);
    assert_eq!(codes(&format!("{HEAD}topics: [t]\n")), ["wrong-type"]);
    assert_eq!(codes(&format!("{HEAD}consumers:\n  g: {{ reads: t }}\n")), ["wrong-type"]);
    assert_eq!(codes(&format!("{HEAD}topics:\n  t: {{ write: {{ rate: 0 B/s }} }}\n")), ["bad-rate"]);
    assert_eq!(codes(&format!("{HEAD}topics:\n  t: {{ write: {{ record: 0 B }} }}\n")), ["bad-record-size"]);
    assert_eq!(codes(&format!("{HEAD}topics:\n  t: {{ partitions: 0 }}\n")), ["bad-partitions"]);
    assert_eq!(
        codes(&format!("{HEAD}topics:\n  t: {{ survive: {{ brokers: 99 }} }}\n")),
        ["survive-too-many"]
    );
    assert_eq!(codes(&format!("{HEAD}service: t\n")), ["duplicate-key"]);
}

#[test]
fn a_finding_is_accepted_for_a_reason_and_until_a_day() {
    let text = format!(
        "{HEAD}audit:\n  accept:\n    - {{ rule: KL504, on: topic app-*, reason: lines may go, until: 2027-01-31 }}\n"
    );
    let spec = parse("klamm.yaml", &text).expect("a spec");
    let [accept] = spec.audit.accept.as_slice() else { panic!("one") };
    assert_eq!((accept.rule.as_str(), accept.on.as_deref()), ("KL504", Some("topic app-*")));
    assert_eq!((accept.reason.as_str(), accept.until.to_string().as_str()), ("lines may go", "2027-01-31"));
    assert_eq!((accept.span.line, accept.until.end_ms()), (5, 1_801_439_999_999));
}

#[test]
fn a_suppression_that_is_not_complete_is_refused_with_place_and_value() {
    let accept = |text: &str| wrong(&format!("{HEAD}audit:\n  accept:\n    - {{ {text} }}\n"));
    let (code, line, column, message) = accept("rule: acks, reason: x, until: 2027-01-31").remove(0);
    assert_eq!((code, line, column), ("bad-rule", 5, 15));
    assert!(message.contains("\"acks\""), "{message}");
    for (text, code, in_message) in [
        ("rule: KL50, reason: x, until: 2027-01-31", "bad-rule", "KL50"),
        ("rule: KL504, until: 2027-01-31", "missing-field", "reason"),
        ("rule: KL504, reason: ' ', until: 2027-01-31", "empty-reason", "KL504"),
        ("rule: KL504, reason: x", "missing-field", "until"),
        ("rule: KL504, reason: x, until: 31.1.2027", "bad-day", "31.1.2027"),
        ("rule: KL504, reason: x, until: 2027-02-30", "bad-day", "2027-02-30"),
        ("rule: KL504, on: '*', reason: x, until: 2027-01-31", "bad-subject", "*"),
        ("rule: KL504, why: x, reason: x, until: 2027-01-31", "unknown-field", "why"),
    ] {
        let problems = accept(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].0 == code && problems[0].3.contains(in_message), "{text}: {problems:?}");
    }
}

#[test]
fn a_cluster_may_be_its_own_file() {
    let text = format!("{HEAD}cluster: cluster.yaml\nenvironments:\n  eu: {{ cluster: eu.yaml }}\n");
    assert_eq!(needs("klamm.yaml", &text), ["cluster.yaml", "eu.yaml"]);
    let mut files =
        BTreeMap::from([("cluster.yaml".to_owned(), "klamm: 1\ncluster: { brokers: 5 }\n".to_owned())]);
    let problems = parse_with("klamm.yaml", &text, &files).expect_err("eu.yaml is missing");
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("\"eu.yaml\" could not be read"), "{problems:?}");

    files.insert("eu.yaml".to_owned(), "klamm: 1\ncluster: { broker: 5 }\n".to_owned());
    let problems = parse_with("klamm.yaml", &text, &files).expect_err("eu.yaml has an unknown field");
    assert_eq!(problems[0].to_string(), "eu.yaml:2:12: unknown field \"broker\", did you mean \"brokers\"?");
    assert_eq!(
        (problems[0].secondary[0].file.as_str(), problems[0].secondary[0].span.line),
        ("klamm.yaml", 5)
    );

    files.insert("eu.yaml".to_owned(), "klamm: 1\ncluster: { brokers: 7 }\n".to_owned());
    let set = SpecSet::from(parse_with("klamm.yaml", &text, &files).expect("a spec"));
    let brokers =
        |environment| set.cluster(environment).and_then(|cluster| cluster.brokers.as_ref()).map(|n| n.value);
    assert_eq!((brokers(None), brokers(Some("eu"))), (Some(5), Some(7)));
}

#[test]
fn secrets_are_references() {
    let with = |sasl: &str| {
        format!("{HEAD}cluster:\n  security:\n    sasl: {{ mechanism: PLAIN, username: u, {sasl} }}\n")
    };
    let problems = problems(&with("password: hunter2, password_env: P"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0]
            .help
            .as_deref()
            .is_some_and(|help| help.contains("a secret is never written into a spec"))
    );
    assert_eq!(codes(&with("password_file: a, password_env: b")), ["two-passwords"]);
    let spec = parse("klamm.yaml", &with("password_env: KAFKA_PASSWORD")).expect("a spec");
    let sasl = spec.cluster.and_then(|cluster| cluster.security.sasl).expect("sasl");
    assert_eq!(sasl.password, SecretRef::Env("KAFKA_PASSWORD".to_owned()));
    assert_eq!(codes(&with("password_command: []")), ["bad-command"]);
    let user = |user: &str| format!("{HEAD}user: {{ {user} }}\n");
    assert_eq!(codes(&user("mechanism: PLAIN, password_env: P")), ["bad-mechanism"]);
    assert_eq!(codes(&user("mechanism: SCRAM-SHA-256")), ["missing-field"]);
    let spec = parse("specs/klamm.yaml", &user("password_file: secret")).expect("a spec");
    let user = spec.user.expect("a user");
    assert_eq!(user.mechanism.name(), "SCRAM-SHA-512");
    assert_eq!(user.password.to_string(), "the file secret");
}

#[test]
fn specs_that_plan_together_have_one_owner_for_each_topic() {
    let read = |file: &str, text: &str| parse(file, text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let orders = read("orders.yaml", "klamm: 1\nservice: orders\ntopics:\n  orders.events:\n");
    let billing = read(
        "billing.yaml",
        "klamm: 1\nservice: billing\nuses: [orders.events]\nconsumers:\n  bills: { reads: [orders.events] }\n",
    );
    assert!(SpecSet::new(vec![orders.clone(), billing]).is_ok());

    let thief = read("thief.yaml", "klamm: 1\nservice: thief\ntopics:\n  mine:\n  orders.events:\n");
    let problems = SpecSet::new(vec![orders.clone(), thief]).expect_err("two owners");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(
        problems[0].to_string(),
        "thief.yaml:5:3: topic \"orders.events\" is owned by both \"orders\" and \"thief\""
    );
    let other = &problems[0].secondary[0];
    assert_eq!((other.file.as_str(), other.span.line), ("orders.yaml", 4));

    let near = read("near.yaml", "klamm: 1\nservice: near\ntopics:\n  orders_events:\n");
    let problems = SpecSet::new(vec![orders, near]).expect_err("the names collide");
    assert_eq!(problems[0].code, "topic-name-collision");
}

#[test]
fn the_template_parses_and_plans() {
    assert_eq!(problems(spec::template()), []);
}

proptest::proptest! {
    #[test]
    fn a_spec_with_a_piece_cut_out_or_put_in_never_panics(
        at in 0..ORDERS.len(), length in 0..40usize, piece in "[a-z:\\[\\]{}\\-\"'&*!|>#, \n\t0-9]{0,12}",
    ) {
        let head: String = ORDERS.chars().take(at).collect();
        let tail: String = ORDERS.chars().skip(at + length).collect();
        let _ = problems(&format!("{head}{piece}{tail}"));
    }
}
