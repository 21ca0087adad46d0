use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use common::certificates::{Authority, Validity};
use rcgen::DnType;
use rustls::HandshakeKind;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use super::*;

#[test]
fn clients_of_tls_1_2_and_1_3_are_served_and_resume_their_sessions() {
    let certificates = Certificates::new();
    let broker = certificates.broker().start();
    for version in [&TLS12, &TLS13] {
        let config = Arc::new(client_config(&certificates.authority.der(), None, &[version]));
        let kinds: Vec<_> = (0..2)
            .map(|_| connect_with(tls_address(&broker), &config).unwrap().conn.handshake_kind().unwrap())
            .collect();
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed], "{version:?}");
    }
}

#[test]
fn stream_ends_with_close_notify_when_the_broker_stops() {
    let certificates = Certificates::new();
    let mut broker = certificates.broker().start();
    let mut stream = connect(tls_address(&broker), certificates.client(None)).unwrap();
    broker.stop();
    // Without it, this is an error: UnexpectedEof.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn name_of_the_client_certificate_is_its_principal_by_the_rules() {
    let certificates = Certificates::new();
    let subject =
        [(DnType::CountryName, "DE"), (DnType::OrganizationName, "Example, Inc."), (DnType::CommonName, "Alice")];
    let alice = certificates.authority.client(&subject, Validity::Valid);
    let principal_with = |rules: &str| {
        let options = certificates.broker_with_client_auth("requested").set("ssl.principal.mapping.rules", rules);
        let broker = options.arg("--log-level").arg("info,ottla.server=debug").start();
        connect(tls_address(&broker), certificates.client(Some(&alice))).unwrap();
        connect(tls_address(&broker), certificates.client(None)).unwrap();
        broker.wait_for_log("principal=User:ANONYMOUS");
        broker.wait_for_log("principal=User:");
        let log = broker.log();
        let line = log.lines().find(|line| line.contains("TLS handshake done") && !line.contains("ANONYMOUS")).unwrap();
        line.split_once("principal=").unwrap().1.to_owned()
    };
    assert_eq!(principal_with("DEFAULT"), "User:CN=Alice,O=Example\\, Inc.,C=DE");
    assert_eq!(principal_with("RULE:^CN=(.*?),.*$/$1/L,DEFAULT"), "User:alice");
}

/// The error of the client, which may see it with its first read or later.
fn refused(address: SocketAddr, config: ClientConfig) -> String {
    connect(address, config).map(drop).unwrap_err().to_string()
}

#[test]
fn client_without_a_valid_certificate_is_refused_with_an_alert_and_a_log_line() {
    let certificates = Certificates::new();
    let broker = certificates.broker_with_client_auth("required").start();
    let address = tls_address(&broker);
    let name = [(DnType::CommonName, "client")];
    let check = |own: Option<&Issued>, alert: &str, line: &str| {
        let error = refused(address, certificates.client(own));
        assert!(error.contains(alert), "{error}");
        broker.wait_for_log(line);
    };
    check(None, "CertificateRequired", "the client presented no certificate, and ssl.client.auth is required");
    let untrusted = Authority::new().client(&name, Validity::Valid);
    check(Some(&untrusted), "UnknownCA", "the client's certificate is not signed by an authority of the truststore");
    let expired = certificates.authority.client(&name, Validity::Expired);
    check(Some(&expired), "CertificateExpired", "the client's certificate has expired");
    let valid = certificates.authority.client(&name, Validity::Valid);
    connect(address, certificates.client(Some(&valid))).unwrap();
    // Without the rule DEFAULT, a name may give no user.
    let options = certificates.broker_with_client_auth("required").set("ssl.principal.mapping.rules", "RULE:^CN=x$/x/");
    let broker = options.start();
    assert!(connect(tls_address(&broker), certificates.client(Some(&valid))).is_err());
    broker.wait_for_log("the client's certificate gives no user: No rules apply to CN=client");
}

