//! A first configuration, guessed from production's Compose file: what `rehearsal init` writes.
//!
//! Nothing here asks production or an engine. Every guess is a line of the file with the reason beside it, so that whoever
//! reads it can say no; what nobody can know is left out and said.

mod auth;
mod draft;
mod hosts;
mod openapi;
mod products;
mod release;
mod secrets;
mod seen;
mod smoke;
mod text;
pub mod workflow;

pub use auth::{Auth, Issuer, Login};
pub use draft::{Dotenv, Draft, Found};
pub use hosts::{Host, Hosts, Share};
pub use release::{Choice, Published, Release, Repository};
pub use secrets::{Replaced, Secrets};
pub use seen::Seen;
pub use smoke::{Asks, LeftOut, Promised, Smoke, Step};
pub use text::yaml;
