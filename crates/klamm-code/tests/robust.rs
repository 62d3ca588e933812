//! Whatever the text is, reading it ends and nothing panics; what is broken gives a part.

use klamm_code::read;
use proptest::prelude::*;

const ENDINGS: [&str; 10] = ["java", "kt", "py", "go", "ts", "tsx", "js", "jsx", "rs", "mjs"];

const SAMPLES: [(&str, &str); 7] = [
    (
        "java",
        "import org.apache.kafka.clients.producer.*;\nclass A { void f(Properties p) { var k = new KafkaProducer<>(p);\n\
         k.send(new ProducerRecord<>(\"t\", o.id(), \"v\"), (m, e) -> { if (e != null) log.error(\"x\", e); }); } }\n",
    ),
    (
        "kt",
        "import org.apache.kafka.clients.producer.*\nclass A(private val p: KafkaProducer<String, String>) {\n\
         fun f() { p.send(ProducerRecord(\"t\", \"${o.id}\", \"v\")) { m, e -> println(e) } } }\n",
    ),
    (
        "py",
        "from confluent_kafka import Consumer\nc = Consumer({'group.id': 'g', **more})\nwhile True:\n    m = c.poll(1)\n\
         \x20   try:\n        work(m)\n    except Exception as e:\n        print(e)\n    c.commit()\n",
    ),
    (
        "go",
        "package a\nimport \"github.com/IBM/sarama\"\nfunc f() { c := sarama.NewConfig(); c.Producer.RequiredAcks = sarama.NoResponse\n\
         p, _ := sarama.NewSyncProducer([]string{\"b\"}, c)\nfor m := range ch { _, _, _ = p.SendMessage(m) } }\n",
    ),
    (
        "ts",
        "import { Kafka } from 'kafkajs';\nconst k = new Kafka({ brokers: ['b'] });\nconst p = k.producer({});\n\
         export async function f(o: O) { await p.send({ topic: 't', messages: [{ key: `${o.id}`, value: 'v' }] }); }\n",
    ),
    (
        "js",
        "const { Kafka } = require('kafkajs');\nconst c = new Kafka({}).consumer({});\nc.run({ eachMessage: async ({ message }) => { go(message); } });\n",
    ),
    (
        "rs",
        "use rdkafka::producer::*;\nasync fn f(p: &FutureProducer) { let _ = p.send(FutureRecord::to(\"t\").key(&k).payload(&v), T).await; }\n",
    ),
];

#[test]
fn every_sample_is_read() {
    for (ending, text) in SAMPLES {
        let unit = read(&format!("a.{ending}"), text);
        assert!(unit.is_some_and(|unit| !unit.sends.is_empty() || !unit.loops.is_empty()), "{ending}");
    }
}

#[test]
fn files_that_do_not_mention_kafka_are_not_read() {
    for ending in ENDINGS {
        assert_eq!(read(&format!("a.{ending}"), "x = 1\n"), None);
    }
    assert_eq!(read("notes.txt", "kafkajs"), None);
    assert_eq!(read("no_ending", "kafkajs"), None);
}

#[test]
fn deep_nesting_is_cut() {
    for (ending, text) in SAMPLES {
        for (open, close) in [
            ("(", ")"),
            ("{", "}"),
            ("[", "]"),
            ("f(", ")"),
            ("a.b().", ""),
            ("1+", ""),
            ("if (x) {", "}"),
            ("!", ""),
        ] {
            let deep = format!("{text}\n{}x{}\n", open.repeat(20_000), close.repeat(20_000));
            let _ = read(&format!("a.{ending}"), &deep);
        }
    }
}

#[test]
fn a_function_that_calls_itself_is_followed_once() {
    let text = "from confluent_kafka import Consumer\nc = Consumer({})\ndef work(m):\n    work(m)\nwhile True:\n    m = c.poll(1)\n    work(m)\n";
    let unit = read("a.py", text).unwrap();
    assert!(unit.loops[0].unclear[0].contains("calls itself"), "{:?}", unit.loops);
}

#[test]
fn values_that_name_each_other_end() {
    let text = "from confluent_kafka import Producer\na = b\nb = a\np = Producer({'acks': a, **a})\n";
    let unit = read("a.py", text).unwrap();
    assert!(unit.clients[0].open);
    assert_eq!(unit.clients[0].settings["acks"].value, None);
}

#[test]
fn what_stands_before_an_error_is_kept() {
    let (_, text) = SAMPLES[2];
    let unit = read("a.py", &format!("{text}\ndef broken(:\n  ((\n")).unwrap();
    assert_eq!(unit.loops.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,400}", at in 0..ENDINGS.len(), sample in 0..SAMPLES.len()) {
        let (_, known) = SAMPLES[sample];
        let _ = read(&format!("a.{}", ENDINGS[at]), &text);
        let _ = read(&format!("a.{}", ENDINGS[at]), &format!("{known}{text}"));
    }

    #[test]
    fn mutated_samples_never_panic(
        sample in 0..SAMPLES.len(),
        cuts in proptest::collection::vec((0.0_f64..1.0, 0.0_f64..0.2, "[(){}\\[\\]\"'`$.,:;=\\n é]{0,6}"), 1..6),
    ) {
        let (ending, text) = SAMPLES[sample];
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, put) in cuts {
            let from = ((chars.len() as f64) * at) as usize;
            let to = (from + ((chars.len() as f64) * length) as usize).min(chars.len());
            chars.splice(from..to, put.chars());
        }
        let mutated: String = chars.into_iter().collect();
        let _ = read(&format!("a.{ending}"), &mutated);
    }
}