/// `openssl x509 -req` made the certificate, without extensions.
#[test]
fn client_certificate_of_x509_version_1_is_accepted_from_its_authority_alone() {
    let certificates = Certificates::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keystores");
    let certificate = CertificateDer::from_pem_file(data.join("v1-client.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data.join("v1-client.key")).unwrap();
    // The usual way would check the certificate, which rustls itself does not support.
    let own = CertifiedKey::new(vec![certificate], any_supported_type(&key).unwrap());
    let own = Arc::new(SingleCertAndKey::from(own));
    let connect = |address: SocketAddr, version: &'static SupportedProtocolVersion| {
        let mut config = client_config(&certificates.authority.der(), None, &[version]);
        config.client_auth_cert_resolver = Arc::clone(&own) as _;
        connect(address, config).map(drop)
    };
    let trusting =
        |location: &str| certificates.broker_with_client_auth("required").set("ssl.truststore.location", location);
    let broker =
        trusting(&text(&data.join("v1-authority.pem"))).arg("--log-level").arg("info,ottla.server=debug").start();
    for version in [&TLS12, &TLS13] {
        connect(tls_address(&broker), version).unwrap();
    }
    broker.wait_for_log("principal=User:CN=old client");
    let broker = trusting(&text(&certificates.path("authority.pem"))).start();
    for version in [&TLS12, &TLS13] {
        connect(tls_address(&broker), version).unwrap_err();
    }
    broker.wait_for_log("the client's certificate is not signed by an authority of the truststore");
}

/// `openssl req -x509` makes such certificates.
#[test]
fn client_certificate_of_an_authority_is_accepted_only_if_it_or_its_signer_is_in_the_truststore() {
    let certificates = Certificates::new();
    let (own, other) = (Authority::new(), Authority::new());
    let expired = own.renewed(Validity::Expired);
    std::fs::write(certificates.path("trusted.pem"), own.pem() + &expired.certificate).unwrap();
    let options = certificates.broker_with_client_auth("required");
    let options = options.set("ssl.truststore.location", &text(&certificates.path("trusted.pem")));
    let broker = options.arg("--log-level").arg("info,ottla.server=debug").start();
    let with_key_of = |presented: &Issued, keys: &Issued, version: &'static SupportedProtocolVersion| {
        let key = PrivateKeyDer::from_pem_slice(keys.key.as_bytes()).unwrap();
        // The usual way would check that the key belongs to the certificate.
        let presented = vec![CertificateDer::from(presented.der.clone())];
        let presented = CertifiedKey::new(presented, any_supported_type(&key).unwrap());
        let mut config = client_config(&certificates.authority.der(), None, &[version]);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(presented));
        connect(tls_address(&broker), config).map(drop)
    };
    for version in [&TLS12, &TLS13] {
        let refused = |presented: &Issued, alert: &str| {
            let error = with_key_of(presented, presented, version).unwrap_err().to_string();
            assert!(error.contains(alert), "{error}");
        };
        with_key_of(&own.itself(), &own.itself(), version).unwrap();
        with_key_of(&own.itself(), &other.itself(), version).unwrap_err();
        refused(&other.itself(), "UnknownCA");
        // Signed by the authority in the truststore, whose name and key it has.
        let renewed = own.renewed(Validity::Valid);
        with_key_of(&renewed, &renewed, version).unwrap();
        refused(&other.renewed(Validity::Valid), "UnknownCA");
        refused(&expired, "CertificateExpired");
    }
    broker.wait_for_log(&format!("principal=User:CN={}", own.name));
    broker.wait_for_log("the client's certificate is not signed by an authority of the truststore");
    broker.wait_for_log("the client's certificate has expired");
    assert!(!broker.log().contains("CaUsedAsEndEntity") && !broker.log().contains(&other.name), "{}", broker.log());
}

