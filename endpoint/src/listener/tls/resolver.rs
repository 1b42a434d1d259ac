//! Which certificate a client is shown: by the host that it asks for, and by the signatures that it
//! can verify.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::Certificate;

#[derive(Debug)]
pub(super) struct Resolver {
    certificates: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl Resolver {
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        let certificates = certificates.into_iter();
        Self {
            certificates: certificates
                .map(|certificate| (certificate.names, certificate.certified))
                .collect(),
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let names: Vec<_> = self
            .certificates
            .iter()
            .map(|(names, _)| &names[..])
            .collect();
        for index in candidates(&names, hello.server_name()) {
            let (_, certified) = self.certificates.get(index)?;
            if certified
                .key
                .choose_scheme(hello.signature_schemes())
                .is_some()
            {
                return Some(Arc::clone(certified));
            }
        }
        None
    }
}

/// The certificates for a host, the preferred first: those that name it; if none does, those that
/// name the same hosts as the first one, which is the default.
pub(super) fn candidates(names: &[&[String]], host: Option<&str>) -> Vec<usize> {
    let indices = 0..names.len();
    let for_host = host.map(|host| {
        let holds = |index: &usize| {
            let patterns = names.get(*index).copied().unwrap_or_default();
            patterns.iter().any(|pattern| matches(pattern, host))
        };
        indices.clone().filter(holds).collect::<Vec<_>>()
    });
    match for_host {
        Some(found) if !found.is_empty() => found,
        _ => indices
            .filter(|index| names.get(*index) == names.first())
            .collect(),
    }
}

/// RFC 9525, 6.3: a `*` stands for the whole first label.
fn matches(pattern: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let (Some(parent), Some((label, rest))) = (pattern.strip_prefix("*."), host.split_once('.'))
    else {
        return false;
    };
    !label.is_empty() && parent.eq_ignore_ascii_case(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&[&str]], host: Option<&str>) -> Vec<usize> {
        let owned: Vec<Vec<String>> = names
            .iter()
            .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
            .collect();
        let names: Vec<_> = owned.iter().map(|names| &names[..]).collect();
        candidates(&names, host)
    }

    #[test]
    fn the_certificate_that_names_the_host_is_shown() {
        let names: &[&[&str]] = &[
            &["a.example"],
            &["b.example", "*.b.example"],
            &["a.example"],
        ];
        assert_eq!(chosen(names, Some("b.example")), [1]);
        assert_eq!(chosen(names, Some("MQTT.B.example")), [1]);
        assert_eq!(
            chosen(names, Some("a.example.")),
            [0, 2],
            "of two keys for one name"
        );
    }

    #[test]
    fn the_first_and_its_likes_are_shown_to_others() {
        let names: &[&[&str]] = &[&["a.example"], &["b.example"], &["a.example"]];
        assert_eq!(chosen(names, None), [0, 2]);
        assert_eq!(chosen(names, Some("c.example")), [0, 2]);
        assert_eq!(chosen(&[], None), [0; 0]);
    }

    #[test]
    fn a_wildcard_is_one_label() {
        assert!(matches("*.b.example", "x.b.example"));
        for host in ["b.example", ".b.example", "y.x.b.example", "xb.example"] {
            assert!(!matches("*.b.example", host), "{host}");
        }
    }
}
