//! `rehearsal completions`: what a shell completes.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::tell;

pub fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut written = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "rehearsal", &mut written);
    // Nobody reading any more is no failure.
    let _read = tell(String::from_utf8_lossy(&written).trim_end());
    ExitCode::Pass
}

/// The command line without what no user calls.
pub(super) fn visible() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set());
    let about = all.get_about().cloned().unwrap_or_default();
    clap::Command::new("rehearsal")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommands(shown.cloned())
}
