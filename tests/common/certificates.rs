//! Certificates for tests, made when they are needed: an authority, and what it issues.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};

static COUNT: AtomicU32 = AtomicU32::new(1);

/// An authority that signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The common name.
    pub name: String,
}

/// A certificate with its private key.
pub struct Issued {
    /// As PEM.
    pub certificate: String,
    /// As PEM.
    pub key: String,
    /// In DER.
    pub der: Vec<u8>,
}

/// Whether a certificate is valid now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Valid,
    Expired,
}

impl Validity {
    fn set(self, params: &mut CertificateParams) {
        if self == Validity::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
    }
}

impl Authority {
    pub fn new() -> Authority {
        Authority::with(IsCa::Ca(BasicConstraints::Unconstrained))
    }

    /// What signs certificates with one that is not of an authority.
    pub fn without_ca() -> Authority {
        Authority::with(IsCa::ExplicitNoCa)
    }

    fn with(is_ca: IsCa) -> Authority {
        // Each has a name of its own, because issuers are found by their names.
        let name = format!("Test authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut params = Authority::params(&name, Validity::Valid);
        params.is_ca = is_ca;
        Authority { issuer: CertifiedIssuer::self_signed(params, key()).expect("a certificate"), name }
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's certificate in DER.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// The authority's own certificate, for a client that presents it as its own.
    pub fn itself(&self) -> Issued {
        Issued { certificate: self.pem(), key: self.issuer.key().serialize_pem(), der: self.der() }
    }

    /// Another certificate of the authority, with the same name and key, signed by itself.
    pub fn renewed(&self, validity: Validity) -> Issued {
        let mut params = Authority::params(&self.name, validity);
        params.serial_number = Some(u64::from(COUNT.fetch_add(1, Ordering::Relaxed)).into());
        let certificate = params.self_signed(self.issuer.key()).expect("a certificate");
        Issued { certificate: certificate.pem(), der: certificate.der().to_vec(), ..self.itself() }
    }

    fn params(common_name: &str, validity: Validity) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&[(DnType::CommonName, common_name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        validity.set(&mut params);
        params
    }

    /// A certificate for a server at these names and addresses.
    pub fn server(&self, names: &[&str]) -> Issued {
        self.issue(&[(DnType::CommonName, "localhost")], names, Validity::Valid)
    }

    /// A certificate for a client with this name: attributes in the order of the certificate.
    pub fn client(&self, subject: &[(DnType, &str)], validity: Validity) -> Issued {
        self.issue(subject, &[], validity)
    }

    pub fn issue(&self, subject: &[(DnType, &str)], names: &[&str], validity: Validity) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("valid names");
        params.distinguished_name = name(subject);
        validity.set(&mut params);
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl Issued {
    /// Writes the key and the certificate to one file, as Kafka's PEM keystores have them.
    pub fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, format!("{}{}", self.key, self.certificate)).expect("a file");
        path.to_owned()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn name(attributes: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    attributes.iter().for_each(|(kind, value)| name.push(kind.clone(), *value));
    name
}
