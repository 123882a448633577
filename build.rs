//! Rebuilds when a data file changes: `include_dir!` embeds them without telling cargo.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo:rerun-if-changed=data");
}
