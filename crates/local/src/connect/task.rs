//! A task: reads its partitions, writes objects, stores them, and commits offsets then.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::kafka::{Cluster, Record};
use crate::services::s3::S3Front;

use super::access::Access;
use super::config::Sink;
use super::dead_letters::{self, Failure, Origin};
use super::fault::Fault;
use super::log::Log;
use super::pending::Pending;
use super::spool::SpoolFolder;
use super::upload;
use super::writer::{Incoming, PartitionWriter, Plan, Unwritten, Whole};

const SINK_TASK: &str = "io.confluent.connect.s3.S3SinkTask";
const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";

/// What is read of a partition at a time.
const READ_BYTES: usize = 1 << 20;

/// Objects of several partitions are stored together, as long as they are no more than this.
const PENDING_BYTES: usize = 8 << 20;

/// How often the clock is looked at while nothing arrives: only objects that are rotated by time wait for it.
const TICK: Duration = Duration::from_millis(100);

/// What all tasks of a connector share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) sink: Sink,
    pub(super) plan: Arc<Plan>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) access: Access,
    pub(super) s3: S3Front,
    pub(super) clock: Clock,
    pub(super) folder: SpoolFolder,
    pub(super) log: Log,
}

/// One partition of a task.
struct Lane {
    topic: String,
    partition: i32,
    /// The next offset to read.
    position: i64,
    writer: PartitionWriter,
}

/// What one reading of a lane came to.
#[derive(Default)]
struct Batch {
    records: usize,
    whole: Vec<Whole>,
    /// The next offset to read, when no object is open.
    read_to: Option<i64>,
    /// What it was to read is not there any more, and it goes on elsewhere.
    leapt: bool,
}

/// Runs until it is stopped, or fails. `first` is told when every partition was read once.
pub(super) async fn run(
    shared: Arc<Shared>,
    id: usize,
    assignment: Vec<(String, i32)>,
    stop: CancellationToken,
    first: oneshot::Sender<()>,
) -> Result<(), Fault> {
    let mut first = Some(first);
    let mut ends = shared.cluster.ends();
    let client = format!("connector-consumer-{}-{id}", shared.name);
    let _present = shared.cluster.attend(&shared.sink.group, &client, &assignment);
    let mut lanes = Vec::new();
    for (topic, partition) in assignment {
        shared.access.topic("ReadData", &topic)?;
        lanes.push(Lane::open(&shared, topic, partition)?);
    }
    loop {
        ends.borrow_and_update();
        let mut read = 0;
        let mut pending = Pending::default();
        let mut next = Vec::with_capacity(lanes.len());
        for lane in lanes {
            if stop.is_cancelled() {
                return Ok(());
            }
            let (lane, batch) = off_thread(&shared, id, lane).await?;
            read += batch.records + usize::from(batch.leapt);
            pending.add(&lane.topic, lane.partition, batch.whole, batch.read_to);
            next.push(lane);
            if pending.bytes() > PENDING_BYTES {
                settle(std::mem::take(&mut pending), &shared).await?;
            }
        }
        lanes = next;
        settle(pending, &shared).await?;
        if let Some(first) = first.take() {
            // Nobody waits for it when the connector is being stopped.
            let _told = first.send(());
        }
        if read > 0 {
            continue;
        }
        let waits_for_time = lanes.iter().any(|lane| lane.writer.has_open()) && shared.plan.rotates_by_time();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = shared.cluster.stopping.cancelled() => {
                return Err(Fault::brokers("the cluster was closed").passing());
            }
            // Its sender lives as long as the cluster, which is held here.
            _grown = ends.changed() => {}
            () = tokio::time::sleep(TICK), if waits_for_time => {}
        }
    }
}

/// Reading, converting and compressing take a thread that may block.
async fn off_thread(shared: &Arc<Shared>, id: usize, mut lane: Lane) -> Result<(Lane, Batch), Fault> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        let batch = lane.read(&shared, id)?;
        Ok((lane, batch))
    });
    done.await.unwrap_or_else(|error| Err(Fault::task(format!("the task broke off: {error}"))))
}

/// Stores and commits, step by step.
async fn settle(mut pending: Pending, shared: &Arc<Shared>) -> Result<(), Fault> {
    while let Some(step) = pending.next(shared.plan.is_repeatable()) {
        if !step.objects.is_empty() {
            upload::store(&shared.s3, &shared.access, &shared.sink, step.objects).await?;
        }
        commit(shared, step.offsets).await?;
    }
    Ok(())
}

async fn commit(shared: &Arc<Shared>, offsets: Vec<(String, i32, i64)>) -> Result<(), Fault> {
    let shared = Arc::clone(shared);
    let committed = tokio::task::spawn_blocking(move || {
        let group = &shared.sink.group;
        shared.access.group("AlterGroup", group)?;
        let committed = shared.cluster.commit(group, &offsets);
        committed.map_err(|refused| Fault::brokers(format!("Commit of offsets failed: {refused}")))
    });
    committed.await.unwrap_or_else(|error| Err(Fault::task(format!("the task broke off: {error}"))))
}

impl Lane {
    fn open(shared: &Shared, topic: String, partition: i32) -> Result<Lane, Fault> {
        let position = match shared.cluster.committed(&shared.sink.group, &topic, partition) {
            Some(offset) => offset,
            None => reset(shared, &topic, partition)?,
        };
        let (plan, folder) = (Arc::clone(&shared.plan), shared.folder.clone());
        let writer = PartitionWriter::new(plan, folder, &topic, partition, shared.clock.now_millis());
        Ok(Lane { topic, partition, position, writer })
    }

