//! Files as others write them, and as nobody writes them who means well.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

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
