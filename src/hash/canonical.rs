//! Canonical JSON, written in one pass: no tree of the value is made first, since keys are
//! made for every stage and call.

use std::fmt::{self, Display, Write};
use std::ops::Range;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

/// JSON with every map sorted by key and no white space, so that equal values have equal bytes.
/// The same as `serde_json::to_value`, `sort_all_objects` and `to_vec` make of it.
///
/// # Errors
/// JSON cannot hold it: a map with keys that are no strings, or it refuses.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Out {
        json: Vec::with_capacity(512),
        keys: String::with_capacity(128),
    };
    value.serialize(&mut out)?;
    Ok(out.json)
}

/// What is written so far.
struct Out {
    json: Vec<u8>,
    /// The keys of the maps that are open, unescaped, one behind the other.
    keys: String,
}

impl Out {
    fn plain<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        serde_json::to_writer(&mut self.json, value)
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let escaped = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
        // To the end in any case, many bytes at a time.
        if text.bytes().fold(false, |any, b| any | escaped(b)) {
            return self.plain(text);
        }
        self.json.push(b'"');
        self.json.extend(text.as_bytes());
        self.json.push(b'"');
        Ok(())
    }

    fn list(&mut self) -> List<'_> {
        self.json.push(b'[');
        List {
            closing: "]",
            first: true,
            out: self,
        }
    }

    fn map(&mut self, closing: &'static str, entries: usize) -> Map<'_> {
        self.json.push(b'{');
        Map {
            closing,
            keys_from: self.keys.len(),
            from: self.json.len(),
            entries: Vec::with_capacity(entries),
            out: self,
        }
    }

    /// Opens the map around a variant that holds something.
    fn variant(&mut self, name: &str) -> Result<(), Error> {
        self.json.push(b'{');
        self.text(name)?;
        self.json.push(b':');
        Ok(())
    }
}

/// An open list.
struct List<'a> {
    out: &'a mut Out,
    first: bool,
    closing: &'static str,
}

impl List<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.first) {
            self.out.json.push(b',');
        }
        value.serialize(&mut *self.out)
    }

    fn close(self) {
        self.out.json.extend(self.closing.as_bytes());
    }
}

/// An open map. Its entries are written as they come, and put in order when it closes.
struct Map<'a> {
    out: &'a mut Out,
    closing: &'static str,
    keys_from: usize,
    from: usize,
    entries: Vec<Entry>,
}

/// Where an entry's key is in [`Out::keys`], and the whole entry in [`Out::json`].
struct Entry {
    key: Range<usize>,
    json: Range<usize>,
}

/// A key as text, if it is one: JSON writes numbers and booleans as text there.
struct KeyText<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Display for KeyText<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

impl Map<'_> {
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let from = self.out.keys.len();
        write!(self.out.keys, "{}", KeyText(key))
            .map_err(|_| serde::ser::Error::custom("a key of a map must be text"))?;
        self.begin(from)
    }

    /// Begins the entry whose key was just written.
    fn begin(&mut self, key_from: usize) -> Result<(), Error> {
        let key = key_from..self.out.keys.len();
        let at = self.out.json.len();
        let text = std::mem::take(&mut self.out.keys);
        let written = self.out.text(&text[key.clone()]);
        self.out.keys = text;
        written?;
        self.out.json.push(b':');
        self.entries.push(Entry { key, json: at..at });
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.out)?;
        if let Some(entry) = self.entries.last_mut() {
            entry.json.end = self.out.json.len();
        }
        self.out.json.push(b',');
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        let from = self.out.keys.len();
        self.out.keys.push_str(key);
        self.begin(from)?;
        self.value(value)
    }

    fn close(self) {
        let Map { out, entries, .. } = self;
        let key = |entry: &Entry| &out.keys[entry.key.clone()];
        if entries.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])) {
            if !entries.is_empty() {
                out.json.pop();
            }
        } else {
            // The last of several entries with one key counts, as in a tree.
            let mut entries = entries;
            entries.reverse();
            entries.sort_by(|a, b| key(a).cmp(key(b)));
            entries.dedup_by(|a, b| key(a) == key(b));
            let written = out.json.split_off(self.from);
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 {
                    out.json.push(b',');
                }
                let json = entry.json.start - self.from..entry.json.end - self.from;
                out.json.extend(&written[json]);
            }
        }
        out.keys.truncate(self.keys_from);
        out.json.extend(self.closing.as_bytes());
    }
}

macro_rules! plain {
    ($($name:ident: $type:ty,)*) => {$(
        fn $name(self, value: $type) -> Result<(), Error> {
            self.plain(&value)
        }
    )*};
}

