//! The parts of the engine that publish without a lock, over atomics that `loom` takes through every
//! order of steps the memory model allows. The files are the engine's own.

/// Stands where the engine has the atomics of the system.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
}

#[path = "../../src/shard/marks.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod marks;

#[cfg(test)]
mod tests {
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::marks::Marks;

    /// The log thread puts a batch into the tail and then moves the end.
    #[test]
    fn loom_watermark() {
        loom::model(|| {
            let marks = Arc::new(Marks::new(1, 1, 0));
            let tail = Arc::new(Mutex::new(Vec::new()));
            let (publishes, into) = (Arc::clone(&marks), Arc::clone(&tail));
            let log_thread = thread::spawn(move || {
                for (end, arrival) in [(2, 20), (3, 30)] {
                    into.lock().expect("no holder panics").push(end - 1);
                    publishes.advance(end, arrival);
                }
            });
            let mut before = 1;
            for _ in 0..2 {
                let end = marks.end();
                assert!(end >= before, "the end never goes back");
                assert!(
                    marks.last_arrival() >= (end - 1) * 10,
                    "an arrival is seen with its record"
                );
                let held = tail.lock().expect("no holder panics").len() as u64;
                assert!(held >= end - 1, "what is below the end is there");
                before = end;
            }
            log_thread.join().expect("it does not panic");
            assert_eq!((marks.end(), marks.last_arrival()), (3, 30));
        });
    }

    /// A reader that finds the shard closed knows its last record.
    #[test]
    fn loom_close() {
        loom::model(|| {
            let marks = Arc::new(Marks::new(1, 1, 0));
            let closes = Arc::clone(&marks);
            let log_thread = thread::spawn(move || {
                closes.advance(2, 20);
                closes.close();
            });
            if marks.is_closed() {
                assert_eq!(marks.end(), 2, "nothing follows what is closed");
            }
            log_thread.join().expect("it does not panic");
        });
    }

    /// Retention and a reader's view: the first kept record never goes back, whoever trims last.
    #[test]
    fn loom_trim() {
        loom::model(|| {
            let marks = Arc::new(Marks::new(1, 9, 0));
            let trims = Arc::clone(&marks);
            let other = thread::spawn(move || trims.trim(5));
            marks.trim(3);
            assert!(marks.first_kept() >= 3, "what is trimmed stays so");
            other.join().expect("it does not panic");
            assert_eq!(marks.first_kept(), 5);
        });
    }
}
