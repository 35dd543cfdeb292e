//! Reports: data in, bytes out. They know the record and nothing of the mirror, so each can be remade.

mod alerts;
pub mod github;
pub mod history;
pub mod html;
pub mod json;
pub mod junit;
pub mod summary;
pub mod terminal;
pub mod words;

#[cfg(test)]
mod numbers;

/// Records to try the reports with.
#[cfg(test)]
#[path = "../../tests/samples/mod.rs"]
pub(crate) mod samples;

use anyhow::Result;
use strum::{EnumString, VariantNames};

use crate::attest::statement::Statement;
use crate::record::v1::Record;

/// The reports that `--report KIND=PATH` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ReportKind {
    /// The record.
    Json,
    /// JUnit, as the contract has it.
    Junit,
    /// JUnit for Jenkins' schema.
    JunitJenkins,
    /// JUnit for Ant's schema.
    JunitAnt,
    /// The job summary.
    Summary,
    /// What a release manager reads.
    Html,
    /// The predicate of a signed verdict, for who signs without a key of ours.
    Predicate,
}

impl ReportKind {
    /// The report's bytes.
    ///
    /// # Errors
    /// The record cannot be written in that form.
    pub fn write(self, result: &Record) -> Result<Vec<u8>> {
        let junit = |dialect| junit::write(result, dialect).map(String::into_bytes);
        match self {
            Self::Json => Ok(serde_json::to_vec_pretty(result)?),
            Self::Junit => junit(junit::Dialect::Default),
            Self::JunitJenkins => junit(junit::Dialect::Jenkins),
            Self::JunitAnt => junit(junit::Dialect::Ant),
            Self::Html => html::write(result, html::BUDGET).map(String::into_bytes),
            Self::Predicate => Ok(serde_json::to_vec_pretty(&Statement::of(result)?.predicate)?),
            Self::Summary => Ok(summary::write(result, summary::BUDGET).into_bytes()),
        }
    }
}
