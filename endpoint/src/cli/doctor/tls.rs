//! Certificates of the listeners and of the API: whether they can be served, and for how long.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{
    config::{CertificateFiles, Config},
    listener::{
        Entrance,
        tls::{HttpTls, LoadError},
    },
};

use super::Finding;

/// Before the end of a certificate, it is time to renew it.
const SOON: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn examine(config: &Config, findings: &mut Vec<Finding>) {
    for listener in &config.listeners {
        let what = format!("listener {}", listener.bind);
        let loaded = Entrance::new(listener, &config.limits).map(drop);
        let files = listener.tls.iter().flat_map(|tls| &tls.certificates);
        certificates(what, loaded, files, findings);
    }
    if let Some(files) = &config.api.tls {
        let loaded = HttpTls::load(files, config.limits.handshake_timeout).map(drop);
        certificates("[api.tls]".to_owned(), loaded, [files], findings);
    }
}

/// Whether they were loaded, and if so, for how long they are good.
fn certificates<'a>(
    what: String,
    loaded: Result<(), LoadError>,
    files: impl IntoIterator<Item = &'a CertificateFiles>,
    findings: &mut Vec<Finding>,
) {
    match loaded {
        Err(error) => findings.push(Finding::bad(what, error)),
        Ok(()) => {
            let now = SystemTime::now();
            let validities = files.into_iter().map(|files| &files.certificate);
            findings.extend(validities.map(|file| validity(file, now)));
        }
    }
}

/// The chain's certificate that ends first decides.
fn validity(file: &Path, now: SystemTime) -> Finding {
    let what = format!("certificate {}", file.display());
    let chain = CertificateDer::pem_file_iter(file);
    let chain: Vec<_> = chain.into_iter().flatten().flatten().collect();
    let spans = chain.iter().filter_map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        Some((
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ))
    });
    let span = spans.reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)));
    let Some((from, to)) = span else {
        return Finding::bad(what, "holds no certificate");
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let days = (to - seconds) / 86_400;
    if seconds < from {
        Finding::bad(what, "is not valid yet")
    } else if seconds > to {
        Finding::bad(what, "has expired")
    } else if u64::try_from(to - seconds).is_ok_and(|left| left < SOON.as_secs()) {
        Finding::warning(what, format_args!("expires in {days} days: renew it"))
    } else {
        Finding::good(what, format_args!("is valid for {days} more days"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let at = |days: u64| validity(&file, UNIX_EPOCH + Duration::from_secs(days * 86_400));
        // 2020-01-01 is day 18,262 of the epoch.
        for (day, verdict) in [
            (18_000, Verdict::Bad),
            (18_300, Verdict::Good),
            (18_600, Verdict::Warning),
            (18_700, Verdict::Bad),
        ] {
            let found = at(day);
            assert_eq!(found.verdict, verdict, "{day}: {}", found.text);
        }
        std::fs::write(&file, "nothing").unwrap();
        assert_eq!(at(18_300).verdict, Verdict::Bad);
    }
}
