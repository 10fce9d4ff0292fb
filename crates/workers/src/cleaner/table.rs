//! The loop of one table: readers hand in chunks, batches are committed, and after any trouble everything is taken up
//! again from what the table says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use rand::Rng;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apps::{self, ShardApps};
use super::batch::Batch;
use super::commit::Writer;
use super::error::TableError;
use super::health::Health;
use super::index::Index;
use super::leases::Leases;
use super::ledger::Ledger;
use super::maintenance::{Maintenance, maintain};
use super::probes;
use super::reader::{BUDGET_KIB, Chunk, Reader};
use super::shards::{self, Stream};
use crate::clean::Cleaning;
use crate::config::{CleanedTable, CleanerConfig};
use crate::lake::Lake;
use crate::log::{chain, say};
use crate::query::TableSet;

/// How often shards and leases are looked at.
pub(crate) const TICK: Duration = Duration::from_secs(5);

/// How often the report is renewed while nothing comes.
const TELL: Duration = Duration::from_secs(1);

/// Pauses after an error, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is left to say of probes when a life of the cleaning ends has so much time.
const ANNOUNCE: Duration = Duration::from_secs(5);

/// Everything that one table's cleaning needs.
pub(crate) struct Job {
    pub(crate) config: Arc<CleanerConfig>,
    pub(crate) table: CleanedTable,
    /// The stream that it comes from.
    pub(crate) stream: String,
    pub(crate) lake: Lake,
    pub(crate) kinesis: Client,
    pub(crate) health: Health,
    /// This cleaner's name on its leases.
    pub(crate) holder: String,
    /// One permit: maintenance of one table at a time.
    pub(crate) broom: Arc<Semaphore>,
}

