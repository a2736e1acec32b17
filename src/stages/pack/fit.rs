//! Which documents fit into so many tokens. Pure arithmetic: knows no texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a document that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// Its beginning is taken, as much as there is room for, and nothing after it.
    #[default]
    Cut,
    /// It is left out; shorter ones after it may still fit.
    Drop,
    /// Its record fails.
    Fail,
}

/// What is taken of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// So many tokens.
    First(usize),
}

/// How documents are fitted.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What becomes of a document that does not fit.
    pub overflow: Overflow,
    /// Tokens between two documents.
    pub separator: usize,
    /// Take nothing of a document for which nothing is left, instead of leaving it out.
    pub keep_empty: bool,
}

/// A document that does not fit: its place from 0, its tokens, and how many there is room for.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its place, from 0.
    pub place: usize,
    /// Its tokens.
    pub tokens: usize,
    /// Tokens that are left for it.
    pub left: i64,
}

/// What is taken of documents with these numbers of tokens, in their order: places from 0.
///
/// # Errors
/// With [`Overflow::Fail`], the first document that does not fit.
pub fn fit(lengths: &[usize], room: i64, rules: &Rules) -> Result<Vec<(usize, Part)>, Misfit> {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut taken = Vec::new();
    let mut room = room;
    for (place, &tokens) in lengths.iter().enumerate() {
        let between = if taken.is_empty() { 0 } else { rules.separator };
        let left = room.saturating_sub(number(between));
        if number(tokens) <= left {
            taken.push((place, Part::Whole));
            room = left - number(tokens);
            continue;
        }
        match rules.overflow {
            Overflow::Drop => {}
            Overflow::Fail => {
                return Err(Misfit {
                    place,
                    tokens,
                    left,
                });
            }
            Overflow::Cut => {
                if left > 0 || rules.keep_empty {
                    let first = usize::try_from(left).unwrap_or(0);
                    taken.push((place, Part::First(first)));
                }
                break;
            }
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(overflow: Overflow) -> Rules {
        Rules {
            overflow,
            separator: 2,
            keep_empty: false,
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_left_out_or_refused() {
        use Part::{First, Whole};
        let lengths = [5, 10, 1];
        let cut = |room| fit(&lengths, room, &rules(Overflow::Cut)).expect("fits");
        assert_eq!(cut(20), [(0, Whole), (1, Whole), (2, Whole)]);
        assert_eq!(cut(19), [(0, Whole), (1, Whole)]);
        assert_eq!(cut(16), [(0, Whole), (1, First(9))]);
        assert_eq!(cut(7), [(0, Whole)]);
        assert_eq!(cut(4), [(0, First(4))]);
        assert_eq!(cut(0), []);
        assert_eq!(cut(-3), []);
        assert_eq!(
            fit(&lengths, 8, &rules(Overflow::Drop)),
            Ok(vec![(0, Whole), (2, Whole)])
        );
        assert_eq!(
            fit(&lengths, 16, &rules(Overflow::Fail)),
            Err(Misfit {
                place: 1,
                tokens: 10,
                left: 9
            })
        );
        let kept = Rules {
            keep_empty: true,
            ..rules(Overflow::Cut)
        };
        assert_eq!(fit(&lengths, 6, &kept), Ok(vec![(0, Whole), (1, First(0))]));
        assert_eq!(fit(&lengths, -6, &kept), Ok(vec![(0, First(0))]));
    }

    proptest! {
        #[test]
        fn what_is_taken_fits(
            lengths in prop::collection::vec(0usize..30, 0..8),
            room in -5i64..120,
            drop: bool,
        ) {
            let overflow = if drop { Overflow::Drop } else { Overflow::Cut };
            let taken = fit(&lengths, room, &rules(overflow)).expect("nothing is refused");
            let tokens: usize = taken
                .iter()
                .map(|(place, part)| match part {
                    Part::Whole => lengths[*place],
                    Part::First(n) => *n,
                })
                .sum();
            let between = 2 * taken.len().saturating_sub(1);
            prop_assert!(taken.is_empty() || (tokens + between) as i64 <= room);
            // A cut fills the room to the last token.
            if let Some((_, Part::First(_))) = taken.last() {
                prop_assert_eq!((tokens + between) as i64, room);
            }
        }
    }
}
