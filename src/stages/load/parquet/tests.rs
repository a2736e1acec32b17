//! Files as others write them, and as nobody writes them who means well.

use std::sync::Arc;

use parquet::basic::{Compression, Type as Physical};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type, Int96,
    Int96Type,
};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::value::group_of;
use super::*;

/// A file of one row, in which each number is there once.
fn written(columns: &str) -> Vec<u8> {
    let schema = parse_message_type(&format!("message m {{ {columns} }}")).expect("a schema");
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::default()).expect("begun");
    let mut group = writer.next_row_group().expect("begun");
    while let Some(mut column) = group.next_column().expect("begun") {
        // Whatever they are in is there once, too.
        let levels =
            |column: &parquet::schema::types::ColumnDescPtr| ([column.max_def_level()], [0_i16]);
        let descr = match column.untyped() {
            parquet::column::writer::ColumnWriter::Int64ColumnWriter(w) => {
                w.get_descriptor().clone()
            }
            parquet::column::writer::ColumnWriter::ByteArrayColumnWriter(w) => {
                w.get_descriptor().clone()
            }
            _ => panic!("another type"),
        };
        let (defs, reps) = levels(&descr);
        if descr.physical_type() == Physical::INT64 {
            let column = column.typed::<Int64Type>();
            let values = [1_700_000_000_123_456_789 % 86_400_000_000_000];
            column
                .write_batch(&values, Some(&defs), Some(&reps))
                .expect("written");
        } else {
            let column = column.typed::<ByteArrayType>();
            let values = [ByteArray::from("k")];
            column
                .write_batch(&values, Some(&defs), Some(&reps))
                .expect("written");
        }
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.into_inner().expect("written")
}

