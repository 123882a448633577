//! The operating system: the only `unsafe`, the only `cfg(target_os)`.
//!
//! Owns what is asked of the kernel and the user database: clocks, private files and folders, the
//! peer of a socket, processes, locked memory. Every function is there on every platform; where a
//! platform has no answer the result says so. Decides nothing: policy is made of what it returns.

pub mod activation;
mod clock;
pub mod durable;
mod files;
pub mod folders;
mod harden;
pub mod hold;
pub mod keyring;
pub mod memory;
pub mod mounts;
pub mod peer;
pub mod process;
mod random;
pub mod ready;
pub mod tree;
mod user;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as platform;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

pub use clock::now;
#[cfg(unix)]
pub use files::open_folder;
pub use files::{is_own_dir, own_dir, private_dir, private_file, reserve};
pub use harden::{harden, raise_file_limit};
pub use random::random;
pub use user::{home, uid, user_name};
