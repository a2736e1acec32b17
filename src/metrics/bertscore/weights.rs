//! Files of weights: safetensors, and PyTorch's checkpoints of both kinds (zip since 1.6, a
//! stream of pickles before). Knows names, shapes and numbers, not what they are for.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::pickle::PthTensors;
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::pickles;
use crate::diag::Diagnostic;

/// A header longer than this is no header.
const LONGEST_HEADER: u64 = 100_000_000;

/// An open file of weights. Tensors are read one by one.
pub struct Weights {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    /// Tensors that lie in the file as they are.
    Plain(HashMap<String, Lies>),
    /// PyTorch's zip archive.
    Zip(PthTensors),
}

/// Where a tensor lies in a file, and what it is.
#[derive(Debug)]
pub struct Lies {
    /// The first byte.
    pub at: u64,
    /// The type of its numbers.
    pub dtype: DType,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// True for a matrix that lies column by column.
    pub columns: bool,
}

impl Weights {
    /// Reads what a file has, not the numbers themselves.
    ///
    /// # Errors
    /// The file cannot be read or is of another kind.
    pub fn open(path: &Path) -> Result<Weights, Diagnostic> {
        let kind = if path.extension().is_some_and(|ext| ext == "safetensors") {
            safetensors(path).map(Kind::Plain)
        } else {
            pytorch(path)
        };
        let kind = kind.map_err(|why| {
            let what = format!("`{}` cannot be read as weights: {why}", path.display());
            Diagnostic::error(what)
        })?;
        let path = path.to_owned();
        Ok(Weights { path, kind })
    }

    /// The sizes of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match &self.kind {
            Kind::Plain(tensors) => tensors.get(name).map(|lies| lies.shape.clone()),
            Kind::Zip(tensors) => {
                let info = tensors.tensor_infos().get(name)?;
                Some(info.layout.shape().dims().to_vec())
            }
        }
    }

    /// A tensor as 32-bit numbers.
    ///
    /// # Errors
    /// There is none of this name, or the file is cut short.
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor, String> {
        let tensor = match &self.kind {
            Kind::Plain(tensors) => {
                let lies = tensors.get(name);
                let lies = lies.ok_or_else(|| self.fault(name, &"there is none"))?;
                lies.read(&self.path)
                    .map_err(|why| self.fault(name, &why))?
            }
            Kind::Zip(tensors) => {
                let tensor = quiet(|| tensors.get(name)).map_err(|why| self.fault(name, &why))?;
                tensor.ok_or_else(|| self.fault(name, &"there is none"))?
            }
        };
        let tensor = tensor
            .to_dtype(DType::F32)
            .and_then(|tensor| tensor.to_device(device));
        tensor.map_err(|e| self.fault(name, &e))
    }

    fn fault(&self, name: &str, why: &dyn std::fmt::Display) -> String {
        format!("the weights `{name}` of `{}`: {why}", self.path.display())
    }
}

impl Lies {
    fn read(&self, path: &Path) -> Result<Tensor, String> {
        let count = self
            .shape
            .iter()
            .try_fold(1usize, |all, size| all.checked_mul(*size));
        let bytes = count.and_then(|count| count.checked_mul(self.dtype.size_in_bytes()));
        let bytes = bytes.ok_or("too large")? as u64;
        let mut file = File::open(path).map_err(|e| e.to_string())?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        // Before there is room made for it: the number may be anything.
        if self.at.checked_add(bytes).is_none_or(|end| end > length) {
            return Err("the file is cut short".to_owned());
        }
        let mut data = Vec::new();
        file.seek(SeekFrom::Start(self.at))
            .map_err(|e| e.to_string())?;
        file.take(bytes)
            .read_to_end(&mut data)
            .map_err(|e| e.to_string())?;
        if data.len() as u64 != bytes {
            return Err("the file is cut short".to_owned());
        }
        let mut shape = self.shape.clone();
        if self.columns {
            shape.reverse();
        }
        let tensor = Tensor::from_raw_buffer(&data, self.dtype, &shape, &Device::Cpu);
        let tensor = match self.columns {
            true => tensor.and_then(|tensor| tensor.t()?.contiguous()),
            false => tensor,
        };
        tensor.map_err(|e| e.to_string())
    }
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// The header of a safetensors file: its length in 8 bytes, then JSON.
fn safetensors(path: &Path) -> Result<HashMap<String, Lies>, String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|e| e.to_string())?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err("no header of a safetensors file".to_owned());
    }
    let mut header = Vec::new();
    file.take(length)
        .read_to_end(&mut header)
        .map_err(|e| e.to_string())?;
    let header: HashMap<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|e| e.to_string())?;
    let mut tensors = HashMap::new();
    for (name, entry) in header {
        if name == "__metadata__" {
            continue;
        }
        let entry: Entry = serde_json::from_value(entry).map_err(|e| e.to_string())?;
        let dtype = match entry.dtype.as_str() {
            "F64" => DType::F64,
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            // Indices, which are not needed.
            _ => continue,
        };
        let at = entry.data_offsets[0].saturating_add(8 + length);
        let (shape, columns) = (entry.shape, false);
        tensors.insert(
            name,
            Lies {
                at,
                dtype,
                shape,
                columns,
            },
        );
    }
    Ok(tensors)
}

fn pytorch(path: &Path) -> Result<Kind, String> {
    let mut start = [0; 4];
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    file.read_exact(&mut start).map_err(|e| e.to_string())?;
    if start.starts_with(b"PK") {
        return quiet(|| PthTensors::new(path, None)).map(Kind::Zip);
    }
    file.rewind().map_err(|e| e.to_string())?;
    quiet(|| Ok(pickles::tensors(&mut BufReader::new(file))))
        .flatten()
        .map(Kind::Plain)
}

/// The reader of pickles takes some things for granted that a broken file need not have.
fn quiet<T>(read: impl FnOnce() -> candle_core::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|e| e.to_string()),
        Err(_) => Err("the file is damaged".to_owned()),
    }
}
