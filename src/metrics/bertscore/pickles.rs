//! PyTorch's checkpoints from before version 1.6: a stream of pickles (a magic number, a
//! version, facts about the machine, the tensors by name, the keys of their storages), then
//! for each key the number of values in 8 bytes, and the values.

use std::collections::HashMap;
use std::io::{BufRead, Seek, SeekFrom};

use candle_core::DType;
use candle_core::pickle::{Object, Stack};

use super::weights::Lies;

/// The first two pickles: the magic number 0x1950a86a20f9469cfc6c, and version 1001.
const START: &[u8] = &[
    0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.', 0x80, 2,
    b'M', 0xe9, 3, b'.',
];

/// A tensor, before it is known where its storage lies.
struct Part {
    key: String,
    dtype: DType,
    /// Counted in values.
    offset: u64,
    shape: Vec<usize>,
    columns: bool,
}

/// Where the tensors of a file lie.
///
/// # Errors
/// It is no such file, in one line.
pub fn tensors<R: BufRead + Seek>(file: &mut R) -> Result<HashMap<String, Lies>, String> {
    let mut start = [0; START.len()];
    let read = file.read_exact(&mut start);
    if read.is_err() || start != START {
        return Err("no checkpoint of PyTorch".to_owned());
    }
    pickle(file)?;
    let Object::Dict(entries) = pickle(file)? else {
        return Err("it does not hold weights by name".to_owned());
    };
    let mut parts = Vec::new();
    for (name, value) in entries {
        if let (Object::Unicode(name), Some(part)) = (name, part(value)) {
            parts.push((name, part));
        }
    }
    let Object::List(keys) = pickle(file)? else {
        return Err("it has no list of storages".to_owned());
    };
    let types: HashMap<&str, DType> = parts
        .iter()
        .map(|(_, part)| (part.key.as_str(), part.dtype))
        .collect();
    let mut storages: HashMap<String, u64> = HashMap::new();
    for key in keys {
        let mut count = [0; 8];
        file.read_exact(&mut count).map_err(|e| e.to_string())?;
        let at = file.stream_position().map_err(|e| e.to_string())?;
        let Object::Unicode(key) = key else {
            return Err("a storage has no name".to_owned());
        };
        // Other things than weights are of whole numbers, which have 8 bytes.
        let size = types
            .get(key.as_str())
            .map_or(8, |dtype| dtype.size_in_bytes());
        let bytes = u64::from_le_bytes(count).checked_mul(size as u64);
        let end = bytes.and_then(|bytes| at.checked_add(bytes));
        file.seek(SeekFrom::Start(end.ok_or("too large")?))
            .map_err(|e| e.to_string())?;
        storages.insert(key, at);
    }
    let lies = |part: Part| {
        let start = storages.get(&part.key)?;
        let offset = part.offset.checked_mul(part.dtype.size_in_bytes() as u64)?;
        Some(Lies {
            at: start.checked_add(offset)?,
            dtype: part.dtype,
            shape: part.shape,
            columns: part.columns,
        })
    };
    let found = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name, lies(part)?)));
    Ok(found.collect())
}

fn pickle<R: BufRead>(file: &mut R) -> Result<Object, String> {
    let mut stack = Stack::empty();
    stack
        .read_loop(file)
        .and_then(|()| stack.finalize())
        .map_err(|e| e.to_string())
}

/// A tensor of numbers from `_rebuild_tensor_v2(storage, offset, size, stride, …)`, or a
/// parameter that wraps one.
fn part(value: Object) -> Option<Part> {
    let (callable, args) = value.reduce().ok()?;
    let (_, function) = callable.class().ok()?;
    let mut args = args.tuple().ok()?.into_iter();
    match function.as_str() {
        "_rebuild_parameter" => return part(args.next()?),
        "_rebuild_tensor_v2" => {}
        _ => return None,
    }
    // ("storage", class, key, device, count, view)
    let mut storage = args
        .next()?
        .persistent_load()
        .ok()?
        .tuple()
        .ok()?
        .into_iter()
        .skip(1);
    let (_, class) = storage.next()?.class().ok()?;
    let dtype = match class.as_str() {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        _ => return None,
    };
    let key = storage.next()?.unicode().ok()?;
    let offset = u64::try_from(args.next()?.int_or_long().ok()?).ok()?;
    let shape = Vec::<usize>::try_from(args.next()?).ok()?;
    let strides = Vec::<usize>::try_from(args.next()?).ok()?;
    let columns = match (shape.as_slice(), strides.as_slice()) {
        (&[rows, columns], &[1, stride]) if stride == rows && columns > 1 && rows > 1 => true,
        (shape, strides) if row_by_row(shape, strides) => false,
        _ => return None,
    };
    Some(Part {
        key,
        dtype,
        offset,
        shape,
        columns,
    })
}

fn row_by_row(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    let pairs = shape.iter().zip(strides).rev();
    shape.len() == strides.len()
        && pairs.into_iter().all(|(size, stride)| {
            let fits = *size == 1 || *stride == expected;
            expected = expected.saturating_mul(*size);
            fits
        })
}
