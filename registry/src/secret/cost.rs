//! What a password hash costs to verify: read from the hash, bounded, and spent for nothing when
//! there is no password to compare with.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};

use super::salted;

/// Highest bcrypt cost accepted: about 2 s of one core.
const MAX_BCRYPT_COST: u32 = 15;
/// Most rounds of SHA-512-crypt accepted: about 0.3 s of one core for a short password.
const MAX_SHA512_ROUNDS: u32 = 500_000;
/// Longest salt that SHA-512-crypt uses; a longer one is silently cut by other implementations.
/// <https://www.akkadia.org/drepper/SHA-crypt.txt>
const MAX_SHA512_SALT: usize = 16;
/// A SHA-512-crypt hash is 64 bytes in crypt's base64.
const SHA512_HASH: usize = 86;
/// Most memory of an accepted Argon2 hash, in KiB. Together with the number of verification
/// workers it bounds the server's memory.
const MAX_ARGON2_MEMORY: u32 = 128 * 1024;
const MAX_ARGON2_PASSES: u32 = 16;
const MAX_ARGON2_LANES: u32 = 16;

/// Cost of the Argon2id hash under which plain passwords are stored.
///
/// The default is the OWASP Password Storage Cheat Sheet's minimum with the least time: 19 MiB of
/// memory, 2 passes, 1 lane, some 15 to 35 ms of one core. Memory, not time, is what makes guessing
/// dear; the first log-in of a device after a start pays it once, later ones are remembered.
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB, 8 per lane to 131,072.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 16.
    pub passes: u32,
    /// Lanes, 1 to 16. They are computed one after the other.
    pub lanes: u32,
}

