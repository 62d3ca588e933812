//! Folders of configuration and source, with everything that a file system may hold.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use klamm_evidence::{code, files};
use klamm_rules::Seen;
use klamm_rules::evidence::FileEvidence;

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(fs::write(path, content)?)
}

fn wide(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

const PRODUCER: &str = "bootstrap.servers=h:1\nacks=1\nkey.serializer=K\nvalue.serializer=V\n";

fn partial(seen: Seen<FileEvidence>) -> Result<(FileEvidence, Vec<String>)> {
    match seen {
        Seen::Partial { value, missing } => Ok((value, missing)),
        other => anyhow::bail!("not partial: {other:?}"),
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    write(root, "b/producer.properties", PRODUCER)?;
    write(root, "a/wide.properties", wide(PRODUCER))?;
    write(root, "a/latin.properties", [b"# caf\xe9\n", PRODUCER.as_bytes()].concat())?;
    write(root, "a/binary.properties", b"acks\0\0=1")?;
    write(root, "broken.yaml", "kafka: [1\n")?;
    write(root, "node_modules/x/producer.properties", PRODUCER)?;
    write(root, "pom.xml.yaml/inner.txt", "a folder with the name of a file")?;
    write(root, "huge.yaml", "kafka: x\n".repeat(600_000))?;
    symlink(root, root.join("b/loop"))?;
    symlink(root.join("nowhere"), root.join("b/dangling.properties"))?;
    ensure!(Command::new("mkfifo").arg(root.join("pipe.properties")).status()?.success());

    let (found, missing) = partial(files::collect(root))?;
    let places: Vec<&str> = found.clients.iter().map(|client| client.place.file.as_str()).collect();
    assert_eq!(places, ["a/latin.properties", "a/wide.properties", "b/producer.properties"]);
    let named: Vec<&str> = missing.iter().filter_map(|missing| missing.split(": ").next()).collect();
    for file in [
        "a/binary.properties",
        "b/dangling.properties",
        "b/loop",
        "broken.yaml",
        "huge.yaml",
        "pipe.properties",
    ] {
        assert!(named.contains(&file), "{file}: {missing:?}");
    }
    assert_eq!(named.len(), 6, "{missing:?}");
    assert_eq!(files::collect(root), files::collect(root), "the order is always the same");
    Ok(())
}

#[test]
fn a_single_file_and_no_folder_at_all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), "producer.properties", PRODUCER)?;
    let seen = files::collect(&folder.path().join("producer.properties"));
    ensure!(matches!(&seen, Seen::Full(found) if found.clients.len() == 1), "{seen:?}");
    let none = files::collect(&folder.path().join("none"));
    ensure!(matches!(&none, Seen::Failed { why } if why.contains("none")), "{none:?}");
    Ok(())
}

#[test]
fn clients_in_files_have_the_version_that_the_project_is_built_with() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pom = "<project><dependencies><dependency><groupId>org.apache.kafka</groupId>\
               <artifactId>kafka-clients</artifactId><version>2.8.1</version></dependency></dependencies></project>";
    write(folder.path(), "app/pom.xml", pom)?;
    write(folder.path(), "app/src/main/resources/p.properties", PRODUCER)?;
    write(folder.path(), "other/p.properties", PRODUCER)?;
    let Seen::Full(found) = files::collect(folder.path()) else { anyhow::bail!("not all was read") };
    let versions: Vec<Option<&str>> = found.clients.iter().map(|client| client.version.as_deref()).collect();
    assert_eq!(versions, [Some("2.8.1"), None]);
    Ok(())
}

#[test]
fn no_secret_is_kept_anywhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    const SECRET: &str = "c0rrect-h0rse";
    let jaas = format!("sasl.jaas.config=X required username=\"u\" \\\n  password=\"{SECRET}\";\n");
    write(root, "client.properties", format!("{PRODUCER}{jaas}"))?;
    write(root, "server.properties", format!("node.id=1\nlog.dirs=/d\nssl.keystore.password={SECRET}\n"))?;
    write(root, "kcat.conf", format!("bootstrap.servers=h:1\nsasl.password={SECRET}\n"))?;
    write(
        root,
        "c.json",
        format!(
            "{{\"name\":\"c\",\"config\":{{\"connector.class\":\"X\",\"connection.url\":\"jdbc://u:{SECRET}@h/\"}}}}"
        ),
    )?;
    write(root, "application.yml", format!("spring.kafka.ssl.trust-store-password: {SECRET}\n"))?;
    write(
        root,
        "compose.yml",
        format!(
            "services:\n  k:\n    image: apache/kafka\n    environment:\n      KAFKA_LISTENERS: x\n      KAFKA_SSL_KEY_PASSWORD: {SECRET}\n"
        ),
    )?;
    write(
        root,
        "mm2.properties",
        format!("clusters=A,B\nA->B.enabled=true\nA.sasl.jaas.config=X required password='{SECRET}';\n"),
    )?;
    write(
        root,
        "k.yaml",
        format!("kafka:\n  bootstrap_servers: h:1\n  sasl_plain_password: {SECRET}\n  acks: 1\n"),
    )?;
    let Seen::Full(found) = files::collect(root) else { anyhow::bail!("not all was read") };
    ensure!(!format!("{found:?}").contains(SECRET), "{found:?}");
    let mut named: Vec<&str> = found.secrets.iter().map(|secret| secret.place.file.as_str()).collect();
    named.dedup();
    assert_eq!(
        named,
        [
            "application.yml",
            "c.json",
            "client.properties",
            "compose.yml",
            "k.yaml",
            "kcat.conf",
            "mm2.properties",
            "server.properties"
        ]
    );
    Ok(())
}

#[test]
fn source_files_are_counted_and_what_cannot_be_read_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    write(root, "src/A.java", "class A {}\n// two\n")?;
    write(root, "src/b.py", "x = 1\n")?;
    write(root, "src/blob.go", b"package\0x")?;
    write(root, "target/C.java", "class C {}\n")?;
    write(root, "notes.txt", "kafka\n")?;
    symlink(root, root.join("src/loop"))?;
    let Seen::Partial { value, missing } = code::collect(root) else { anyhow::bail!("not partial") };
    assert_eq!((value.files, value.lines), (2, 3));
    assert_eq!(missing.len(), 2, "{missing:?}");
    Ok(())
}