impl Job {
    /// Cleans until `stop`. Errors are told and tried again.
    pub(crate) async fn keep_cleaning(&self, mut index: Index, stop: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let Err(error) = Box::pin(self.clean(&mut index, stop)).await else { return };
            if began.elapsed() > LONGEST_PAUSE * 2 {
                pause = FIRST_PAUSE;
            }
            if !error.is_harmless() {
                let error = chain(&error);
                say(&format!("table `{}`: {error}", self.table.name));
                self.health.fails(&self.table.name, &error);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(about(pause)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn clean(&self, index: &mut Index, stop: &CancellationToken) -> Result<(), TableError> {
        let CleanedTable { name, key, sql, .. } = &self.table;
        let cleaning = Cleaning::new(name, key, sql).await;
        let cleaning = cleaning.map_err(|source| TableError::Sql { table: name.clone(), source })?;
        let url = self.lake.table_url(TableSet::Stream.name(), name);
        let mut ledger = Ledger::open(&self.lake, &url, &cleaning.schema()).await?;
        index.follow(&mut ledger).await?;
        self.tell_counters(&ledger);
        let stream = Stream::named(&self.kinesis, &self.stream).await?;
        say(&format!("table `{name}`: cleaning what is in stream `{}`", stream.name));
        let writer = Writer {
            table: name.clone(),
            stream: stream.clone(),
            lake: self.lake.clone(),
            cleaning: Arc::new(cleaning),
            ledger,
            index,
            rejects: None,
        };
        let (chunks, arriving) = mpsc::channel(1);
        let mut run = Run {
            job: self,
            writer,
            leases: Some(Leases::new(self.lake.clone(), &stream.name, &self.holder)),
            looking: JoinSet::new(),
            look_again: false,
            looked: false,
            proven: false,
            batch: Batch::default(),
            committed: None,
            readers: JoinSet::new(),
            reading: HashMap::new(),
            chunks,
            arriving,
            budget: Arc::new(Semaphore::new(BUDGET_KIB)),
            maintenance: [Maintenance::new(), Maintenance::new()],
            tending: JoinSet::new(),
            announcing: JoinSet::new(),
        };
        let ended = Box::pin(run.until(stop)).await;
        // Their commits are done, whatever came then.
        let announced = async { while run.announcing.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(ANNOUNCE, announced).await;
        if ended.is_ok() {
            run.leave().await;
        }
        ended
    }

    fn tell_counters(&self, ledger: &Ledger) {
        for (name, count) in apps::counters(ledger, &self.stream) {
            self.health.teller().set(&self.table.name, name, count);
        }
    }
}

/// A shard that is read.
struct Reading {
    task: AbortHandle,
    behind: Arc<AtomicU64>,
    /// Whether it is known that it can be read, and what is read committed.
    proven: Arc<AtomicBool>,
}

/// One life of a table's cleaning, from one error to the next. What it has begun ends with it.
struct Run<'a> {
    job: &'a Job,
    writer: Writer<'a>,
    /// `None` while they are looked at.
    leases: Option<Leases>,
    looking: JoinSet<(Leases, Result<Vec<String>, TableError>)>,
    look_again: bool,
    /// Whether a look at the shards has gone well.
    looked: bool,
    /// Whether everything that cleaning takes has gone well once: before that it is not said to work.
    proven: bool,
    batch: Batch,
    /// When the last commit began.
    committed: Option<Instant>,
    readers: JoinSet<Result<(), TableError>>,
    reading: HashMap<String, Reading>,
    chunks: mpsc::Sender<Chunk>,
    arriving: mpsc::Receiver<Chunk>,
    budget: Arc<Semaphore>,
    /// Of the table, and of the rejects table.
    maintenance: [Maintenance; 2],
    tending: JoinSet<()>,
    /// Probes whose arrival is being said, beside the next commits.
    announcing: JoinSet<()>,
}

impl Run<'_> {
    async fn until(&mut self, stop: &CancellationToken) -> Result<(), TableError> {
        let within = Duration::from_millis(self.job.config.commit_ms.into());
        let mut tick = tokio::time::interval(TICK);
        let mut tell = tokio::time::interval(TELL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tell.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // `sleep_until` wants a time even where it is not waited for.
            let due = self.batch.due().unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.commit().await,
                Some(ended) = self.readers.join_next() => reader_ended(ended)?,
                () = tokio::time::sleep_until(due), if self.batch.due().is_some() => self.commit().await?,
                _ = tick.tick() => self.look_at_shards(),
                Some(found) = self.looking.join_next() => {
                    let (leases, ours) = found.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    self.found(leases, ours).await?;
                }
                _ = tell.tick() => self.tell(),
                Some(_) = self.tending.join_next() => {}
                Some(_) = self.announcing.join_next() => {}
                Some(chunk) = self.arriving.recv() => {
                    if let Some(lost) = &chunk.lost {
                        self.job.health.teller().stumbled(lost);
                    }
                    self.batch.push(chunk, within, self.committed);
                    if self.batch.is_full(self.job.config.commit_records) {
                        self.commit().await?;
                    }
                }
            }
        }
    }

    /// Commits what was read, if anything was.
    async fn commit(&mut self) -> Result<(), TableError> {
        if self.batch.chunks.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.committed = Some(Instant::now());
        let committed = Box::pin(self.writer.commit(&batch)).await?;
        self.job.tell_counters(&self.writer.ledger);
        for chunk in &batch.chunks {
            if let Some(reading) = self.reading.get(&chunk.shard) {
                reading.proven.store(true, Ordering::Relaxed);
            }
        }
        self.tell();
        if !committed.probes.is_empty() {
            let (lake, table) = (self.job.lake.clone(), self.job.table.name.clone());
            let (now, teller) = (OffsetDateTime::now_utc(), self.job.health.teller().clone());
            self.announcing.spawn(probes::announce(lake, table, committed.probes, now, teller));
        }
        self.tend(0, self.writer.ledger.url().clone());
        if committed.rejected {
            self.tend(1, self.job.lake.rejects_url());
        }
        if batch.chunks.iter().any(|chunk| chunk.finished) {
            // Children may be read now.
            self.look_at_shards();
        }
        Ok(())
    }

    /// Gives up the leases, so that others need not wait for them to run out.
    async fn leave(&mut self) {
        if let Some(Ok((leases, _))) = self.looking.join_next().await {
            self.leases = Some(leases);
        }
        if let Some(leases) = &mut self.leases {
            leases.leave().await;
        }
    }

    /// Begins to find out which shards are ours to read. It takes several calls, so commits go on meanwhile.
    fn look_at_shards(&mut self) {
        let Some(mut leases) = self.leases.take() else {
            self.look_again = true;
            return;
        };
        let (kinesis, stream) = (self.job.kinesis.clone(), self.writer.stream.clone());
        let finished = apps::finished(&self.writer.ledger, &stream);
        self.looking.spawn(async move {
            let ours = async {
                stream.is_still_there(&kinesis).await?;
                let shards = shards::list(&kinesis, &stream.name).await?;
                if shards.is_empty() {
                    return Err(TableError::NoShards { stream: stream.name });
                }
                leases.share(&shards::readable(&shards, |shard| finished.contains(shard))).await
            };
            let ours = ours.await;
            (leases, ours)
        });
    }

    /// Starts reading shards that are ours now, and stops reading those that are not any more.
    async fn found(&mut self, leases: Leases, ours: Result<Vec<String>, TableError>) -> Result<(), TableError> {
        self.leases = Some(leases);
        // Another cleaner may have read on where we are to begin, or finished a parent.
        let others = self.writer.ledger.refresh().await?;
        self.writer.take_in(&others, self.reading.keys().map(String::as_str)).await?;
        let (mut ours, finished) = (ours?, apps::finished(&self.writer.ledger, &self.writer.stream));
        ours.retain(|shard| !finished.contains(shard));
        let given_up: Vec<String> = self.reading.keys().filter(|shard| !ours.contains(shard)).cloned().collect();
        for shard in given_up {
            if let Some(reader) = self.reading.remove(&shard) {
                reader.task.abort();
            }
        }
        for shard in ours {
            if !self.reading.contains_key(&shard) {
                self.read(shard).await?;
            }
        }
        self.looked = true;
        self.tell();
        if std::mem::take(&mut self.look_again) {
            self.look_at_shards();
        }
        Ok(())
    }

    async fn read(&mut self, shard: String) -> Result<(), TableError> {
        let job = self.job;
        let stream = self.writer.stream.clone();
        let apps = ShardApps::rows(&stream, &shard);
        let (behind, proven) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let after = apps.position(&self.writer.ledger);
        let reader = Reader {
            kinesis: job.kinesis.clone(),
            lost: match self.writer.ledger.txn(&apps.arrived()) {
                Some(arrived) => self.may_be_lost(&shard, arrived).await?,
                None => None,
            },
            stream,
            shard: shard.clone(),
            after,
            most_records: job.config.commit_records,
            budget: self.budget.clone(),
            chunks: self.chunks.clone(),
            behind: behind.clone(),
            proven: proven.clone(),
        };
        let task = self.readers.spawn(reader.run());
        self.reading.insert(shard, Reading { task, behind, proven });
        Ok(())
    }

    /// Whether records after the last one that was read may have left the stream meanwhile: Kinesis does not say so, it
    /// goes on at the oldest record that it has.
    async fn may_be_lost(&self, shard: &str, arrived_ms: i64) -> Result<Option<String>, TableError> {
        let stream = &self.job.stream;
        let arrived = OffsetDateTime::from_unix_timestamp_nanos(i128::from(arrived_ms) * 1_000_000);
        let age = OffsetDateTime::now_utc() - arrived.unwrap_or_else(|_| OffsetDateTime::now_utc());
        // The shortest retention there is: within it nothing can be lost, and nobody need be asked.
        if age < time::Duration::hours(24) {
            return Ok(None);
        }
        let hours = Stream::named(&self.job.kinesis, stream).await?.retention_hours;
        if age < time::Duration::hours(hours.into()) {
            return Ok(None);
        }
        Ok(Some(format!(
            "shard `{shard}` of stream `{stream}` was read last {} hours ago and keeps records for {hours}: some may have \
             left it unread",
            age.whole_hours()
        )))
    }

    /// Maintenance that a commit makes due, unless the last one is still running. It encodes for seconds without a pause,
    /// so it gets a thread of its own, and the system sees to it that commits have their share of the processors.
    fn tend(&mut self, which: usize, url: url::Url) {
        let Some(vacuum) = self.maintenance[which].committed() else { return };
        if self.tending.len() > 1 {
            return;
        }
        let (lake, broom) = (self.job.lake.clone(), self.job.broom.clone());
        let runtime = tokio::runtime::Handle::current();
        self.tending.spawn(async move {
            // A semaphore that nobody closes.
            let Ok(alone) = broom.acquire_owned().await else { return };
            let (at, stop) = (url.clone(), CancellationToken::new());
            let _stops_with_this = stop.clone().drop_guard();
            let work = move || {
                let done = runtime.block_on(stop.run_until_cancelled(Box::pin(maintain(lake, at, vacuum))));
                drop(alone);
                done
            };
            if let Ok(Some(Err(error))) = tokio::task::spawn_blocking(work).await {
                // The next one does what this one left; no row depends on it.
                say(&format!("maintenance of {url}: {}", chain(&error)));
            }
        });
    }

    /// Says that the table is cleaned, once that is known: after an error the report keeps it until then.
    fn tell(&mut self) {
        let all_proven = || self.reading.values().all(|reading| reading.proven.load(Ordering::Relaxed));
        self.proven = self.proven || (self.looked && all_proven());
        if !self.proven {
            return;
        }
        let behind = self.reading.values().map(|reading| reading.behind.load(Ordering::Relaxed)).max().unwrap_or(0);
        self.job.health.works(&self.job.table.name, self.reading.len(), Duration::from_millis(behind));
    }
}

/// Half of it to all of it, so that cleaners that met do not meet again.
fn about(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}

fn reader_ended(ended: Result<Result<(), TableError>, tokio::task::JoinError>) -> Result<(), TableError> {
    match ended {
        Ok(ended) => ended,
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
