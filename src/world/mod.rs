//! The world: production in our own words, whatever described it. Compose is its first reader.

pub mod addresses;
pub mod beside;
pub mod candidates;
pub mod deploy;
pub mod from_compose;
pub mod model;
pub mod one_tree;
pub mod outliving;
pub mod replica;
