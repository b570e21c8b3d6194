//! A few threads that do blocking calls, behind a bounded queue.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::BoxFuture;
use crate::error::DeviceError;

/// One blocking call, or `None`: the thread that takes it ends.
type Job = Option<Box<dyn FnOnce() + Send>>;

/// A handle of the threads. They end when the last handle is dropped and the queue is empty.
#[derive(Clone, Debug)]
pub(super) struct Helpers {
    queue: mpsc::Sender<Job>,
}

/// The threads themselves, for who must know that they have ended.
#[derive(Debug)]
pub(super) struct HelperThreads(Vec<JoinHandle<()>>);

impl Helpers {
    /// Starts `threads` threads behind a queue of `queue_max` calls; both at least 1.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(
        name: &str,
        threads: usize,
        queue_max: usize,
    ) -> Result<(Self, HelperThreads), DeviceError> {
        let (queue, jobs) = mpsc::channel::<Job>(queue_max.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        let spawn = |index| {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || run(&jobs))
        };
        let threads: io::Result<_> = (0..threads.max(1)).map(spawn).collect();
        let threads = threads.map_err(|error| DeviceError::new("start thread", name, &error))?;
        Ok((Self { queue }, HelperThreads(threads)))
    }

    /// Runs `call` on one of the threads; waits while the queue is full. Nothing happens before
    /// the future is first polled. A call that was handed over runs to its end even when the
    /// future is dropped.
    pub(super) fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let queue = self.queue.clone();
        let path = PathBuf::from(path);
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let job = Box::new(move || {
                // Nobody waits any more when the future was dropped; the call was made all the same.
                let _gone = answer.send(call());
            });
            let ended = || io::Error::other("the helper threads have ended");
            let result = match queue.send(Some(job)).await {
                Ok(()) => answered.await.unwrap_or_else(|_| Err(ended())),
                Err(_) => Err(ended()),
            };
            result.map_err(|error| DeviceError::new(operation, path, &error))
        })
    }

    /// Lets the threads finish what is queued and waits for their end; blocks.
    pub(super) fn finish(self, threads: HelperThreads) {
        for _ in &threads.0 {
            // Refused only when all threads have ended already.
            let _ended = self.queue.blocking_send(None);
        }
        for thread in threads.0 {
            // A call that panicked has told so where it happened and its caller got an error.
            let _panicked = thread.join();
        }
    }
}

fn run(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // The lock is held while waiting: one idle thread waits for the job, the others for it.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(Some(call)) => call(),
            Some(None) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn more_calls_than_the_queue_holds_all_run() {
        let (helpers, threads) = Helpers::start("test", 2, 1).unwrap();
        let sum = block_on(async {
            let calls: Vec<_> = (0..100_u64)
                .map(|number| tokio::spawn(helpers.run("add", Path::new("x"), move || Ok(number))))
                .collect();
            let mut sum = 0;
            for call in calls {
                sum += call.await.unwrap().unwrap();
            }
            sum
        });
        assert_eq!(sum, 4950);
        helpers.finish(threads);
    }

    #[test]
    fn a_call_that_panics_is_an_error_of_its_caller_only() {
        let (helpers, _threads) = Helpers::start("test", 2, 4).unwrap();
        let path = Path::new("x");
        let failed = block_on(helpers.run("read", path, || -> io::Result<()> { panic!("boom") }));
        assert_eq!(failed.unwrap_err().kind, io::ErrorKind::Other);
        assert_eq!(block_on(helpers.run("read", path, || Ok(1))).unwrap(), 1);
    }

    #[test]
    fn finish_waits_for_calls_nobody_waits_for() {
        let (helpers, threads) = Helpers::start("test", 1, 4).unwrap();
        let (gate, closed) = std::sync::mpsc::channel::<()>();
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        block_on(async {
            let done = Arc::clone(&done);
            let mut call = helpers.run("wait", Path::new("x"), move || {
                let _opened = closed.recv();
                done.store(true, std::sync::atomic::Ordering::SeqCst);
                Ok(())
            });
            let once = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(call.as_mut().poll(cx).is_pending())
            });
            assert!(once.await);
        });
        drop(gate);
        helpers.finish(threads);
        assert!(done.load(std::sync::atomic::Ordering::SeqCst));
    }
}
