//! The program that is deployed. It is gzipped once for each build and kept under the state folder: packing takes
//! seconds, and most runs deploy what the last one did.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{absolute, cannot};
use crate::commands::context::Context;
use crate::expand::ProgramFile;
use crate::report::Failure;
use crate::spec::{Stack, Target};

/// The folder of packed programs under the state folder. No stack can have this name.
pub(super) const CACHE: &str = "_program";

/// What one thread packs at a time. A gzip file may have any number of members (RFC 1952, section 2.2).
const MEMBER: usize = 8 * 1024 * 1024;

/// What was packed last, and what from.
#[derive(Serialize, Deserialize)]
struct Packed {
    program: PathBuf,
    length: u64,
    modified: std::time::SystemTime,
    version: String,
    sha256: String,
    packed_sha256: String,
}

/// The program that is deployed, packed.
pub(super) async fn program(context: &Context, stack: &Stack, target: Target) -> Result<ProgramFile, Failure> {
    let path = match &context.global.program {
        Some(path) => absolute(path)?,
        None => std::env::current_exe()
            .map_err(|error| Failure::new(format!("cannot find the program that is running: {error}")))?,
    };
    if target == Target::Aws {
        let machine = stack.client.as_ref().map(|client| client.instance.get().as_str()).unwrap_or_default();
        check_runs_on(&path, machine)?;
    }
    let folder = absolute(&context.work_dir().join(CACHE))?;
    let meta = fs::metadata(&path).map_err(|error| cannot("read", &path, &error))?;
    let modified = meta.modified().map_err(|error| cannot("read the time of", &path, &error))?;
    let note = folder.join("program.json");
    let last = fs::read(&note).ok().and_then(|text| serde_json::from_slice::<Packed>(&text).ok());
    let same = last.filter(|last| {
        let version = env!("CARGO_PKG_VERSION");
        last.program == path && last.length == meta.len() && last.modified == modified && last.version == version
    });
    if let Some(last) = same {
        let packed = folder.join(format!("{}.gz", last.sha256));
        if packed.exists() {
            return Ok(ProgramFile { sha256: last.sha256, packed, packed_sha256: last.packed_sha256 });
        }
    }
    context.tell("packing the program for the client machine");
    fs::create_dir_all(&folder).map_err(|error| cannot("make the folder", &folder, &error))?;
    let unfinished = Unfinished(tempfile_in(&folder));
    let (from, to) = (path.clone(), unfinished.0.clone());
    // In a thread of its own, so that an interrupt is heard.
    let packing = tokio::task::spawn_blocking(move || pack(&from, &to)).await;
    let (sha256, packed_sha256) =
        packing.unwrap_or_else(|panicked| Err(Failure::new(format!("packing the program failed: {panicked}"))))?;
    let packed = folder.join(format!("{sha256}.gz"));
    fs::rename(&unfinished.0, &packed).map_err(|error| cannot("write", &packed, &error))?;
    forget_others(&folder, &packed);
    let note_text = Packed {
        program: path,
        length: meta.len(),
        modified,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256: sha256.clone(),
        packed_sha256: packed_sha256.clone(),
    };
    // Without the note the next run packs again.
    let _ = serde_json::to_vec(&note_text).map(|text| fs::write(&note, text));
    Ok(ProgramFile { sha256, packed, packed_sha256 })
}

/// Two runs at once each write a file of their own.
fn tempfile_in(folder: &Path) -> PathBuf {
    folder.join(format!("{}.part", std::process::id()))
}

/// A file that goes with who writes it, unless it got its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is not there any more when all went well.
        let _ = fs::remove_file(&self.0);
    }
}

/// Earlier builds are of no more use, but for the last one, which another command may be uploading.
fn forget_others(folder: &Path, packed: &Path) {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let others = paths.filter(|path| path.extension().is_some_and(|end| end == "gz") && path != packed);
    let mut others: Vec<(std::time::SystemTime, PathBuf)> =
        others.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).collect();
    others.sort();
    others.pop();
    for (_, path) in others {
        // One that stays takes room, and nothing else.
        let _ = fs::remove_file(path);
    }
}

