//! What a file does with Kafka, as JSON.

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let unit = klamm_code::read(&path, &text);
        println!("{}", serde_json::to_string_pretty(&unit).unwrap_or_default());
    }
}
