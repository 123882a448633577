//! Compiles `data/rules/*.toml` into a table, without the examples: the daemon and a cold `scan` then parse
//! nothing, and the table is shared, clean memory. A mistake in an entry fails the build with the file's name.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

/// One entry, as `data/rules/README.md` describes it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    provider: String,
    pattern: String,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    near: Vec<String>,
    #[serde(default)]
    entropy: f32,
    check: Option<String>,
    class: Class,
    credential: Option<String>,
    route: Option<String>,
    revoke: Option<String>,
    source: String,
    // Read by the rule test alone.
    #[serde(rename = "examples")]
    _examples: Vec<String>,
    #[serde(rename = "counter_examples")]
    _counter_examples: Vec<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Class {
    Certain,
    Likely,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Entry>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=data/rules");
    println!("cargo:rerun-if-changed=build.rs");
    let mut paths: Vec<_> = fs::read_dir("data/rules")?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let mut table = String::from("pub(super) static RULES: &[Rule] = &[\n");
    for path in paths {
        let file: File = toml::from_str(&fs::read_to_string(&path)?).map_err(|e| format!("{}: {e}", path.display()))?;
        for rule in file.rule {
            if rule.words.is_empty() && rule.near.is_empty() {
                return Err(format!("{}: {}: a rule needs `words` or `near`", path.display(), rule.name).into());
            }
            write_rule(&mut table, &rule)?;
        }
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("rules.rs"), table)?;
    Ok(())
}

fn write_rule(table: &mut String, rule: &Entry) -> std::fmt::Result {
    let Entry {
        name, provider, pattern, words, near, entropy, check, class, credential, route, revoke, source, ..
    } = rule;
    let words: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let credential = credential.as_ref().unwrap_or(provider);
    writeln!(
        table,
        "    Rule {{ name: {name:?}, provider: {provider:?}, pattern: {pattern:?}, words: &{words:?}, near: &{near:?}, \
         entropy: {entropy:?}, check: {check:?}, class: Class::{class:?}, credential: {credential:?}, route: {route:?}, \
         revoke: {revoke:?}, source: {source:?} }},"
    )
}
