//! Versions of client libraries, as build and lock files tell them. A range tells none, unless it keeps to one release line.

use std::collections::BTreeMap;

use klamm_rules::evidence::{Client, Library, Role};

/// Which version a folder uses: a lock file outranks what it was made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    found: BTreeMap<(String, Library), (Rank, String)>,
}

/// How sure a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Derived from what another dependency brings.
    Derived,
    /// Written in a build file.
    Written,
    /// Written in a lock file.
    Locked,
}

type Told = Vec<(Library, Rank, String)>;

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Versions {
    /// Whether it is a build or lock file.
    pub fn reads(path: &str) -> bool {
        let name = name_of(path);
        let fixed = [
            "pom.xml",
            "build.gradle",
            "build.gradle.kts",
            "gradle.lockfile",
            "libs.versions.toml",
            "package.json",
            "package-lock.json",
            "pyproject.toml",
            "poetry.lock",
            "uv.lock",
            "go.mod",
            "Cargo.toml",
            "Cargo.lock",
        ];
        fixed.contains(&name) || name.starts_with("requirements") && name.ends_with(".txt")
    }

    /// Takes what one file tells.
    pub fn read(&mut self, path: &str, text: &str) {
        let told = match name_of(path) {
            "pom.xml" => maven(text),
            "build.gradle" | "build.gradle.kts" | "gradle.lockfile" => gradle(text),
            "libs.versions.toml" => catalogue(text),
            "package.json" => package(text),
            "package-lock.json" => package_lock(text),
            "pyproject.toml" => pyproject(text),
            "poetry.lock" | "uv.lock" => packages(text, python),
            "go.mod" => go(text),
            "Cargo.toml" => cargo(text),
            "Cargo.lock" => packages(text, rust),
            _ => text.lines().filter_map(requirement).collect(),
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        // Gradle keeps its catalogue a folder below the project that it is for.
        let folder = match name_of(path) {
            "libs.versions.toml" => folder.strip_suffix("gradle").unwrap_or(folder).trim_end_matches('/'),
            _ => folder,
        };
        for (library, rank, version) in told {
            self.put(folder.to_owned(), library, rank, version);
        }
    }

    fn put(&mut self, folder: String, library: Library, rank: Rank, version: String) {
        let found = self.found.entry((folder, library)).or_insert_with(|| (rank, version.clone()));
        if rank > found.0 {
            *found = (rank, version);
        }
    }

    /// Takes what another one has.
    pub fn merge(&mut self, other: Versions) {
        for ((folder, library), (rank, version)) in other.found {
            self.put(folder, library, rank, version);
        }
    }

    /// The version that the file `path` is built with: of the nearest folder upwards that tells one.
    pub fn of(&self, path: &str, library: Library) -> Option<&str> {
        let mut folder = path;
        loop {
            folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            if let Some((_, version)) = self.found.get(&(folder.to_owned(), library)) {
                return Some(version);
            }
            if folder.is_empty() {
                return None;
            }
        }
    }

    /// Gives clients without a version the one that they are built with. What runs in Connect has Connect's.
    pub fn fill(&self, clients: &mut [Client]) {
        let built = |client: &Client| {
            !matches!(client.role, Role::ConnectWorker | Role::Connector | Role::MirrorMaker)
        };
        for client in clients.iter_mut().filter(|client| client.version.is_none() && built(client)) {
            client.version = self.of(&client.place.file, client.library).map(str::to_owned);
        }
    }
}

/// `1.2.3`, also behind `v`, `=`, `==`, `^`, `~` and `~=`: all of them keep to the release line.
fn pinned(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'']);
    let text = ["==", "~=", "^", "~", "=", "v"]
        .iter()
        .find_map(|mark| text.strip_prefix(mark))
        .unwrap_or(text)
        .trim();
    let plain = text.split(['+', '-']).next().unwrap_or_default();
    let numbers =
        plain.split('.').filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty());
    (numbers.count() == plain.split('.').count() && !plain.is_empty()).then(|| text.to_owned())
}

fn told(library: Library, rank: Rank, version: &str) -> Option<(Library, Rank, String)> {
    pinned(version).map(|version| (library, rank, version))
}

/// Kafka's own artifacts all have the version of the client.
fn is_java_client(group: &str, artifact: &str) -> bool {
    group == "org.apache.kafka"
        && (artifact.starts_with("kafka") || artifact.starts_with("connect-"))
        && !artifact.contains("test")
}

