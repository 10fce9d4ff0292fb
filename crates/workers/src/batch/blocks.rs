//! Bytes to blocks of whole lines: small objects are put together and large ones cut, so that each block is worth a task
//! of its own and none is large.

use std::io::Write;
use std::sync::Arc;

use flate2::write::MultiGzDecoder;
use tokio::sync::mpsc;

use super::fetch::Piece;
use super::objects::Object;

/// A block is closed at so many bytes, or less where commits are to be smaller.
const BLOCK: usize = 2 << 20;

/// Objects in a block: empty ones have no bytes that would fill it.
const MOST_PARTS: usize = 16_384;

/// A line that is longer than this is cut: Kafka takes messages of a few MiB.
const LONGEST: usize = 64 << 20;

/// What is kept of such a line. It is no JSON then, so it becomes a reject.
const KEPT: usize = 64 << 10;

/// Packed bytes that are unpacked together: what comes out is a thousand times that at most.
const PACKED: usize = 16 << 10;

/// Lines of one or more objects, each with its line end.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) parts: Vec<Part>,
}

/// What one object has in a block.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) object: Arc<Object>,
    /// Where its lines end in the block; they begin where those of the part before end.
    pub(crate) to: usize,
    /// Whether these are its first lines in this run.
    pub(crate) starts: bool,
    /// Whether nothing of it is left.
    pub(crate) ends: bool,
    /// Why the rest of it cannot be read.
    pub(crate) broken: Option<String>,
}

/// Puts pieces together to blocks.
pub(crate) struct Blocks {
    /// Bytes at which a block is closed.
    full: usize,
    block: Block,
    /// Bytes of the block that belong to closed parts.
    closed: usize,
    /// Bytes of the block that were looked at: behind the closed parts there is no line end in them.
    searched: usize,
    object: Option<Reading>,
    ready: Vec<Block>,
}

/// The object whose pieces come.
struct Reading {
    object: Arc<Object>,
    starts: bool,
    /// Lines to leave out: they were read before.
    skip: u64,
    /// The rest of a line that is too long is left out.
    cutting: bool,
    unpack: Option<MultiGzDecoder<Vec<u8>>>,
    broken: Option<String>,
}

impl Blocks {
    /// None yet. No block has many more bytes than go into a commit.
    pub(crate) fn new(commit_bytes: usize) -> Blocks {
        let full = commit_bytes.clamp(1, BLOCK);
        Blocks { full, block: Block::default(), closed: 0, searched: 0, object: None, ready: Vec::new() }
    }

    /// Takes the next piece, and gives the blocks that are full away. `false` once nobody takes them.
    pub(crate) async fn push(&mut self, piece: &Piece, taker: &mpsc::Sender<Block>) -> bool {
        let mut reading = match self.object.take() {
            Some(reading) => reading,
            None => Reading {
                object: piece.object.clone(),
                starts: true,
                skip: piece.object.read,
                cutting: false,
                unpack: piece.object.gzip.then(|| MultiGzDecoder::new(Vec::new())),
                broken: None,
            },
        };
        if reading.unpack.is_none() {
            self.take(&mut reading, &piece.bytes);
        } else {
            for packed in piece.bytes.chunks(PACKED) {
                let unpacked = reading.unpacked(packed);
                self.take(&mut reading, &unpacked);
                if !self.give_away(taker).await {
                    return false;
                }
            }
        }
        if piece.last {
            if let Some(mut unpack) = reading.unpack.take()
                && reading.broken.is_none()
                && piece.object.size > 0
            {
                match unpack.try_finish() {
                    Ok(()) => {
                        let unpacked = std::mem::take(unpack.get_mut());
                        self.take(&mut reading, &unpacked);
                    }
                    Err(error) => reading.broken = Some(broken(&error)),
                }
            }
            self.close(&mut reading, true);
        } else {
            self.object = Some(reading);
        }
        self.give_away(taker).await
    }

    async fn give_away(&mut self, taker: &mpsc::Sender<Block>) -> bool {
        for block in std::mem::take(&mut self.ready) {
            if taker.send(block).await.is_err() {
                return false;
            }
        }
        true
    }

    /// What is left at the end.
    pub(crate) fn rest(self) -> Option<Block> {
        (!self.block.parts.is_empty()).then_some(self.block)
    }

    /// Takes bytes of the object.
    fn take(&mut self, reading: &mut Reading, mut bytes: &[u8]) {
        while reading.skip > 0 {
            let Some(end) = line_end(bytes) else { return };
            bytes = &bytes[end..];
            reading.skip -= 1;
        }
        if reading.cutting {
            let Some(end) = line_end(bytes) else { return };
            bytes = &bytes[end - 1..];
            reading.cutting = false;
        }
        // In steps, so that no block becomes much larger than it should be.
        for step in bytes.chunks(self.full) {
            if reading.cutting {
                return self.take(reading, &bytes[step.as_ptr() as usize - bytes.as_ptr() as usize..]);
            }
            self.block.bytes.extend_from_slice(step);
            if self.block.bytes.len() >= self.full {
                self.cut(reading);
            }
        }
    }

