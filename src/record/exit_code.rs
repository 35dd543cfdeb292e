//! How a process ends: the documented codes, and no others.

/// What the process says when it ends; for `run` the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// `pass`; of other commands: done, the answer is yes.
    Pass = 0,
    /// `block`; of other commands: the answer is no.
    Block = 1,
    /// Usage or configuration: nothing was started.
    Usage = 2,
    /// `inconclusive`; of other commands: what was asked for could not be done, or could not be told.
    Inconclusive = 3,
    /// A bug in Rehearsal.
    Bug = 70,
    /// Interrupted by SIGINT; reports are written.
    Interrupted = 130,
    /// Asked to end by SIGTERM or SIGHUP; reports are written.
    Terminated = 143,
}

impl ExitCode {
    /// As the operating system has it.
    pub const fn number(self) -> u8 {
        self as u8
    }
}
