//! The command line.
//!
//! Results go to standard output, so that they can be piped; what a person follows meanwhile goes to
//! standard error, and only when it is a terminal. An error says what is wrong and what to do next.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | a file, a folder or a key cannot be used |
//! | 2 | the command line is wrong |
//! | 3 | the server cannot be reached |
//! | 4 | the server, or a rule, refuses |
//! | 10 | `archive verify` has findings, or `archive fetch` got not all documents |

mod admin;
mod archive;
mod chat;
mod demo;
mod failure;
mod serve;
mod terminal;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rand::CryptoRng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

pub use failure::Failure;

#[derive(Parser)]
#[command(
    name = "hauspost",
    version,
    about = "A company messenger that the company runs itself.",
    after_help = "Example, a company on this machine:\n  \
        hauspost serve --data server --listen 127.0.0.1:8443\n  \
        hauspost admin found --server https://127.0.0.1:8443 --ca server/ca.pem \\\n      \
        --token server/founding-token --name \"Muster GmbH\" --keys keys\n  \
        hauspost admin invite anna --name \"Anna Berg\" --keys keys/admin"
)]
struct Arguments {
    /// Show no progress.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the company's server.
    Serve(serve::Serve),
    #[command(subcommand)]
    Admin(admin::Admin),
    #[command(subcommand)]
    Archive(archive::Archive),
    #[command(subcommand)]
    Witness(witness::Witness),
    Chat(chat::Chat),
    Demo(demo::Demo),
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = terminal::Terminal::new(arguments.quiet);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::files(format!("the system gives no threads: {error}")).report();
        }
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Serve(serve) => serve.run(&terminal).await,
            Command::Admin(admin) => Box::pin(admin.run(&terminal)).await,
            Command::Archive(archive) => Box::pin(archive.run(&terminal)).await,
            Command::Witness(witness) => Box::pin(witness.run(&terminal)).await,
            Command::Chat(chat) => Box::pin(chat.run(&terminal)).await,
            Command::Demo(demo) => Box::pin(demo.run(arguments.quiet)).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The system's clock, Unix time in milliseconds.
fn now_ms() -> u64 {
    (crate::serve::system_clock())()
}

/// The system's generator.
fn rng() -> impl CryptoRng + Send {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_has_help_with_an_example() {
        fn walk(command: &clap::Command, path: &str) {
            let name = format!("{path} {}", command.get_name());
            if own(command).next().is_none() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{name} has no example");
            }
            assert!(command.get_about().is_some(), "{name} says not what it does");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{name}: {} is not explained",
                    argument.get_id()
                );
            }
            own(command).for_each(|sub| walk(sub, &name));
        }
        let mut command = Arguments::command();
        command.build();
        own(&command).for_each(|sub| walk(sub, "hauspost"));
    }

    /// The commands that are ours, without clap's own `help`.
    fn own(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
        command.get_subcommands().filter(|sub| sub.get_name() != "help")
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
