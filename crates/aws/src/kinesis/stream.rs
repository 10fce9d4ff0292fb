//! `kinesis/stream`: a Kinesis data stream.
//!
//! A stream is made with its mode, shards and tags; retention and encryption are calls of their own afterwards. All
//! changes but those of tags need the stream to be ACTIVE, so they run one after another with a wait between them (Kinesis API
//! reference, `CreateStream`, `UpdateShardCount`, `StartStreamEncryption`).

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_kinesis::types::{
    EncryptionType, ScalingType, StreamDescriptionSummary, StreamMode, StreamModeDetails, StreamStatus,
};
use pinfra_engine::resource::many;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use crate::clients::{Clients, partition};
use crate::error::classify;
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, wait_until};

/// Creating takes under a minute; a reshard of many shards takes several.
const PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(30 * 60) };
/// From how many streams on listing is cheaper than asking for each. Below it we ask for each, because listings
/// learn of changes some seconds late.
const MANY: usize = 10;
/// The most that one AddTagsToStream or RemoveTagsFromStream call takes (API model).
const TAGS_IN_A_CALL: usize = 10;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamInputs {
    /// Unique in account and region.
    pub name: String,
    /// How capacity is bought.
    pub mode: Mode,
    /// How many open shards; `None` when on demand.
    pub shards: Option<i32>,
    /// How long records can be read, 24 to 8,760 hours.
    pub retention_hours: i32,
    /// The KMS key that encrypts records at rest (id, ARN or alias); `None` for no encryption.
    pub encryption_key: Option<String>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// How capacity is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By the shard and hour.
    Provisioned,
    /// By what passes through.
    OnDemand,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// When it was made: another one of its name was made at another time.
    pub created: String,
    /// Why it does not work now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Stream {
    clients: Clients,
}

impl Stream {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Stream {
        Stream { clients: clients.clone() }
    }