/// Which client a release line of Spring Boot brings.
fn of_spring_boot(version: &str) -> Option<&'static str> {
    const BROUGHT: [(&str, &str); 12] = [
        ("2.3.", "2.5"),
        ("2.4.", "2.6"),
        ("2.5.", "2.7"),
        ("2.6.", "3.0"),
        ("2.7.", "3.1"),
        ("3.0.", "3.3"),
        ("3.1.", "3.4"),
        ("3.2.", "3.6"),
        ("3.3.", "3.7"),
        ("3.4.", "3.8"),
        ("3.5.", "3.9"),
        ("4.0.", "4.1"),
    ];
    BROUGHT.iter().find(|(line, _)| version.starts_with(line)).map(|(_, kafka)| *kafka)
}

fn brought(version: &str) -> Option<(Library, Rank, String)> {
    of_spring_boot(version).map(|kafka| (Library::Java, Rank::Derived, kafka.to_owned()))
}

fn maven(text: &str) -> Told {
    let Ok(document) = roxmltree::Document::parse(text) else { return Vec::new() };
    let text_of = |node: roxmltree::Node<'_, '_>, name: &str| {
        let child = node.children().find(|child| child.tag_name().name() == name);
        child.and_then(|child| child.text()).unwrap_or_default().trim().to_owned()
    };
    let properties: BTreeMap<String, String> = document
        .descendants()
        .filter(|node| node.tag_name().name() == "properties")
        .flat_map(|node| node.children().filter(roxmltree::Node::is_element))
        .map(|node| (node.tag_name().name().to_owned(), node.text().unwrap_or_default().trim().to_owned()))
        .collect();
    let resolved = |version: String| {
        let name = version.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        name.map_or(Some(version.clone()), |name| properties.get(name).cloned())
    };
    let mut all = Told::new();
    for node in document.descendants() {
        let version = || resolved(text_of(node, "version"));
        match node.tag_name().name() {
            "dependency" if is_java_client(&text_of(node, "groupId"), &text_of(node, "artifactId")) => {
                all.extend(version().and_then(|version| told(Library::Java, Rank::Written, &version)));
            }
            "parent" | "dependency"
                if text_of(node, "artifactId").starts_with("spring-boot-starter-parent")
                    || text_of(node, "artifactId") == "spring-boot-dependencies" =>
            {
                // Spring Boot lets a property of that name decide.
                let own = properties.get("kafka.version").and_then(|v| told(Library::Java, Rank::Written, v));
                all.extend(own.or_else(|| version().and_then(|version| brought(&version))));
            }
            _ => {}
        }
    }
    all
}

/// `"org.apache.kafka:kafka-clients:3.6.1"`, and a variable that the same file sets.
fn gradle(text: &str) -> Told {
    let mut all = Told::new();
    for (at, mark) in text.match_indices("org.apache.kafka:") {
        let rest = &text[at + mark.len()..];
        let coordinate = rest.split(['"', '\'', '=', '\n', ')']).next().unwrap_or_default();
        let Some((artifact, version)) = coordinate.split_once(':') else { continue };
        if !is_java_client("org.apache.kafka", artifact) {
            continue;
        }
        let variable = version.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
        let version = variable.map_or(Some(version), |name| assigned(text, name));
        let rank = if text.contains(&format!("{coordinate}=")) { Rank::Locked } else { Rank::Written };
        all.extend(version.and_then(|version| told(Library::Java, rank, version)));
    }
    let plugin =
        text.lines().find(|line| line.contains("org.springframework.boot") && line.contains("version"));
    let version = plugin
        .and_then(|line| line.split("version").nth(1))
        .map(|rest| rest.trim_matches([' ', '(', ')', '"', '\'']));
    all.extend(version.and_then(brought));
    all
}

/// `name = "value"` somewhere in the text.
fn assigned<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once('=')?;
        let left = left.trim().rsplit([' ', '.', '"', '\'']).find(|word| !word.is_empty())?;
        (left == name).then(|| right.trim().trim_matches(['"', '\'']))
    })
}

fn table(text: &str) -> toml::Table {
    text.parse().unwrap_or_default()
}