impl Default for PasswordCost {
    fn default() -> PasswordCost {
        PasswordCost {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

impl PasswordCost {
    /// Why the cost is out of bounds, if it is.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.argon2().map(|_| ())
    }

    pub(crate) fn cost(&self) -> Cost {
        Cost::Argon2(Argon2Cost {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        })
    }

    pub(super) fn hash(&self, plain: &[u8]) -> Result<String, String> {
        let mut salt = [0; argon2::RECOMMENDED_SALT_LEN];
        getrandom::fill(&mut salt).map_err(|error| format!("no random salt: {error}"))?;
        let hash = self.argon2()?.hash_password_with_salt(plain, &salt);
        Ok(hash.map_err(|error| error.to_string())?.to_string())
    }

    fn argon2(&self) -> Result<Argon2<'static>, String> {
        check_argon2(self.memory_kib, self.passes, self.lanes)?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None);
        let params = params.map_err(|error| error.to_string())?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// How plain passwords are stored, if they are stored hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordHash {
    /// Argon2id of [`PasswordCost`]: good for every password.
    #[default]
    Argon2id,
    /// Salted BLAKE2s-256, some 0.3 µs: for random secrets of at least 128 bits, made by machines,
    /// so that a million devices are written in minutes and cost nothing at log-in. Danger: whoever
    /// steals the file tries billions of passwords a second; one that a person chose is lost.
    Blake2sRandomSecrets,
}

/// What the verification of one password computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    Plain,
    Blake2s,
    Bcrypt { cost: u32 },
    Sha512 { rounds: u32 },
    Argon2(Argon2Cost),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Argon2Cost {
    algorithm: Algorithm,
    version: Version,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// Whether it takes long enough to belong on a thread of its own.
    pub(crate) fn is_slow(&self) -> bool {
        !matches!(self, Cost::Plain | Cost::Blake2s)
    }

    /// Computes what a verification of this cost would, and forgets the result.
    pub(crate) fn spend(&self, presented: &[u8]) {
        const SALT: [u8; 16] = *b"no such password";
        match *self {
            Cost::Plain => {}
            Cost::Blake2s => salted::spend(presented),
            Cost::Bcrypt { cost } => {
                let _ = std::hint::black_box(bcrypt::hash_with_salt(presented, cost, SALT));
            }
            Cost::Sha512 { rounds } => {
                if let Ok(params) = sha_crypt::Params::new(rounds) {
                    std::hint::black_box(sha_crypt::sha512_crypt(presented, &SALT, params));
                }
            }
            Cost::Argon2(cost) => {
                if let Ok(params) = Params::new(cost.memory_kib, cost.passes, cost.lanes, None) {
                    let mut out = [0; 32];
                    let argon2 = Argon2::new(cost.algorithm, cost.version, params);
                    let _ = argon2.hash_password_into(presented, &SALT, &mut out);
                    std::hint::black_box(out);
                }
            }
        }
    }

    pub(super) fn of_blake2s(hash: &str) -> Result<Cost, String> {
        salted::check(hash).map(|()| Cost::Blake2s)
    }

    pub(super) fn of_bcrypt(hash: &str) -> Result<Cost, String> {
        // `$2x$` marks hashes of an implementation with a bug, which no other verifies.
        if hash.starts_with("$2x$") {
            return Err("`$2x$` hashes are not supported; use `$2a$`, `$2b$` or `$2y$`".to_owned());
        }
        let parts: bcrypt::HashParts = hash
            .parse()
            .map_err(|_| "is not a bcrypt hash of 60 characters".to_owned())?;
        let cost = parts.get_cost();
        if !(4..=MAX_BCRYPT_COST).contains(&cost) {
            return Err(format!(
                "has cost {cost}; allowed are 4 to {MAX_BCRYPT_COST}"
            ));
        }
        Ok(Cost::Bcrypt { cost })
    }

    pub(super) fn of_sha512(hash: &str) -> Result<Cost, String> {
        let malformed = || "is not a `$6$` SHA-512-crypt hash".to_owned();
        let rest = hash.strip_prefix("$6$").ok_or_else(malformed)?;
        let (rounds, rest) = match rest.strip_prefix("rounds=") {
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$').ok_or_else(malformed)?;
                (rounds.parse().map_err(|_| malformed())?, rest)
            }
            None => (sha_crypt::Params::RECOMMENDED_ROUNDS, rest),
        };
        if !(sha_crypt::Params::ROUNDS_MIN..=MAX_SHA512_ROUNDS).contains(&rounds) {
            let min = sha_crypt::Params::ROUNDS_MIN;
            return Err(format!(
                "has {rounds} rounds; allowed are {min} to {MAX_SHA512_ROUNDS}"
            ));
        }
        let (salt, digest) = rest.split_once('$').ok_or_else(malformed)?;
        let crypt_base64 = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
        };
        if salt.is_empty() || salt.len() > MAX_SHA512_SALT || !crypt_base64(salt) {
            return Err(format!(
                "must have a salt of 1 to {MAX_SHA512_SALT} of `./0-9A-Za-z`"
            ));
        }
        if digest.len() != SHA512_HASH || !crypt_base64(digest) {
            return Err(malformed());
        }
        Ok(Cost::Sha512 { rounds })
    }

    pub(super) fn of_argon2(hash: &str) -> Result<Cost, String> {
        let malformed = || "is not a PHC string of Argon2 with salt and hash".to_owned();
        let parsed = argon2::PasswordHash::new(hash).map_err(|_| malformed())?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| malformed())?;
        let version = match parsed.version {
            Some(version) => Version::try_from(version).map_err(|_| malformed())?,
            // PHC strings without `v=` are of Argon2 1.0.
            None => Version::V0x10,
        };
        let params = Params::try_from(&parsed).map_err(|_| malformed())?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(malformed());
        }
        let (memory_kib, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        check_argon2(memory_kib, passes, lanes)?;
        Ok(Cost::Argon2(Argon2Cost {
            algorithm,
            version,
            memory_kib,
            passes,
            lanes,
        }))
    }
}

fn check_argon2(memory_kib: u32, passes: u32, lanes: u32) -> Result<(), String> {
    if !(1..=MAX_ARGON2_LANES).contains(&lanes) {
        return Err(format!(
            "has {lanes} lanes; allowed are 1 to {MAX_ARGON2_LANES}"
        ));
    }
    if !(8 * lanes..=MAX_ARGON2_MEMORY).contains(&memory_kib) {
        let least = 8 * lanes;
        return Err(format!(
            "takes {memory_kib} KiB of memory; allowed are {least} to {MAX_ARGON2_MEMORY}"
        ));
    }
    if !(1..=MAX_ARGON2_PASSES).contains(&passes) {
        return Err(format!(
            "makes {passes} passes; allowed are 1 to {MAX_ARGON2_PASSES}"
        ));
    }
    Ok(())
}
