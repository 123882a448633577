//! Adopt: a tool asks hallpass instead of holding a key.
//!
//! Owns what becomes of each secret in a tool's file: which entry of the catalogue fits, what is changed in the file for
//! it, and what the tool may then do. Pure; the journal is the quarantine's, and only what was agreed to is done.

mod contract;
pub mod edit;
mod file;
mod hcl;
mod hunk;
mod ini;
pub mod plan;
mod remote;
pub mod reverse;
mod spans;
mod template;
mod tree;
mod words;
mod wrap;
mod written;
mod yaml;

pub use hunk::hunks;
pub use plan::{Edit, Entry, Outcome, Planned, Secret, Step, Tool, plan};
pub use tree::Tree;