    /// Closes the block behind its last whole line, if there is one.
    fn cut(&mut self, reading: &mut Reading) {
        let from = self.searched.max(self.closed);
        self.searched = self.block.bytes.len();
        if let Some(lines) = self.block.bytes[from..].iter().rposition(|byte| *byte == b'\n') {
            let rest = self.behind(from + lines + 1);
            self.part(reading, false);
            self.give(rest);
        } else if self.closed > 0 {
            let rest = self.behind(self.closed);
            self.give(rest);
        } else if self.block.bytes.len() > LONGEST {
            self.block.bytes.truncate(KEPT);
            self.searched = KEPT;
            reading.cutting = true;
        }
    }

    /// Takes what lies behind `at` off the block.
    fn behind(&mut self, at: usize) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.full + self.full / 8);
        rest.extend_from_slice(&self.block.bytes[at..]);
        self.block.bytes.truncate(at);
        rest
    }

    /// The object has nothing more.
    fn close(&mut self, reading: &mut Reading, ends: bool) {
        if self.block.bytes.len() > self.closed && self.block.bytes.last() != Some(&b'\n') {
            self.block.bytes.push(b'\n');
        }
        self.part(reading, ends);
        if self.block.bytes.len() >= self.full || self.block.parts.len() >= MOST_PARTS {
            self.give(Vec::new());
        }
    }

    fn part(&mut self, reading: &mut Reading, ends: bool) {
        self.closed = self.block.bytes.len();
        let (object, starts) = (reading.object.clone(), std::mem::take(&mut reading.starts));
        let broken = if ends { reading.broken.take() } else { None };
        self.block.parts.push(Part { object, to: self.closed, starts, ends, broken });
    }

    /// Closes the block; the next one begins with `rest`.
    fn give(&mut self, rest: Vec<u8>) {
        let next = Block { bytes: rest, parts: Vec::new() };
        self.ready.push(std::mem::replace(&mut self.block, next));
        (self.closed, self.searched) = (0, 0);
    }
}

impl Reading {
    fn unpacked(&mut self, packed: &[u8]) -> Vec<u8> {
        let Some(unpack) = &mut self.unpack else { return Vec::new() };
        if self.broken.is_some() {
            return Vec::new();
        }
        let written = unpack.write_all(packed).and_then(|()| unpack.flush());
        if let Err(error) = written {
            self.broken = Some(broken(&error));
        }
        std::mem::take(unpack.get_mut())
    }
}

fn broken(error: &std::io::Error) -> String {
    format!("the rest of this object cannot be unpacked: {error}")
}

/// The byte behind the first line end.
fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store::path::Path;
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use tokio::sync::Semaphore;

    use super::*;

    /// The lines of each object, put together from pieces of these sizes; blocks are closed at `full` bytes.
    async fn lines_of(objects: &[(Vec<u8>, bool, u64)], piece: usize, full: usize) -> Vec<Vec<Vec<u8>>> {
        let memory = Arc::new(Semaphore::new(1_000_000));
        let (give, mut taken) = mpsc::channel(10_000);
        let mut blocks = Blocks::new(full);
        for (number, (body, gzip, read)) in objects.iter().enumerate() {
            let object = Arc::new(Object {
                key: Path::from("x"),
                chain: number.to_string(),
                first: 0,
                size: body.len() as u64,
                etag: None,
                modified: OffsetDateTime::UNIX_EPOCH,
                gzip: *gzip,
                read: *read,
            });
            let pieces: Vec<&[u8]> = if body.is_empty() { vec![&[]] } else { body.chunks(piece).collect() };
            for (place, bytes) in pieces.iter().enumerate() {
                let permit = memory.clone().acquire_owned().await.unwrap();
                let last = place + 1 == pieces.len();
                let piece = Piece::new(object.clone(), Bytes::copy_from_slice(bytes), last, permit);
                assert!(blocks.push(&piece, &give).await);
            }
        }
        if let Some(rest) = blocks.rest() {
            give.send(rest).await.unwrap();
        }
        drop(give);
        let mut lines: Vec<Vec<Vec<u8>>> = vec![Vec::new(); objects.len()];
        let mut ended = vec![false; objects.len()];
        while let Some(block) = taken.recv().await {
            let mut from = 0;
            for part in block.parts {
                let number: usize = part.object.chain.parse().unwrap();
                assert!(!ended[number] && part.starts == (part.starts && lines[number].is_empty()));
                assert_eq!(part.broken, None);
                ended[number] = part.ends;
                let bytes = &block.bytes[from..part.to];
                lines[number].extend(
                    bytes
                        .split_inclusive(|byte| *byte == b'\n')
                        .map(|line| line.strip_suffix(b"\n").expect("each line has its end").to_vec()),
                );
                from = part.to;
            }
            assert_eq!(from, block.bytes.len());
        }
        assert!(ended.iter().all(|ended| *ended));
        lines
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    proptest! {
        #[test]
        fn every_line_comes_through_however_it_is_cut(
            objects in prop::collection::vec(("[ab\n]{0,40}", any::<bool>(), 0_u64..4), 1..6),
            piece in 1_usize..20,
            full in 1_usize..30,
        ) {
            let mut expected = Vec::new();
            let mut stored = Vec::new();
            for (text, gzip, read) in &objects {
                let lines = text.split_terminator('\n').skip(usize::try_from(*read).unwrap());
                expected.push(lines.map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>());
                let body = if *gzip { packed(text.as_bytes()) } else { text.as_bytes().to_vec() };
                stored.push((body, *gzip, *read));
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(lines_of(&stored, piece, full)), expected);
        }
    }
}
