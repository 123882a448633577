//! Compiles `data/rules/*.toml` into a table, without the examples: the daemon and a cold `scan` then parse
//! nothing, and the table is shared, clean memory. A mistake in an entry fails the build with the file's name.

use std::{env, error::Error, fs, path::Path};

/// One entry, as `data/rules/README.md` describes it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    provider: String,
    pattern: String,
    #[serde(default)]
    words: Vec<String>,
    also: Option<String>,
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
    let mut table = String::new();
    for path in paths {
        let file: File = toml::from_str(&fs::read_to_string(&path)?).map_err(|e| format!("{}: {e}", path.display()))?;
        for rule in file.rule {
            if rule.words.is_empty() && rule.near.is_empty() {
                return Err(format!("{}: {}: a rule needs `words` or `near`", path.display(), rule.name).into());
            }
            table.push_str(
                &line(&rule).ok_or_else(|| format!("{}: {}: a tab or a line end", path.display(), rule.name))?,
            );
        }
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("rules.txt"), table)?;
    Ok(())
}

/// One line of fields, as `src/detect/rule.rs` reads it. Text, because a table of pointers would be relocated at the
/// start of every process, `hallpass mint` among them, which looks for no secret.
fn line(rule: &Entry) -> Option<String> {
    let words: Vec<String> = rule.words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let (words, near) = (words.join("\u{1f}"), rule.near.join("\u{1f}"));
    let (entropy, class) = (rule.entropy.to_string(), format!("{:?}", rule.class));
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (check, route, revoke) = (text(&rule.check), text(&rule.route), text(&rule.revoke));
    let also = text(&rule.also);
    let credential = rule.credential.as_ref().unwrap_or(&rule.provider);
    let fields: [&str; 13] = [
        &rule.name,
        &rule.provider,
        &rule.pattern,
        &words,
        &also,
        &near,
        &entropy,
        &check,
        &class,
        credential,
        &route,
        &revoke,
        &rule.source,
    ];
    let plain = fields.iter().all(|field| !field.contains(['\t', '\n']));
    plain.then(|| format!("{}\n", fields.join("\t")))
}
