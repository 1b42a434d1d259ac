//! Certificates in documents: base64 of DER, PEM, or (as Drogue Cloud wrote them) base64 of PEM.
//!
//! Only the outer structure is checked here: one DER SEQUENCE that fills the bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Largest certificate in DER, in bytes.
const MAX_DER: usize = 16 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificate in DER.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let der = if text.contains(BEGIN) {
        from_pem(text)?
    } else {
        let decoded = from_base64(text)?;
        match std::str::from_utf8(&decoded) {
            Ok(pem) if pem.contains(BEGIN) => from_pem(pem)?,
            _ => decoded,
        }
    };
    if der.len() > MAX_DER {
        return Err(format!(
            "is {} bytes long, at most {MAX_DER} are allowed",
            der.len()
        ));
    }
    if !is_der_sequence(&der) {
        return Err("is not a DER-encoded certificate".to_owned());
    }
    Ok(der)
}

/// The one certificate of a PEM text (RFC 7468); text around it is ignored.
fn from_pem(pem: &str) -> Result<Vec<u8>, String> {
    let (_, after_begin) = pem.split_once(BEGIN).ok_or("has no BEGIN line")?;
    let (body, rest) = after_begin.split_once(END).ok_or("has no END line")?;
    if rest.contains(BEGIN) {
        return Err("holds several certificates; write one anchor for each".to_owned());
    }
    from_base64(body)
}

fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    let compact: String = text.split_ascii_whitespace().collect();
    BASE64_STANDARD
        .decode(compact)
        .map_err(|_| "is neither PEM nor base64 of DER".to_owned())
}

/// X.690 section 8.1: tag 0x30 and a definite length that ends where the bytes end.
fn is_der_sequence(der: &[u8]) -> bool {
    let Some((&0x30, rest)) = der.split_first() else {
        return false;
    };
    let Some((&first, rest)) = rest.split_first() else {
        return false;
    };
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let Some((length, content)) = rest.split_at_checked(usize::from(first & 0x7f)) else {
                return false;
            };
            (
                length
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                content,
            )
        }
        _ => return false,
    };
    length > 0 && content.len() == length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der() -> Vec<u8> {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend([7; 256]);
        der
    }

    fn pem() -> String {
        let body = BASE64_STANDARD.encode(der());
        let (first, second) = body.split_at(64);
        format!("subject=CN=ca\n{BEGIN}\n{first}\n{second}\r\n{END}\n")
    }

    #[test]
    fn takes_der_and_pem_and_base64_of_pem() {
        assert_eq!(parse(&BASE64_STANDARD.encode(der())), Ok(der()));
        assert_eq!(parse(&pem()), Ok(der()));
        assert_eq!(parse(&BASE64_STANDARD.encode(pem())), Ok(der()));
    }

    #[test]
    fn refuses_what_is_no_single_certificate() {
        let two = pem() + &pem();
        let mut cut = der();
        cut.pop();
        let mut long = der();
        long.push(0);
        for (text, reason) in [
            (two, "several"),
            (format!("{BEGIN}\nAAAA"), "END"),
            ("&&&".to_owned(), "neither"),
            (String::new(), "DER"),
            (BASE64_STANDARD.encode(cut), "DER"),
            (BASE64_STANDARD.encode(long), "DER"),
            (BASE64_STANDARD.encode([0x30, 0x80, 0, 0]), "DER"),
            (BASE64_STANDARD.encode([0x30, 0x84, 1]), "DER"),
            (
                BASE64_STANDARD.encode(vec![0x30; MAX_DER + 1]),
                "bytes long",
            ),
        ] {
            assert!(parse(&text).unwrap_err().contains(reason), "{reason}");
        }
    }
}
