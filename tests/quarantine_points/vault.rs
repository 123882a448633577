//! A vault of plain files, each written whole and synced. Only for this harness: it encrypts nothing.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
};

use hallpass::{
    quarantine::{Vault, VaultError},
    secret::Secret,
};

pub struct Files(pub PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.replace('/', "+"))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl Vault for Files {
    fn put(&self, name: &str, value: &Secret) -> Result<(), VaultError> {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(value.expose())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            self.sync()
        };
        write().map_err(failed)
    }

    fn get(&self, name: &str) -> Result<Secret, VaultError> {
        fs::read(self.path(name)).map(Secret::take).map_err(failed)
    }

    fn remove(&self, name: &str) -> Result<(), VaultError> {
        fs::remove_file(self.path(name)).and_then(|()| self.sync()).map_err(failed)
    }
}

fn failed(error: io::Error) -> VaultError {
    match error.kind() {
        io::ErrorKind::NotFound => VaultError::Gone,
        _ => VaultError::Failed(format!("the test vault: {error}")),
    }
}
