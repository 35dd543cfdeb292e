//! Programs that hear signals, whoever started the tests.

use std::process::Command;

/// A command that ignores no signal. What a shell starts in the background ignores SIGINT, what `nohup` starts SIGHUP, and
/// whatever that starts inherits it: such a run goes on where its test sends a signal. `env` sets all of them to their
/// default and becomes the program, under the same process id.
pub fn hears_signals(program: &str) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(program);
    command
}
