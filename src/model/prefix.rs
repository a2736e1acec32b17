//! What prompts have in common at their start, for servers that keep what they have computed of
//! it. A sketch holds a few hashes, no text.

use std::hash::{DefaultHasher, Hasher};

use super::chat::Question;

/// The shortest start that is worth a look, in bytes; each further one is twice as long.
const SHORTEST: usize = 512;
/// How many lengths are looked at: up to 64 KiB.
const LENGTHS: usize = 8;

/// Hashes of the first 512 bytes, 1 KiB, 2 KiB, … of a prompt, as far as it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch(Vec<u64>);

impl Sketch {
    /// The sketch of a question.
    pub fn of(question: &Question) -> Sketch {
        let Question::Chat(chat) = question else {
            return Sketch::default();
        };
        match &chat.text {
            Some(text) => Sketch::new([text.as_str()]),
            None => Sketch::new(chat.turns.iter().map(|turn| turn.text.as_str())),
        }
    }

    fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Sketch {
        let mut hasher = DefaultHasher::new();
        let mut hashes = Vec::new();
        let (mut read, mut next) = (0, SHORTEST);
        for part in parts {
            let mut bytes = part.as_bytes();
            while read + bytes.len() >= next {
                let (head, rest) = bytes.split_at(next - read);
                hasher.write(head);
                hashes.push(hasher.finish());
                if hashes.len() == LENGTHS {
                    return Sketch(hashes);
                }
                (read, next, bytes) = (next, next * 2, rest);
            }
            hasher.write(bytes);
            read += bytes.len();
        }
        Sketch(hashes)
    }

    /// How much two prompts have in common: 0 for nothing worth a word, each further one for
    /// twice as much.
    pub fn shared(&self, other: &Sketch) -> usize {
        let pairs = self.0.iter().zip(&other.0);
        pairs.take_while(|(a, b)| a == b).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_common_starts_share_more() {
        let note = "a".repeat(5000);
        let of = |end: &str| Sketch::new([note.as_str(), end]);
        assert_eq!(of("one").shared(&of("two")), 4);
        assert_eq!(Sketch::new(["b", &note]).shared(&of("two")), 0);
        assert_eq!(Sketch::new(["short"]), Sketch::default());
        // Where turns end does not matter.
        let cut = Sketch::new([&note[..700], &note[700..], "one"]);
        assert_eq!(cut, of("one"));
        assert_eq!(Sketch::new(["c".repeat(1 << 20).as_str()]).0.len(), LENGTHS);
    }
}
