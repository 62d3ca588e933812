//! `klamm`: from requirements to proven production on Apache Kafka.

mod acl;
mod apply;
mod args;
mod ask;
mod audit;
mod bench;
mod broker;
mod connect;
mod doctor;
mod export;
mod failure;
mod import;
mod init;
mod journal;
mod keys;
mod load;
mod maintenance;
mod plan;
mod repartition;
mod screen;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::args::{
    AclCommand, BenchCommand, BrokerArgs, BrokerCommand, Cli, Command, SpecCommand, TxnCommand,
};
use crate::failure::{Exit, Failure, Json, Outcome};

/// What background work gets at the end.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json();
    let outcome = run(cli).and_then(|exit| match screen::output_failed() {
        None => Ok(exit),
        Some(error) => Err(Failure::new(format!("cannot write to standard output: {error}"))
            .hint("what was done is done; only its description is missing")),
    });
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print(json);
            Exit::Failure.into()
        }
    }
}

fn run(cli: Cli) -> Outcome {
    match cli.command {
        Command::Up(args) => in_runtime(up::run(&args)),
        Command::Init(args) => init::run(&args),
        Command::Plan(args) => in_runtime(plan::run(&args)),
        Command::Import(args) => in_runtime(import::run(&args)),
        Command::Export(args) => export::run(&args),
        Command::Apply(args) => in_runtime(apply::run(&args)),
        Command::Journal(args) => in_runtime(journal::run(&args)),
        Command::Bench { what: BenchCommand::Partition(args) } => in_runtime(bench::partition(&args)),
        Command::Acl { what: AclCommand::Simulate(args) } => in_runtime(acl::simulate_and_print(&args)),
        Command::Audit(args) => in_runtime(audit::run(&args)),
        Command::Explain(args) => audit::explain(&args),
        Command::Txn { what } => in_runtime(audit::txn(&what)),
        Command::Doctor(args) => in_runtime(doctor::run(&args)),
        Command::CanStop(args) => in_runtime(maintenance::can_stop(&args)),
        Command::Keys(args) => in_runtime(keys::run(&args)),
        Command::Repartition(args) => in_runtime(repartition::run(&args)),
        Command::Broker(args) => match &args.command {
            Some(command) => in_runtime(maintenance::broker(command)),
            None => in_runtime(broker::run(&args)),
        },
        Command::Spec { what: SpecCommand::Schema } => print(klamm_plan::json_schema().as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "klamm", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(|error| Failure::new(format!("cannot make the man page: {error}")))?;
            print(&page)
        }
    }
}

fn print(text: &[u8]) -> Outcome {
    screen::say_text(&String::from_utf8_lossy(text));
    Ok(Exit::Clean)
}

fn in_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let outcome = runtime.block_on(work);
    // What still runs has no one to answer to: a look-up of a name may take longer than anybody waits.
    runtime.shutdown_timeout(LEAVE_WITHIN);
    outcome
}

impl Cli {
    fn json(&self) -> Json {
        let output = match &self.command {
            Command::Up(args) => args.output,
            Command::Bench { what: BenchCommand::Partition(args) } => args.output,
            Command::Acl { what: AclCommand::Simulate(args) } => args.output,
            Command::Audit(args) => args.report.output,
            Command::Txn {
                what: TxnCommand::FindHanging { output, .. } | TxnCommand::Abort { output, .. },
            } => *output,
            Command::Doctor(args) => args.output,
            Command::Plan(args) => args.look.output,
            Command::Apply(args) => args.change.output,
            Command::Keys(args) => args.output,
            Command::Repartition(args) => args.change.output,
            Command::Journal(args) => args.output,
            Command::CanStop(args) => args.output,
            Command::Broker(BrokerArgs { command: None, json, .. }) => {
                return if *json { Json::Yes } else { Json::No };
            }
            Command::Broker(BrokerArgs { command: Some(command), .. }) => match command {
                BrokerCommand::Drain { how, .. } | BrokerCommand::Replace { how, .. } => how.change.output,
                BrokerCommand::RestartOrder { output, .. } => *output,
            },
            _ => return Json::No,
        };
        if output.json { Json::Yes } else { Json::No }
    }
}
