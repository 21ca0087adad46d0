//! Each case was also tried with Apache Kafka 4.3.1 and client certificates, which accepts and refuses the same.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::CertificateError::{self, *};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::{TruststoreChecks, Usage};

type Issuer = CertifiedIssuer<'static, KeyPair>;
type Der = CertificateDer<'static>;

const AUTHORITY: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn params(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params
}

fn root(params: CertificateParams) -> Issuer {
    CertifiedIssuer::self_signed(params, key()).unwrap()
}

fn intermediate(params: CertificateParams, by: &Issuer) -> Issuer {
    CertifiedIssuer::signed_by(params, key(), by).unwrap()
}

fn signed(params: &CertificateParams, by: &Issuer) -> Der {
    params.signed_by(&key(), by).unwrap().der().clone()
}

/// A certificate of an authority, for a peer.
fn peer() -> CertificateParams {
    params("peer", AUTHORITY)
}

/// Checks a peer's certificate, and the others that it sends, in 2027.
fn verify(trusted: &[&Issuer], sent: &[&Der], usage: Usage) -> Result<(), CertificateError> {
    let trusted = trusted.iter().map(|issuer| issuer.der().clone()).collect();
    let (checks, unreadable) = TruststoreChecks::new(trusted, default_provider().signature_verification_algorithms);
    assert_eq!(unreadable, 0);
    let others: Vec<Der> = sent[1..].iter().map(|der| (*der).clone()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(date_time_ymd(2027, 1, 1).unix_timestamp() as u64));
    checks.verify(sent[0], &others, now, usage)
}

/// Checks a client's certificate.
#[track_caller]
fn check(trusted: &Issuer, sent: &[&Der], expect: Result<(), CertificateError>) {
    let found = verify(&[trusted], sent, Usage::Client);
    let kind = |result: &Result<(), CertificateError>| match result {
        // Their context is of no interest.
        Err(ExpiredContext { .. }) => Err(Expired),
        Err(NotValidYetContext { .. }) => Err(NotValidYet),
        other => other.clone(),
    };
    assert_eq!(kind(&found), expect);
}

/// The error is one that rustls has no name for.
#[track_caller]
fn check_other(trusted: &Issuer, sent: &[&Der], reason: &str) {
    match verify(&[trusted], sent, Usage::Client) {
        Err(Other(error)) => assert!(error.0.to_string().contains(reason), "{error:?}"),
        found => panic!("{found:?}"),
    }
}

#[test]
fn certificate_of_an_authority_is_accepted_with_a_chain_of_signatures_to_the_truststore() {
    let root = root(params("root", AUTHORITY));
    check(&root, &[&signed(&peer(), &root)], Ok(()));
    let between = intermediate(params("between", AUTHORITY), &root);
    let own = signed(&peer(), &between);
    check(&root, &[&own, between.der()], Ok(()));
    check(&root, &[&own, between.der(), root.der()], Ok(()));
    check(&root, &[&own], Err(UnknownIssuer));
    // Itself of an authority that signs others.
    check(&root, &[between.der()], Ok(()));
    // A later certificate of the same authority, signed with the same key.
    let renewed = params("root", AUTHORITY).self_signed(root.key()).unwrap();
    check(&root, &[renewed.der()], Ok(()));
    let alone = self::root(peer());
    check(&root, &[alone.der()], Err(UnknownIssuer));
    check(&root, &[alone.der(), alone.der()], Err(UnknownIssuer));
}

#[test]
fn certificate_of_an_authority_is_refused_if_its_signature_is_wrong() {
    let (root, same_name) = (root(params("root", AUTHORITY)), root(params("root", AUTHORITY)));
    let own = signed(&peer(), &same_name);
    check(&root, &[&own], Err(BadSignature));
    let between = intermediate(params("between", AUTHORITY), &same_name);
    check(&root, &[&signed(&peer(), &between), between.der()], Err(BadSignature));
    // Signed as one that is not of an authority, and changed later: the copy that webpki gets is the one that was signed.
    let mut harmless = params("peer", IsCa::NoCa);
    let no_authority = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 1, 1, 0]);
    harmless.custom_extensions.push(no_authority);
    let harmless = signed(&harmless, &root);
    check(&root, &[&harmless], Ok(()));
    let at = harmless.windows(5).position(|bytes| bytes == [0x30, 3, 1, 1, 0]).unwrap();
    let mut changed = harmless.to_vec();
    changed[at + 4] = 0xff;
    check(&root, &[&changed.into()], Err(BadSignature));
}

