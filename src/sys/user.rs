//! The user this process runs as.

use std::path::PathBuf;

use super::platform;

/// This process's uid.
pub fn uid() -> u32 {
    platform::uid()
}

/// The user's name: from the user database, else from `$USER`, else `uid-` and the number.
pub fn user_name() -> String {
    platform::user_name()
        .or_else(|| std::env::var("USER").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid-{}", uid()))
}

/// The home folder: `$HOME`, else from the user database.
pub fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_name_is_that_of_the_user_database() {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let wanted = format!("{}", uid());
        let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&wanted));
        if let Some(line) = line {
            assert_eq!(user_name(), line.split(':').next().unwrap());
        } else {
            assert!(!user_name().is_empty());
        }
        assert!(home().unwrap().is_absolute());
    }
}
