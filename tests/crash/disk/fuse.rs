//! The kernel's side of the disk: a file system of one file, spoken over /dev/fuse directly, since
//! so small a one needs no library. Numbers are those of linux/fuse.h, protocol 7.31.
//!
//! The file is opened for direct access, so that the kernel keeps no copy of it that a power cut
//! would have to take away. A loop device on it turns a flush into FSYNC.
#![expect(clippy::disallowed_methods, reason = "the kernel is spoken to, not a store")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use super::{Broken, Disk};
use crate::system::{Failure, run, run_with};

/// Name of the file.
const NAME: &str = "disk";
const ROOT: u64 = 1;
const FILE: u64 = 2;

const HEAD_BYTES: usize = 40;
const DATA_BYTES_MAX: u32 = 1 << 20;
const PAGES_MAX: u16 = 256;
const BUFFER_BYTES: usize = DATA_BYTES_MAX as usize + (64 << 10);
/// How long the kernel may believe what it was told.
const VALID_SECONDS: u64 = 3600;

const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENOSYS: i32 = 38;

/// The disk as a file, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Mounts the file system at the directory `at` and serves it on a thread of its own.
    pub(crate) fn new(disk: &Arc<Disk>, at: &Path) -> Result<Self, Failure> {
        let device = File::options().read(true).write(true).open("/dev/fuse")?;
        // The program that mounts is given the device as its standard input.
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
        let arguments = ["-i", "-t", "fuse", "-o", options, "kinelog-disk"];
        let input = Stdio::from(device.try_clone()?);
        run_with("mount", arguments.map(AsRef::as_ref).into_iter().chain([at.as_os_str()]), input)?;
        let disk = Arc::clone(disk);
        std::thread::Builder::new().name("disk".to_owned()).spawn(move || serve(&disk, device))?;
        Ok(Self { at: at.to_path_buf() })
    }

    /// The file that is the disk.
    pub(crate) fn file(&self) -> PathBuf {
        self.at.join(NAME)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(failure) = run("umount", ["-l".as_ref(), self.at.as_os_str()]) {
            eprintln!("{failure}");
        }
    }
}

/// Answers the kernel until it unmounts.
fn serve(disk: &Disk, mut device: File) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let len = match device.read(&mut buffer) {
            Ok(len) => len,
            // A request that was taken back while it was being read.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Interrupted) => {
                continue;
            }
            Err(_) => return,
        };
        let request = Request(&buffer[..len]);
        let answer = match answer(disk, &request) {
            Some(Ok(body)) => frame(request.id(), 0, &body),
            Some(Err(error)) => frame(request.id(), -error, &[]),
            None => continue,
        };
        // A request that was taken back meanwhile takes no answer.
        if device.write_all(&answer).is_err() {}
    }
}

fn frame(id: u64, error: i32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut frame = Vec::with_capacity(16 + body.len());
    frame.extend(len.to_le_bytes());
    frame.extend(error.to_le_bytes());
    frame.extend(id.to_le_bytes());
    frame.extend(body);
    frame
}

struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn u32(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).map_or(0, |it| u32::from_le_bytes(it.try_into().unwrap_or_default()))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    fn operation(&self) -> u32 {
        self.u32(4)
    }

    fn id(&self) -> u64 {
        self.u64(8)
    }

    fn node(&self) -> u64 {
        self.u64(16)
    }

    fn body(&self) -> &[u8] {
        self.0.get(HEAD_BYTES..).unwrap_or_default()
    }
}

/// The body of the answer, or an error number; nothing where none is expected.
fn answer(disk: &Disk, request: &Request<'_>) -> Option<Result<Vec<u8>, i32>> {
    let broken = |Broken| EIO;
    Some(match request.operation() {
        // LOOKUP
        1 if request.body().strip_suffix(&[0]) == Some(NAME.as_bytes()) => {
            let mut entry = words(&[FILE, 0, VALID_SECONDS, VALID_SECONDS, 0]);
            entry.extend(attributes(disk, FILE));
            Ok(entry)
        }
        1 => Err(ENOENT),
        // FORGET, INTERRUPT, BATCH_FORGET
        2 | 36 | 42 => return None,
        // GETATTR, SETATTR
        3 | 4 => {
            let mut answer = words(&[VALID_SECONDS, 0]);
            answer.extend(attributes(disk, request.node()));
            Ok(answer)
        }
        // OPEN: FOPEN_DIRECT_IO
        14 => Ok(words(&[0, 1])),
        // OPENDIR
        27 => Ok(words(&[0, 0])),
        // READ
        15 => {
            let (offset, len) = (request.u64(HEAD_BYTES + 8), request.u32(HEAD_BYTES + 16));
            let len = u64::from(len).min(disk.bytes().saturating_sub(offset));
            disk.read(offset, usize::try_from(len).unwrap_or_default()).map_err(broken)
        }
        // WRITE
        16 => {
            let (offset, len) = (request.u64(HEAD_BYTES + 8), request.u32(HEAD_BYTES + 16));
            let bytes = request.body().get(40..).unwrap_or_default();
            let written = disk.write(offset, bytes).map_err(broken);
            written.map(|()| words(&[u64::from(len)]))
        }
        // STATFS
        17 => Ok(vec![0; 80]),
        // RELEASE, FLUSH, RELEASEDIR, DESTROY; READDIR shows nothing
        18 | 25 | 28 | 29 | 38 => Ok(Vec::new()),
        // FSYNC
        20 => disk.flush().map(|()| Vec::new()).map_err(broken),
        // INIT
        26 => Ok(greeting(request)),
        _ => Err(ENOSYS),
    })
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn greeting(request: &Request<'_>) -> Vec<u8> {
    /// `FUSE_ASYNC_READ`, `FUSE_BIG_WRITES`, `FUSE_MAX_PAGES`.
    const WANTED: u32 = 1 | 1 << 5 | 1 << 22;
    let flags = request.u32(HEAD_BYTES + 12) & WANTED;
    let mut answer = Vec::with_capacity(64);
    for word in [7, 31, DATA_BYTES_MAX, flags] {
        answer.extend(word.to_le_bytes());
    }
    // Requests in the background, and from how many on they are too many.
    answer.extend(16_u16.to_le_bytes());
    answer.extend(12_u16.to_le_bytes());
    answer.extend(DATA_BYTES_MAX.to_le_bytes());
    answer.extend(1_u32.to_le_bytes());
    answer.extend(PAGES_MAX.to_le_bytes());
    answer.resize(64, 0);
    answer
}

fn attributes(disk: &Disk, node: u64) -> Vec<u8> {
    let (mode, bytes): (u32, u64) =
        if node == ROOT { (0o040_700, 0) } else { (0o100_600, disk.bytes()) };
    let mut answer = words(&[node, bytes, bytes / 512, 0, 0, 0]);
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        answer.extend(word.to_le_bytes());
    }
    answer
}
