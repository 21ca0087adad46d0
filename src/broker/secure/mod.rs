//! `ottla.secure`: a certificate authority and a server certificate of our own, and client configurations that use them.
//!
//! All files are in one folder, by default the data directory, and are kept over restarts. A file with a secret can be
//! read by its owner only. Files are replaced by renaming, so that a reader never sees a part of one.

mod certificates;
mod clients;
pub mod issuer;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use ottla_config::{BrokerConfig, SecureConfig};

pub use clients::ListenerAddress;
pub use issuer::Issuer;

/// The authority's certificate, which clients trust.
const CA_FILE: &str = "ca.pem";

/// The prepared folder.
#[derive(Debug)]
pub struct Secure {
    dir: PathBuf,
    has_certificates: bool,
}

impl Secure {
    /// Makes what is missing or about to expire; `None` if the settings ask for nothing. The error is one plain line. May
    /// block to resolve this machine's name.
    pub fn prepare(config: &BrokerConfig, clock: Clock) -> Result<Option<Secure>, String> {
        let Some(secure) = &config.secure else { return Ok(None) };
        let dir = std::path::absolute(&secure.dir).unwrap_or_else(|_| secure.dir.clone());
        fs::create_dir_all(&dir)
            .map_err(|error| format!("cannot make the folder {} for ottla.secure: {error}", dir.display()))?;
        if secure.certificates {
            certificates::prepare(&dir, &names(secure), clock.wall())?;
        }
        Ok(Some(Secure { dir, has_certificates: secure.certificates }))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The authority's certificate; `None` if only the OIDC issuer is enabled.
    pub fn ca(&self) -> Option<PathBuf> {
        self.has_certificates.then(|| self.dir.join(CA_FILE))
    }

    /// Writes the client configurations. The error is one plain line.
    pub fn write_clients(
        &self,
        config: &BrokerConfig,
        listeners: &[ListenerAddress],
        issuer: Option<&str>,
    ) -> Result<(), String> {
        match self.ca() {
            Some(ca) => clients::write(&self.dir, &ca, listeners, &config.users, issuer),
            None => Ok(()),
        }
    }
}

/// The names and addresses of the server certificate.
fn names(secure: &SecureConfig) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let mut add = |name: String| {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    };
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // Clients on other machines get an address, if no name is advertised.
    let addresses = (own.as_str(), 0).to_socket_addrs().into_iter().flatten();
    let addresses: Vec<IpAddr> = addresses.map(|address| address.ip().to_canonical()).collect();
    add(own);
    addresses.into_iter().for_each(|address| add(address.to_string()));
    secure.hosts.iter().cloned().for_each(add);
    names
}

/// Replaces a file. Only its owner can read a secret one. The error is one plain line.
fn write(path: &Path, content: &str, is_secret: bool) -> Result<(), String> {
    let mut temporary = path.to_path_buf().into_os_string();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let replace = || -> io::Result<()> {
        // One of a process that was killed may have other permissions.
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mode = if is_secret { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content.as_bytes())?;
        fs::rename(&temporary, path)
    };
    replace().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads a file; `None` if there is none. The error is one plain line.
fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}