#[test]
fn certificate_of_an_authority_is_refused_outside_of_its_validity_period() {
    let root = root(params("root", AUTHORITY));
    let with_years = |name: &str, from: i32, to: i32| {
        let mut params = params(name, AUTHORITY);
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        params
    };
    check(&root, &[&signed(&with_years("peer", 2020, 2021), &root)], Err(Expired));
    check(&root, &[&signed(&with_years("peer", 2040, 2041), &root)], Err(NotValidYet));
    let between = intermediate(with_years("between", 2020, 2021), &root);
    check(&root, &[&signed(&peer(), &between), between.der()], Err(Expired));
}

#[test]
fn issuer_between_must_be_an_authority_that_may_sign() {
    let root = root(params("root", AUTHORITY));
    let with_issuer = |issuer: CertificateParams, own: CertificateParams, expect: Result<(), CertificateError>| {
        let issuer = intermediate(issuer, &root);
        check(&root, &[&signed(&own, &issuer), issuer.der()], expect);
    };
    let mut without_signing = params("between", AUTHORITY);
    without_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for is_ca in [AUTHORITY, IsCa::NoCa] {
        with_issuer(params("between", IsCa::ExplicitNoCa), params("peer", is_ca), Err(UnknownIssuer));
        with_issuer(without_signing.clone(), params("peer", is_ca), Err(UnknownIssuer));
    }
}

/// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521` made the first one.
#[test]
fn authorities_with_unsupported_keys_are_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/keystores");
    let p521 = Der::from_pem_file(folder.join("p521-authority.pem")).unwrap();
    let trusted = vec![p521, root(params("root", AUTHORITY)).der().clone()];
    let (checks, _) = TruststoreChecks::new(trusted, default_provider().signature_verification_algorithms);
    assert_eq!(checks.unsupported(), ["CN=P-521"]);
}

#[test]
fn path_length_and_names_of_the_chain_are_checked() {
    let root = root(params("root", AUTHORITY));
    // No other authority between this one and the peer.
    let last = intermediate(params("last", IsCa::Ca(BasicConstraints::Constrained(0))), &root);
    check(&root, &[&signed(&peer(), &last), last.der()], Ok(()));
    let further = intermediate(params("further", AUTHORITY), &last);
    check_other(
        &root,
        &[&signed(&peer(), &further), further.der(), last.der()],
        "more authorities than one of them allows (pathlen",
    );
    let mut limited = params("limited", AUTHORITY);
    let permitted_subtrees = vec![GeneralSubtree::DnsName("ok.example".to_owned())];
    limited.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let limited = intermediate(limited, &root);
    let with_name = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = AUTHORITY;
        signed(&params, &limited)
    };
    check(&root, &[&with_name("a.ok.example"), limited.der()], Ok(()));
    check_other(
        &root,
        &[&with_name("other.example"), limited.der()],
        "may not sign certificates with this name (nameConstraints)",
    );
}

#[test]
fn certificate_must_be_for_the_usage() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    let root = root(params("root", AUTHORITY));
    for is_ca in [AUTHORITY, IsCa::NoCa] {
        let check = |key_usages: &[KeyUsagePurpose], extended: &[ExtendedKeyUsagePurpose], client, server| {
            let mut params = params("peer", is_ca);
            (params.key_usages, params.extended_key_usages) = (key_usages.to_vec(), extended.to_vec());
            let own = signed(&params, &root);
            for (usage, is_allowed) in [(Usage::Client, client), (Usage::Server, server)] {
                let expect = if is_allowed { Ok(()) } else { Err(InvalidPurpose) };
                assert_eq!(verify(&[&root], &[&own], usage), expect, "{usage:?} {key_usages:?} {extended:?}");
            }
        };
        check(&[KeyCertSign, CrlSign, DigitalSignature], &[], true, true);
        check(&[KeyCertSign, CrlSign], &[], false, false);
        check(&[KeyEncipherment], &[], false, false);
        check(&[], &[ClientAuth], true, false);
        check(&[], &[ServerAuth], false, true);
        check(&[], &[Any], true, true);
    }
}

