//! What the server holds, second by second, and whether it grows.

use std::path::Path;
use std::time::Duration;

use kinelog_tests::process;

use crate::Failure;

/// What may differ beside a tenth between the second and the last third of a run.
const SLACK: Readings =
    Readings { memory_kib: 8 << 10, descriptors: 64, maps: 64, disk_kib: 256 << 10 };

/// What the server holds at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readings {
    memory_kib: u64,
    descriptors: u64,
    maps: u64,
    disk_kib: u64,
}

impl Readings {
    pub(crate) fn take(server: u32, data: &Path) -> Result<Self, Failure> {
        Ok(Self {
            memory_kib: process::resident_kib(server),
            descriptors: process::descriptors(server) as u64,
            maps: process::maps(server) as u64,
            disk_kib: disk_kib(data)?,
        })
    }

    fn each(self) -> [(&'static str, u64); 4] {
        [
            ("memory, KiB", self.memory_kib),
            ("descriptors", self.descriptors),
            ("maps", self.maps),
            ("disk, KiB", self.disk_kib),
        ]
    }
}

/// Space that the files below a directory take. One may go while they are looked through.
fn disk_kib(directory: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => sum += disk_kib(&entry.path())?,
            Ok(metadata) => sum += metadata.blocks() / 2,
            Err(_) => {}
        }
    }
    Ok(sum)
}

/// The course of a run.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<(Duration, Readings)>);

impl Series {
    pub(crate) fn push(&mut self, at: Duration, readings: Readings) {
        self.0.push((at, readings));
    }

    /// Most of each in a part of the run.
    fn most(&self, part: std::ops::Range<usize>) -> Readings {
        self.0[part].iter().fold(Readings::default(), |most, (_, it)| Readings {
            memory_kib: most.memory_kib.max(it.memory_kib),
            descriptors: most.descriptors.max(it.descriptors),
            maps: most.maps.max(it.maps),
            disk_kib: most.disk_kib.max(it.disk_kib),
        })
    }

    /// Growth of one of them in an hour, by least squares over the last two thirds.
    #[expect(clippy::cast_precision_loss, reason = "a slope is told, not counted")]
    fn slope(&self, which: usize) -> f64 {
        let points = self.0[self.0.len() / 3..].iter();
        let points = points.map(|(at, it)| (at.as_secs_f64() / 3_600.0, it.each()[which].1 as f64));
        let points: Vec<_> = points.collect();
        let count = points.len().max(1) as f64;
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        covariance / variance
    }

    /// Prints the course.
    ///
    /// # Errors
    ///
    /// Something grew.
    pub(crate) fn report(&self) -> Result<(), Failure> {
        let third = self.0.len() / 3;
        let (Some((_, first)), Some((_, last))) = (self.0.first(), self.0.last()) else {
            return Err("the run is too short to tell anything".into());
        };
        let (middle, end) = (self.most(third..2 * third), self.most(2 * third..self.0.len()));
        let mut grown = Vec::new();
        let rows = first.each().into_iter().zip(last.each());
        let mosts = middle.each().into_iter().zip(end.each()).zip(SLACK.each());
        for (which, (((name, first), (_, last)), (((_, middle), (_, end)), (_, slack)))) in
            rows.zip(mosts).enumerate()
        {
            println!(
                "{name}: {first} at first, {last} at last; at most {middle} in the second third and {end} \
                 in the last; {:+.1} an hour",
                self.slope(which)
            );
            if end > middle + middle / 10 + slack {
                grown.push(name);
            }
        }
        if grown.is_empty() { Ok(()) } else { Err(format!("grown: {}", grown.join("; ")).into()) }
    }
}
