//! What a project's `.env` files say instead of secrets.
//!
//! Owns finding the references and putting values in their place in the environment. Files are only read: a tool
//! that loads `.env` itself leaves alone what its environment already holds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    api::session::{Env, Reference},
    detect::{
        kind::FileKind,
        parse::{self, Document},
    },
    quarantine::{ENV_FILES, in_url, parse_reference},
    scan::read::{self, Buffer, Limits},
};

/// The largest `.env` that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The references met, and the values they stand in.
#[derive(Debug, Default)]
pub struct References {
    found: BTreeMap<String, Found>,
}

#[derive(Debug)]
struct Found {
    credential: String,
    file: Option<PathBuf>,
    value: String,
}

impl References {
    /// Those of the environment, of the folder's `.env` files and of the nearest ones above it, up to the project's
    /// root. What is nearer wins; `.env.local` wins over `.env`, as tools have it.
    pub fn find(from: &Path) -> Self {
        let mut references = Self::default();
        for (name, value) in std::env::vars() {
            references.add(name, value, None);
        }
        for folder in from.ancestors() {
            let files = env_files(folder);
            files.iter().for_each(|file| references.file(file));
            if !files.is_empty() || folder.join(".git").exists() {
                break;
            }
        }
        references
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What the daemon is asked.
    pub fn wire(&self) -> Vec<Reference> {
        let wire = |(variable, found): (&String, &Found)| Reference {
            variable: variable.clone(),
            credential: found.credential.clone(),
            file: found.file.as_ref().map(|file| file.to_string_lossy().into_owned()),
        };
        self.found.iter().map(wire).collect()
    }

    /// Puts each answer where its reference stood: a password back into its URL.
    pub fn put_back(&self, env: &mut Env) {
        for variable in &mut env.set {
            let Some(found) = self.found.get(&variable.name) else { continue };
            let Some((place, _)) = in_url(&found.value) else { continue };
            let (Some(before), Some(after)) = (found.value.get(..place.start), found.value.get(place.end..)) else {
                continue;
            };
            let value = variable.value.expose().as_bytes();
            let value = percent_encoding::percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            variable.value = crate::api::SecretText::new(format!("{before}{value}{after}"));
        }
    }

    fn file(&mut self, path: &Path) {
        let mut buffer = Buffer::default();
        if read::file(path, Limits { size: MAX_FILE, network: true }, &mut buffer).is_err() {
            return;
        }
        let Some(document) = parse::parse(FileKind::Dotenv, buffer.bytes()) else { return };
        // Behind every link, as the daemon notes what it wrote.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        for (name, value) in pairs(&document, buffer.bytes()) {
            self.add(name, value, Some(real.clone()));
        }
    }

    fn add(&mut self, name: String, value: String, file: Option<PathBuf>) {
        let credential =
            parse_reference(&value).or_else(|| in_url(&value).map(|(_, name)| name)).map(ToOwned::to_owned);
        if let Some(credential) = credential.filter(|_| super::quote::is_variable(&name)) {
            self.found.entry(name).or_insert(Found { credential, file, value });
        }
    }
}

/// The folder's files that tools load, the strongest first.
fn env_files(folder: &Path) -> Vec<PathBuf> {
    ENV_FILES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

fn pairs(document: &Document, bytes: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let pair = |scalar: &parse::Scalar| {
        let name = document.names.get(scalar.name? as usize)?;
        let value = scalar.decoded.as_deref().or_else(|| bytes.get(scalar.span.clone()))?;
        Some((text(bytes.get(name.span.clone())?)?, text(value)?))
    };
    document.scalars.iter().filter(|scalar| !scalar.comment).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{SecretText, session::Variable};

    #[test]
    fn references_are_found_and_a_password_goes_back_into_its_url() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join(".env"),
            "A_KEY=hallpass:openai\nDB_URL=postgres://u:hallpass%3Apg@h/d\nPORT=1\n",
        )
        .unwrap();
        std::fs::write(folder.path().join(".env.local"), "export A_KEY=\"hallpass:other\"\n").unwrap();
        let references = References::find(folder.path());
        let wire = references.wire();
        let named: Vec<_> = wire.iter().map(|r| (r.variable.as_str(), r.credential.as_str())).collect();
        assert_eq!(named, [("A_KEY", "other"), ("DB_URL", "pg")]);
        let mut env = Env {
            task: String::new(),
            principal: String::new(),
            set: vec![Variable { name: "DB_URL".into(), value: SecretText::new("p@ss/1") }],
            scrub: vec![],
            expires_at: String::new(),
            leases: vec![],
            unresolved: vec![],
        };
        references.put_back(&mut env);
        assert_eq!(env.set[0].value.expose(), "postgres://u:p%40ss%2F1@h/d");
    }
}
