//! What runs on clusters leave behind: folders of scripts and logs, which ones nobody needs any more,
//! and what they hold on disk.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::slurm::Slurm;
use super::states::State;
use super::underway::{Folder, Underway};

/// A run's folder, as it is on disk.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// The folder.
    pub folder: Folder,
    /// Bytes of the files in it.
    pub bytes: u64,
    /// When one of them was last written.
    pub changed: SystemTime,
}

/// The folders of all runs of a cache that were made on a cluster.
pub fn leftovers(store: &Path) -> Vec<Leftover> {
    let entries = fs::read_dir(store.join("jobs")).into_iter().flatten();
    let folders = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<Leftover> = folders.filter(|path| path.is_dir()).map(of).collect();
    found.sort_by(|a, b| a.folder.0.cmp(&b.folder.0));
    found
}

fn of(folder: std::path::PathBuf) -> Leftover {
    let (mut bytes, mut changed) = (0, SystemTime::UNIX_EPOCH);
    let files = fs::read_dir(&folder).into_iter().flatten().flatten();
    for data in files.filter_map(|file| file.metadata().ok()) {
        bytes += data.len();
        changed = changed.max(data.modified().unwrap_or(SystemTime::now()));
    }
    Leftover {
        folder: Folder(folder),
        bytes,
        changed,
    }
}

impl Leftover {
    /// True if it can go: its outputs are there, or nothing of it was written to since `kept` and no
    /// job of it waits or runs, as Slurm says. Where nobody can say, it stays.
    pub fn is_old(&self, kept: Option<SystemTime>) -> bool {
        match self.folder.read() {
            Err(_) => false,
            Ok(Some(state)) if state.done => true,
            Ok(state) => {
                let old = kept.is_none_or(|kept| self.changed < kept);
                old && !state.is_some_and(|state| may_work(&state, &self.folder))
            }
        }
    }
}

fn may_work(state: &Underway, folder: &Folder) -> bool {
    !state.is_over() && works(state, folder).unwrap_or(true)
}

/// Whether a job of it waits or runs, if Slurm can be asked.
fn works(state: &Underway, folder: &Folder) -> Option<bool> {
    let slurm = Slurm::new(folder.run()).ok()?;
    let mut jobs = [state.jobs(), state.cancelled.clone()].concat();
    if let Some(submission) = &state.submitting {
        jobs.extend(slurm.named(&submission.name).ok()?);
    }
    for job in jobs {
        if slurm.states(job).ok()?.values().any(State::is_live) {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::tasks::Tasks;
    use crate::cluster::underway::What;
    use crate::hash::Hash;

    #[test]
    fn what_is_done_or_long_over_can_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |name: &str, state: &Underway| {
            let folder = Folder(dir.path().join("jobs").join(name));
            folder.put("wave-1.sh", "1234").expect("written");
            folder.write(state).expect("written");
        };
        let over = Underway::new(Hash::of_bytes(b"plan"));
        put("over", &over);
        let mut done = over.clone();
        done.done = true;
        done.next = Some(7);
        put("done", &done);
        let mut lives = over.clone();
        lives.tasks = Tasks::new(1);
        lives.accepted(&What::Tasks(vec![1]), 12);
        put("lives", &lives);
        let damaged = Folder(dir.path().join("jobs/damaged"));
        damaged.put("state.json", "{").expect("written");
        let all = leftovers(dir.path());
        assert!(all[3].bytes > 4);
        let old = |kept| {
            let names = all.iter().filter(|left| left.is_old(kept));
            names.map(|left| left.folder.run()).collect::<Vec<_>>()
        };
        // No Slurm knows job 12 here, or none is there to ask.
        let kept = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(old(Some(kept)), ["done"]);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(old(Some(later))[..1], ["done"]);
        assert!(old(Some(later)).contains(&"over".to_owned()));
        assert!(!old(None).contains(&"damaged".to_owned()));
    }
}
