//! Reports: data in, bytes out. They know the record and nothing of the mirror, so each can be remade.

pub mod result;
pub mod text;