/// Gradle's version catalogue.
fn catalogue(text: &str) -> Told {
    let table = table(text);
    let versions = table.get("versions").and_then(toml::Value::as_table);
    let libraries = table.get("libraries").and_then(toml::Value::as_table);
    let mut all = Told::new();
    for library in libraries.into_iter().flat_map(toml::Table::values) {
        let text = |name: &str| library.get(name).and_then(toml::Value::as_str);
        let whole = library.as_str().or_else(|| text("module")).unwrap_or_default();
        let mut parts = whole.splitn(3, ':');
        let group = text("group").or_else(|| parts.next()).unwrap_or_default();
        let artifact = text("name").or_else(|| parts.next()).unwrap_or_default();
        if !is_java_client(group, artifact) {
            continue;
        }
        let reference =
            library.get("version").and_then(|version| version.get("ref")).and_then(toml::Value::as_str);
        let referred = reference.and_then(|name| versions?.get(name)?.as_str());
        let version = text("version").or(referred).or_else(|| parts.next());
        all.extend(version.and_then(|version| told(Library::Java, Rank::Written, version)));
    }
    all
}

fn node(name: &str) -> Option<Library> {
    match name {
        "kafkajs" => Some(Library::Kafkajs),
        "@confluentinc/kafka-javascript" => Some(Library::Librdkafka),
        _ => None,
    }
}

fn package(text: &str) -> Told {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let groups = ["dependencies", "devDependencies"].iter().filter_map(|name| json.get(name)?.as_object());
    // The JavaScript client of Confluent is not numbered as its librdkafka is.
    let found = groups.flatten().filter(|(name, _)| name.as_str() == "kafkajs");
    found.filter_map(|(name, version)| told(node(name)?, Rank::Written, version.as_str()?)).collect()
}

fn package_lock(text: &str) -> Told {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let version = json
        .pointer("/packages/node_modules~1kafkajs/version")
        .or_else(|| json.pointer("/dependencies/kafkajs/version"));
    let version = version.and_then(serde_json::Value::as_str);
    version.and_then(|version| told(Library::Kafkajs, Rank::Locked, version)).into_iter().collect()
}

fn python(name: &str) -> Option<Library> {
    match name.to_ascii_lowercase().replace('_', "-").as_str() {
        "confluent-kafka" => Some(Library::Librdkafka),
        "kafka-python" | "kafka-python-ng" => Some(Library::KafkaPython),
        "aiokafka" => Some(Library::Aiokafka),
        _ => None,
    }
}

/// `kafka-python[crc32c]==2.0.2 ; python_version > "3"`.
fn requirement(line: &str) -> Option<(Library, Rank, String)> {
    let line = line.split(['#', ';']).next()?.trim();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim();
    let rest = if rest.starts_with('[') { rest.split_once(']')?.1.trim() } else { rest };
    let library = python(name)?;
    (rest.starts_with("==") || rest.starts_with("~=")).then(|| told(library, Rank::Written, rest)).flatten()
}

fn pyproject(text: &str) -> Told {
    let table = table(text);
    let project = table.get("project").and_then(|project| project.get("dependencies"));
    let listed = project.and_then(toml::Value::as_array).into_iter().flatten();
    let mut all: Told = listed.filter_map(|line| requirement(line.as_str()?)).collect();
    let poetry = table.get("tool").and_then(|tool| tool.get("poetry")?.get("dependencies")?.as_table());
    for (name, version) in poetry.into_iter().flatten() {
        let version = version.as_str().or_else(|| version.get("version")?.as_str());
        all.extend(version.and_then(|version| told(python(name)?, Rank::Written, version)));
    }
    all
}

fn rust(name: &str) -> Option<Library> {
    // Its version is `4.9.0+2.10.0`: behind the plus is librdkafka's.
    (name == "rdkafka-sys").then_some(Library::Librdkafka)
}

/// `[[package]]` of Cargo's, Poetry's and uv's lock files.
fn packages(text: &str, library: fn(&str) -> Option<Library>) -> Told {
    let table = table(text);
    let all = table.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    all.filter_map(|package| {
        let library = library(package.get("name")?.as_str()?)?;
        let version = package.get("version")?.as_str()?;
        let version = version.split_once('+').map_or(version, |(_, behind)| behind);
        told(library, Rank::Locked, version)
    })
    .collect()
}

fn cargo(text: &str) -> Told {
    let table = table(text);
    let version = table.get("dependencies").and_then(|all| all.get("rdkafka-sys"));
    let version = version.and_then(|version| version.as_str().or_else(|| version.get("version")?.as_str()));
    let behind = version.and_then(|version| version.split_once('+')).map(|(_, behind)| behind);
    behind.and_then(|version| told(Library::Librdkafka, Rank::Written, version)).into_iter().collect()
}

