//! The semantic types of concepts, from MRSTY.RRF. Knows no names.

use std::collections::HashMap;
use std::path::Path;

use super::rrf::{Kind, Rows};
use super::types::{self, Types};
use crate::diag::Diagnostic;

/// CUIs have seven digits.
const CUIS: usize = 10_000_000;

/// Which concept has which types. A few hundred combinations occur, so each is kept once.
#[derive(Debug, Default)]
pub struct Typed {
    /// The first is the empty one.
    sets: Vec<Types>,
    /// By the CUI's number, an index into `sets`. Empty if there are no types at all.
    of: Vec<u32>,
}

impl Typed {
    /// Reads a file; how many rows it has comes with it.
    ///
    /// # Errors
    /// It cannot be read, is not MRSTY.RRF, or has a wrong row.
    pub fn read(path: &Path) -> Result<(Typed, u64), Diagnostic> {
        let mut typed = Typed {
            sets: vec![Types::default()],
            of: vec![0; CUIS],
        };
        let mut ids: HashMap<Types, u32> = HashMap::from([(Types::default(), 0)]);
        // A set and one type more.
        let mut larger: HashMap<(u32, u16), u32> = HashMap::new();
        let mut rows = Rows::open(path, Kind::Mrsty)?;
        while rows.advance()? {
            let cui = rows.cui()?;
            let number = types::number(rows.get(1))
                .ok_or_else(|| rows.say("field 2 is no semantic type such as `T047`".to_owned()))?;
            let Some(id) = typed.of.get_mut(cui as usize) else {
                continue;
            };
            let sets = &mut typed.sets;
            *id = *larger.entry((*id, number)).or_insert_with(|| {
                let mut set = sets.get(*id as usize).copied().unwrap_or_default();
                set.insert(number);
                *ids.entry(set).or_insert_with(|| {
                    sets.push(set);
                    (sets.len() - 1) as u32
                })
            });
        }
        Ok((typed, rows.count()))
    }

    /// The types of a concept.
    pub fn of(&self, cui: u32) -> Types {
        let id = self.of.get(cui as usize).copied().unwrap_or(0);
        self.sets.get(id as usize).copied().unwrap_or_default()
    }
}
