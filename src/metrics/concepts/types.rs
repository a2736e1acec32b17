//! UMLS's semantic types, such as `T047` (a disease), and the groups they are in, such as
//! `DISO` (disorders). Knows no concepts.

use crate::diag::Diagnostic;

/// A set of semantic types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Types([u64; 16]);

/// Bytes of a set in the dictionary.
pub const BYTES: usize = 128;

/// The semantic groups of the UMLS Semantic Network (`SemGroups.txt`, as of 2018 and unchanged
/// since): 127 types in 15 groups (McCray, Burgun, Bodenreider 2001).
const GROUPS: [(&str, &[u16]); 15] = [
    ("ACTI", &[51, 52, 53, 54, 55, 56, 57, 64, 66]),
    ("ANAT", &[17, 18, 21, 22, 23, 24, 25, 26, 29, 30, 31]),
    (
        "CHEM",
        &[
            103, 104, 109, 114, 116, 120, 121, 122, 123, 125, 126, 127, 129, 130, 131, 192, 195,
            196, 197, 200,
        ],
    ),
    (
        "CONC",
        &[77, 78, 79, 80, 81, 82, 89, 102, 169, 170, 171, 185],
    ),
    ("DEVI", &[74, 75, 203]),
    ("DISO", &[19, 20, 33, 37, 46, 47, 48, 49, 50, 184, 190, 191]),
    ("GENE", &[28, 85, 86, 87, 88]),
    ("GEOG", &[83]),
    (
        "LIVB",
        &[
            1, 2, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 96, 97, 98, 99, 100, 101, 194, 204,
        ],
    ),
    ("OBJC", &[71, 72, 73, 167, 168]),
    ("OCCU", &[90, 91]),
    ("ORGA", &[92, 93, 94, 95]),
    ("PHEN", &[34, 38, 67, 68, 69, 70]),
    ("PHYS", &[32, 39, 40, 41, 42, 43, 44, 45, 201]),
    ("PROC", &[58, 59, 60, 61, 62, 63, 65]),
];

/// The number of a type such as `T047`.
pub fn number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix('T')?;
    let three = digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
    three.then(|| digits.parse().ok()).flatten()
}

impl Types {
    /// The types that a user names, by themselves or by their groups. No name: no type.
    ///
    /// # Errors
    /// A name that is neither a type nor a group.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Types, Diagnostic> {
        let mut types = Types::default();
        for name in names {
            let group = GROUPS.iter().find(|(group, _)| *group == name);
            match (number(name), group) {
                (Some(number), _) => types.insert(number),
                (None, Some((_, numbers))) => numbers.iter().for_each(|n| types.insert(*n)),
                (None, None) => {
                    return Err(Diagnostic::error(format!(
                        "`{name}` is neither a semantic type such as `T047` nor a semantic group"
                    ))
                    .suggest(name, GROUPS.map(|(group, _)| group)));
                }
            }
        }
        Ok(types)
    }

    /// Adds a type by its number, which is below 1000.
    pub fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    /// Adds all types of another set.
    pub fn extend(&mut self, other: &Types) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// True if the sets have a type in common.
    pub fn meets(&self, other: &Types) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 16]
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        let has = |n: &u16| self.0[usize::from(n / 64)] & (1 << (n % 64)) != 0;
        (0..1000).filter(has).map(|n| format!("T{n:03}")).collect()
    }

    /// As the dictionary holds it.
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The other way round.
    pub fn from_bytes(bytes: &[u8]) -> Types {
        let mut types = Types::default();
        for (word, place) in types.0.iter_mut().zip(bytes.chunks_exact(8)) {
            let place = place.iter().rev();
            *word = place.fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        types
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_the_semantic_networks() {
        let all = Types::named(GROUPS.map(|(group, _)| group)).expect("groups");
        let count: usize = GROUPS.iter().map(|(_, types)| types.len()).sum();
        // Each type is in one group.
        assert_eq!((count, all.names().len()), (127, 127));
        let disorders = Types::named(["DISO"]).expect("a group");
        assert_eq!(
            disorders.names().join(" "),
            "T019 T020 T033 T037 T046 T047 T048 T049 T050 T184 T190 T191"
        );
    }

    #[test]
    fn sets_are_kept_as_bytes() {
        let types = Types::named(["T001", "GEOG", "T204", "T999"]).expect("types");
        assert_eq!(types.names(), ["T001", "T083", "T204", "T999"]);
        assert_eq!(Types::from_bytes(&types.to_bytes()), types);
        assert!(types.meets(&Types::named(["T083"]).expect("a type")));
        assert!(!types.meets(&Types::named(["T084"]).expect("a type")));
    }

    #[test]
    fn what_is_no_type_is_told() {
        let told = |name: &str| Types::named([name]).expect_err("no type");
        assert_eq!(told("DISOO").help.as_deref(), Some("did you mean `DISO`?"));
        for name in ["T47", "t047", "T0471", "", "T+47"] {
            assert!(told(name).message.contains("T047"), "{name}");
        }
    }
}
