//! The doorbell.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(rehearsal::command::main().number())
}
