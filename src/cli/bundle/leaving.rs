//! What leaves in a bundle, file by file, and what does not, and why. Owns the choice of files
//! and outputs by level and size.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ring::digest::{Context, SHA256};

use super::Source;
use crate::cli::codes::REFUSED;
use crate::cli::err;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::survey::out_file;
use crate::hash::Hash;
use crate::report::words::size;
use crate::share::bundle::archive::{Body, Member, changed};
use crate::share::bundle::citation::{self, Cited};
use crate::share::bundle::manifest::{Data, LeftOut, Level, Manifest, Role};
use crate::share::bundle::places::{DATA, PROJECT, PROMPTS, joined};
use crate::share::bundle::readme::readme;
use crate::share::bundle::rocrate::{self, Facts, Listed, Run};
use crate::share::bundle::used::{All, Used};
use crate::share::plain::Plain;
use crate::spec::about::About;
use crate::spec::pipeline::ParamKind;

/// What a bundle is and what is not in it, for people.
const README: &str = "README.md";
/// How to cite it.
const CITATION: &str = "CITATION.cff";
/// The same for other programs.
const CRATE: &str = "ro-crate-metadata.json";

/// A file that leaves.
pub struct Leaf {
    /// The member.
    pub member: Member,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it is, in a few words.
    pub why: &'static str,
    /// What is scanned instead of its bytes.
    pub text: Option<String>,
    /// Its words may stand in sensitive records too.
    pub allowed: bool,
}

/// Everything that leaves.
pub struct Leaving {
    /// What will be told of it.
    pub manifest: Manifest,
    /// The files, in their order.
    pub leaves: Vec<Leaf>,
    /// What the cache lacks.
    pub lacks: Vec<String>,
    /// The sensitive files, in the order of what the lock calls them.
    pub sensitive: Vec<PathBuf>,
}

