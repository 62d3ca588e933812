//! Runs a broker until its standard input ends: `serve [--data-dir DIR] [--listen HOST:PORT]`.
//!
//! Prints one line with the address. The crash tests start it as a process that they can kill, and people can point any Kafka
//! client at it.

use klamm_broker::{Broker, BrokerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = BrokerConfig::default();
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or("each flag takes a value")?;
        match flag.as_str() {
            "--data-dir" => config.data_dir = Some(value.into()),
            "--listen" => config.listen = value.parse()?,
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    let broker = Broker::start(config).await?;
    println!("{}", broker.bootstrap());
    // A parent that dies closes the pipe: nothing is left running.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    broker.shutdown().await?;
    Ok(())
}
