//! What runs inside the mirror, and what takes a run down when its gate has died.

use anyhow::Result;

use super::common::context;
use crate::agent;
use crate::cli::{AgentArgs, AgentRole, ReapArgs};
use crate::engine::reaper;
use crate::interrupt::Interrupt;
use crate::record::exit_code::ExitCode;

pub async fn serve(args: &AgentArgs) -> Result<ExitCode> {
    match args.role {
        AgentRole::Serve => agent::serve::serve(tokio::io::stdin(), tokio::io::stdout()).await?,
        AgentRole::Hold => {
            Interrupt::listen()?.wait().await;
        }
        AgentRole::Entrance => agent::entrance::pass_on(&args.passages).await?,
    }
    Ok(ExitCode::Pass)
}

pub async fn reap(args: &ReapArgs) -> Result<ExitCode> {
    if args.detach {
        reaper::detach(&args.run, &args.lock, &args.out)?;
    } else {
        reaper::reap(&args.run, &args.lock, &args.out, &context()?).await?;
    }
    Ok(ExitCode::Pass)
}
