//! Patterns of machines: a name, `*.name` for all below it, an address, or a network such as
//! `10.1.0.0/16`. Pure.

use std::net::IpAddr;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// This name, or all below it.
    Name {
        /// In lower case, without the dot at the end.
        name: String,
        /// True for those below it, and not itself.
        below: bool,
    },
    /// The addresses that begin with the same bits.
    Network {
        /// The first of them.
        address: IpAddr,
        /// How many bits.
        bits: u32,
    },
}

impl Hosts {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Hosts, &'static str> {
        const WRONG: &str =
            "expected a machine's name, `*.name`, an address, or a network such as `10.1.0.0/16`";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        if let Ok(address) = bare(address).parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = match bits {
                Some(bits) => bits
                    .parse()
                    .ok()
                    .filter(|bits| *bits <= most)
                    .ok_or(WRONG)?,
                None => most,
            };
            return Ok(Hosts::Network { address, bits });
        }
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let known = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let name = name.trim_end_matches('.').to_lowercase();
        if name.is_empty() || !name.chars().all(known) {
            return Err(WRONG);
        }
        Ok(Hosts::Name { name, below })
    }

    /// True when it stands for this machine.
    pub fn include(&self, host: &str) -> bool {
        let host = bare(host);
        match self {
            Hosts::Name { name, below } => {
                let host = host.trim_end_matches('.').to_lowercase();
                match host.strip_suffix(name.as_str()) {
                    Some("") => !below,
                    Some(rest) => *below && rest.ends_with('.') && rest.len() > 1,
                    None => false,
                }
            }
            Hosts::Network { address, bits } => match (host.parse(), address) {
                (Ok(IpAddr::V4(host)), IpAddr::V4(first)) => {
                    same(host.to_bits().into(), first.to_bits().into(), *bits, 32)
                }
                (Ok(IpAddr::V6(host)), IpAddr::V6(first)) => {
                    same(host.to_bits(), first.to_bits(), *bits, 128)
                }
                _ => false,
            },
        }
    }
}

/// An address as it stands in a URL, without the brackets.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

fn same(a: u128, b: u128, bits: u32, of: u32) -> bool {
    let differ = a ^ b;
    bits == 0 || differ >> (of - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_no_more_than_they_say() {
        for (pattern, inside, outside) in [
            (
                "gpu1.lab.example",
                vec!["gpu1.lab.example", "GPU1.lab.example."],
                vec![
                    "gpu1.lab.example.org",
                    "xgpu1.lab.example",
                    "a.gpu1.lab.example",
                ],
            ),
            (
                "*.lab.example",
                vec!["a.lab.example", "a.b.lab.example"],
                vec!["lab.example", "evillab.example", ".lab.example"],
            ),
            (
                "10.1.0.0/16",
                vec!["10.1.0.1", "10.1.255.255"],
                vec!["10.2.0.1", "10.1.0.1.evil.org", "::1"],
            ),
            ("10.1.2.3", vec!["10.1.2.3"], vec!["10.1.2.4"]),
            ("0.0.0.0/0", vec!["8.8.8.8"], vec!["example.org", "::1"]),
            (
                "fd00::/8",
                vec!["[fd12::1]", "fd12::1"],
                vec!["[fe80::1]", "10.1.2.3"],
            ),
        ] {
            let hosts = Hosts::parse(pattern).expect(pattern);
            for host in inside {
                assert!(hosts.include(host), "{pattern} {host}");
            }
            for host in outside {
                assert!(!hosts.include(host), "{pattern} {host}");
            }
        }
        for wrong in [
            "",
            "*",
            "*.",
            "a b",
            "https://a.b",
            "10.0.0.0/33",
            "10.0.0.0/",
            "a*.b",
            "a/8",
        ] {
            assert!(Hosts::parse(wrong).is_err(), "{wrong}");
        }
    }
}
