//! Reads paths, one on each line, and writes what the catalog says of each: type, how sure, by what, and library, with tabs
//! between them; a `-` where it says nothing. For scripts/catalog-recall.

use crypto_trace_format::catalog::{judge, library};
use std::io::{self, BufRead as _, Write as _};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for path in io::stdin().lock().split(b'\n') {
        let path = path?;
        match judge(&path) {
            Some(judged) => {
                write!(out, "{}\t{}\t{}", judged.file_type.name(), judged.confidence.name(), judged.by.name())?;
            }
            None => write!(out, "-\t-\t-")?,
        }
        writeln!(out, "\t{}", library(&path).unwrap_or("-"))?;
    }
    out.flush()
}