impl Leaving {
    /// What there is without any run: the lock, and the files that the pipeline uses.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn begin(source: &Source<'_>, all: &All) -> Result<Leaving, Diagnostic> {
        let pipe = source.pipe;
        let mut leaving = Leaving {
            manifest: Manifest {
                program: env!("CARGO_PKG_VERSION").to_owned(),
                name: pipe.pipeline.name.clone(),
                level: source.level,
                pipeline: all.pipeline.clone(),
                ..Manifest::default()
            },
            leaves: Vec::new(),
            lacks: Vec::new(),
            sensitive: Vec::new(),
        };
        let lock = source.lock.text().into_bytes();
        leaving.add(
            "pipeline.lock",
            Role::Lock,
            lock,
            "what the run was made of",
        );
        for folder in [PROJECT, PROMPTS, DATA] {
            let folder = format!("{folder}/");
            let files = all.files.values();
            for used in files.filter(|used| used.place.starts_with(&folder)) {
                leaving.file(source, used)?;
            }
        }
        let prompts = format!("{PROMPTS}/");
        let mut places = leaving.leaves.iter().map(|leaf| &leaf.member.path);
        let shadowed = places.any(|place| place.starts_with(&prompts));
        leaving.manifest.prompts = shadowed.then(|| PROMPTS.to_owned());
        leaving.manifest.data.sort_by(|a, b| a.label.cmp(&b.label));
        let mut sensitive: Vec<&Used> = all.files.values().filter(|u| u.sensitive).collect();
        sensitive.sort_by(|a, b| a.label.cmp(&b.label));
        leaving.sensitive = sensitive.iter().map(|used| used.path.clone()).collect();
        leaving.params(pipe, all);
        Ok(leaving)
    }

    /// Adds a file that is made.
    pub fn add(&mut self, path: &str, role: Role, bytes: Vec<u8>, why: &'static str) {
        self.leaves.push(Leaf {
            bytes: bytes.len() as u64,
            member: Member {
                path: path.to_owned(),
                role,
                body: Body::Bytes(bytes),
                hash: None,
            },
            why,
            text: None,
            allowed: false,
        });
    }

    /// Says that something is not in it.
    pub fn leave(&mut self, what: &str, why: &str) {
        self.manifest.left_out.push(LeftOut {
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    /// A file that the pipeline uses.
    fn file(&mut self, source: &Source<'_>, used: &Used) -> Result<(), Diagnostic> {
        let unread = |error: std::io::Error| {
            Diagnostic::error(format!("cannot read `{}`: {error}", used.path.display()))
        };
        let bytes = fs::metadata(&used.path).map_err(unread)?.len();
        let why_not = why_not(source, used, bytes);
        let is_data = used.loaded || used.elsewhere || used.sensitive || why_not.is_some();
        if is_data {
            let hash = match used.hash {
                Some(hash) => hash,
                None => source.store.hash_file(&used.path).map_err(unread)?,
            };
            let name = used.path.file_name().unwrap_or_default();
            let kept = why_not.is_none() || !used.elsewhere;
            self.manifest.data.push(Data {
                label: used.label.clone(),
                name: name.to_string_lossy().into_owned(),
                bytes,
                hash,
                param: used.param.clone(),
                place: kept.then(|| used.place.clone()),
                there: why_not.is_none(),
                sensitive: used.sensitive,
            });
        }
        if let Some(why) = why_not {
            self.leave(&named(used), &why);
            return Ok(());
        }
        self.leaves.push(Leaf {
            member: Member {
                path: used.place.clone(),
                role: used.role,
                body: Body::File(used.path.clone()),
                hash: used.hash,
            },
            bytes,
            why: match used.role {
                Role::Pipeline => "the pipeline",
                Role::Prompt => "a prompt",
                Role::Data => "data",
                _ => "a file that the pipeline uses",
            },
            text: None,
            allowed: false,
        });
        Ok(())
    }

    /// Params that have another value than their default.
    fn params(&mut self, pipe: &Pipe, all: &All) {
        let plain = Plain::new(pipe);
        let there: BTreeMap<&str, bool> = self
            .manifest
            .data
            .iter()
            .filter_map(|data| Some((data.place.as_deref()?, data.there)))
            .collect();
        let mut paths = BTreeMap::new();
        let mut params = BTreeMap::new();
        for param in pipe.pipeline.params().iter().filter(|p| !p.is_default) {
            let name = param.name.clone();
            let value = serde_json::to_value(&param.value).unwrap_or_default();
            let path = value.as_str().filter(|text| !text.is_empty());
            match path.filter(|_| param.kind == ParamKind::Path) {
                Some(path) => {
                    let place = all.place_of(&name, path.as_ref());
                    let left = |place: &String| there.get(place.as_str()) == Some(&false);
                    let gone = |place: &String| {
                        let mut kept = self.leaves.iter().map(|leaf| &leaf.member.path);
                        !kept.any(|leaf| leaf.starts_with(place.as_str()))
                    };
                    paths.insert(name, place.filter(|place| !left(place) && !gone(place)));
                }
                None => {
                    params.insert(name, plain.runnable(&value));
                }
            }
        }
        self.manifest.paths = paths;
        self.manifest.params = params;
    }

    /// The files that the pipeline writes. The exit code when one was asked for that must not
    /// leave.
    ///
    /// # Errors
    /// There is no output of such a name.
    pub fn outputs(&mut self, source: &Source<'_>) -> Result<Result<(), ExitCode>, Diagnostic> {
        let pipe = source.pipe;
        let sinks = (0..pipe.stages.len()).filter(|at| source.survey.nodes[*at].sink);
        let mut sinks: Vec<usize> = sinks.collect();
        let chosen = &source.args.outputs;
        for name in chosen {
            if !sinks.iter().any(|at| source.stage(*at) == name) {
                let names = sinks.iter().map(|at| source.stage(*at));
                return Err(Diagnostic::error(format!("no output `{name}`")).suggest(name, names));
            }
        }
        sinks.sort_by_key(|at| source.stage(*at));
        for at in sinks {
            let name = source.stage(at).to_owned();
            let planned = &source.survey.planned[at];
            let is_chosen = chosen.contains(&name);
            if planned.output.is_none() {
                self.lacks.push(format!("output `{name}`"));
            }
            if !chosen.is_empty() && !is_chosen {
                self.leave(&format!("output `{name}`"), "not chosen");
                continue;
            }
            if source.hides(at) {
                if is_chosen {
                    err(&format!(
                        "output `{name}` is made of sensitive records, which stay here at this \
                         level\n"
                    ));
                    return Ok(Err(ExitCode::from(REFUSED)));
                }
                self.leave(&format!("output `{name}`"), "made of sensitive records");
                continue;
            }
            let (Some(path), Some(_)) = (out_file(pipe, at), &planned.output) else {
                self.leave(&format!("output `{name}`"), "not in the cache");
                continue;
            };
            let data = fs::symlink_metadata(&path)
                .ok()
                .filter(fs::Metadata::is_file);
            let Some(data) = data.filter(|_| planned.fresh) else {
                self.lacks.push(format!(
                    "output `{name}`: the file is not what the run wrote"
                ));
                self.leave(&format!("output `{name}`"), "not what the run wrote");
                continue;
            };
            if data.len() > source.args.max_file {
                self.leave(&format!("output `{name}`"), &too_large(source, data.len()));
                continue;
            }
            let below = pipe.stages[at].verb.writes().unwrap_or(path.as_path());
            self.leaves.push(Leaf {
                bytes: data.len(),
                member: Member {
                    path: joined("outputs", below),
                    role: Role::Output,
                    body: Body::File(path.clone()),
                    hash: source.lock.outputs.get(&name).map(|made| made.hash),
                },
                why: "an output",
                text: None,
                allowed: false,
            });
        }
        Ok(Ok(()))
    }

    /// Allows files to hold words that sensitive records hold too, by the user's word: files of
    /// the user's, or files and folders of the bundle; `made` are those that are still to come.
    ///
    /// # Errors
    /// There is no such file in the bundle.
    fn allow(&mut self, names: &[PathBuf], made: &[&str]) -> Result<(), Diagnostic> {
        for name in names {
            let real = name.canonicalize().ok();
            let mut any = made.iter().any(|made| name == Path::new(made));
            for leaf in &mut self.leaves {
                let place = Path::new(&leaf.member.path);
                let same = match &leaf.member.body {
                    Body::File(path) => real.is_some() && path.canonicalize().ok() == real,
                    Body::Bytes(_) => false,
                };
                if same || (!name.as_os_str().is_empty() && place.starts_with(name)) {
                    leaf.allowed = true;
                    any = true;
                }
            }
            if !any {
                let what = format!("`{}` is no file of this bundle", name.display());
                let fault = Diagnostic::error(what);
                return Err(fault.help("`--dry-run` lists its files"));
            }
        }
        let made = made
            .iter()
            .filter(|made| names.iter().any(|n| n == Path::new(made)));
        let leaves = self.leaves.iter().filter(|leaf| leaf.allowed);
        let leaves = leaves.map(|leaf| leaf.member.path.clone());
        self.manifest.allowed = made.map(|made| (*made).to_owned()).chain(leaves).collect();
        Ok(())
    }

    /// What is told of all that, in front of it. `day` is when the run was.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn end(&mut self, source: &Source<'_>, day: Option<String>) -> Result<(), Diagnostic> {
        let said = About::of(&source.pipe.pipeline);
        let description = said.description.as_deref();
        let cited = citation::write(&Cited {
            name: &self.manifest.name,
            description,
            license: said.license.as_deref(),
            cite: &said.cite,
        });
        let mut made = vec![CRATE, README];
        if cited.is_some() {
            made.push(CITATION);
        }
        self.allow(&source.args.allow, &made)?;
        let text = readme(&self.manifest, description, &source.name);
        let what = "what it is, and what is not in it";
        self.first(README, Role::Readme, text.into_bytes(), what);
        if let Some(text) = cited {
            let what = "how to cite it";
            self.first(CITATION, Role::Citation, text.into_bytes(), what);
        }
        let mut files = vec![rocrate::of_manifest()];
        for leaf in &mut self.leaves {
            let member = &mut leaf.member;
            let (sha256, hash, bytes) = hashes(&member.body)?;
            // From here on it is this content that is told of, scanned and written.
            let known = member.hash.replace(hash);
            if known.is_some_and(|known| known != hash) || bytes != leaf.bytes {
                return Err(changed(&member.path));
            }
            files.push(Listed {
                path: member.path.clone(),
                role: member.role,
                bytes: Some(bytes),
                sha256: Some(sha256),
            });
        }
        // Of its times the day alone, so that the same run is the same bundle.
        let run = Run {
            began: None,
            ended: day,
        };
        let bytes = rocrate::write(&Facts {
            lock: &source.lock,
            manifest: &self.manifest,
            files: &files,
            description,
            license: said.license.as_deref(),
            cite: &said.cite,
            run: (source.level != Level::CodeOnly).then_some(&run),
        });
        let what = "the same for other programs";
        self.first(CRATE, Role::Crate, bytes, what);
        Ok(())
    }

    /// Adds a file that is made, in front of the others.
    fn first(&mut self, path: &str, role: Role, bytes: Vec<u8>, why: &'static str) {
        self.add(path, role, bytes, why);
        self.leaves.rotate_right(1);
        if let Some(leaf) = self.leaves.first_mut() {
            leaf.allowed = self.manifest.allowed.iter().any(|allowed| allowed == path);
        }
    }

    /// What is written.
    pub fn members(self) -> (Manifest, Vec<Member>) {
        let members = self.leaves.into_iter().map(|leaf| leaf.member);
        (self.manifest, members.collect())
    }
}

/// A file as its user knows it.
fn named(used: &Used) -> String {
    let name = used.path.file_name().unwrap_or_default().to_string_lossy();
    match &used.param {
        Some(param) => format!("`{name}` (param `{param}`)"),
        None => format!("`{}`", used.label),
    }
}

/// SHA-256 of a file, as other programs know it, its hash, and its size in bytes.
fn hashes(body: &Body) -> Result<(String, Hash, u64), Diagnostic> {
    let mut context = Context::new(&SHA256);
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        context.update(bytes);
        hasher.update(bytes);
    };
    match body {
        Body::Bytes(bytes) => add(bytes),
        Body::File(path) => {
            let unread = |error: std::io::Error| {
                Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
            };
            let mut file = fs::File::open(path).map_err(unread)?;
            let mut bytes = vec![0; 1 << 16];
            loop {
                match file.read(&mut bytes).map_err(unread)? {
                    0 => break,
                    read => add(&bytes[..read]),
                }
            }
        }
    }
    let digest = context.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let hash = Hash(*hasher.finalize().as_bytes());
    Ok((digits.collect(), hash, hasher.count()))
}

fn too_large(source: &Source<'_>, bytes: u64) -> String {
    let most = size(source.args.max_file);
    format!("{}, more than {most} (`--max-file`)", size(bytes))
}

/// Why a file stays here, if it does.
fn why_not(source: &Source<'_>, used: &Used, bytes: u64) -> Option<String> {
    if used.sensitive && source.level != Level::Open {
        return Some("sensitive".to_owned());
    }
    if source.level == Level::CodeOnly && (used.loaded || used.elsewhere) {
        return Some("data, and the level is `code-only`".to_owned());
    }
    if source.pipe.pipeline.fence.refuses(&used.path).is_some() {
        return Some("outside of the project".to_owned());
    }
    if used.elsewhere && !used.loaded && used.hash.is_some() {
        return Some("from elsewhere, and no data: weights, words or a program".to_owned());
    }
    // What the pipeline is made of is small, and nothing without it.
    let is_text = matches!(used.role, Role::Pipeline | Role::Prompt);
    (!is_text && bytes > source.args.max_file).then(|| too_large(source, bytes))
}
