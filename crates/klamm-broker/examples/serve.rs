//! Runs a broker until its standard input ends: `serve [--data-dir DIR] [--listen HOST:PORT] [--user NAME:PASSWORD]...
//! [--super-user PRINCIPAL]`.
//!
//! With a super user (`User:ANONYMOUS` for clients without a name) it asks an authorizer. With users it listens with SASL_PLAINTEXT (PLAIN and SCRAM), and asks an authorizer; the first user may do everything.
//!
//! Prints one line with the address. The crash tests start it as a process that they can kill, and people can point any Kafka
//! client at it.

use klamm_broker::{AuthorizerConfig, Broker, BrokerConfig, Listener, SaslMechanism, SecurityProtocol};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = BrokerConfig::default();
    let mut users = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or("each flag takes a value")?;
        match flag.as_str() {
            "--data-dir" => config.data_dir = Some(value.into()),
            "--listen" => config.listen = value.parse()?,
            "--user" => {
                let (name, password) = value.split_once(':').ok_or("a user is NAME:PASSWORD")?;
                users.push((name.to_owned(), password.to_owned()));
            }
            "--super-user" => {
                config.security.authorizer =
                    Some(AuthorizerConfig { super_users: [value].into(), ..Default::default() });
            }
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    if let Some((name, _)) = users.first() {
        let listener = Listener::local(SecurityProtocol::SaslPlaintext);
        config.listeners = vec![Listener { addr: config.listen, ..listener }];
        config.security.authorizer =
            Some(AuthorizerConfig { super_users: [format!("User:{name}")].into(), ..Default::default() });
        let sasl = &mut config.security.sasl;
        sasl.mechanisms = SaslMechanism::ALL.to_vec();
        sasl.plain_users = users.iter().cloned().collect();
        sasl.scram_users = users.into_iter().collect();
    }
    let broker = Broker::start(config).await?;
    println!("{}", broker.bootstrap());
    // A parent that dies closes the pipe: nothing is left running.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    broker.shutdown().await?;
    Ok(())
}
