//! The command line.

use clap::{Parser, Subcommand};

use crate::measure::{connect, idle, publish, rate};
use crate::{commands, compare, floor};

/// Drives any MQTT server, over TCP, TLS or WebSocket, and accounts what it costs that server.
#[derive(Parser)]
#[command(name = "landfall-load", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  # Throughput and CPU per message of a server that runs already
  landfall-load publish --address 127.0.0.1:1883 --pid $(pidof mosquitto)
  # 50 devices, 5,000 messages a second in all, latency from when each was due
  landfall-load rate --rate 5000 --pid $(pidof mosquitto) --json
  # Landfall as its devices d0 to d49
  landfall-load publish --username d{i}@bench --password secret --pid $(pidof landfall)
  # Memory of 5,000 connections that wait for commands
  landfall-load idle -n 5000 --pid $(pidof mosquitto)
  # Full TLS handshakes and log-ins a second
  landfall-load connect --over tls --ca ca.pem --address 127.0.0.1:8883 --pid $(pidof mosquitto)
  # Commands a second, and their latency, with 1,000 devices d0 to d999 of application bench
  landfall-load commands --username d{i}@bench --password secret --token-file token
  # Medians and ratios of Landfall, mosquitto and the floor server
  landfall-load compare --landfall target/release/landfall --mosquitto --floor

Exit status: 1 the server failed, 2 the command line is wrong, 3 the machine failed.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Publish as fast as the server takes it
    Publish(publish::Spec),
    /// Publish at a fixed rate, one message at a time per connection
    Rate(rate::Spec),
    /// Log in and leave, again and again
    Connect(connect::Spec),
    /// Hold connections that wait for commands
    Idle(idle::Spec),
    /// Send commands to devices, and wait until each is acknowledged
    Commands(commands::Spec),
    /// Measure several servers in turns and print medians and ratios
    Compare(compare::Spec),
    /// Run the floor server: the least that can answer this tool
    RunFloor(floor::Spec),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_shows_the_placeholder_of_the_connections_number() {
        // clap takes `{n}` for a line break.
        let mut command = Cli::command();
        let publish = command.find_subcommand_mut("publish").unwrap();
        let help = publish.render_long_help().to_string();
        assert!(
            help.contains("Topic; {i} is the connection's number"),
            "{help}"
        );
        assert!(
            command
                .render_long_help()
                .to_string()
                .contains("d{i}@bench")
        );
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let password = "hunter2-hunter2";
        let cli = Cli::try_parse_from([
            "landfall-load",
            "publish",
            "--password",
            password,
            "--qos",
            "3",
        ]);
        assert!(!cli.err().unwrap().to_string().contains(password));
    }
}
