//! What is shown now: the data of the page as JSON, by version.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;

use crate::report::page::Report;

/// Versions of which single blocks are still served: who just asked for the page needs them.
const KEPT: usize = 3;

/// The data of a page.
#[derive(Debug)]
pub struct Data {
    /// Counts up.
    pub version: u64,
    /// What is needed at once, as JSON.
    pub overview: Bytes,
    /// What is needed later, each as JSON.
    pub blocks: Vec<Bytes>,
}

/// What is shown. Clones share the data.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The latest is the last.
    data: VecDeque<Arc<Data>>,
    /// Why it may not be up to date.
    pub fault: Option<String>,
}

impl Shown {
    /// Shows something new from now on.
    pub fn add(&mut self, report: Report) {
        let version = self.latest().map_or(1, |data| data.version + 1);
        let overview = serde_json::to_vec(&report.overview).unwrap_or_default();
        self.data.push_back(Arc::new(Data {
            version,
            overview: overview.into(),
            blocks: report.blocks.into_iter().map(Bytes::from).collect(),
        }));
        if self.data.len() > KEPT {
            self.data.pop_front();
        }
        self.fault = None;
    }

    /// The latest version.
    pub fn latest(&self) -> Option<&Arc<Data>> {
        self.data.back()
    }

    /// A block of a version that is still there.
    pub fn block(&self, version: u64, number: usize) -> Option<Bytes> {
        let data = self.data.iter().find(|data| data.version == version)?;
        data.blocks.get(number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_versions_go_after_a_while() {
        let mut shown = Shown::default();
        for n in 1..=5 {
            shown.add(Report {
                overview: Default::default(),
                blocks: vec![n.to_string()],
            });
        }
        let block = |version| shown.block(version, 0);
        assert_eq!(shown.latest().map(|data| data.version), Some(5));
        assert_eq!(block(5).as_deref(), Some(&b"5"[..]));
        assert_eq!(block(3).as_deref(), Some(&b"3"[..]));
        assert_eq!(block(2), None);
        assert_eq!(shown.block(5, 1), None);
    }
}
