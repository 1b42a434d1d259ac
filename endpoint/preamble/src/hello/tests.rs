//! Hand-made ClientHellos.

use proptest::prelude::*;

use super::*;

fn vector16(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(body)].concat()
}

fn hello(suites: &[u16], extensions: Option<&[u8]>) -> Vec<u8> {
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(vector16(&suites));
    body.extend([1, 0]);
    if let Some(extensions) = extensions {
        body.extend(vector16(extensions));
    }
    let head = u32::try_from(body.len()).unwrap() | 1 << 24;
    [&head.to_be_bytes()[..], &body].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |fragment: &[u8]| [&[22, 3, 1][..], &vector16(fragment)].concat();
    message.chunks(size).flat_map(record).collect()
}

fn names(name: &[u8]) -> Vec<u8> {
    extension(0, &vector16(&[&[0][..], &vector16(name)].concat()))
}

fn psk(identities: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = identities
        .iter()
        .flat_map(|identity| [&vector16(identity)[..], &[0; 4]].concat())
        .collect();
    let binders = vector16(&[&[32][..], &[9; 32]].concat());
    extension(41, &[vector16(&list), binders].concat())
}

#[test]
fn reads_suites_name_and_identities() {
    let extensions = [
        names(b"MQTT.Example.com"),
        psk(&[b"sensor01@demo", &[0xff, 1]]),
    ]
    .concat();
    let bytes = records(&hello(&[0x1301, 0xc02b], Some(&extensions)), 1 << 14);
    let expected = ClientHello {
        cipher_suites: vec![0x1301, 0xc02b],
        server_name: Some("mqtt.example.com".to_owned()),
        identities: vec![b"sensor01@demo".to_vec(), vec![0xff, 1]],
    };
    assert_eq!(read(&bytes), Ok(Some(expected)));
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end]), Ok(None), "cut at {end}");
    }
}

#[test]
fn reads_one_that_is_split_over_many_records() {
    let message = hello(&[0x00a8], Some(&names(b"a")));
    let found = read(&records(&message, 1)).unwrap().unwrap();
    assert_eq!(found.server_name.as_deref(), Some("a"));
}

#[test]
fn reads_one_that_comes_byte_by_byte() {
    let message = hello(&[0x1301], Some(&[names(b"a"), psk(&[b"a@b"])].concat()));
    for size in [1, 3, 1 << 14] {
        let bytes = records(&message, size);
        let mut reader = HelloReader::default();
        for end in 0..bytes.len() {
            assert_eq!(reader.read(&bytes[..end]), Ok(None), "cut at {end}");
        }
        assert_eq!(reader.read(&bytes), read(&bytes));
    }
}

#[test]
fn reads_one_without_extensions() {
    let found = read(&records(&hello(&[0x00ae], None), 100))
        .unwrap()
        .unwrap();
    assert!(found.offers_psk_suite());
}

#[test]
fn tells_what_is_spoken_instead_of_tls() {
    assert_eq!(read(b"\x10\x20\x00\x04MQTT"), Err(HelloError::Mqtt));
    assert_eq!(read(b"GET /mqtt HTTP/1.1"), Err(HelloError::Http));
    let not = Err(HelloError::Record(RecordError::NotHandshake));
    assert_eq!(read(b"\x17\x03\x03"), not);
    assert_eq!(read(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"), not);
}

#[test]
fn refuses_what_is_too_large_or_cannot_be() {
    let too_large = Err(HelloError::Record(RecordError::TooLarge));
    // A head that promises 16 MiB is refused at once.
    assert_eq!(read(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"), too_large);
    let mut split = records(
        &[&[1, 0, 0x3f, 0xff][..], &vec![0; MAX_HELLO - 1]].concat(),
        1,
    );
    split.truncate(MAX_BYTES);
    assert_eq!(read(&split), too_large);
    let malformed = Err(HelloError::Record(RecordError::Malformed));
    assert_eq!(read(b"\x16\x02\x00"), malformed);
    assert_eq!(read(b"\x16\x03\x01\x40\x01"), malformed);
    assert_eq!(read(b"\x16\x03\x01\x00\x00"), malformed);
    let mut cut = hello(&[0x1301], Some(&names(b"a")));
    // The length of the extensions, one too many.
    let at = cut.len() - names(b"a").len() - 1;
    cut[at] += 1;
    assert_eq!(read(&records(&cut, 100)), Err(HelloError::Malformed));
}

#[test]
fn knows_psk_suites_and_rsa_key_exchange() {
    let with = |suites: &[u16]| ClientHello {
        cipher_suites: suites.to_vec(),
        ..ClientHello::default()
    };
    // PSK_WITH_AES_128_CBC_SHA, PSK_WITH_AES_128_GCM_SHA256, ECDHE_PSK_WITH_AES_128_CBC_SHA256,
    // DHE_PSK_WITH_AES_256_GCM_SHA384, PSK_WITH_AES_128_CCM_8, ECDHE_PSK_WITH_CHACHA20_POLY1305
    for suite in [0x008c, 0x00a8, 0xc037, 0x00ab, 0xc0a8, 0xccac, 0xd001] {
        assert!(with(&[0xc02b, suite]).offers_psk_suite(), "{suite:#06x}");
    }
    // AES_128_GCM (1.3), ECDHE_ECDSA_WITH_AES_128_GCM, RSA_WITH_AES_128_CBC, GREASE
    let others = with(&[0x1301, 0xc02b, 0x002f, 0x0a0a, 0x00ff, 0xcca8]);
    assert!(!others.offers_psk_suite());
    assert!(!others.offers_only_rsa_key_exchange());
    // With the signals that clients add.
    assert!(with(&[0x002f, 0x003d, 0x00ff, 0x5600, 0x3a3a]).offers_only_rsa_key_exchange());
    assert!(!with(&[0x00ff]).offers_only_rsa_key_exchange());
}

#[test]
fn knows_who_likes_chacha20_best() {
    let with = |suites: &[u16]| ClientHello {
        cipher_suites: suites.to_vec(),
        ..ClientHello::default()
    };
    // Behind GREASE; TLS 1.2's.
    assert!(with(&[0x2a2a, 0x1303, 0x1301]).prefers_chacha20());
    assert!(with(&[0xcca9, 0xc02b]).prefers_chacha20());
    assert!(!with(&[0x1302, 0x1303, 0x1301]).prefers_chacha20());
    assert!(!with(&[0x00ff]).prefers_chacha20());
}

proptest! {
    /// Whatever comes, and wherever it is cut: no panic, an error stays an error, and the pieces are
    /// judged like the whole.
    #[test]
    fn any_bytes_are_judged_the_same_from_some_length_on(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        like_tls in any::<bool>(),
    ) {
        if like_tls && bytes.len() > 5 {
            bytes[..5].copy_from_slice(&[22, 3, 1, 0, 150]);
        }
        let mut refused = false;
        let mut reader = HelloReader::default();
        for end in 0..=bytes.len() {
            let result = read(&bytes[..end]);
            if !refused {
                prop_assert_eq!(&reader.read(&bytes[..end]), &result);
            }
            prop_assert!(!refused || result.is_err());
            refused |= result.is_err();
        }
    }
}
