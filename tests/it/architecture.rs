//! Holds the directions of imports (DESIGN section 3): a pure module that imports I/O, or an arrow
//! that points back up, fails here and not in a review.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules that decide: no I/O, no runtime, no clock, no environment.
const PURE: &[&str] = &[
    "api",
    "clock",
    "detect",
    "helper",
    "identity",
    "issuer",
    "lease",
    "policy",
    "principal",
    "render",
    "scope",
    "secret",
    "strict_json",
    "task",
    "token",
];

/// Files that are pure in modules that are not.
const PURE_FILES: &[&str] = &["mcp/challenge", "mcp/endpoint", "mcp/headers", "mcp/message", "mcp/sse"];

/// What a pure module may not name.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "interprocess",
    "rustix",
    "libc::",
    "rusqlite",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::path",
    "SystemTime",
    "Instant::now",
    "getrandom",
    "include_dir",
    "crate::audit",
    "crate::cli",
    "crate::client",
    "crate::config",
    "crate::daemon",
    "crate::gateway",
    "crate::http",
    "crate::paths",
    "crate::project",
    "crate::service",
    "crate::store",
    "crate::sys",
    "fs::",
    "env::var",
    "println!",
];

/// (module, what it may not import): the arrows that would point back up.
const ARROWS: &[(&str, &[&str])] = &[
    ("gateway", &["crate::daemon", "crate::cli", "crate::client", "crate::store", "crate::audit", "crate::config"]),
    ("store", &["crate::daemon", "crate::cli", "crate::client", "crate::gateway", "crate::audit"]),
    ("audit", &["crate::daemon", "crate::cli", "crate::client", "crate::gateway", "crate::store", "crate::config"]),
    ("http", &["crate::daemon", "crate::cli", "crate::gateway", "crate::store", "crate::audit"]),
    (
        "watch",
        &[
            "crate::daemon",
            "crate::cli",
            "crate::client",
            "crate::store",
            "crate::gateway",
            "crate::audit",
            "crate::config",
        ],
    ),
    (
        "scan",
        &["crate::daemon", "crate::cli", "crate::client", "crate::store", "crate::gateway", "crate::audit", "tokio"],
    ),
    ("sys", &["crate::daemon", "crate::cli", "crate::client", "crate::gateway", "crate::store", "crate::config"]),
    ("client", &["crate::daemon", "crate::cli", "crate::gateway", "crate::store", "crate::audit", "tokio"]),
    ("mcp", &["crate::daemon", "crate::cli", "crate::gateway", "crate::store", "crate::audit", "println!"]),
    ("config", &["crate::daemon", "crate::cli", "crate::client", "crate::store", "crate::audit"]),
    (
        "quarantine",
        &["crate::daemon", "crate::cli", "crate::client", "crate::gateway", "crate::audit", "crate::config"],
    ),
    ("daemon", &["crate::cli", "crate::client"]),
];

fn sources(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let single = src.join(format!("{module}.rs"));
    if single.exists() {
        found.push(single);
    }
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "there is no module {module}");
    found
}

/// The code of a file: no comments, and nothing from its `mod tests` on.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test"));
    lines.map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default().to_owned())).collect()
}

fn offences(module: &str, forbidden: &[&str], excused: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(module) {
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for (number, line) in code(&path) {
            for word in forbidden {
                if line.contains(word) && !excused(&path, &line) {
                    found.push(format!("{}:{number}: {word}", path.display()));
                }
            }
        }
    }
    found
}

#[test]
fn pure_modules_do_no_io() {
    for module in PURE.iter().chain(PURE_FILES) {
        // Locked memory is no I/O: it is what keeps a secret out of swap and core dumps.
        let locked_memory =
            |path: &Path, line: &str| path.ends_with("secret.rs") && line.contains("crate::sys::memory::LockedBytes");
        let found = offences(module, IMPURE, locked_memory);
        assert!(found.is_empty(), "{module} is pure and must stay so:\n{}", found.join("\n"));
    }
}

#[test]
fn no_arrow_points_back_up() {
    for (module, forbidden) in ARROWS {
        let found = offences(module, forbidden, |_, _| false);
        assert!(found.is_empty(), "an import that points the wrong way:\n{}", found.join("\n"));
    }
}

#[test]
fn unsafe_and_platform_switches_stay_in_sys() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).unwrap().flatten() {
        let module = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        if module == "sys" || module == "lib" || module == "main" {
            continue;
        }
        let found = offences(&module, &["unsafe {", "unsafe fn", "allow(unsafe_code)", "cfg(target_os"], |_, _| false);
        assert!(found.is_empty(), "only sys/ may:\n{}", found.join("\n"));
    }
}

#[test]
fn every_test_module_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name != "main" && path.extension().is_none_or(|ext| ext == "rs") {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/it/{name} is not listed in main.rs: it would never run"
            );
        }
    }
}
