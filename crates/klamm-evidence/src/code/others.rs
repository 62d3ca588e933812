//! Source code of languages that are not read: files of them that use Kafka are named, so that nobody takes silence for "pass".

use klamm_rules::evidence::Skipped;

/// Endings of files, with their language.
const LANGUAGES: [(&str, &str); 27] = [
    ("cs", "C#"),
    ("fs", "F#"),
    ("vb", "Visual Basic"),
    ("scala", "Scala"),
    ("sc", "Scala"),
    ("groovy", "Groovy"),
    ("clj", "Clojure"),
    ("cljc", "Clojure"),
    ("c", "C"),
    ("h", "C"),
    ("cc", "C++"),
    ("cpp", "C++"),
    ("cxx", "C++"),
    ("hh", "C++"),
    ("hpp", "C++"),
    ("rb", "Ruby"),
    ("php", "PHP"),
    ("ex", "Elixir"),
    ("exs", "Elixir"),
    ("erl", "Erlang"),
    ("hs", "Haskell"),
    ("swift", "Swift"),
    ("dart", "Dart"),
    ("pl", "Perl"),
    ("pm", "Perl"),
    ("lua", "Lua"),
    ("jl", "Julia"),
];

/// Words that begin a line which brings a library in.
const BRINGS: [&str; 15] = [
    "using",
    "import",
    "#include",
    "require",
    "require_relative",
    "use",
    "open",
    "alias",
    "Imports",
    "(:require",
    "[",
    "(:import",
    "local",
    "-include",
    "qualified",
];

/// The language of a file that is not read.
pub(super) fn language(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, ending) = name.rsplit_once('.')?;
    LANGUAGES.iter().find(|(known, _)| *known == ending).map(|(_, language)| *language)
}

/// A file of such a language that uses Kafka.
pub(super) fn passed_over(path: &str, text: &str) -> Option<Skipped> {
    let language = language(path)?;
    let brings = |line: &str| {
        let line = line.trim_start();
        let whole = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let begins = BRINGS.iter().any(|word| line.strip_prefix(word).is_some_and(whole));
        begins && line.to_ascii_lowercase().contains("kafka")
    };
    text.lines()
        .any(brings)
        .then(|| Skipped { file: path.to_owned(), why: format!("it uses Kafka, and {language} is not read") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_languages_that_use_kafka_are_named() {
        for (path, text, why) in [
            ("src/A.cs", "using Confluent.Kafka;\nclass A {}\n", Some("it uses Kafka, and C# is not read")),
            ("a/b.cpp", "#include <librdkafka/rdkafkacpp.h>\n", Some("it uses Kafka, and C++ is not read")),
            (
                "A.scala",
                "  import org.apache.kafka.clients._\n",
                Some("it uses Kafka, and Scala is not read"),
            ),
            ("app.rb", "require 'rdkafka'\n", Some("it uses Kafka, and Ruby is not read")),
            ("B.cs", "using System;\n// kafka comes later\nuses_kafka();\n", None),
            ("a.java", "import org.apache.kafka.clients.producer.KafkaProducer;\n", None),
        ] {
            assert_eq!(passed_over(path, text).map(|skipped| skipped.why).as_deref(), why, "{path}");
        }
    }
}
