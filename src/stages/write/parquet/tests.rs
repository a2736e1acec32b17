//! What is written is what the crate's own reader reads, and `load` too.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::printer::print_schema;

use crate::record::Record;
use crate::stages::driver::{Stage, records, show};

fn written(yaml: &str, rows: &[Record]) -> Vec<u8> {
    let (bytes, lost) = Stage::new("write", yaml).raw(rows);
    assert!(lost.is_empty(), "{lost:?}");
    bytes
}

fn schema(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let file = std::fs::File::open(file.path()).expect("opens");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let mut text = Vec::new();
    print_schema(&mut text, reader.metadata().file_metadata().schema());
    String::from_utf8(text).expect("UTF-8")
}

/// The records that `load` makes of a file.
fn loaded(bytes: &[u8], more: &str) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("x.parquet"), bytes).expect("written");
    let yaml = format!("{{path: x.parquet{more}}}");
    let stage = Stage::within(dir.path(), "load", &yaml);
    let shorter = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    let (records, lost) = stage.run(Vec::new()).map_err(shorter)?;
    assert!(lost.is_empty(), "{lost:?}");
    Ok(show(&records))
}

const ROWS: &[&str] = &[
    r#"{"id":7,"text":"é\n","n":1,"b":true,"l":["a",null],"m":{"x":1,"y":[[0.5]]},"o":[1,"x"],"z":null}"#,
    r#"{"id":8,"text":null,"n":0.5,"b":null,"l":[],"m":{"y":null,"x":-2},"o":{},"late":"x"}"#,
    r#"{"id":-9,"l":null,"m":null}"#,
];

