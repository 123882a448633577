//! What kind of file a path names.
//!
//! Owns the table from names to kinds. It looks at names alone; the content is the parser's.

/// A kind of file that has a parser, or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// `.env`, `.env.local`, `*.env`, `.envrc`, `.dev.vars`, systemd environment files.
    Dotenv,
    /// JSON, with or without comments and trailing commas, and JSON5.
    Json,
    /// TOML.
    Toml,
    /// YAML: compose files, kubeconfig, CI files.
    Yaml,
    /// INI and what is like it: AWS credentials, `pip.conf`, `.npmrc`, `.pypirc`, `.gitconfig`, `.s3cfg`,
    /// `.properties`, `.pgpass`.
    Ini,
    /// `.netrc`, `_netrc`.
    Netrc,
    /// A shell's start-up file, script or history, and Dockerfiles.
    Shell,
    /// HCL variables: `*.tfvars`, `*.tf`, `*.hcl`.
    Hcl,
    /// Anything else.
    Text,
}

/// Whole names, in lower case.
const NAMES: &[(FileKind, &[&str])] = &[
    (FileKind::Dotenv, &["env", "envrc", ".envrc", ".dev.vars", ".flaskenv", ".prod.vars", "environment", "env.list"]),
    (
        FileKind::Json,
        &[".babelrc", ".eslintrc", ".prettierrc", ".swcrc", ".dockercfg", ".firebaserc", ".claude.json", ".jshintrc"],
    ),
    (FileKind::Toml, &["pipfile"]),
    (FileKind::Yaml, &[".yarnrc.yml", ".clang-format", ".condarc", ".gemrc"]),
    (
        FileKind::Ini,
        &[
            ".npmrc",
            "npmrc",
            ".yarnrc",
            ".pypirc",
            ".s3cfg",
            ".boto",
            "boto",
            ".gitconfig",
            "gitconfig",
            ".my.cnf",
            ".mylogin.cnf",
            ".pgpass",
            "pgpass",
            ".editorconfig",
            ".coveragerc",
            ".passwd-s3fs",
            ".hgrc",
            "hgrc",
            ".databrickscfg",
            ".wgetrc",
            ".curlrc",
            ".rtorrent.rc",
            ".pg_service.conf",
            ".gitmodules",
            ".bazelrc",
            ".msmtprc",
            "caddyfile",
            "rsyncd.secrets",
            "userlist.txt",
            "chap-secrets",
            "pap-secrets",
            ".muttrc",
            ".offlineimaprc",
            ".mbsyncrc",
            ".sentryclirc",
        ],
    ),
    (FileKind::Netrc, &[".netrc", "_netrc", "netrc", ".authinfo", ".fetchmailrc"]),
    (
        FileKind::Shell,
        &[
            ".bashrc",
            ".bash_profile",
            ".bash_login",
            ".bash_logout",
            ".bash_aliases",
            ".bash_history",
            ".profile",
            "profile",
            ".zshrc",
            ".zshenv",
            ".zprofile",
            ".zlogin",
            ".zsh_history",
            ".zhistory",
            ".histfile",
            ".history",
            ".sh_history",
            ".ash_history",
            "fish_history",
            "fish_variables",
            ".kshrc",
            ".mkshrc",
            ".cshrc",
            ".tcshrc",
            ".login",
            ".aliases",
            ".exports",
            "consolehost_history",
            "bashrc",
            "zshrc",
            "zshenv",
            "dockerfile",
            "containerfile",
            ".xprofile",
            ".xsessionrc",
            ".inputrc",
        ],
    ),
    (FileKind::Hcl, &[".terraformrc", "terraform.rc"]),
];

/// Endings, in lower case.
const ENDINGS: &[(FileKind, &[&str])] = &[
    (FileKind::Dotenv, &["env", "vars"]),
    (
        FileKind::Json,
        &[
            "json",
            "jsonc",
            "json5",
            "jsonl",
            "ndjson",
            "code-workspace",
            "tfstate",
            "ipynb",
            "webmanifest",
            "geojson",
            "har",
            "postman_collection",
            "postman_environment",
            "code-profile",
            "code-snippets",
        ],
    ),
    (FileKind::Toml, &["toml"]),
    (FileKind::Yaml, &["yml", "yaml", "kubeconfig", "eyaml", "sls"]),
    (
        FileKind::Ini,
        &[
            "ini",
            "cfg",
            "cnf",
            "conf",
            "config",
            "properties",
            "props",
            "editorconfig",
            "desktop",
            "service",
            "nmconnection",
        ],
    ),
    (FileKind::Netrc, &["netrc"]),
    (
        FileKind::Shell,
        &["sh", "bash", "zsh", "fish", "ksh", "csh", "tcsh", "bashrc", "zshrc", "dockerfile", "history", "bats"],
    ),
    (FileKind::Hcl, &["tf", "tfvars", "hcl", "nomad", "tofu"]),
];

/// Names without an ending that say something only in their folder.
const IN_FOLDERS: &[(FileKind, &str, &[&str])] = &[
    (FileKind::Ini, ".aws", &["credentials", "config"]),
    (FileKind::Yaml, ".kube", &["config"]),
    (FileKind::Json, ".docker", &["config"]),
    (FileKind::Ini, ".git", &["config"]),
    (FileKind::Ini, "git", &["config"]),
    (FileKind::Ini, ".oci", &["config"]),
    (FileKind::Ini, "pnpm", &["rc"]),
    (FileKind::Toml, ".cargo", &["credentials", "config"]),
    (FileKind::Yaml, ".gem", &["credentials"]),
    (FileKind::Yaml, ".bundle", &["config"]),
    (FileKind::Ini, "gcloud", &["configurations"]),
    (FileKind::Ini, "configurations", &["config_default"]),
];

