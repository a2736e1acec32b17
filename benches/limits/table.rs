//! Reading a table: the least that a program in Rust does to see every cell.

use std::fs::File;

use flate2::read::MultiGzDecoder;

/// Reads a CSV file, gzipped if its name says so, and prints rows and bytes of cells.
pub fn read(path: &str) {
    let file = File::open(path).expect("a file");
    let source: Box<dyn std::io::Read> = if path.ends_with(".gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut table = csv::ReaderBuilder::new()
        .buffer_capacity(1 << 18)
        .from_reader(source);
    let mut row = csv::ByteRecord::new();
    let (mut rows, mut bytes) = (0u64, 0usize);
    while table.read_byte_record(&mut row).expect("a row") {
        rows += 1;
        bytes += row.as_slice().len();
    }
    println!("{rows} {bytes}");
}