impl<'a> Serializer for &'a mut Out {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Map<'a>;
    type SerializeStruct = Map<'a>;
    type SerializeStructVariant = Map<'a>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f64: f64,
        serialize_char: char,
        serialize_bytes: &[u8],
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    // As a tree holds it, which has one kind of float.
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.plain(&f64::from(value))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.plain(&())
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.plain(&())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.plain(&())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.json.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Error> {
        Ok(self.list())
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Error> {
        Ok(self.list())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Error> {
        Ok(self.list())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, Error> {
        self.variant(variant)?;
        let mut list = self.list();
        list.closing = "]}";
        Ok(list)
    }

    fn serialize_map(self, entries: Option<usize>) -> Result<Map<'a>, Error> {
        Ok(self.map("}", entries.unwrap_or_default()))
    }

    fn serialize_struct(self, _: &'static str, fields: usize) -> Result<Map<'a>, Error> {
        Ok(self.map("}", fields))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        fields: usize,
    ) -> Result<Map<'a>, Error> {
        self.variant(variant)?;
        Ok(self.map("}}", fields))
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident,)*) => {$(
        impl $trait for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

impl SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

macro_rules! fields {
    ($($trait:ident,)*) => {$(
        impl $trait for Map<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeStruct,
    SerializeStructVariant,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// By way of a tree, which is what it must be equal to.
    fn by_tree<T: Serialize>(value: &T) -> String {
        let mut tree = serde_json::to_value(value).unwrap();
        tree.sort_all_objects();
        tree.to_string()
    }

    fn text<T: Serialize>(value: &T) -> String {
        String::from_utf8(json(value).unwrap()).unwrap()
    }

    #[derive(Serialize)]
    enum Kind {
        One,
        Two(u8),
        Three(u8, f32),
        Four { z: Option<u8>, a: Option<char> },
    }

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Newtype(u8);

    #[derive(Serialize)]
    struct Pair(u8, bool);

    #[derive(Serialize)]
    #[serde(tag = "is", rename_all = "snake_case")]
    enum Tagged {
        Some { value: f64 },
    }

    #[derive(Serialize)]
    struct All<'a> {
        zeta: Vec<Kind>,
        alpha: (i64, u64, &'a str),
        unit: Unit,
        newtype: Newtype,
        pair: Pair,
        numbers: BTreeMap<i32, f64>,
        flags: BTreeMap<bool, Option<()>>,
        letters: HashMap<char, [u8; 2]>,
        kinds: BTreeMap<String, ()>,
        tagged: Tagged,
        #[serde(flatten)]
        rest: BTreeMap<&'a str, f32>,
        empty: BTreeMap<String, u8>,
        none: [u8; 0],
    }

    #[test]
    fn every_shape_is_written_as_by_way_of_a_tree() {
        let all = All {
            zeta: vec![
                Kind::One,
                Kind::Two(2),
                Kind::Three(3, 0.1),
                Kind::Four {
                    z: None,
                    a: Some('é'),
                },
            ],
            alpha: (i64::MIN, u64::MAX, "q\"\n\u{1}ü"),
            unit: Unit,
            newtype: Newtype(1),
            pair: Pair(1, true),
            numbers: [(-2, 1e300), (10, f64::NAN), (9, 1.0)].into(),
            flags: [(true, None), (false, Some(()))].into(),
            letters: [('b', [1, 2]), ('a', [3, 4])].into(),
            kinds: [("\u{e9}".to_owned(), ()), ("\n".to_owned(), ())].into(),
            tagged: Tagged::Some { value: -0.0 },
            rest: [("beta", 0.3_f32), ("zz", 2.0)].into(),
            empty: BTreeMap::new(),
            none: [],
        };
        assert_eq!(text(&all), by_tree(&all));
    }

    #[test]
    fn a_key_that_is_no_text_is_refused() {
        assert!(json(&BTreeMap::from([((1, 2), 3)])).is_err());
    }

    /// Gives entries as they are told, twice the same key too.
    struct Entries(Vec<(String, Value)>);

    impl Serialize for Entries {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((".{0,3}", inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_written_as_by_way_of_a_tree(value in any_json()) {
            prop_assert_eq!(text(&value), by_tree(&value));
        }

        #[test]
        fn of_entries_with_one_key_the_last_counts(
            entries in proptest::collection::vec(("[a-c\\n\"]{0,2}", any_json()), 0..8)
        ) {
            let entries = Entries(entries);
            prop_assert_eq!(text(&entries), by_tree(&entries));
        }
    }
}