#[test]
fn nanoseconds_are_told_wherever_they_stand() {
    for (columns, json) in [
        ("required int64 a (TIME(NANOS,true));", r#"{"a":T}"#),
        ("repeated int64 a (TIME(NANOS,true));", r#"{"a":[T]}"#),
        (
            "optional group a { optional int64 b; optional int64 c (TIME(NANOS,true)); }",
            r#"{"a":{"b":N,"c":T}}"#,
        ),
        (
            "repeated group a { required int64 c (TIME(NANOS,true)); }",
            r#"{"a":[{"c":T}]}"#,
        ),
        (
            "optional group a (LIST) { repeated group list { optional int64 element (TIME(NANOS,true)); } }",
            r#"{"a":[T]}"#,
        ),
        (
            "optional group a (LIST) { repeated group list { optional group element (LIST) { repeated group list { required int64 element (TIME(NANOS,true)); } } } }",
            r#"{"a":[[T]]}"#,
        ),
        (
            "optional group a (LIST) { repeated group array { required int64 b (TIME(NANOS,true)); } }",
            r#"{"a":[{"b":T}]}"#,
        ),
        (
            "optional group a (LIST) { repeated group element { required int64 b; required int64 c (TIME(NANOS,true)); } }",
            r#"{"a":[{"b":N,"c":T}]}"#,
        ),
        (
            "optional group a (MAP) { repeated group key_value { required binary key (UTF8); optional int64 value (TIME(NANOS,true)); } }",
            r#"{"a":{"k":T}}"#,
        ),
        (
            "optional group a (MAP) { repeated group key_value { required int64 key (TIME(NANOS,true)); optional int64 value; } }",
            r#"{"a":{T:N}}"#,
        ),
    ] {
        let told = text(&written(columns), 1 << 20).expect("read");
        let row = told.lines().last().expect("a row");
        let json = json
            .replace('T', "\"22:13:20.123456789\"")
            .replace('N', "80000123456789");
        // Old lists of structs are read as lists of lists of one.
        let row = row.replace("[[{", "[{").replace("}]]", "}]");
        assert_eq!(row, json, "{columns}");
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// A file of one row group, whose columns are written by `put`.
fn file(schema: &str, compression: Compression, put: impl Fn(&mut Group<'_>)) -> Vec<u8> {
    let schema = parse_message_type(&format!("message m {{ {schema} }}")).expect("a schema");
    let properties = WriterProperties::builder().set_compression(compression);
    let properties = Arc::new(properties.build());
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).expect("begun");
    let mut group = writer.next_row_group().expect("begun");
    put(&mut group);
    group.close().expect("written");
    writer.into_inner().expect("written")
}

/// Writes the next column; without levels where each value is there.
fn put<T: DataType>(group: &mut Group<'_>, values: &[T::T], defined: &[i16], repeated: &[i16]) {
    let mut column = group.next_column().expect("begun").expect("a column");
    let [defined, repeated] =
        [defined, repeated].map(|all| Some(all).filter(|all| !all.is_empty()));
    let put = column.typed::<T>().write_batch(values, defined, repeated);
    put.expect("written");
    column.close().expect("written");
}

/// A file of one column, in which all values are there.
fn plain<T: DataType>(schema: &str, compression: Compression, values: &[T::T]) -> Vec<u8> {
    file(schema, compression, |group| {
        put::<T>(group, values, &[], &[])
    })
}

const NONE: Compression = Compression::UNCOMPRESSED;

/// The rows of a file, as JSON.
fn rows(bytes: &[u8]) -> Option<Vec<String>> {
    let told = text(bytes, 1 << 20)?;
    let rows = told.lines().filter(|line| line.starts_with('{'));
    Some(rows.map(str::to_owned).collect())
}

#[test]
fn old_moments_keep_their_nanoseconds_wherever_they_stand() {
    // More of them than are read at once; each row has a null and two moments.
    let many = 3_000;
    let stamp = |n: u32| {
        let mut stamp = Int96::new();
        stamp.set_data(n, 0, 2_440_588);
        stamp
    };
    let values: Vec<Int96> = (0..2 * many).map(stamp).collect();
    let defined = [3, 2, 3].repeat(many as usize);
    let repeated = [0, 1, 1].repeat(many as usize);
    let schema = "optional group a (LIST) { repeated group list { optional int96 element; } }";
    let bytes = file(schema, Compression::SNAPPY, |group| {
        put::<Int96Type>(group, &values, &defined, &repeated);
    });
    let rows = rows(&bytes).expect("read");
    assert_eq!(rows.len(), many as usize);
    let text = |n: usize| match format!("{n:09}").trim_end_matches('0') {
        "" => "1970-01-01T00:00:00".to_owned(),
        part => format!("1970-01-01T00:00:00.{part}"),
    };
    for (at, row) in rows.iter().enumerate() {
        let (first, second) = (text(2 * at), text(2 * at + 1));
        assert_eq!(*row, format!(r#"{{"a":["{first}",null,"{second}"]}}"#));
    }
}

#[test]
fn moments_say_whether_they_are_in_utc() {
    let bytes = |kind: &str| {
        let schema = format!("required int64 a ({kind});");
        plain::<Int64Type>(&schema, NONE, &[1_500])
    };
    for (kind, told) in [
        ("TIMESTAMP(MILLIS,true)", "1970-01-01T00:00:01.5Z"),
        ("TIMESTAMP(MILLIS,false)", "1970-01-01T00:00:01.5"),
        ("TIMESTAMP(MICROS,true)", "1970-01-01T00:00:00.0015Z"),
        ("TIMESTAMP(NANOS,true)", "1970-01-01T00:00:00.0000015Z"),
        ("TIMESTAMP(NANOS,false)", "1970-01-01T00:00:00.0000015"),
        // Older files do not say it.
        ("TIMESTAMP_MILLIS", "1970-01-01T00:00:01.5"),
    ] {
        assert_eq!(
            rows(&bytes(kind)),
            Some(vec![format!(r#"{{"a":"{told}"}}"#)]),
            "{kind}"
        );
    }
}

#[test]
fn decimals_have_a_point_only_before_digits() {
    for (scale, number, told) in [
        (0, 10_000_032, "10000032"),
        (0, -7, "-7"),
        (0, 0, "0"),
        (2, -5, "-0.05"),
        (2, 1_200, "12.00"),
    ] {
        let schema = format!("required int64 a (DECIMAL(12,{scale}));");
        let bytes = plain::<Int64Type>(&schema, NONE, &[number]);
        assert_eq!(rows(&bytes), Some(vec![format!(r#"{{"a":"{told}"}}"#)]));
    }
}

#[test]
fn a_uuid_is_text() {
    let schema = "required fixed_len_byte_array(16) a (UUID);";
    let value = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
    let bytes = plain::<FixedLenByteArrayType>(schema, NONE, &[value]);
    let told = r#"{"a":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#;
    assert_eq!(rows(&bytes), Some(vec![told.to_owned()]));
}

#[test]
fn common_compressions_are_read_and_others_are_named() {
    let schema = "required int64 a;";
    for compression in [
        Compression::GZIP(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::SNAPPY,
        Compression::ZSTD(Default::default()),
    ] {
        let bytes = plain::<Int64Type>(schema, compression, &[7; 100]);
        assert_eq!(
            rows(&bytes).map(|rows| rows.len()),
            Some(100),
            "{compression}"
        );
    }
    // Those that are not built in, nobody writes here: the number of the codec is changed, which
    // follows the column's path.
    let zstd = plain::<Int64Type>(schema, Compression::ZSTD(Default::default()), &[7]);
    for (number, name) in [(3, "LZO"), (4, "Brotli")] {
        let mut bytes = zstd.clone();
        let found = bytes
            .windows(3)
            .rposition(|some| some == [b'a', 0x15, 6 << 1]);
        bytes[found.expect("a codec") + 2] = number << 1;
        let unfit = Rows::of(Bytes::from(bytes), |_| true).err();
        assert_eq!(unfit, Some(Unfit::Packed("a".to_owned(), name)));
    }
}

#[test]
fn names_that_stand_twice_are_refused() {
    for columns in [
        "required int64 a; required int64 a;",
        "required group g { required int64 a; required int64 a; }",
        "optional group l (LIST) { repeated group list { optional group element { required int64 a; required int64 a; } } }",
    ] {
        let bytes = Bytes::from(written(columns));
        let unfit = Rows::of(bytes, |_| true).err();
        assert_eq!(unfit, Some(Unfit::Twice("a".to_owned())), "{columns}");
    }
    // What is not taken may be as it likes.
    let bytes = written("required int64 a; required int64 a; required int64 b;");
    assert!(Rows::of(Bytes::from(bytes), |name| name == "b").is_ok());
}

#[test]
fn a_key_that_stands_twice_in_a_map_is_told() {
    let schema = "optional group a (MAP) { repeated group key_value { required binary key (UTF8); optional int64 value; } }";
    let of = |keys: [&str; 2]| {
        let keys = keys.map(ByteArray::from);
        let bytes = file(schema, NONE, |group| {
            put::<ByteArrayType>(group, &keys, &[2, 2], &[0, 1]);
            put::<Int64Type>(group, &[1, 2], &[3, 3], &[0, 1]);
        });
        Rows::of(Bytes::from(bytes), |_| true).map(|mut rows| rows.row())
    };
    assert!(matches!(of(["j", "k"]), Ok(Ok(Some(_)))));
    let Ok(Err(Unread::Value(name, why))) = of(["k", "k"]) else {
        panic!("was read");
    };
    assert_eq!(
        (name.as_str(), why),
        ("a", "is a map in which a key stands twice")
    );
}

/// A number in Thrift's compact form.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A file with columns that have so many members.
pub fn of_members(members: &[u64]) -> Vec<u8> {
    // The version; the list of columns; of each whether it must be there, its name and members.
    let mut meta = vec![0x15, 2, 0x19, 0xfc];
    meta.extend(varint(members.len() as u64));
    for many in members {
        meta.extend([0x35, 0, 0x18, 1, b'a', 0x15]);
        meta.extend(varint(many << 1));
        meta.push(0);
    }
    // No rows, no row groups.
    meta.extend([0x16, 0, 0x19, 0x0c, 0]);
    let length = (meta.len() as u32).to_le_bytes();
    [b"PAR1", &meta[..], &length, b"PAR1"].concat()
}

/// Each of these would end the program if the crate read it.
#[test]
fn columns_that_go_too_deep_or_have_too_many_members_are_refused() {
    let deep = [vec![1; 1_000_000], vec![0]].concat();
    for members in [
        &deep[..],
        &[i32::MAX as u64; 40],
        &[1, i32::MAX as u64],
        &[1 << 40],
    ] {
        assert!(text(&of_members(members), 1 << 20).is_none());
        let file = Bytes::from(of_members(members));
        assert!(matches!(Rows::of(file, |_| true), Err(Unfit::None)));
    }
}

/// How many columns there are, and how deep they go.
fn measure(column: &Type, depth: usize) -> (usize, usize) {
    let inner = group_of(column)
        .iter()
        .map(|inner| measure(inner, depth + 1));
    inner.fold((1, depth), |(n, d), (m, e)| (n + m, d.max(e)))
}

fn metadata(bytes: &[u8]) -> &[u8] {
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().expect("four")) as usize;
    &bytes[end - length..end]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Of whatever is let through, the crate makes nothing deeper, or it makes nothing of it.
    #[test]
    fn what_is_let_through_is_no_deeper(changes in prop::collection::vec((0..400_usize, any::<u8>()), 0..5)) {
        let columns = "
            optional group l (LIST) { repeated group list { optional int64 element (TIMESTAMP(NANOS,true)); } }
            optional group m (MAP) { repeated group key_value { required binary key (UTF8); optional int64 value (DECIMAL(9,2)); } }
            required int64 i (INTEGER(64,false)); required binary j (JSON); required int64 t (TIME(MICROS,false));";
        let bytes = WRITTEN.with(|written| written.get_or_init(|| metadata(&self::written(columns)).to_vec()).clone());
        let mut bytes = bytes;
        for (place, byte) in &changes {
            if let Some(there) = bytes.get_mut(*place) {
                *there = *byte;
            }
        }
        let sound = footer::columns(&bytes).is_some();
        prop_assert!(sound || !changes.is_empty());
        if sound {
            let read = guarded(|| ParquetMetaDataReader::decode_metadata(&bytes));
            if let Ok(read) = read {
                let (_, depth) = measure(read.file_metadata().schema(), 0);
                prop_assert!(depth <= 2 * DEEPEST + 1);
            }
        }
    }
}

thread_local! {
    static WRITTEN: std::cell::OnceCell<Vec<u8>> = const { std::cell::OnceCell::new() };
}