/// Gzips `from` to `to` on all cores, and returns the SHA-256 of both.
fn pack(from: &Path, to: &Path) -> Result<(String, String), Failure> {
    let mut input = File::open(from).map_err(|error| cannot("read", from, &error))?;
    let mut output = File::create(to).map_err(|error| cannot("write", to, &error))?;
    let (mut whole, mut packed) = (Sha256::new(), Sha256::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    loop {
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        while blocks.len() < threads {
            let mut block = Vec::new();
            let limit = u64::try_from(MEMBER).unwrap_or(u64::MAX);
            (&mut input).take(limit).read_to_end(&mut block).map_err(|error| cannot("read", from, &error))?;
            if block.is_empty() {
                break;
            }
            blocks.push(block);
        }
        if blocks.is_empty() {
            break;
        }
        let members: Vec<std::io::Result<Vec<u8>>> = std::thread::scope(|scope| {
            let running: Vec<_> = blocks.iter().map(|block| scope.spawn(|| gzipped(block))).collect();
            for block in &blocks {
                whole.update(block);
            }
            let ended = |thread: std::thread::ScopedJoinHandle<'_, std::io::Result<Vec<u8>>>| {
                thread.join().unwrap_or_else(|_| Err(std::io::Error::other("packing panicked")))
            };
            running.into_iter().map(ended).collect()
        });
        for member in members {
            let member = member.map_err(|error| cannot("pack", from, &error))?;
            packed.update(&member);
            output.write_all(&member).map_err(|error| cannot("write", to, &error))?;
        }
    }
    output.sync_all().map_err(|error| cannot("write", to, &error))?;
    Ok((hex::encode(whole.finalize()), hex::encode(packed.finalize())))
}

fn gzipped(block: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(block.len() / 3), Compression::fast());
    encoder.write_all(block)?;
    encoder.finish()
}

/// Whether a program starts on an EC2 machine of this type: a Linux program for its processor (ELF-64 header, System V
/// ABI: magic, class, `e_machine` at byte 18).
fn check_runs_on(program: &Path, instance_type: &str) -> Result<(), Failure> {
    let mut head = [0; 20];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut head));
    read.map_err(|error| cannot("read", program, &error))?;
    let machine = match (&head[..5], head[18]) {
        (b"\x7fELF\x02", 62) => "amd64",
        (b"\x7fELF\x02", 183) => "arm64",
        _ => "",
    };
    let wanted = crate::expand::architecture(instance_type);
    if machine == wanted {
        return Ok(());
    }
    let what = if machine.is_empty() { "is not a Linux program".to_owned() } else { format!("is for {machine}") };
    Err(Failure::new(format!(
        "`{}` {what}, and the client machine `{instance_type}` is {wanted} with Linux",
        program.display()
    ))
    .hint("build pinfra for that machine and name the result with `--program`, or choose another `client.instance`"))
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;

    use super::super::files::hash_of;
    use super::*;

    #[test]
    fn a_packed_program_unpacks_to_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (program, packed) = (folder.path().join("program"), folder.path().join("packed"));
        let content: Vec<u8> = (0..MEMBER * 2 + 12_345).map(|n| u8::try_from(n * n % 251).unwrap()).collect();
        fs::write(&program, &content).unwrap();
        let (sha256, packed_sha256) = pack(&program, &packed).unwrap();
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(File::open(&packed).unwrap()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == content);
        assert_eq!(sha256, hash_of(&program).unwrap());
        assert_eq!(packed_sha256, hash_of(&packed).unwrap());
    }

    #[test]
    fn only_a_linux_program_for_its_processor_goes_onto_a_machine() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let mut elf = b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00".to_vec();
        fs::write(&program, &elf).unwrap();
        assert!(check_runs_on(&program, "t3.small").is_ok());
        assert!(check_runs_on(&program, "t4g.small").unwrap_err().to_string().contains("is for amd64"));
        elf[18] = 183;
        fs::write(&program, &elf).unwrap();
        assert!(check_runs_on(&program, "t4g.small").is_ok());
        fs::write(&program, b"#!/bin/sh\necho a script is no program for a machine\n").unwrap();
        assert!(check_runs_on(&program, "t3.small").unwrap_err().to_string().contains("not a Linux program"));
    }
}