    fn read(&mut self, shared: &Shared, task: usize) -> Result<Batch, Fault> {
        let now = shared.clock.now_millis();
        let records = match shared.cluster.read(&self.topic, self.partition, self.position, READ_BYTES) {
            Ok(records) => records,
            Err(refused) if refused.code == ResponseError::OffsetOutOfRange => {
                // What is open was read already and stays; what retention has removed is gone for good.
                let asked = std::mem::replace(&mut self.position, reset(shared, &self.topic, self.partition)?);
                let place = format!("{}-{}", self.topic, self.partition);
                shared.log.line(&format!("offset {asked} of {place} is out of range; going on at {}", self.position));
                return Ok(Batch { leapt: true, ..Batch::default() });
            }
            // It is being deleted; the connector will see that it has gone.
            Err(refused) if refused.code == ResponseError::UnknownTopicOrPartition => return Ok(Batch::default()),
            Err(refused) => {
                let place = format!("{}-{}", self.topic, self.partition);
                return Err(Fault::brokers(format!("reading {place} failed: {refused}")));
            }
        };
        let mut batch = Batch { records: records.len(), ..Batch::default() };
        if !records.is_empty() {
            shared.access.topic("ReadData", &self.topic)?;
        }
        for record in &records {
            self.take(shared, task, record, now, &mut batch.whole)?;
            self.position = record.offset + 1;
        }
        if let Some(whole) = self.writer.tick(now).map_err(|error| disk(&error))? {
            batch.whole.push(whole);
        }
        // What was skipped at the end of a batch belongs to no object that is still open.
        if batch.records > 0 && !self.writer.has_open() {
            batch.read_to = Some(self.position);
        }
        Ok(batch)
    }

    fn take(
        &mut self,
        shared: &Shared,
        task: usize,
        record: &Record,
        now: i64,
        whole: &mut Vec<Whole>,
    ) -> Result<(), Fault> {
        let sink = &shared.sink;
        let origin = Origin { connector: &shared.name, task, topic: &self.topic, partition: self.partition };
        let failed = |failure: &Failure<'_>| errant(shared, record, &origin, failure);

        let key = sink.key_converter.value(record.key.as_deref());
        if let Err(error) = key {
            let class = sink.key_converter.class();
            let message = error.to_string();
            return failed(&Failure { stage: "KEY_CONVERTER", class, exception: DATA_EXCEPTION, message: &message });
        }
        let value = match sink.value_converter.value(record.value.as_deref()) {
            Ok(value) => value,
            Err(error) => {
                let class = sink.value_converter.class();
                let message = error.to_string();
                return failed(&Failure {
                    stage: "VALUE_CONVERTER",
                    class,
                    exception: DATA_EXCEPTION,
                    message: &message,
                });
            }
        };
        if value == super::value::Data::Null {
            if !sink.ignores_nulls {
                return Err(Fault::task(format!(
                    "Null valued records are not writeable with current behavior.on.null.values 'settings. ({} partition \
                     {} offset {}; `behavior.on.null.values` = `ignore` leaves them out)",
                    self.topic, self.partition, record.offset
                )));
            }
            let message = "Skipping null value record.";
            let skipped = Failure { stage: "TASK_PUT", class: SINK_TASK, exception: DATA_EXCEPTION, message };
            // Without tolerance there is nobody to report to, and to leave it out is what was asked for.
            return if sink.errors.tolerated { failed(&skipped) } else { Ok(()) };
        }
        let incoming = Incoming { offset: record.offset, timestamp_millis: record.timestamp_millis, value };
        match self.writer.take(&incoming, now, whole) {
            Ok(()) => Ok(()),
            Err(Unwritten::Record { exception, message }) => {
                failed(&Failure { stage: "TASK_PUT", class: SINK_TASK, exception, message: &message })
            }
            Err(Unwritten::Task(message)) => {
                let place = format!("{} partition {} offset {}", self.topic, self.partition, record.offset);
                Err(Fault::task(format!("{message} ({place})")))
            }
            Err(Unwritten::Disk(error)) => Err(disk(&error)),
        }
    }
}

/// A record that is not written: tolerated, or the end of the task.
fn errant(shared: &Shared, record: &Record, origin: &Origin<'_>, failure: &Failure<'_>) -> Result<(), Fault> {
    let errors = &shared.sink.errors;
    if errors.logged {
        shared.log.line(&dead_letters::line(errors, record, origin, failure));
    }
    if !errors.tolerated {
        return Err(Fault::task(format!(
            "Tolerance exceeded in error handler: {} ({} of {} partition {} offset {})",
            failure.message, failure.stage, origin.topic, origin.partition, record.offset
        )));
    }
    if let Some(letters) = &errors.dead_letters {
        shared.access.topic("WriteData", &letters.topic)?;
        dead_letters::send(&shared.cluster, letters, record, origin, failure)?;
    }
    Ok(())
}

/// Where a group begins that has no offset, or one that is not there any more.
fn reset(shared: &Shared, topic: &str, partition: i32) -> Result<i64, Fault> {
    let info = shared.cluster.topic(topic);
    let info = info.and_then(|topic| topic.partitions.into_iter().find(|info| info.id == partition));
    let info = info.ok_or_else(|| Fault::brokers(format!("{topic}-{partition} is not there any more")).passing())?;
    Ok(if shared.sink.from_latest { info.end } else { info.start })
}

fn disk(error: &std::io::Error) -> Fault {
    Fault::task(format!("the local cloud cannot keep an open object on its disk: {error}"))
}
