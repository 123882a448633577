//! What the file around a value says of the values in it.
//!
//! Owns the names of files in which a value that looks like a password is none, or needs no name to be one.

use super::kind::FileKind;

/// Where values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// A config file that was parsed.
    Config,
    /// A config file of samples (`.env.example`) or of labels (`locales/en.json`): a password is one by its name
    /// only.
    Sample,
    /// A file of nothing but passwords, whose names do not say so.
    Passwords,
    /// Prose and markup.
    Prose,
    /// Commands and text within a value of a config file.
    Within,
    /// Program code.
    Code,
}

/// Endings of programs.
const CODE: &[&str] = &[
    "rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "go", "java", "kt", "kts", "scala",
    "groovy", "gradle", "rb", "erb", "php", "c", "h", "cc", "cpp", "cxx", "hpp", "cs", "fs", "vb", "swift", "m", "mm",
    "dart", "lua", "pl", "pm", "r", "jl", "ex", "exs", "erl", "hs", "clj", "elm", "ml", "nim", "zig", "v", "sol",
    "sql", "vue", "svelte", "astro", "html", "htm", "css", "scss", "sass", "less", "graphql", "proto", "cmake", "nix",
    "ps1", "psm1", "psd1", "map", "lock", "sum", "mod", "snap",
];

/// Parts of a name that mean a sample.
const SAMPLES: &[&str] = &["example", "sample", "template", "dist", "defaults", "tpl", "schema", "openapi", "swagger"];

/// Folders and files of translated labels.
const LABELS: &[&str] =
    &["locales", "locale", "i18n", "l10n", "lang", "langs", "languages", "translations", "translation", "messages"];

impl Setting {
    /// Of the file at `path`, as it was read.
    pub fn of(path: &str, kind: FileKind) -> Self {
        let path = path.to_ascii_lowercase();
        let mut parts = path.rsplit(['/', '\\']);
        let name = parts.next().unwrap_or_default();
        let has = |text: &str, marks: &[&str]| text.split(['.', '-', '_']).any(|part| marks.contains(&part));
        let folders = || parts.clone().take(2);
        if kind == FileKind::Text {
            let code = name.rsplit_once('.').is_some_and(|(_, ending)| CODE.contains(&ending));
            // XML has no parser, and its elements and attributes are names like those of any config file.
            let xml = ["xml", "config", "props", "plist", "targets"]
                .iter()
                .any(|ending| name.ends_with(&format!(".{ending}")));
            let labels = name == "strings.xml" || has(name, SAMPLES) || has(name, LABELS);
            return match (code, xml && !labels) {
                (true, _) => Self::Code,
                (false, true) => Self::Config,
                (false, false) => Self::Prose,
            };
        }
        // The templates of CloudFormation and SAM are what is deployed.
        let sample = has(name, SAMPLES) && !matches!(name, "template.yaml" | "template.yml" | "template.json");
        if sample || has(name, LABELS) || folders().any(|folder| LABELS.contains(&folder)) {
            Self::Sample
        } else if name.contains("pgpass")
            || matches!(name, "rsyncd.secrets" | "userlist.txt" | "chap-secrets" | "pap-secrets")
        {
            Self::Passwords
        } else {
            Self::Config
        }
    }
}
