//! Packs the API models of `models/` for the binary: 500 kB of JSON become about 60 kB.

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;

use flate2::{Compression, GzBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=models");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for entry in fs::read_dir("models")? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !name.ends_with(".json") {
            continue;
        }
        let mut model = fs::File::open(&path)?;
        // No time stamp goes into the file: the same models make the same bytes.
        let packed = File::create(out.join(format!("{name}.gz")))?;
        let mut writer = GzBuilder::new().mtime(0).write(packed, Compression::best());
        std::io::copy(&mut model, &mut writer)?;
        writer.finish()?;
    }
    Ok(())
}
