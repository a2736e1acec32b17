//! This program's own generator: the output stream of BLAKE3 under a context and the seed.
//! Chosen because its definition fits in one line, it is the same on every machine, and the
//! hash is at hand. Owns the stream's position.

use std::fmt;

/// Numbers from the output stream of BLAKE3 in key-derivation mode, context `clue rng v1`,
/// over the seed as 8 bytes, least first; each number takes the next 8 bytes, least first.
#[derive(Clone)]
pub struct OwnRng(blake3::OutputReader);

impl OwnRng {
    /// The generator of a seed.
    pub fn seed(seed: u64) -> OwnRng {
        let mut hasher = blake3::Hasher::new_derive_key("clue rng v1");
        hasher.update(&seed.to_le_bytes());
        OwnRng(hasher.finalize_xof())
    }

    /// The upper `k` bits of the next number; `k` above 64 counts as 64.
    pub fn getrandbits(&mut self, k: u32) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
            .checked_shr(64 - k.min(64))
            .unwrap_or(0)
    }

    /// The next bytes of the stream.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    /// A number below `n`, each equally likely; 0 if `n` is 0. Draws as many bits as `n` has
    /// until they give a number below `n`.
    pub fn randbelow(&mut self, n: u64) -> u64 {
        let Some(log) = n.checked_ilog2() else {
            return 0;
        };
        loop {
            let drawn = self.getrandbits(log + 1);
            if drawn < n {
                return drawn;
            }
        }
    }
}

impl fmt::Debug for OwnRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnRng(at {})", self.0.position())
    }
}
