//! SHA-256 sums, and lists of them in the format of `sha256sum`. Owns the list that is kept in
//! the data folder; knows nothing of where files come from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use rustix::fs::{FlockOperation, flock};

use super::error::Why;

/// The name of the list in the data folder.
pub const KEPT: &str = "SHA256SUMS";
/// The name of the file that is locked while the list is changed.
pub(super) const LOCK: &str = ".SHA256SUMS.lock";

/// A SHA-256 sum, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sum([u8; 32]);

impl Sum {
    /// Reads 64 hex digits of either case.
    pub fn parse(text: &str) -> Option<Sum> {
        let mut sum = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Sum(sum))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sums bytes as they come.
#[derive(Clone)]
pub(super) struct Summing(Context);

impl Default for Summing {
    fn default() -> Summing {
        Summing(Context::new(&SHA256))
    }
}

impl Summing {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum so far.
    pub(super) fn sum(&self) -> Sum {
        let digest = self.0.clone().finish();
        let mut sum = [0; 32];
        // A digest of SHA-256 has as many bytes as a sum.
        sum.iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        Sum(sum)
    }

    /// Adds all that is left of a file; how many bytes that was.
    pub(super) fn read(&mut self, file: &mut File) -> io::Result<u64> {
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(bytes),
                Ok(read) => {
                    self.add(&buffer[..read]);
                    bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The sum of a file.
///
/// # Errors
/// It cannot be read.
pub fn of_file(path: &Path) -> Result<Sum, Why> {
    let mut summing = Summing::default();
    File::open(path)
        .and_then(|mut file| summing.read(&mut file))
        .map_err(|error| Why::disk("reading", path, &error))?;
    Ok(summing.sum())
}

/// Sums by the names of files.
#[derive(Clone, Debug, Default)]
pub struct Sums(BTreeMap<String, Sum>);

impl Sums {
    /// Reads a list. Lines that are none of a list are passed over.
    pub fn parse(text: &str) -> Sums {
        Sums(text.lines().filter_map(entry).collect())
    }

    /// The sum of a file.
    pub fn get(&self, name: &str) -> Option<Sum> {
        self.0.get(name).copied()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sums that are kept in a folder; none if there is no list yet.
    ///
    /// # Errors
    /// The list cannot be read.
    pub fn kept(folder: &Path) -> Result<Sums, Why> {
        Ok(Sums::parse(&kept(folder)?.1))
    }
}

/// A line such as `<64 hex digits>  name`, or with `*` for the second blank.
fn entry(line: &str) -> Option<(String, Sum)> {
    let (sum, name) = line.trim_end().split_once(' ')?;
    let name = name.strip_prefix([' ', '*']).unwrap_or(name);
    let name = name.strip_prefix("./").unwrap_or(name);
    (!name.is_empty()).then_some((name.to_owned(), Sum::parse(sum)?))
}

fn kept(folder: &Path) -> Result<(PathBuf, String), Why> {
    let path = folder.join(KEPT);
    match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path, String::new())),
        Err(error) => Err(Why::disk("reading", &path, &error)),
    }
}

/// Waits until nobody else changes the folder's list, for as long as the file lives.
fn lock(folder: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(LOCK))?;
    // File systems without locks are used without.
    while flock(&file, FlockOperation::LockExclusive) == Err(rustix::io::Errno::INTR) {}
    Ok(file)
}

/// Keeps the sum of a file in the folder's list. Other lines stay as they are, also those that
/// others add at the same time; the list is replaced as a whole, so that it is never half of one.
/// Blocks while others change the list.
///
/// # Errors
/// The list cannot be written.
pub fn keep(folder: &Path, name: &str, sum: Sum) -> Result<(), Why> {
    let failed = |error: io::Error| Why::disk("writing", &folder.join(KEPT), &error);
    let _lock = lock(folder).map_err(failed)?;
    let (path, text) = kept(folder)?;
    let is_other = |line: &&str| entry(line).is_none_or(|(other, _)| other != name);
    let mut lines: Vec<String> = text.lines().filter(is_other).map(str::to_owned).collect();
    lines.push(format!("{sum}  {name}"));
    let mut new = tempfile::Builder::new()
        .prefix(".sums-")
        .suffix(".part")
        // As other files get them: the user's mask decides.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(failed)?;
    let text = lines.join("\n") + "\n";
    new.write_all(text.as_bytes()).map_err(failed)?;
    new.persist(&path)
        .map(drop)
        .map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of no bytes, from FIPS 180-4's examples.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn sums_are_sha256() {
        let mut summing = Summing::default();
        assert_eq!(summing.sum().to_string(), EMPTY);
        summing.add(b"a");
        summing.add(b"bc");
        assert_eq!(
            summing.sum().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Sum::parse(&EMPTY.to_uppercase()), Sum::parse(EMPTY));
        assert_eq!(Sum::parse(&EMPTY[1..]), None);
        assert_eq!(Sum::parse(&EMPTY.replace('e', "g")), None);
    }

    #[test]
    fn lists_are_read_in_all_their_forms() {
        let text =
            format!("# made by hand\n{EMPTY}  a/b c.csv\r\n{EMPTY} *d\n{EMPTY} ./e\nshort  f\n");
        let sums = Sums::parse(&text);
        let known = ["a/b c.csv", "d", "e", "f"].map(|name| sums.get(name).is_some());
        assert_eq!(known, [true, true, true, false]);
    }

    #[test]
    fn keeping_leaves_other_lines_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let sum = Sum::parse(EMPTY).expect("a sum");
        let other = EMPTY.replace('e', "0");
        fs::write(
            dir.path().join(KEPT),
            format!("# mine\n{other}  a\n{other}  b\n"),
        )
        .expect("written");
        keep(dir.path(), "a", sum).expect("kept");
        let text = fs::read_to_string(dir.path().join(KEPT)).expect("read");
        assert_eq!(text, format!("# mine\n{other}  b\n{EMPTY}  a\n"));
        assert_eq!(Sums::kept(dir.path()).expect("read").get("a"), Some(sum));
    }

    #[test]
    fn nobody_loses_the_lines_of_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let sum = Sum::parse(EMPTY).expect("a sum");
        std::thread::scope(|scope| {
            for who in 0..8 {
                let folder = dir.path();
                scope.spawn(move || {
                    for at in 0..20 {
                        keep(folder, &format!("{who}/{at}"), sum).expect("kept");
                    }
                });
            }
        });
        let text = fs::read_to_string(dir.path().join(KEPT)).expect("read");
        assert_eq!(text.lines().count(), 160);
        let names = fs::read_dir(dir.path()).expect("read");
        assert_eq!(names.count(), 2, "the list and its lock");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC*") {
            Sums::parse(&text);
        }

        #[test]
        fn what_is_written_is_read(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(Sum::parse(&Sum(bytes).to_string()), Some(Sum(bytes)));
        }
    }
}
