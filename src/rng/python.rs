//! CPython's `random.Random` as far as `seed(int)`, `random`, `getrandbits` and `randbelow`
//! go: the Mersenne Twister MT19937, seeded by array. Owns the twister's state.

use rand_mt::Mt;

/// The generator behind CPython's `random` module.
#[derive(Clone, Debug)]
pub struct PythonRandom(Mt);

impl PythonRandom {
    /// `random.seed(n)` for an integer; of a negative one CPython takes the absolute value.
    pub fn seed(seed: u64) -> PythonRandom {
        // The seed's 32-bit digits, least first, without leading zeros (but at least one).
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = if high == 0 {
            vec![low]
        } else {
            vec![low, high]
        };
        PythonRandom(Mt::new_with_key(key))
    }

    /// `random.getrandbits(k)`; `k` above 64 counts as 64.
    pub fn getrandbits(&mut self, k: u32) -> u64 {
        match k.min(64) {
            0 => 0,
            k @ 1..=32 => u64::from(self.0.next_u32() >> (32 - k)),
            k => {
                let low = u64::from(self.0.next_u32());
                let high = u64::from(self.0.next_u32() >> (64 - k));
                high << 32 | low
            }
        }
    }

    /// A number below `n`, drawn like CPython's `randrange(n)`; 0 if `n` is 0.
    pub fn randbelow(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let bits = n.ilog2() + 1;
        loop {
            let drawn = self.getrandbits(bits);
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `random.random()`: at least 0, below 1, with 53 random bits.
    pub fn random(&mut self) -> f64 {
        let high = f64::from(self.0.next_u32() >> 5);
        let low = f64::from(self.0.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_numbers_are_cpythons() {
        let golden = include_str!("../../tests/golden/units/mt19937.jsonl");
        for line in golden.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let seed = line["seed"].as_i64().expect("a seed").unsigned_abs();
            let mut rng = PythonRandom::seed(seed);
            for expected in line["random"].as_array().expect("a list") {
                assert_eq!(Some(rng.random()), expected.as_f64());
            }
            for pair in line["getrandbits"].as_array().expect("a list") {
                let bits = pair[0].as_u64().expect("bits") as u32;
                let drawn = rng.getrandbits(bits).to_string();
                assert_eq!(Some(drawn.as_str()), pair[1].as_str(), "{bits} bits");
            }
            for pair in line["randbelow"].as_array().expect("a list") {
                let n = pair[0].as_u64().expect("n");
                assert_eq!(Some(rng.randbelow(n)), pair[1].as_u64(), "below {n}");
            }
        }
    }
}
