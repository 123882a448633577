//! The integration tests: one binary, because linking is what takes the time.

mod api;
mod approve;
mod architecture;
mod audit;
mod canary;
mod daemon_lifecycle;
mod env;
mod exec;
mod faults;
mod fuzz;
mod gateway;
mod mint;
mod narrow;
mod principal;
mod store_keyring;
mod support;
mod terminal;
mod trust;
mod upstream;
mod wire;