#[test]
fn client_certificate_in_the_truststore_that_is_not_of_an_authority_is_trusted_for_its_owner_alone() {
    let certificates = Certificates::new();
    let own = Authority::without_ca();
    let signed = |by: &Authority| by.client(&[(DnType::CommonName, "admin")], Validity::Valid);
    let trusting = |trusted: String| {
        std::fs::write(certificates.path("trusted.pem"), trusted).unwrap();
        let options = certificates.broker_with_client_auth("required");
        options.set("ssl.truststore.location", &text(&certificates.path("trusted.pem"))).start()
    };
    let alone = trusting(own.pem());
    let with_authority = trusting(own.pem() + &certificates.authority.pem());
    for broker in [&alone, &with_authority] {
        connect(tls_address(broker), certificates.client(Some(&own.itself()))).unwrap();
        let error = refused(tls_address(broker), certificates.client(Some(&signed(&own))));
        assert!(error.contains("UnknownCA"), "{error}");
        broker.wait_for_log("the client's certificate is not signed by an authority of the truststore");
    }
    connect(tls_address(&with_authority), certificates.client(Some(&signed(&certificates.authority)))).unwrap();
}

#[test]
fn client_that_does_not_accept_the_certificate_is_logged() {
    let certificates = Certificates::new();
    let broker = certificates.broker().start();
    let untrusting = client_config(&Authority::new().der(), None, rustls::ALL_VERSIONS);
    assert!(refused(tls_address(&broker), untrusting).contains("UnknownIssuer"));
    broker.wait_for_log("the client does not accept the broker's certificate");
    certificates.authority.server(&["other.example"]).write(&certificates.path("broker.pem"));
    let broker = certificates.broker().start();
    let error = refused(tls_address(&broker), certificates.client(None));
    assert!(error.contains("not valid for name"), "{error}");
    let expired = certificates.authority.issue(&[(DnType::CommonName, "localhost")], &["localhost"], Validity::Expired);
    expired.write(&certificates.path("broker.pem"));
    let broker = certificates.broker().start();
    broker.wait_for_log("the certificate has expired, clients will refuse it");
    assert!(refused(tls_address(&broker), certificates.client(None)).contains("expired"));
}

#[test]
fn clients_without_tls_or_of_an_old_version_are_answered_and_named_in_the_log() {
    let certificates = Certificates::new();
    let broker = certificates.broker().start();
    let answer = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(tls_address(&broker)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // Not with a reset, which may reach a client before it has read the answer.
        socket.read_to_end(&mut answer).unwrap();
        answer
    };
    // The alert by which librdkafka recognizes a TLS port.
    assert_eq!(answer(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]), [0x15, 3, 3, 0, 2, 2, 10]);
    broker.wait_for_log("the client sent plain Kafka data, but this port serves Kafka with TLS");
    assert!(answer(b"GET / HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 400 "));
    broker.wait_for_log("the client sent HTTP data, but this port serves Kafka with TLS");
    let mut plain = broker.connect();
    plain.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    broker.wait_for_log("the client sent TLS data, but this port serves the plain Kafka protocol");
    // A hello of TLS 1.1: sizes, the version, random bytes, no session, a cipher suite, no compression, no extensions.
    let hello = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x09, 1, 0]].concat();
    assert_eq!(answer(&hello)[0], 0x15, "an alert");
    broker.wait_for_log("the client offers no version of TLS that ssl.enabled.protocols has");
}

#[test]
fn large_responses_and_requests_pass_through_tls() {
    let certificates = Certificates::new();
    let broker = certificates.broker().start();
    let mut stream = connect(tls_address(&broker), certificates.client(None)).unwrap();
    // 200 requests at once: their responses do not fit into the buffers of TLS.
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    for _ in 0..20 {
        stream.write_all(&request.repeat(200)).unwrap();
        for _ in 0..200 {
            let mut size = [0; 4];
            stream.read_exact(&mut size).unwrap();
            let mut response = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut response).unwrap();
            assert_eq!(response[..4], [0, 0, 0, 7]);
        }
    }
}