#[test]
fn unsupported_critical_extension_and_version_are_refused_in_plain_words() {
    let root = root(params("root", AUTHORITY));
    for name in ["peer", "between"] {
        let mut special = params(name, AUTHORITY);
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        special.custom_extensions.push(extension);
        let special = intermediate(special, &root);
        let expect = "a critical extension that is not supported";
        check_other(&root, &[special.der()], expect);
        check_other(&root, &[&signed(&peer(), &special), special.der()], expect);
    }
    // The version, in which 2 stands for version 3.
    let mut changed = signed(&peer(), &root).to_vec();
    let at = changed.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]).unwrap();
    changed[at + 4] = 1;
    check_other(&root, &[&changed.into()], "not a certificate of X.509 version 3");
}

/// Java accepts these; docs/security.md names them as exceptions.
#[test]
fn usage_and_directory_names_of_an_issuer_between_are_checked_stricter_than_in_java() {
    let root = root(params("root", AUTHORITY));
    let mut for_servers = params("servers", AUTHORITY);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let for_servers = intermediate(for_servers, &root);
    let own = signed(&peer(), &for_servers);
    assert_eq!(verify(&[&root], &[&own, for_servers.der()], Usage::Server), Ok(()));
    assert_eq!(verify(&[&root], &[&own, for_servers.der()], Usage::Client), Err(InvalidPurpose));
    let mut limited = params("limited", AUTHORITY);
    let permitted_subtrees = vec![GeneralSubtree::DirectoryName(peer().distinguished_name)];
    limited.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let limited = intermediate(limited, &root);
    check_other(&root, &[&signed(&peer(), &limited), limited.der()], "may not sign certificates with this name");
}

/// Each value was tried with the trust manager of Java 17.
#[test]
fn netscape_certificate_type_must_name_the_usage() {
    let root = root(params("root", AUTHORITY));
    let check = |value: &[u8], client, server| {
        for (is_ca, extended) in
            [(AUTHORITY, &[][..]), (IsCa::NoCa, &[]), (IsCa::NoCa, &[ExtendedKeyUsagePurpose::Any])]
        {
            let mut params = params("peer", is_ca);
            params.extended_key_usages = extended.to_vec();
            let oid = [2, 16, 840, 1, 113730, 1, 1];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, value.to_vec()));
            let own = signed(&params, &root);
            for (usage, is_allowed) in [(Usage::Client, client), (Usage::Server, server)] {
                let expect = if is_allowed { Ok(()) } else { Err(InvalidPurpose) };
                assert_eq!(verify(&[&root], &[&own], usage), expect, "{usage:?} {value:x?} {extended:?}");
            }
        }
    };
    check(&[3, 2, 7, 0x80], true, false); // client
    check(&[3, 2, 6, 0x40], false, true); // server
    check(&[3, 2, 6, 0xc0], true, true); // client, server
    check(&[3, 3, 0, 0xc0, 0], true, true);
    check(&[3, 2, 2, 0x04], false, false); // sslCA
    check(&[3, 2, 2, 0x84], true, false); // client, sslCA
    check(&[3, 2, 5, 0x20], false, false); // email
    check(&[3, 1, 0], false, false);
    // Not a string of bits: no type.
    check(&[5, 0], true, true);
}

#[test]
fn certificate_in_the_truststore_that_is_not_of_an_authority_is_trusted_for_its_owner_alone() {
    let authority = root(params("root", AUTHORITY));
    let mut without_signing = params("pinned", AUTHORITY);
    without_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for pinned in [params("pinned", IsCa::ExplicitNoCa), params("pinned", IsCa::NoCa), without_signing] {
        let pinned = root(pinned);
        for usage in [Usage::Client, Usage::Server] {
            for trusted in [&[&pinned][..], &[&pinned, &authority]] {
                assert_eq!(verify(trusted, &[pinned.der()], usage), Ok(()));
                let other = signed(&params("other", IsCa::NoCa), &pinned);
                assert_eq!(verify(trusted, &[&other, pinned.der()], usage), Err(UnknownIssuer));
                assert_eq!(verify(trusted, &[&signed(&peer(), &pinned)], usage), Err(UnknownIssuer));
            }
        }
    }
}
