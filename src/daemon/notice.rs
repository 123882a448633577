//! Telling a person: on the desktop, and in the next prompt of every shell with the hook.
//!
//! Owns both ways. Neither may fail what it tells of, and neither says anything of a secret's value.

use std::io::Write as _;

use super::state::State;
use crate::sys;

/// The most of the shell's notices that are kept, in bytes.
const MAX: u64 = 64 * 1024;

/// Tells it.
pub fn tell(state: &State, title: &str, text: &str) {
    tracing::info!("{title}: {text}");
    if let Err(error) = to_shells(state, title, text) {
        tracing::warn!("the shells' notices cannot be written: {error}");
    }
    to_desktop(title.to_owned(), text.to_owned());
}

/// One line in a file that the shell hooks look at: each shows what is new since it last looked.
fn to_shells(state: &State, title: &str, text: &str) -> std::io::Result<()> {
    let mut file = sys::private_file(&state.paths.notices(), true)?;
    if file.metadata()?.len() > MAX {
        file.set_len(0)?;
    }
    let line = format!("{title}: {text}");
    writeln!(file, "{}", crate::principal::printable(&line.replace('\n', " ")))
}

/// On a thread of its own: a desktop that does not answer holds nothing up. Without a session bus nothing is said.
fn to_desktop(title: String, text: String) {
    if std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_none() {
        return;
    }
    let show = move || {
        let mut notification = notify_rust::Notification::new();
        if let Err(error) = notification.appname("hallpass").summary(&title).body(&text).show() {
            tracing::debug!("no desktop notice: {error}");
        }
    };
    drop(std::thread::Builder::new().name("notice".into()).spawn(show));
}
