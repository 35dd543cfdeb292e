//! A run that is refused: what the user has to mend, on the terminal and in the job that asked for it.

use super::common::{refuse, shown};
use super::repository;
use crate::cli::Format;
use crate::context::Context;
use crate::publish::github::Job;
use crate::record::exit_code::ExitCode;
use crate::report::github::Mistake;
use crate::report::terminal::say;
use crate::text::redact::Redactor;
use crate::yaml::diagnostic::Diagnostic;

/// How a run is told where nobody says it.
pub(super) fn format(asked: Option<Format>, context: &Context) -> Format {
    asked.unwrap_or(if context.github { Format::Github } else { Format::Human })
}

/// The job's files.
pub(super) fn job(context: &Context) -> Job {
    Job {
        output: context.path("GITHUB_OUTPUT"),
        step_summary: context.path("GITHUB_STEP_SUMMARY"),
    }
}

/// Says the mistakes; the exit code says that nothing was started.
pub(super) fn mistakes(errors: &[Diagnostic], asked: Option<Format>, context: &Context) -> ExitCode {
    let code = refuse(errors);
    if format(asked, context) == Format::Github {
        let mistakes: Vec<Mistake> = errors.iter().map(|error| mistake(error, context)).collect();
        let problems = job(context).refuse(&mistakes, code.number(), &mut std::io::stdout());
        for problem in problems {
            say(format!("warning: {}", shown(problem, &Redactor::default())));
        }
    }
    code
}

fn mistake(error: &Diagnostic, context: &Context) -> Mistake {
    let place = error.span.as_ref().map(|span| {
        let (line, column) = span.line_column();
        (repository::path(&span.source.path, context), line, column)
    });
    Mistake {
        place,
        message: error.message.clone(),
        way_out: error.help.clone(),
    }
}
