//! Both clocks at once.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use super::platform;
use crate::clock::{BootId, Moment};

/// This moment on the wall clock and on the boot clock, which runs through suspend.
pub fn now() -> Moment {
    let wall_ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    let boot_ms = platform::boot_ms();
    Moment { wall_ms, boot_ms, boot: boot_id(wall_ms, boot_ms) }
}

/// The boot id, read once. Where the system tells none it is the moment of the boot as this process
/// sees it: another process may see another, and then goes by the wall clock, which is the safe side.
fn boot_id(wall_ms: i64, boot_ms: i64) -> BootId {
    static ID: OnceLock<BootId> = OnceLock::new();
    *ID.get_or_init(|| BootId(platform::boot_id().unwrap_or(wall_ms.wrapping_sub(boot_ms))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_runs_forward_within_one_boot() {
        let (first, second) = (now(), now());
        assert_eq!(first.boot, second.boot);
        assert!(first.boot_ms > 0 && second.boot_ms >= first.boot_ms);
        // 2020-01-01: a wall clock before it would mean the units are wrong.
        assert!(first.wall_ms > 1_577_836_800_000 && first.wall_ms < 10_000_000_000_000);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_boot_id_is_the_kernels() {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let hex: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        assert_eq!(now().boot.0, u64::from_str_radix(&hex, 16).unwrap() as i64);
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!((now().boot_ms as f64 / 1000.0 - seconds).abs() < 5.0);
    }
}
