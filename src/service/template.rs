//! The units' texts, made of the templates in `packaging/`.
//!
//! Owns the quoting: a path with a space, a `%`, a `"` or a `&` must come out as that path.

use std::path::Path;

use super::Manager;
use crate::{
    api::problem::Code,
    error::{Error, Result},
    paths::Paths,
};

/// In the first lines of every file that hallpass writes here.
pub(super) const MARKER: &str = "Written by `hallpass service install`";

/// One unit's file.
pub(super) struct Unit {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// The files for this manager.
pub(super) fn units(manager: Manager, paths: &Paths, exe: &Path) -> Result<Vec<Unit>> {
    units_with(manager, paths, exe, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn units_with(
    manager: Manager,
    paths: &Paths,
    exe: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Unit>> {
    // The service must find the same folders as the command that installed it.
    let kept: Vec<(&str, String)> =
        ["HALLPASS_HOME", "HALLPASS_SOCKET"].into_iter().filter_map(|name| Some((name, variable(name)?))).collect();
    let exe = text(exe)?;
    match manager {
        Manager::Systemd => {
            let mut environment = String::new();
            for (name, value) in &kept {
                environment.push_str(&format!("Environment={}\n", quoted(&format!("{name}={}", plain(value)?))));
            }
            let service = include_str!("../../packaging/systemd/hallpass.service.in")
                .replace("@EXE@", &quoted(&exe).replace('$', "$$"))
                .replace("@ENVIRONMENT@\n", &environment);
            let api = include_str!("../../packaging/systemd/hallpass.socket.in");
            let gateway = include_str!("../../packaging/systemd/hallpass-gateway.socket.in");
            Ok(vec![
                Unit { name: "hallpass.service", text: service },
                Unit { name: "hallpass.socket", text: api.replace("@SOCKET@", &socket(&paths.socket())?) },
                Unit {
                    name: "hallpass-gateway.socket",
                    text: gateway.replace("@GATEWAY_SOCKET@", &socket(&paths.gateway_socket())?),
                },
            ])
        }
        Manager::Launchd => {
            let mut environment = String::new();
            for (name, value) in &kept {
                environment.push_str(&format!("    <key>{name}</key>\n    <string>{}</string>\n", xml(&plain(value)?)));
            }
            let plist = include_str!("../../packaging/launchd/com.hallpass.agent.plist.in")
                .replace("@EXE@", &xml(&exe))
                .replace("@LOG@", &xml(&text(&paths.log())?))
                .replace("@ENVIRONMENT@\n", &environment);
            Ok(vec![Unit { name: "com.hallpass.agent.plist", text: plist }])
        }
    }
}

/// A socket's path for `ListenStream=`, below `%t` where it is in the session's folder.
fn socket(path: &Path) -> Result<String> {
    let run_user = format!("/run/user/{}/", crate::sys::uid());
    let path = text(path)?;
    Ok(match path.strip_prefix(&run_user) {
        Some(rest) => format!("%t/{}", rest.replace('%', "%%")),
        None => path.replace('%', "%%"),
    })
}

fn text(path: &Path) -> Result<String> {
    plain(&path.to_string_lossy()).and_then(|found| match path.to_str() {
        Some(_) => Ok(found),
        None => Err(Error::new(Code::InvalidValue, format!("{} is not UTF-8, so no unit can name it", path.display()))),
    })
}

/// A text that can stand on one line of a unit.
fn plain(value: &str) -> Result<String> {
    if value.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidValue,
            "a path with a line break or control character cannot be in a unit",
        ));
    }
    Ok(value.to_owned())
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

fn xml(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_finds_the_same_folders_as_the_command_that_installed_it() {
        let paths = Paths::under(Path::new("/h"), None);
        for manager in [Manager::Systemd, Manager::Launchd] {
            let with = |home: Option<&str>| {
                let home = home.map(str::to_owned);
                let variable = |name: &str| home.clone().filter(|_| name == "HALLPASS_HOME");
                units_with(manager, &paths, Path::new("/bin/hallpass"), variable).map(|units| units[0].text.clone())
            };
            let text = with(Some("/home/me/100% \"mine\"")).unwrap();
            let expected = match manager {
                Manager::Systemd => "Environment=\"HALLPASS_HOME=/home/me/100%% \\\"mine\\\"\"\n",
                Manager::Launchd => "<key>HALLPASS_HOME</key>\n    <string>/home/me/100% \"mine\"</string>",
            };
            assert!(text.contains(expected), "{text}");
            let text = with(None).unwrap();
            assert!(!text.contains("HALLPASS_HOME") && !text.contains("@ENV"), "{text}");
            assert!(with(Some("/a\nExecStart=/bin/sh")).is_err());
        }
    }
}
