//! One thread that runs all changes in turn and lets those that wait together share a commit.
//!
//! A commit costs a sync of the disk, whatever is in it: sixteen writers at once pay for two or three, not sixteen.

use std::any::Any;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use redb::{Database, WriteTransaction};
use s3s::s3_error;
use tokio::sync::oneshot;

use super::{Refusal, Writer, storage_failed};
use crate::services::s3::blobs::{BlobId, Blobs, NewBlob};
use crate::store::StoreError;

/// The most changes in one commit: bounds how long the first of them waits.
const BATCH: usize = 64;

type Value = Box<dyn Any + Send>;
type Work = Box<dyn FnOnce(&Writer<'_>) -> Result<Value, Refusal> + Send>;

/// A change that waits for its turn.
struct Job {
    work: Work,
    new_blobs: Vec<NewBlob>,
    answer: oneshot::Sender<Result<Value, Refusal>>,
}

/// A change that has run and waits for the commit: a refusal too, since it may rest on what the commit brings.
struct Ran {
    outcome: Result<Value, Refusal>,
    new_blobs: Vec<NewBlob>,
    garbage: Vec<BlobId>,
    answer: oneshot::Sender<Result<Value, Refusal>>,
}

/// The way to the thread.
#[derive(Debug)]
pub(in crate::services::s3) struct Commits {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Commits {
    /// Starts the thread.
    pub(super) fn start(db: Arc<Database>, blobs: Arc<Blobs>) -> Commits {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let thread = std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let batch = std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
                run_batch(&db, &blobs, batch);
            }
        });
        Commits { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs one change and returns what it made once that is on disk. The files in `new_blobs` are kept if it
    /// succeeds and removed if it is refused.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        new_blobs: Vec<NewBlob>,
        work: impl FnOnce(&Writer<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(|writer| work(writer).map(|value| Box::new(value) as Value));
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { work, new_blobs, answer }).is_ok());
        let gone = || s3_error!(InternalError, "the local cloud's S3 storage is shutting down");
        if !sent {
            return Err(gone().into());
        }
        let value = answered.await.map_err(|_| gone())??;
        match value.downcast::<T>() {
            Ok(value) => Ok(*value),
            Err(_) => Err(s3_error!(InternalError, "a change of the index returned another type").into()),
        }
    }
}

impl Drop for Commits {
    /// Waits for the thread, so that the file is closed once the index is dropped.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run_batch(db: &Database, blobs: &Blobs, batch: Vec<Job>) {
    let transaction = match db.begin_write() {
        Ok(transaction) => transaction,
        Err(error) => {
            let why = super::chain(&StoreError::from(error));
            return batch.into_iter().for_each(|job| refuse(job.answer, &why));
        }
    };
    let mut ran = Vec::with_capacity(batch.len());
    let mut broken = None;
    for job in batch {
        if broken.is_some() {
            // The transaction cannot be trusted any more: nothing of it is committed.
            ran.push(Ran { outcome: Ok(Box::new(())), new_blobs: job.new_blobs, garbage: vec![], answer: job.answer });
            continue;
        }
        let job = run_job(&transaction, job);
        if let Err(Refusal::Store(error)) = &job.outcome {
            broken = Some(super::chain(error));
        }
        ran.push(job);
    }
    if let Some(why) = broken {
        drop(transaction);
        return ran.into_iter().for_each(|job| refuse(job.answer, &why));
    }
    if ran.iter().all(|job| job.outcome.is_err()) {
        drop(transaction);
        return ran.into_iter().for_each(|job| drop(job.answer.send(job.outcome)));
    }
    let committed = transaction.commit();
    for Ran { outcome, new_blobs, garbage, answer } in ran {
        if let Err(error) = &committed {
            // It may be on disk all the same, so the files stay until a sweep knows better.
            new_blobs.into_iter().for_each(NewBlob::keep);
            refuse(answer, &error.to_string());
            continue;
        }
        if outcome.is_ok() {
            new_blobs.into_iter().for_each(NewBlob::keep);
            garbage.iter().for_each(|blob| blobs.remove(blob));
        }
        // Whoever asked may have hung up.
        drop(answer.send(outcome));
    }
}

fn run_job(transaction: &WriteTransaction, job: Job) -> Ran {
    let writer = Writer::new(transaction);
    let outcome = (job.work)(&writer);
    Ran { outcome, new_blobs: job.new_blobs, garbage: writer.into_garbage(), answer: job.answer }
}

fn refuse(answer: oneshot::Sender<Result<Value, Refusal>>, why: &str) {
    drop(answer.send(Err(storage_failed(std::io::Error::other(why.to_owned())).into())));
}
