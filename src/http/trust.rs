//! Certificate authorities that variables name. The library reads the same variables in place of the operating system's
//! store, but passes over what it cannot read; here a file that is not there is said aloud.

use std::path::{Path, PathBuf};

use reqwest::Certificate;

use crate::environ::Environ;
use crate::http::error::HttpError;

/// Largest file of certificates, in bytes. The whole of Mozilla's store is a quarter of a megabyte.
const MAX_FILE: u64 = 8 << 20;

/// Files of a folder that are looked at.
const MAX_FILES: usize = 4096;

/// The certificates that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
///
/// # Errors
/// Fails when a file or folder cannot be read. In a folder, a file that is no certificate is passed over.
pub(super) fn extra(environ: &Environ) -> Result<Vec<Certificate>, HttpError> {
    let mut all = Vec::new();
    if let Some(path) = environ.path("SSL_CERT_FILE") {
        all.extend(of_file(&path).map_err(|source| unusable("SSL_CERT_FILE", &path, source))?);
    }
    // As OpenSSL has it, several folders stand side by side.
    let folders = environ.os("SSL_CERT_DIR").map(std::env::split_paths);
    for folder in folders.into_iter().flatten().filter(|path| !path.as_os_str().is_empty()) {
        let files = files_of(&folder).map_err(|error| unusable("SSL_CERT_DIR", &folder, error.into()))?;
        all.extend(files.iter().filter_map(|file| of_file(file).ok()).flatten());
    }
    Ok(all)
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn unusable(variable: &'static str, path: &Path, source: Cause) -> HttpError {
    HttpError::Certificates { variable, path: path.display().to_string(), source }
}

fn of_file(path: &Path) -> Result<Vec<Certificate>, Cause> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text)?;
    let found = Certificate::from_pem_bundle(&text)?;
    if found.is_empty() { Err("there is no certificate in it".into()) } else { Ok(found) }
}

fn files_of(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.take(MAX_FILES).map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_none_is_named_with_its_variable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let path = path.to_str().unwrap();
        let environ = Environ::of([("SSL_CERT_FILE", path)]);
        assert!(extra(&environ).unwrap_err().to_string().starts_with("SSL_CERT_FILE names "));
        std::fs::write(path, "nothing of the kind").unwrap();
        assert!(extra(&environ).is_err());
        // In a folder it is passed over: such folders hold all sorts of things.
        let environ = Environ::of([("SSL_CERT_DIR", folder.path().to_str().unwrap())]);
        assert!(extra(&environ).unwrap().is_empty());
    }
}
