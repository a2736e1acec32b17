//! How large a value is once it is written out. A list may hold another one twice, that one a
//! third twice, and so on: small in memory, and larger than any disk as text.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// Most bytes that a value may take, roughly, as JSON.
const MOST: usize = 64 << 20;
/// Deepest nesting: what is deeper could not be read again.
const DEPTH: usize = 100;

/// Refuses a value that could not be written out.
///
/// # Errors
/// It is too large, or nested too deeply.
pub fn check(value: &Value) -> Result<(), Error> {
    let mut left = MOST;
    if spend(value, &mut left, 0) {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::InvalidOperation, refusal()))
    }
}

/// Why [`check`] refuses.
fn refusal() -> String {
    format!(
        "the value is too large: more than {} MB, or lists within lists more than {DEPTH} deep",
        MOST >> 20
    )
}

fn spend(value: &Value, left: &mut usize, depth: usize) -> bool {
    let own = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len) + 2,
        ValueKind::Bytes => value.as_bytes().map_or(0, <[u8]>::len),
        _ => 16,
    };
    match left.checked_sub(own) {
        Some(rest) => *left = rest,
        None => return false,
    }
    let is_map = value.kind() == ValueKind::Map;
    // One that does not know its length may be gone after a look.
    if !(is_map || matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable))
        || value.len().is_none()
    {
        return true;
    }
    let Ok(items) = value.try_iter() else {
        return true;
    };
    if depth >= DEPTH {
        return false;
    }
    for item in items {
        let inner = if is_map {
            value
                .get_item(&item)
                .is_ok_and(|inner| spend(&inner, left, depth + 1))
        } else {
            true
        };
        if !inner || !spend(&item, left, depth + 1) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_in_memory_may_be_large() {
        let mut bomb = Value::from(vec![Value::from("a")]);
        for _ in 0..60 {
            bomb = Value::from(vec![bomb.clone(), bomb]);
        }
        assert!(check(&bomb).is_err());
        let mut deep = Value::from(1);
        for _ in 0..DEPTH {
            deep = Value::from(vec![deep]);
        }
        assert!(check(&deep).is_ok());
        assert!(check(&Value::from(vec![deep])).is_err());
        let map = Value::from_pairs([("a", Value::from("x".repeat(1000)))]);
        assert!(check(&Value::from(vec![map.clone(); 1000])).is_ok());
        assert!(check(&Value::from(vec![map; 100_000])).is_err());
    }
}