fn go(text: &str) -> Told {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("require ").split("//").next()?;
        let (module, version) = line.trim().split_once(' ')?;
        let library = match module {
            "github.com/IBM/sarama" | "github.com/Shopify/sarama" => Library::Sarama,
            "github.com/segmentio/kafka-go" => Library::KafkaGo,
            "github.com/twmb/franz-go" => Library::FranzGo,
            "github.com/confluentinc/confluent-kafka-go"
            | "github.com/confluentinc/confluent-kafka-go/v2" => Library::Librdkafka,
            _ => return None,
        };
        told(library, Rank::Locked, version)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(path: &str, text: &str, library: Library) -> Option<String> {
        let mut versions = Versions::default();
        versions.read(path, text);
        versions.of("src/main/X.java", library).map(str::to_owned)
    }

    #[test]
    fn build_files_tell_versions() {
        let pom = "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><properties><k.v>2.8.1</k.v></properties><dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>${k.v}</version></dependency></dependencies></project>";
        let boot = "<project><parent><artifactId>spring-boot-starter-parent</artifactId><version>2.5.4</version></parent></project>";
        for (path, text, library, expected) in [
            ("pom.xml", pom, Library::Java, Some("2.8.1")),
            ("pom.xml", boot, Library::Java, Some("2.7")),
            ("pom.xml", "<project", Library::Java, None),
            (
                "build.gradle",
                "ext.kafkaVersion = '3.6.1'\nimplementation \"org.apache.kafka:kafka-clients:$kafkaVersion\"",
                Library::Java,
                Some("3.6.1"),
            ),
            (
                "build.gradle.kts",
                "implementation(\"org.apache.kafka:kafka-streams:3.9.0\")",
                Library::Java,
                Some("3.9.0"),
            ),
            (
                "gradle/libs.versions.toml",
                "[versions]\nk = \"4.0.0\"\n[libraries]\nc = { module = \"org.apache.kafka:kafka-clients\", version.ref = \"k\" }",
                Library::Java,
                Some("4.0.0"),
            ),
            ("package.json", "{\"dependencies\":{\"kafkajs\":\"^2.2.4\"}}", Library::Kafkajs, Some("2.2.4")),
            (
                "package-lock.json",
                "{\"packages\":{\"node_modules/kafkajs\":{\"version\":\"2.2.3\"}}}",
                Library::Kafkajs,
                Some("2.2.3"),
            ),
            ("requirements.txt", "kafka-python[x] == 2.0.2 # why", Library::KafkaPython, Some("2.0.2")),
            ("requirements-dev.txt", "aiokafka>=0.8", Library::Aiokafka, None),
            (
                "pyproject.toml",
                "[tool.poetry.dependencies]\nconfluent-kafka = \"^2.3.0\"",
                Library::Librdkafka,
                Some("2.3.0"),
            ),
            (
                "poetry.lock",
                "[[package]]\nname = \"aiokafka\"\nversion = \"0.10.0\"",
                Library::Aiokafka,
                Some("0.10.0"),
            ),
            (
                "go.mod",
                "require (\n\tgithub.com/IBM/sarama v1.43.0 // indirect\n)",
                Library::Sarama,
                Some("1.43.0"),
            ),
            (
                "Cargo.lock",
                "[[package]]\nname = \"rdkafka-sys\"\nversion = \"4.9.0+2.10.0\"",
                Library::Librdkafka,
                Some("2.10.0"),
            ),
        ] {
            assert_eq!(version(path, text, library).as_deref(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn the_nearest_folder_upwards_decides_and_a_lock_outranks() {
        let mut versions = Versions::default();
        versions.read("pyproject.toml", "[project]\ndependencies = [\"aiokafka==0.8.0\"]");
        versions.read("a/requirements.txt", "aiokafka==0.9.0");
        versions.read("a/poetry.lock", "[[package]]\nname = \"aiokafka\"\nversion = \"0.9.1\"");
        assert_eq!(versions.of("a/b/c.py", Library::Aiokafka), Some("0.9.1"));
        assert_eq!(versions.of("b/c.py", Library::Aiokafka), Some("0.8.0"));
        assert_eq!(versions.of("b/c.py", Library::KafkaPython), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(org\\.apache\\.kafka:|version|\\$|[a-z<>\\[\\]{}=\":'^~ \n.é0-9])*", at in 0..7_usize) {
            let names = ["pom.xml", "build.gradle", "package.json", "requirements.txt", "pyproject.toml", "go.mod", "Cargo.lock"];
            Versions::default().read(names[at], &text);
        }
    }
}
