use std::fs;

use common::{command, run_command};

use super::*;

/// Settings that must refuse the start with one line that contains `expect`. `$` stands for the folder of the
/// certificates.
#[test]
fn start_with_unusable_tls_settings_is_refused_in_one_line() {
    let certificates = Certificates::new();
    fs::write(certificates.path("other.pem"), Authority::new().server(&["localhost"]).certificate).unwrap();
    let key = fs::read_to_string(certificates.path("broker.pem")).unwrap();
    let other = fs::read_to_string(certificates.path("other.pem")).unwrap();
    let mixed = key.split_once("-----BEGIN CERTIFICATE").unwrap().0.to_owned() + &other;
    fs::write(certificates.path("mixed.pem"), mixed).unwrap();
    let pem = "ssl.keystore.type=PEM ssl.keystore.location=$broker.pem";
    let cases = [
        ("", "the listener SSL needs a certificate; set ssl.keystore.location"),
        ("ssl.keystore.location=$broker.pem", "the file is PEM; set ssl.keystore.type=PEM"),
        ("ssl.keystore.type=PEM ssl.keystore.location=$nowhere.pem", "nowhere.pem: cannot read the file: No such file"),
        ("ssl.keystore.type=PEM ssl.keystore.location=$", "this is not a file"),
        ("ssl.keystore.type=PEM ssl.keystore.location=$authority.pem", "there is no private key"),
        (
            "ssl.keystore.type=PEM ssl.keystore.location=$mixed.pem",
            "the private key does not belong to the certificate",
        ),
        (
            "ssl.keystore.type=PEM ssl.keystore.key=x",
            "ssl.keystore.key is set, but ssl.keystore.certificate.chain is not",
        ),
        ("ssl.keystore.key=x ssl.keystore.certificate.chain=y", "set ssl.keystore.type=PEM"),
        ("ssl.keystore.type=BCFKS ssl.keystore.location=$broker.pem", "ssl.keystore.type=BCFKS is not supported"),
        ("listener.name.ssl.ssl.keystore.location=$nowhere", "ottla: listener.name.ssl.ssl.keystore.location="),
        (&format!("{pem} ssl.keystore.password=x"), "ssl.keystore.password has no meaning for PEM; remove it"),
        (&format!("{pem} ssl.client.auth=required"), "set ssl.truststore.location or ssl.truststore.certificates"),
        (&format!("{pem} ssl.enabled.protocols=TLSv1.2,TLSv1.1"), "TLSv1.1 is not supported; use TLSv1.2 and TLSv1.3"),
        (&format!("{pem} ssl.protocol=SSLv3"), "ssl.protocol: SSLv3 is not supported"),
        (
            &format!("{pem} ssl.cipher.suites=TLS_RSA_WITH_AES_128_CBC_SHA"),
            "TLS_RSA_WITH_AES_128_CBC_SHA is not supported; supported are TLS_AES_256_GCM_SHA384, ",
        ),
        (
            &format!("{pem} ssl.cipher.suites=TLS_AES_256_GCM_SHA384 ssl.enabled.protocols=TLSv1.2"),
            "none of the cipher suites belongs to a version of ssl.enabled.protocols",
        ),
        (&format!("{pem} ssl.principal.mapping.rules=RULE:x"), "ssl.principal.mapping.rules: Invalid rule: RULE:x"),
        (&format!("{pem} ssl.engine.factory.class=com.example.F"), "Java classes are not supported; remove it"),
    ];
    let folder = format!("{}/", certificates.dir.path().display());
    for (settings, expect) in cases {
        let mut command = command(&[]);
        command.args(["--ephemeral", "--set", "listeners=SSL://127.0.0.1:0"]);
        settings.split_whitespace().for_each(|setting| {
            command.arg("--set").arg(setting.replace('$', &folder));
        });
        let output = run_command(&mut command);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{settings}: {message}");
        assert!(message.starts_with("ottla: ") && message.contains(expect), "{settings}: {message}");
    }
}
