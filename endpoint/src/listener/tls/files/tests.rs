//! What is wrong with a file is said with its name, and without its content.

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

struct Made {
    folder: TempDir,
    certificate: String,
    key: String,
}

impl Made {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let names = ["mqtt.example".to_owned(), "*.Example.org".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        Self {
            folder: TempDir::new().unwrap(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn load(&self, certificate: &str, key: &str) -> Result<Vec<Certificate>, String> {
        let files = CertificateFiles {
            certificate: self.folder.path().join("server.pem"),
            key: self.folder.path().join("server.key"),
        };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        load(&[files]).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(&self, certificate: &str, key: &str, words: &[&str]) {
        let message = self.load(certificate, key).err().expect("an error");
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
        let secret = key.lines().nth(1).filter(|line| line.len() > 20);
        assert!(
            secret.is_none_or(|secret| !message.contains(secret)),
            "{message}"
        );
    }
}

#[test]
fn reads_a_chain_its_key_and_the_hosts_it_is_for() {
    let made = Made::new();
    let chain = format!("Some text\n{}{}", made.certificate, made.certificate);
    let loaded = made.load(&chain, &made.key).unwrap();
    assert_eq!(loaded[0].certified.cert.len(), 2);
    assert_eq!(loaded[0].names, ["mqtt.example", "*.example.org"]);
}

#[test]
fn names_the_file_that_is_wrong_and_the_reason() {
    let made = Made::new();
    let other = KeyPair::generate().unwrap().serialize_pem();
    made.refused(
        &made.certificate,
        &other,
        &["server.key", "not the key of", "server.pem"],
    );
    made.refused("", &made.key, &["server.pem", "no certificate"]);
    made.refused(&made.certificate, "", &["server.key", "no private key"]);
    made.refused(
        &made.certificate,
        &made.certificate,
        &["server.key", "no private key"],
    );
    let cut = &made.key[..made.key.len() - 40];
    made.refused(&made.certificate, cut, &["server.key", "no END line"]);
    let cut = &made.certificate[..100];
    made.refused(cut, &made.key, &["server.pem", "no END line"]);
    let garbage = made.key.replacen("MI", "!!", 1);
    made.refused(&made.certificate, &garbage, &["server.key", "not base64"]);
    let encrypted = made.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    made.refused(
        &made.certificate,
        &encrypted,
        &["server.key", "pass phrase"],
    );
    let wrong = made.key.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    made.refused(&made.certificate, &wrong, &["server.key", "not a key"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let files = CertificateFiles {
        certificate: "/nonexistent/server.pem".into(),
        key: "/nonexistent/server.key".into(),
    };
    let message = load(&[files]).err().expect("an error").to_string();
    assert!(
        message.starts_with("cannot read /nonexistent/server.pem: "),
        "{message}"
    );
}
