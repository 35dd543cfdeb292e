//! The ids of the built-in checks: one list, in the order in which they speak for the first cause. An id outlives the
//! check's code, so those of the catalog that are not built yet stand here, too: a waiver may name them.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

/// Id of a check.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CheckId {
    /// The mirror is production where it must be.
    MirrorFidelity,
    /// Production itself passes on the mirror.
    Control,
    /// What the candidate needs is what production has.
    RuntimeConstraint,
    /// Restarts, exits, memory kills, start time.
    StartAndRestart,
    /// The sign-in.
    AuthLogin,
    /// Tokens that must be refused.
    AuthRefusals,
    /// Sessions across every switch.
    SessionSurvival,
    /// The candidate in production's environment.
    BootProductionEnv,
    /// The same volumes, under traffic.
    UpgradeInPlace,
    /// The way back.
    Rollback,
    /// Something notices when the authentication dependency is gone.
    AuthExercised,
    /// Something notices when a candidate is gone.
    CandidateExercised,
    /// New lines in logs.
    LogDifference,
    /// New hosts outside.
    Egress,
    /// Variables that the candidate no longer reads.
    EnvContract,
    /// The candidate's own validators.
    NativeConfig,
    /// Effective settings.
    EffectiveConfig,
    /// Users, modes, paths.
    FilesystemAccess,
    /// Libraries and symbol versions.
    ElfClosure,
    /// Processor, kernel, system calls.
    HostFloor,
    /// Imports.
    ImportSweep,
    /// The candidate's own TLS client.
    TlsMatrix,
    /// Roles of databases.
    DbLogin,
    /// Migrations as production's role.
    MigrateAsProduction,
    /// Schemas before and after.
    SchemaDrift,
    /// Commands to stores and brokers.
    ProtocolCommands,
    /// The same requests on both releases.
    StateReplay,
    /// Tokens that must be accepted.
    AuthTokens,
    /// What the candidate asks of the product.
    AuthCapability,
    /// Calls at the product's front.
    AuthTraffic,
    /// The product down, slow, refusing.
    AuthFaults,
    /// Rotated keys, shifted clocks.
    AuthRotationSkew,
    /// The product's own new key.
    AuthRotate,
    /// LDAP, SAML, RADIUS.
    AuthDirectory,
    /// Both releases side by side.
    UpgradeRolling,
    /// A second upgrade.
    UpgradeAgain,
    /// The dependency's next version.
    DependencyNext,
    /// Specifications.
    OpenapiBreaking,
    /// Recorded requests.
    ClientReplay,
    /// Messages and cache entries.
    MessageCompat,
    /// Red where a dependency refuses.
    ReadinessHonesty,
    /// A request in flight at the stop.
    GracefulStop,
    /// Latency and errors under load.
    Load,
    /// Latency against the baseline's, side by side.
    Slowdown,
    /// The rate at which each release breaks.
    Capacity,
    /// Resources for each request.
    ResourceUse,
    /// Alerts before users notice.
    AlertLeadTime,
    /// The one dependency that decides.
    Culprit,
}

impl CheckId {
    /// All of them.
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;

    /// As in reports, waivers and JUnit names.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