#[test]
fn types_follow_from_values() {
    let bytes = written("path: x.parquet", &records(ROWS));
    insta::assert_snapshot!(schema(&bytes), @r"
    message schema {
      OPTIONAL INT64 id;
      OPTIONAL BYTE_ARRAY text (STRING);
      OPTIONAL DOUBLE n;
      OPTIONAL BOOLEAN b;
      OPTIONAL group l (LIST) {
        REPEATED group list {
          OPTIONAL BYTE_ARRAY element (STRING);
        }
      }
      OPTIONAL group m {
        OPTIONAL INT64 x;
        OPTIONAL group y (LIST) {
          REPEATED group list {
            OPTIONAL group element (LIST) {
              REPEATED group list {
                OPTIONAL DOUBLE element;
              }
            }
          }
        }
      }
      OPTIONAL BYTE_ARRAY o (STRING);
      OPTIONAL INT32 z (UNKNOWN);
      OPTIONAL BYTE_ARRAY late (STRING);
    }
    ");
    assert_eq!(
        loaded(&bytes, ""),
        Ok([
            r#"1 {"id":7,"text":"é\n","n":1.0,"b":true,"l":["a",null],"m":{"x":1,"y":[[0.5]]},"o":"[1,\"x\"]","z":null,"late":null}"#,
            r#"2 {"id":8,"text":null,"n":0.5,"b":null,"l":[],"m":{"x":-2,"y":null},"o":"{}","z":null,"late":"x"}"#,
            r#"3 {"id":-9,"text":null,"n":null,"b":null,"l":null,"m":null,"o":null,"z":null,"late":null}"#,
        ]
        .map(str::to_owned)
        .to_vec())
    );
    assert_eq!(
        loaded(&bytes, ", key: id, fields: {t: text}"),
        Ok([r#"7 {"t":"é\n"}"#, r#"8 {"t":null}"#, r#"-9 {"t":null}"#]
            .map(str::to_owned)
            .to_vec())
    );
}

#[test]
fn the_same_rows_give_the_same_bytes_and_sorting_sorts() {
    let yaml = "{path: a/x.parquet, fields: [id, text], sort: -id}";
    let bytes = written(yaml, &records(&ROWS[..2]));
    assert_eq!(bytes, written(yaml, &records(&ROWS[..2])));
    assert_eq!(
        loaded(&bytes, ""),
        Ok([r#"1 {"id":8,"text":null}"#, r#"2 {"id":7,"text":"é\n"}"#]
            .map(str::to_owned)
            .to_vec())
    );
}

#[test]
fn no_records_and_no_columns_are_a_file_too() {
    let bytes = written("{path: x.parquet, fields: [a, b]}", &[]);
    assert!(schema(&bytes).contains("OPTIONAL INT32 a (UNKNOWN)"));
    assert_eq!(loaded(&bytes, ""), Ok(Vec::new()));
    let bytes = written("path: x.parquet", &[]);
    assert_eq!(loaded(&bytes, ""), Ok(Vec::new()));
}

#[test]
fn rows_without_columns_are_refused() {
    let what = crate::stages::write::elsewhere::What::of_stage();
    let stage = Stage::new("write", "path: x.json");
    let sink = what.and_then(|what| what.sink("x.parquet", &stage.build()));
    let mut sink = sink.unwrap_or_else(|_| panic!("no sink"));
    let mut bytes = Vec::new();
    for record in &records(&["{}", "{}"]) {
        assert!(sink.record(record, &mut bytes).is_ok());
    }
    assert!(sink.end(&mut bytes).is_err());
}

#[test]
fn a_record_that_does_not_fit_is_lost_alone() {
    let stage = Stage::new("write", "path: x.parquet");
    let (bytes, lost) = stage.raw(&records(&[r#"{"a":1}"#, r#"{"a":"hush"}"#, r#"{"a":2}"#]));
    assert_eq!(
        loaded(&bytes, ""),
        Ok(vec![r#"1 {"a":1}"#.to_owned(), r#"2 {"a":2}"#.to_owned()])
    );
    assert!(lost.len() == 1 && !lost[0].contains("hush"), "{lost:?}");
}

#[test]
fn many_rows_make_groups() {
    let rows: Vec<Record> = (0..50_001)
        .map(|n| {
            crate::stages::driver::record(&n.to_string(), &format!(r#"{{"n":{n},"l":[{n}]}}"#))
        })
        .collect();
    let bytes = written("path: x.parquet", &rows);
    let back = loaded(&bytes, "").expect("loads");
    assert_eq!(back.len(), rows.len());
    assert_eq!(back[50_000], r#"50001 {"n":50000,"l":[50000]}"#);
}

#[test]
fn what_is_no_parquet_file_is_told() {
    let bytes = written("path: x.parquet", &records(ROWS));
    let none = "`x.parquet`: this is no Parquet file, or it is damaged";
    for broken in [&b""[..], b"a,b\n1,2\n", &bytes[..bytes.len() - 1]] {
        assert_eq!(loaded(broken, ""), Err(none.to_owned()));
    }
    let beheaded = loaded(&bytes[4..], "");
    assert_eq!(
        beheaded,
        Err("`x.parquet`: row 1 cannot be read".to_owned())
    );
}

/// JSON whose lists and maps are alike at every place.
fn value() -> impl Strategy<Value = Json> {
    let leaf = (
        any::<Option<i64>>(),
        any::<Option<bool>>(),
        proptest::option::of("\\PC{0,6}"),
    );
    let lists = proptest::option::of(proptest::collection::vec(
        proptest::option::of(proptest::collection::vec(any::<Option<i64>>(), 0..3)),
        0..3,
    ));
    (leaf, lists).prop_map(|((n, b, t), l)| json!({"n": n, "b": b, "t": t, "l": l}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nested_values_come_back(rows in proptest::collection::vec(
        (value(), proptest::option::of(proptest::collection::vec(proptest::option::of(value()), 0..4))), 1..8,
    )) {
        let rows: Vec<Record> = rows
            .into_iter()
            .map(|(a, b)| crate::stages::driver::record("k", &json!({"a": a, "b": b}).to_string()))
            .collect();
        let expected: Vec<Json> = rows
            .iter()
            .map(|row| serde_json::to_value(&row.fields).expect("JSON"))
            .collect();
        let back = loaded(&written("path: x.parquet", &rows), "").expect("loads");
        for (line, expected) in back.iter().zip(expected) {
            let (_, json) = line.split_once(' ').expect("a key");
            let json: Json = serde_json::from_str(json).expect("JSON");
            prop_assert_eq!(json, expected);
        }
        prop_assert_eq!(back.len(), rows.len());
    }

    /// A damaged file is told of, or read otherwise: no more.
    #[test]
    fn damaged_files_end_nothing(changes in proptest::collection::vec((0.0..1.0_f64, any::<u8>()), 1..4)) {
        let mut bytes = written("path: x.parquet", &records(ROWS));
        let length = bytes.len();
        for (place, byte) in changes {
            bytes[(place * length as f64) as usize] = byte;
        }
        let _ = loaded(&bytes, "");
    }
}
