//! Which script an interpreter runs.

/// Interpreters: programs whose own name says nothing about what runs.
const INTERPRETERS: &[&str] = &[
    "node", "bun", "bunx", "deno", "python", "ruby", "perl", "java", "sh", "bash", "dash", "zsh", "fish", "ksh", "npx",
    "npm", "pnpm", "yarn", "tsx", "uv", "uvx", "pipx", "php", "lua", "Rscript",
];

/// Options whose value is the next argument and may look like a path.
const WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "--env-file",
    "-W",
    "-X",
    "-I",
    "-cp",
    "-classpath",
    "--class-path",
    "--module-path",
    "-o",
    "--rcfile",
    "--init-file",
    "--package",
    "-p",
    "--directory",
    "--project",
    "--python",
    "--with",
    "--from",
];

/// Options after which the program text or a module name comes, and no script.
const NO_SCRIPT: &[&str] = &["-c", "-e", "-m", "-lc", "-ic", "-ec", "-lic", "-ilc", "--eval", "--print", "--command"];

/// How long a path may be that is kept.
const MOST: usize = 1024;

/// The script: the first argument that is a path, for an interpreter. `command_line` is read only then.
pub(super) fn of(exe: Option<&str>, name: &str, command_line: impl FnOnce() -> Option<Vec<u8>>) -> Option<String> {
    let file = exe.and_then(|path| path.rsplit('/').next());
    if !is_interpreter(name) && !file.is_some_and(is_interpreter) {
        return None;
    }
    first_path(&command_line()?)
}

fn is_interpreter(name: &str) -> bool {
    // python3.12, node22, ruby3.1: the version is no part of the name.
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&plain)
}

fn first_path(command_line: &[u8]) -> Option<String> {
    let mut arguments = command_line.split(|byte| *byte == 0).skip(1);
    while let Some(argument) = arguments.next() {
        let argument = String::from_utf8_lossy(argument);
        if NO_SCRIPT.contains(&argument.as_ref()) {
            return None;
        }
        if WITH_VALUE.contains(&argument.as_ref()) {
            arguments.next();
        } else if !argument.starts_with('-') && is_path(&argument) {
            return Some(argument.chars().take(MOST).collect());
        }
    }
    None
}

fn is_path(argument: &str) -> bool {
    let extension = argument.rsplit_once('.').map(|(_, extension)| extension);
    argument.contains('/')
        || extension.is_some_and(|e| {
            matches!(e, "js" | "mjs" | "cjs" | "ts" | "mts" | "py" | "pyz" | "rb" | "pl" | "jar" | "sh" | "php" | "lua")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(exe: Option<&str>, name: &str, arguments: &[&str]) -> Option<String> {
        of(exe, name, || Some(arguments.join("\0").into_bytes()))
    }

    #[test]
    fn the_first_path_of_an_interpreter() {
        let cli = "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js";
        let node = Some("/usr/bin/node");
        // Node names its main thread by itself, so the executable counts as well as the kernel's name.
        assert_eq!(script(node, "MainThread", &["node", "--max-old-space-size=4096", cli, "-p"]).as_deref(), Some(cli));
        assert_eq!(script(None, "node", &["node", "-r", "/a/hook.js", cli]).as_deref(), Some(cli));
        assert_eq!(script(None, "python3.12", &["python3", "tool.py", "/data"]).as_deref(), Some("tool.py"));
        assert_eq!(script(None, "npx", &["npx", "-y", "@scope/tool"]).as_deref(), Some("@scope/tool"));
    }

    #[test]
    fn no_script_where_there_is_none() {
        assert_eq!(script(None, "bash", &["bash", "-c", "cat /etc/passwd"]), None);
        assert_eq!(script(None, "python3", &["python3", "-m", "http.server", "a/b"]), None);
        assert_eq!(script(None, "node", &["node"]), None);
        assert_eq!(of(Some("/usr/bin/cat"), "cat", || panic!("not an interpreter, so it is not read")), None);
        assert_eq!(of(None, "sh", || None), None);
    }
}
