//! The broker's side of a Kafka client's log-in: SASL PLAIN (RFC 4616), and SCRAM-SHA-256 (RFC 5802
//! and 7677). Messages: <https://kafka.apache.org/protocol>.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::sign::Signer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
const FAILED: i16 = 58;

/// The one who may log in, and how.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) mechanism: &'static str,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Passes requests on until the client has logged in. An error: it has not.
pub(crate) async fn log_in<N, F>(account: &Account, near: &mut N, far: &mut F) -> io::Result<()>
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    let mut scram = None;
    loop {
        let request = read(near).await?;
        let (api, version) = (number(&request, 0), number(&request, 2));
        let client_id = usize::try_from(number(&request, 8)).unwrap_or(0);
        let body = &request[10 + client_id..];
        let mut answer = request[4..8].to_vec();
        match api {
            SASL_HANDSHAKE => {
                let known = &body[2..] == account.mechanism.as_bytes();
                answer.extend(if known { 0_i16 } else { 33 }.to_be_bytes());
                answer.extend(1_i32.to_be_bytes());
                push_string(&mut answer, account.mechanism);
                write(near, &answer).await?;
            }
            SASL_AUTHENTICATE => {
                assert!(
                    version < 2,
                    "flexible messages are none of this librdkafka's"
                );
                let said = std::str::from_utf8(&body[4..]).expect("UTF-8");
                let step = if account.mechanism == "PLAIN" {
                    let expected = format!("\0{}\0{}", account.user, account.password);
                    (said == expected).then(|| (String::new(), true))
                } else {
                    match &scram {
                        None => {
                            let begun = Scram::begin(account, said);
                            let first = begun.first.clone();
                            scram = Some(begun);
                            Some((first, false))
                        }
                        Some(scram) => scram.finish(account, said).map(|last| (last, true)),
                    }
                };
                let (error, message, bytes) = match &step {
                    Some((bytes, _)) => (0, "", bytes.as_str()),
                    None => (FAILED, "wrong user name or password", ""),
                };
                answer.extend(error.to_be_bytes());
                push_string(&mut answer, message);
                answer.extend(length(bytes.len()));
                answer.extend(bytes.as_bytes());
                if version > 0 {
                    answer.extend(0_i64.to_be_bytes());
                }
                write(near, &answer).await?;
                match step {
                    Some((_, true)) => return Ok(()),
                    Some(_) => {}
                    None => return Err(io::ErrorKind::PermissionDenied.into()),
                }
            }
            // What may be asked before the log-in: which versions there are.
            _ => {
                write(far, &request).await?;
                let answer = read(far).await?;
                write(near, &answer).await?;
            }
        }
    }
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("a short text");
    out.extend(length.to_be_bytes());
    out.extend(text.as_bytes());
}

fn length(length: usize) -> [u8; 4] {
    i32::try_from(length)
        .expect("a short message")
        .to_be_bytes()
}

fn number(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(stream.read_i32().await?).expect("a length");
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(&length(bytes.len())).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

struct Scram {
    /// `client-first-message-bare`.
    bare: String,
    /// `server-first-message`.
    first: String,
    salted: [u8; 32],
}

impl Scram {
    fn begin(account: &Account, said: &str) -> Self {
        const ITERATIONS: usize = 4096;
        let bare = said.strip_prefix("n,,").expect("no channel binding");
        let nonce = bare.split(",r=").nth(1).expect("a nonce");
        let salt = b"a salt of the test's";
        let mut salted = [0; 32];
        let password = account.password.as_bytes();
        let digest = MessageDigest::sha256();
        openssl::pkcs5::pbkdf2_hmac(password, salt, ITERATIONS, digest, &mut salted).unwrap();
        let salt = STANDARD.encode(salt);
        Self {
            bare: bare.to_owned(),
            first: format!("r={nonce}server,s={salt},i={ITERATIONS}"),
            salted,
        }
    }

    /// `server-final-message`, if the proof proves it.
    fn finish(&self, account: &Account, said: &str) -> Option<String> {
        let (unproven, proof) = said.split_once(",p=")?;
        let proof = STANDARD.decode(proof).ok()?;
        let authentication = format!("{},{},{unproven}", self.bare, self.first);
        let stored = sha256(&hmac(&self.salted, b"Client Key"));
        let signature = hmac(&stored, authentication.as_bytes());
        let key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let is_user = self.bare.starts_with(&format!("n={},", account.user));
        (is_user && sha256(&key) == stored).then(|| {
            let server_key = hmac(&self.salted, b"Server Key");
            let verifier = hmac(&server_key, authentication.as_bytes());
            format!("v={}", STANDARD.encode(verifier))
        })
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = PKey::hmac(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.sign_oneshot_to_vec(message).unwrap()
}
