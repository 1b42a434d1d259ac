//! Payloads on the wire: as they are, or in Base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use landfall_registry::PayloadEncoding;

/// The payload is not what the device's `payloadEncoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload is not Base64")]
pub struct NotBase64;

/// What a device means by a payload.
///
/// # Errors
///
/// [`NotBase64`] (RFC 4648, section 4, with padding): the device's fault.
pub fn decode(encoding: PayloadEncoding, payload: &[u8]) -> Result<Cow<'_, [u8]>, NotBase64> {
    match encoding {
        PayloadEncoding::Raw => Ok(Cow::Borrowed(payload)),
        PayloadEncoding::Base64 => {
            let decoded = BASE64_STANDARD.decode(payload).map_err(|_| NotBase64)?;
            Ok(Cow::Owned(decoded))
        }
    }
}

/// What is written to a device for a payload. Nothing is copied unless it has to be.
pub fn encode(encoding: PayloadEncoding, payload: &Bytes) -> Bytes {
    match encoding {
        PayloadEncoding::Raw => payload.clone(),
        PayloadEncoding::Base64 => BASE64_STANDARD.encode(payload).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_decodes_again(payload: Vec<u8>) {
            for encoding in [PayloadEncoding::Raw, PayloadEncoding::Base64] {
                let written = encode(encoding, &Bytes::from(payload.clone()));
                prop_assert_eq!(&*decode(encoding, &written).unwrap(), &*payload);
            }
        }

        #[test]
        fn no_payload_makes_it_panic(payload: Vec<u8>) {
            let _ = decode(PayloadEncoding::Base64, &payload);
        }
    }

    #[test]
    fn refuses_what_is_not_base64() {
        for payload in ["{\"a\":1}", "YQ", "YQ=", "Y Q==", "YQ==\n", "-_8="] {
            let decoded = decode(PayloadEncoding::Base64, payload.as_bytes());
            assert_eq!(decoded, Err(NotBase64), "{payload:?}");
        }
        assert_eq!(decode(PayloadEncoding::Base64, b"").unwrap().len(), 0);
    }
}
