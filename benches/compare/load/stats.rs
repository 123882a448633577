//! Percentiles of what was timed.

use std::time::Duration;

use serde_json::{Value, json};

/// Microseconds at the percentiles that the table shows.
pub fn summary(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() as f64 - 1.0) * share).round() as usize;
        times.get(index).map_or(0.0, |time| time.as_nanos() as f64 / 1000.0)
    };
    json!({ "count": times.len(), "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "max_us": at(1.0) })
}

pub fn print(value: &Value) {
    println!("{value}");
}
