//! A file system on a loop device: made, mounted, cut off, mounted again.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::system::{Failure, has, run};

/// Pause between two tries to unmount, and how many there are.
const TRY_AGAIN: Duration = Duration::from_millis(20);
const TRIES_MAX: u32 = 1000;

/// The file systems a store may live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileSystem {
    /// XFS.
    Xfs,
    /// ext4.
    Ext4,
}

impl FileSystem {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Xfs => "xfs",
            Self::Ext4 => "ext4",
        }
    }
}

/// A loop device with a file system, mounted or not. Taken down when dropped.
#[derive(Debug)]
pub(crate) struct Volume {
    kind: FileSystem,
    device: String,
    at: PathBuf,
    is_mounted: bool,
}

/// What is missing for volumes, if anything.
pub(crate) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not run by root".to_owned());
    }
    let programs = ["losetup", "mount", "umount", "fsfreeze", "mkfs.xfs", "mkfs.ext4", "xfs_io"];
    let absent: Vec<_> = programs.into_iter().filter(|program| !has(program)).collect();
    if !absent.is_empty() {
        return Some(format!("{} not installed", absent.join(", ")));
    }
    let devices = ["/dev/loop-control", "/dev/fuse"];
    let absent: Vec<_> = devices.into_iter().filter(|path| !Path::new(path).exists()).collect();
    (!absent.is_empty()).then(|| format!("{} missing", absent.join(", ")))
}

impl Volume {
    /// Puts a loop device on the file `backing`; the file system is still to be made.
    pub(crate) fn new(kind: FileSystem, backing: &Path, at: &Path) -> Result<Self, Failure> {
        let arguments = ["--find".as_ref(), "--show".as_ref(), backing.as_os_str()];
        let device = run("losetup", arguments)?;
        Ok(Self { kind, device, at: at.to_path_buf(), is_mounted: false })
    }

    /// Makes an empty file system.
    pub(crate) fn format(&self) -> Result<(), Failure> {
        let (program, options): (_, &[&str]) = match self.kind {
            FileSystem::Xfs => ("mkfs.xfs", &["-q", "-f", "-K"]),
            FileSystem::Ext4 => ("mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", "nodiscard"]),
        };
        let options = options.iter().map(AsRef::<OsStr>::as_ref);
        run(program, options.chain([self.device.as_ref()])).map(drop)
    }

    /// Mounts it, which recovers the file system's own log.
    pub(crate) fn mount(&mut self) -> Result<(), Failure> {
        let (kind, options) = match self.kind {
            FileSystem::Xfs => ("xfs", "defaults"),
            FileSystem::Ext4 => ("ext4", "errors=remount-ro"),
        };
        let arguments = ["-t", kind, "-o", options, self.device.as_str()].map(AsRef::as_ref);
        run("mount", arguments.into_iter().chain([self.at.as_os_str()]))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Unmounts it once nothing uses it: what a ring of a killed process still holds is given back
    /// a little after its end.
    pub(crate) async fn unmount(&mut self) -> Result<(), Failure> {
        let mut tries: u32 = 0;
        loop {
            match run("umount", [self.at.as_os_str()]) {
                Ok(_) => break,
                Err(failure) if tries == TRIES_MAX => return Err(failure),
                Err(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
            tries += 1;
        }
        self.is_mounted = false;
        Ok(())
    }

    /// Ends the file system as a crash of the system does: what was not synced is gone.
    pub(crate) fn shut_down(&self) -> Result<(), Failure> {
        let arguments = ["-x", "-c", "shutdown"].map(AsRef::as_ref);
        run("xfs_io", arguments.into_iter().chain([self.at.as_os_str()])).map(drop)
    }

    /// Name of the loop device.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.is_mounted
            && let Err(failure) = run("umount", ["-l".as_ref(), self.at.as_os_str()])
        {
            eprintln!("{failure}");
        }
        if let Err(failure) = run("losetup", ["--detach".as_ref(), self.device.as_ref()]) {
            eprintln!("{failure}");
        }
    }
}