/// What copies are called: it says nothing about what is in them.
const COPIES: &[&str] = &[
    "bak", "backup", "orig", "old", "save", "saved", "example", "sample", "template", "tmpl", "dist", "local", "swp",
    "tmp", "copy",
];

/// Lock files whose ending would say more.
const LOCKS: &[&str] =
    &["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", ".terraform.lock.hcl", "deno.lock"];

impl FileKind {
    /// The kind of the file at `path` with this content: XML has many names (`web.config`, `app.props`), and is text.
    pub fn of_file(path: &str, bytes: &[u8]) -> Self {
        let kind = Self::of(path);
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
        // Apache and Fluentd have sections that look like elements.
        let xml = match path.ends_with(".conf") {
            true => text.starts_with(b"<?xml") || text.starts_with(b"<!"),
            false => text.starts_with(b"<"),
        };
        if kind == Self::Ini && xml { Self::Text } else { kind }
    }

    /// The kind of the file at `path`, by its last one or two components.
    pub fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let mut parts = path.rsplit(['/', '\\']);
        let name = parts.next().unwrap_or_default();
        let folder = parts.next().unwrap_or_default();
        let plain = without_copy(name);
        // `.env.local` and `.env.production` both are, and so is `.env.json`, whatever it means to be.
        let ending = plain.rsplit_once('.').map_or("", |(_, ending)| ending);
        let code = matches!(ending, "php" | "ts" | "js" | "mjs" | "cjs" | "tsx" | "py" | "rb" | "rs" | "go" | "d");
        if plain == ".env"
            || !code && (name.starts_with(".env.") || name.starts_with("env.") && !name.contains(".json"))
        {
            return Self::Dotenv;
        }
        for name in [name, plain] {
            let in_folder = IN_FOLDERS.iter().find(|(_, inside, names)| *inside == folder && names.contains(&name));
            let whole = || NAMES.iter().find(|(_, names)| names.contains(&name));
            if let Some(kind) = in_folder.map(|entry| entry.0).or_else(|| whole().map(|entry| entry.0)) {
                return kind;
            }
        }
        // Hashes by the thousand, and never a secret but in a URL.
        if LOCKS.contains(&plain) {
            return Self::Text;
        }
        if plain.starts_with("dockerfile.") || plain.starts_with("containerfile.") {
            return Self::Shell;
        }
        let Some((_, ending)) = plain.rsplit_once('.') else { return Self::Text };
        ENDINGS.iter().find(|(_, endings)| endings.contains(&ending)).map_or(Self::Text, |entry| entry.0)
    }
}

/// The name without `.bak`, `~`, `.backup.1717171717` and the like, however many follow each other.
fn without_copy(name: &str) -> &str {
    let mut name = name.trim_end_matches('~');
    while let Some((rest, ending)) = name.rsplit_once('.') {
        let number = !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_digit());
        if rest.is_empty() || !(number || COPIES.contains(&ending)) {
            break;
        }
        name = rest.trim_end_matches('~');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::FileKind::{self, Dotenv, Hcl, Ini, Json, Netrc, Shell, Text, Toml, Yaml};

    #[test]
    fn names_tell_the_kind() {
        let table: &[(&str, FileKind)] = &[
            (".env", Dotenv),
            ("/a/b/.env.production.local", Dotenv),
            (".env.example", Dotenv),
            (".env~", Dotenv),
            ("prod.env", Dotenv),
            ("app.env.example", Dotenv),
            (".envrc", Dotenv),
            (".dev.vars", Dotenv),
            (".flaskenv", Dotenv),
            ("/home/u/.claude.json", Json),
            ("/home/u/.claude.json.backup.1717171717", Json),
            ("/home/u/.claude/settings.local.json", Json),
            ("C:\\Users\\u\\.mcp.json", Json),
            ("a.code-workspace", Json),
            ("terraform.tfstate.backup", Json),
            ("n.ipynb", Json),
            ("/h/.docker/config.json", Json),
            ("/h/.docker/config", Json),
            ("/h/.codex/config.toml", Toml),
            ("/h/.cargo/credentials", Toml),
            ("docker-compose.yml.bak", Yaml),
            ("/h/.kube/config", Yaml),
            ("/h/.yarnrc.yml", Yaml),
            ("/h/.yarnrc", Ini),
            ("/h/.aws/credentials", Ini),
            ("/h/.aws/config.old", Ini),
            ("/h/.npmrc", Ini),
            ("pip.conf", Ini),
            ("gradle.properties", Ini),
            ("/h/.pgpass", Ini),
            ("/h/r/.git/config", Ini),
            ("_netrc", Netrc),
            (".bashrc", Shell),
            ("fish_history", Shell),
            ("/h/.config/fish/config.fish", Shell),
            ("Dockerfile", Shell),
            ("Dockerfile.dev", Shell),
            ("a.ps1", Text),
            ("x.auto.tfvars", Hcl),
            ("main.tf", Hcl),
            (".git-credentials", Text),
            ("settings.xml", Text),
            ("main.rs", Text),
            ("config", Text),
            ("credentials", Text),
            ("", Text),
            ("..", Text),
            ("~", Text),
        ];
        for (path, kind) in table {
            assert_eq!(FileKind::of(path), *kind, "{path}");
        }
    }
}