    async fn describe(&self, name: &str) -> Result<Option<StreamDescriptionSummary>, CloudError> {
        match self.clients.kinesis.describe_stream_summary().stream_name(name).send().await {
            Ok(answer) => Ok(answer.stream_description_summary),
            Err(error) => match classify("kinesis:DescribeStreamSummary", &error) {
                gone if gone.kind == ErrorKind::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    /// The tags of a stream, from the list of what is tagged if that has it.
    async fn listed_tags(&self, name: &str) -> Result<Tags, CloudError> {
        let Clients { region, account, .. } = &self.clients;
        let arn = format!("arn:{}:kinesis:{region}:{account}:stream/{name}", partition(region));
        match tags::listed(&self.clients, &arn).await {
            Some(tags) => Ok(tags),
            None => self.tags_of(name).await,
        }
    }

    async fn tags_of(&self, name: &str) -> Result<Tags, CloudError> {
        let mut tags = Tags::new();
        loop {
            let request = self.clients.kinesis.list_tags_for_stream().stream_name(name);
            let request = request.set_exclusive_start_tag_key(tags.keys().next_back().cloned());
            let page = request.send().await.map_err(|error| classify("kinesis:ListTagsForStream", &error))?;
            let before = tags.len();
            tags.extend(page.tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())));
            if !page.has_more_tags || tags.len() == before {
                return Ok(tags);
            }
        }
    }

    /// Waits until the stream is ACTIVE and returns its description.
    async fn active(&self, call: &Call, name: &str) -> Result<StreamDescriptionSummary, CloudError> {
        let what = format!("waiting for the stream {name}");
        wait_until(call, &what, PACE, || async {
            Ok(match self.describe(name).await? {
                Some(found) if found.stream_status == StreamStatus::Active => Progress::Ready(found),
                Some(found) if found.stream_status == StreamStatus::Deleting => {
                    Progress::Failed("somebody is deleting the stream".to_owned())
                }
                Some(found) => Progress::Pending(found.stream_status.as_str().to_owned()),
                // A stream that was just made may not be known everywhere yet.
                None => Progress::Unseen,
            })
        })
        .await
    }

    async fn gone(&self, call: &Call, name: &str) -> Result<(), CloudError> {
        let what = format!("waiting for the stream {name} to be gone");
        wait_until(call, &what, PACE, || async {
            Ok(match self.describe(name).await? {
                None => Progress::Ready(()),
                Some(found) => Progress::Pending(found.stream_status.as_str().to_owned()),
            })
        })
        .await
    }

    /// Brings the stream from `old` to `new`, one change after another.
    async fn bring(&self, call: &Call, old: &StreamInputs, new: &StreamInputs) -> Result<(), CloudError> {
        let name = new.name.as_str();
        self.bring_tags(name, &old.tags, &new.tags).await?;
        if without_tags(old) == without_tags(new) {
            return Ok(());
        }
        // A run that was killed may have begun a change that has come through since `old` was read, and changes are counted.
        let now = self.active(call, name).await?;
        let old = live(&now, Tags::new()).inputs;
        if old.mode != new.mode {
            let request = self.clients.kinesis.update_stream_mode().stream_arn(now.stream_arn);
            let request = request.stream_mode_details(mode_details(new.mode)?);
            request.send().await.map_err(|error| classify("kinesis:UpdateStreamMode", &error))?;
        }
        if let Some(wanted) = new.shards {
            self.bring_shards(call, name, wanted).await?;
        }
        self.bring_retention(call, name, old.retention_hours, new.retention_hours).await?;
        self.bring_encryption(call, name, old.encryption_key.as_deref(), new.encryption_key.as_deref()).await
    }

    async fn bring_tags(&self, name: &str, old: &Tags, new: &Tags) -> Result<(), CloudError> {
        let (put, remove) = tags::difference(old, new);
        let put: Vec<(String, String)> = put.into_iter().collect();
        for some in put.chunks(TAGS_IN_A_CALL) {
            let request = self.clients.kinesis.add_tags_to_stream().stream_name(name);
            let request = request.set_tags(Some(some.iter().cloned().collect()));
            request.send().await.map_err(|error| classify("kinesis:AddTagsToStream", &error))?;
        }
        for some in remove.chunks(TAGS_IN_A_CALL) {
            let request = self.clients.kinesis.remove_tags_from_stream().stream_name(name);
            let request = request.set_tag_keys(Some(some.to_vec()));
            request.send().await.map_err(|error| classify("kinesis:RemoveTagsFromStream", &error))?;
        }
        Ok(())
    }

    /// Doubles or halves, as often as it takes: one call may not go further.
    async fn bring_shards(&self, call: &Call, name: &str, wanted: i32) -> Result<(), CloudError> {
        loop {
            let open = self.active(call, name).await?.open_shard_count;
            let Some(target) = next_shard_count(open, wanted) else { return Ok(()) };
            call.progress(format!("{open} → {target} shards"));
            let request = self.clients.kinesis.update_shard_count().stream_name(name);
            let request = request.target_shard_count(target).scaling_type(ScalingType::UniformScaling);
            request.send().await.map_err(|error| classify("kinesis:UpdateShardCount", &error))?;
        }
    }

    async fn bring_retention(&self, call: &Call, name: &str, old: i32, new: i32) -> Result<(), CloudError> {
        if old == new {
            return Ok(());
        }
        self.active(call, name).await?;
        if new > old {
            let request = self.clients.kinesis.increase_stream_retention_period().stream_name(name);
            let sent = request.retention_period_hours(new).send().await;
            sent.map_err(|error| classify("kinesis:IncreaseStreamRetentionPeriod", &error))?;
        } else {
            let request = self.clients.kinesis.decrease_stream_retention_period().stream_name(name);
            let sent = request.retention_period_hours(new).send().await;
            sent.map_err(|error| classify("kinesis:DecreaseStreamRetentionPeriod", &error))?;
        }
        Ok(())
    }

    async fn bring_encryption(
        &self,
        call: &Call,
        name: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), CloudError> {
        if old == new {
            return Ok(());
        }
        self.active(call, name).await?;
        match (old, new) {
            (_, Some(key)) => {
                let request = self.clients.kinesis.start_stream_encryption().stream_name(name);
                let request = request.encryption_type(EncryptionType::Kms).key_id(key);
                request.send().await.map_err(|error| classify("kinesis:StartStreamEncryption", &error))?;
            }
            (Some(key), None) => {
                // Stopping needs the key that is in use (API reference, `StopStreamEncryption`).
                let request = self.clients.kinesis.stop_stream_encryption().stream_name(name);
                let request = request.encryption_type(EncryptionType::Kms).key_id(key);
                request.send().await.map_err(|error| classify("kinesis:StopStreamEncryption", &error))?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// The names of all streams, for finding many at once.
    async fn names(&self) -> Result<BTreeSet<String>, CloudError> {
        let mut names = BTreeSet::new();
        let mut pages = self.clients.kinesis.list_streams().limit(10_000).into_paginator().send();
        while let Some(page) = pages.next().await {
            names.extend(page.map_err(|error| classify("kinesis:ListStreams", &error))?.stream_names);
        }
        Ok(names)
    }
}

fn without_tags(inputs: &StreamInputs) -> StreamInputs {
    StreamInputs { tags: Tags::new(), ..inputs.clone() }
}

/// The shard count to ask for next on the way from `open` to `wanted`, `None` when it is reached: at most double and
/// at least half, rounded up (API reference, `UpdateShardCount`).
fn next_shard_count(open: i32, wanted: i32) -> Option<i32> {
    if open == wanted {
        return None;
    }
    Some(wanted.clamp((open + 1) / 2, open.saturating_mul(2)))
}

fn mode_details(mode: Mode) -> Result<StreamModeDetails, CloudError> {
    let mode = match mode {
        Mode::Provisioned => StreamMode::Provisioned,
        Mode::OnDemand => StreamMode::OnDemand,
    };
    StreamModeDetails::builder()
        .stream_mode(mode)
        .build()
        .map_err(|error| CloudError::new(ErrorKind::Invalid, "kinesis/stream", error.to_string()))
}

fn live(found: &StreamDescriptionSummary, tags: Tags) -> Live<StreamInputs, StreamOutputs> {
    let on_demand = found.stream_mode_details.as_ref().is_some_and(|d| d.stream_mode == StreamMode::OnDemand);
    let encrypted = found.encryption_type == Some(EncryptionType::Kms);
    let inputs = StreamInputs {
        name: found.stream_name.clone(),
        mode: if on_demand { Mode::OnDemand } else { Mode::Provisioned },
        shards: (!on_demand).then_some(found.open_shard_count),
        retention_hours: found.retention_period_hours,
        encryption_key: found.key_id.clone().filter(|_| encrypted),
        tags,
    };
    // One that is being changed takes records and gives them.
    let works = [StreamStatus::Active, StreamStatus::Updating].contains(&found.stream_status);
    let condition = (!works).then(|| format!("the stream is {}", found.stream_status.as_str()));
    let (arn, name) = (found.stream_arn.clone(), found.stream_name.clone());
    let created = found.stream_creation_timestamp.to_string();
    Live { inputs, outputs: StreamOutputs { arn, name, created, condition } }
}

/// A stream that is being deleted is as good as gone.
fn not_leaving(found: Option<StreamDescriptionSummary>) -> Option<StreamDescriptionSummary> {
    found.filter(|found| found.stream_status != StreamStatus::Deleting)
}

impl Resource for Stream {
    const INFO: KindInfo = KindInfo {
        kind: "kinesis/stream",
        summary: "a Kinesis data stream",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "1 to 128 of letters, digits, `_`, `.`, `-`" },
            Field {
                name: "mode",
                on_change: OnChange::Update,
                doc: "`provisioned` or `on_demand`; twice a day at most",
            },
            Field {
                name: "shards",
                on_change: OnChange::Update,
                doc: "open shards when provisioned; doubled or halved step by step, 10 steps a day at most",
            },
            Field {
                name: "retention_hours",
                on_change: OnChange::Update,
                doc: "how long records can be read, 24 to 8,760; lowering it drops older records at once",
            },
            Field {
                name: "encryption_key",
                on_change: OnChange::Update,
                doc: "KMS key id, ARN or alias for records at rest; none for no encryption",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the stream's ARN"),
            ("name", "the stream's name"),
            ("created", "when it was made, which tells it from another one of its name"),
            ("condition", "why it does not work now, where that is so"),
        ],
        loses: "every record in it",
        usual_create: Duration::from_secs(40),
        usual_update: Duration::from_secs(60),
        usual_delete: Duration::from_secs(30),
    };

    const MARK: Option<&'static str> = Some("created");

    type Inputs = StreamInputs;
    type Outputs = StreamOutputs;

    async fn create(&self, call: &Call, new: &StreamInputs) -> Result<String, CloudError> {
        loop {
            let request = self.clients.kinesis.create_stream().stream_name(&new.name).set_shard_count(new.shards);
            let request = request.stream_mode_details(mode_details(new.mode)?);
            let request = request.set_tags(Some(new.tags.clone().into_iter().collect()));
            let Err(error) = request.send().await else { return Ok(new.name.clone()) };
            let error = classify("kinesis:CreateStream", &error);
            // The name may still be held by a stream that is on its way out.
            let leaving = error.kind == ErrorKind::AlreadyExists
                && self.describe(&new.name).await?.is_none_or(|s| s.stream_status == StreamStatus::Deleting);
            if !leaving {
                return Err(error);
            }
            self.gone(call, &new.name).await?;
        }
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &StreamInputs,
    ) -> Result<Live<StreamInputs, StreamOutputs>, CloudError> {
        let found = self.active(call, id).await?;
        let now = live(&found, self.tags_of(id).await?);
        if now.inputs == *new {
            return Ok(now);
        }
        self.bring(call, &now.inputs, new).await?;
        let found = self.active(call, id).await?;
        Ok(live(&found, new.tags.clone()))
    }

    async fn read(&self, id: &str) -> Result<Option<Live<StreamInputs, StreamOutputs>>, CloudError> {
        let (found, tags) = Box::pin(async { futures::join!(self.describe(id), self.listed_tags(id)) }).await;
        let Some(found) = not_leaving(found?) else { return Ok(None) };
        Ok(Some(live(&found, tags?)))
    }

    async fn read_many(&self, ids: &[String]) -> Vec<Result<Option<Live<StreamInputs, StreamOutputs>>, CloudError>> {
        if ids.len() < MANY || self.clients.look.is_some() {
            return many(ids.iter().map(|id| self.read(id)).collect()).await;
        }
        let described = many(ids.iter().map(|id| self.describe(id)).collect()).await;
        let arns: Vec<String> =
            described.iter().filter_map(|one| one.as_ref().ok()?.as_ref().map(|s| s.stream_arn.clone())).collect();
        let tags = match tags::of_many(&self.clients, &arns).await {
            Ok(tags) => tags,
            Err(error) => return described.into_iter().map(|one| one.and(Err(error.clone()))).collect(),
        };
        let with_tags = described.into_iter().map(|one| async {
            let Some(found) = not_leaving(one?) else { return Ok(None) };
            // What is not listed has no tags, or they are too new to be known there.
            let tags = match tags.get(&found.stream_arn) {
                Some(tags) => tags.clone(),
                None => self.tags_of(&found.stream_name).await?,
            };
            Ok(Some(live(&found, tags)))
        });
        many(with_tags.collect()).await
    }

    async fn find(&self, new: &StreamInputs) -> Result<Option<Found>, CloudError> {
        let Some(found) = not_leaving(self.describe(&new.name).await?) else { return Ok(None) };
        let owner = tags::owner(&new.tags, &self.tags_of(&new.name).await?);
        let id = match &owner {
            Owner::Ours => found.stream_name,
            Owner::Theirs(_) => found.stream_arn,
        };
        Ok(Some(Found { id, owner }))
    }

    async fn find_many(&self, new: &[StreamInputs]) -> Vec<Result<Option<Found>, CloudError>> {
        if new.len() < MANY {
            return many(new.iter().map(|inputs| self.find(inputs)).collect()).await;
        }
        match self.names().await {
            Ok(names) => {
                let find = |inputs: &StreamInputs| names.contains(&inputs.name);
                let calls =
                    new.iter().map(|inputs| async { if find(inputs) { self.find(inputs).await } else { Ok(None) } });
                many(calls.collect()).await
            }
            Err(error) => new.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn update(&self, call: &Call, _id: &str, old: &StreamInputs, new: &StreamInputs) -> Result<(), CloudError> {
        self.bring(call, old, new).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        loop {
            let request = self.clients.kinesis.delete_stream().stream_name(id).enforce_consumer_deletion(true);
            let Err(error) = request.send().await else { break };
            match classify("kinesis:DeleteStream", &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(()),
                busy if busy.kind == ErrorKind::Conflict => match self.describe(id).await? {
                    None => return Ok(()),
                    Some(found) if found.stream_status == StreamStatus::Deleting => break,
                    Some(_) => self.active(call, id).await.map(drop)?,
                },
                error => return Err(error),
            }
        }
        self.gone(call, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_doubled_and_halved_step_by_step() {
        let steps = |mut open: i32, wanted| {
            let mut steps = vec![];
            while let Some(next) = next_shard_count(open, wanted) {
                steps.push(next);
                open = next;
            }
            steps
        };
        assert_eq!(steps(2, 16), [4, 8, 16]);
        assert_eq!(steps(3, 4), [4]);
        assert_eq!(steps(9, 1), [5, 3, 2, 1]);
        assert_eq!(steps(4, 4), [0; 0]);
    }
}
