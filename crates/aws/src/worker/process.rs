//! `worker/process`: a worker on a client machine.
//!
//! It is there when its manifest is: an object of the lake bucket, which the machine's agent finds within seconds. Whether
//! it works is told by the agent's heartbeat, another object. So a change needs no way into the machine, and a machine
//! that is replaced runs what its predecessor ran. The two are a contract in JSON, which `pinfra-workers` describes.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::primitives::ByteStream;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::heartbeat::{Heartbeat, Standing, look, standing};
use super::keys;
use crate::clients::Clients;
use crate::error::classify;
use crate::s3::label::{self, LABEL, label};
use crate::s3::listing::{Stamp, unchanged};
use crate::s3::object::{delete, object_tags};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, wait_until};

/// The agent tells news at once.
const PACE: Pace = Pace { slowest: Duration::from_millis(500), limit: Duration::from_secs(10 * 60) };
/// A machine of AWS boots, installs and reports within two or three minutes. From here on people are told where to look.
const BOOT: Duration = Duration::from_secs(4 * 60);
/// An agent that lives looks every two seconds, and a worker that is well has ended a moment later. One that does not end
/// must not hold `down` up: it is ended with its machine, and what it had not committed is still in the stream.
const GOING: Pace = Pace { slowest: Duration::from_millis(200), limit: Duration::from_secs(4) };
/// Agents say something every two seconds: one that has not for so long is not there. Clocks of AWS and of whoever has
/// signed a request differ by less than minutes, so this is only for what is long gone.
const STALE: Duration = Duration::from_secs(10);
/// The metadata of a manifest that names its machine.
const INSTANCE: &str = "instance";
/// Of the log of a worker that fails.
const LAST_LINES: usize = 10;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessInputs {
    /// The lake bucket.
    pub bucket: Input<String>,
    /// Its name on the machine.
    pub name: String,
    /// What it does: `emulator`, `gateway` or `cleaner`.
    pub worker: String,
    /// The key of the program that runs it.
    pub program_key: Input<String>,
    /// The SHA-256 of that program, unpacked, in hex.
    pub program_sha256: String,
    /// What it is told; it may hold references, and secrets.
    pub config: Value,
    /// The machine that it runs on.
    pub instance: Input<String>,
    /// Whose it is, in the metadata of the manifest.
    pub tags: Tags,
}

/// What is known of it besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessOutputs {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its manifest.
    pub manifest: String,
    /// By which a list tells that nobody has written the manifest since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Process {
    clients: Clients,
}

impl Process {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Process {
        Process { clients: clients.clone() }
    }

    async fn write(&self, new: &ProcessInputs) -> Result<(), CloudError> {
        let (bucket, instance) = (new.bucket.known()?, new.instance.known()?);
        let request = self.clients.s3.put_object().bucket(bucket).key(keys::manifest(&new.name));
        let request = request.content_type("application/json").metadata(INSTANCE, instance);
        let request = request.metadata(LABEL, label(&new.tags));
        let sent = request.body(ByteStream::from(manifest(new)?)).send().await;
        sent.map(drop).map_err(|error| classify("s3:PutObject", &error))
    }

    /// The bytes of an object and its metadata; `None` when there is none.
    async fn object(&self, bucket: &str, key: &str) -> Result<Option<Content>, CloudError> {
        let answer = self.clients.s3.get_object().bucket(bucket).key(key).send().await;
        let answer = match answer.map_err(|error| classify("s3:GetObject", &error)) {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let instance = answer.metadata().and_then(|metadata| metadata.get(INSTANCE)).cloned();
        let tags = label::read(answer.metadata());
        let stamp = Stamp::of(answer.metadata(), answer.e_tag(), answer.last_modified());
        let written = answer.last_modified().and_then(|at| SystemTime::try_from(*at).ok());
        let body = answer.body.collect().await;
        let body = body.map_err(|error| CloudError::new(ErrorKind::Unreachable, "s3:GetObject", error.to_string()))?;
        Ok(Some(Content { body: body.to_vec(), instance: instance.unwrap_or_default(), tags, written, stamp }))
    }

    /// What the agent of a machine says; `None` when it has said nothing yet, or nothing that can be understood.
    async fn heartbeat(&self, bucket: &str, instance: &str) -> Result<Option<(Heartbeat, Content)>, CloudError> {
        let Some(content) = self.object(bucket, &keys::heartbeat(instance)).await? else {
            return Ok(None);
        };
        Ok(serde_json::from_slice(&content.body).ok().map(|heartbeat| (heartbeat, content)))
    }

    /// The end of a worker's log, for who has to find out what is wrong with it.
    async fn last_lines(&self, bucket: &str, instance: &str, name: &str) -> String {
        let log = self.object(bucket, &keys::log(instance, name)).await;
        let Ok(Some(log)) = log else { return String::new() };
        let text = String::from_utf8_lossy(&log.body);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        if last.is_empty() { String::new() } else { format!("\nthe end of its log:\n  {}", last.join("\n  ")) }
    }

    async fn wait_until_well(&self, call: &Call, new: &ProcessInputs, manifest: &str) -> Result<(), CloudError> {
        let (bucket, instance) = (new.bucket.known()?, new.instance.known()?);
        let what = format!("waiting for the worker {} on {instance}", new.name);
        let failing_since: Mutex<Option<Instant>> = Mutex::new(None);
        let began = Instant::now();
        let waited = wait_until(call, &what, PACE, || async {
            let Some((heartbeat, _)) = self.heartbeat(bucket, instance).await? else {
                return Ok(Progress::Pending(silent(instance, began.elapsed())));
            };
            let standing = standing(&heartbeat, &new.name, manifest);
            let mut since = failing_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *since = match standing {
                Standing::Failing(_) => Some(since.unwrap_or_else(Instant::now)),
                _ => None,
            };
            Ok(look(standing, since.map_or(Duration::ZERO, |since| since.elapsed())))
        })
        .await;
        match waited {
            Err(mut error) if error.kind == ErrorKind::Other => {
                error.message.push_str(&self.last_lines(bucket, instance, &new.name).await);
                Err(error.with_hint(format!("`pinfra logs {}` has more", new.name)))
            }
            waited => waited,
        }
    }
}

/// What is waited for while a machine has not reported.
fn silent(instance: &str, since: Duration) -> String {
    let silent = format!("{instance} has not reported yet");
    if since < BOOT {
        return silent;
    }
    format!(
        "{silent}; its console says how far it got: \
         `aws ec2 get-console-output --latest --output text --instance-id {instance}`"
    )
}

/// An object that was read.
struct Content {
    body: Vec<u8>,
    instance: String,
    /// As its metadata tells them.
    tags: Option<Tags>,
    written: Option<SystemTime>,
    stamp: Option<Stamp>,
}

impl Resource for Process {
    const INFO: KindInfo = KindInfo {
        kind: "worker/process",
        summary: "a worker on a client machine, which its agent keeps running",
        fields: &[
            Field { name: "bucket", on_change: OnChange::Replace, doc: "the lake bucket, which holds its manifest" },
            Field {
                name: "name",
                on_change: OnChange::Replace,
                doc: "its name on the machine: 1 to 64 of lower-case letters, digits, `-`, `_`",
            },
            Field {
                name: "worker",
                on_change: OnChange::Update,
                doc: "what it does: `emulator`, `gateway` or `cleaner`",
            },
            Field {
                name: "program_key",
                on_change: OnChange::Update,
                doc: "the object that holds its program, gzipped",
            },
            Field { name: "program_sha256", on_change: OnChange::Update, doc: "the SHA-256 of the program, unpacked" },
            Field {
                name: "config",
                on_change: OnChange::Update,
                doc: "what it is told; it is started again to read it",
            },
            Field { name: "instance", on_change: OnChange::Update, doc: "the machine that it runs on" },
            Field { name: "tags", on_change: OnChange::Update, doc: "whose it is, in the manifest's metadata" },
        ],
        outputs: &[
            ("name", "its name"),
            ("manifest", "the SHA-256 of its manifest"),
            ("stamp", "the ETag of its manifest and when it was written"),
        ],
        loses: "",
        usual_create: Duration::from_secs(10),
        usual_update: Duration::from_secs(6),
        usual_delete: Duration::from_secs(2),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["manifest", "stamp"];

    type Inputs = ProcessInputs;
    type Outputs = ProcessOutputs;

    async fn create(&self, _call: &Call, new: &ProcessInputs) -> Result<String, CloudError> {
        self.write(new).await?;
        Ok(format!("{}/{}", new.bucket.known()?, new.name))
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &ProcessInputs,
    ) -> Result<Live<ProcessInputs, ProcessOutputs>, CloudError> {
        // An interrupted run, or somebody else, may have left another manifest.
        let mut found = self.read(id).await?;
        if found.as_ref().is_none_or(|found| found.inputs != *new) {
            self.write(new).await?;
            found = self.read(id).await?;
        }
        let hash = hash(&manifest(new)?);
        self.wait_until_well(call, new, &hash).await?;
        // The stamp is of what was asked for, or of nothing.
        let stamp = found.filter(|found| found.inputs == *new).and_then(|found| found.outputs.stamp);
        Ok(Live { inputs: new.clone(), outputs: ProcessOutputs { name: new.name.clone(), manifest: hash, stamp } })
    }

    async fn read(&self, id: &str) -> Result<Option<Live<ProcessInputs, ProcessOutputs>>, CloudError> {
        let (bucket, name) = parts(id)?;
        let key = keys::manifest(name);
        let stamp = |outputs: &ProcessOutputs| outputs.stamp.clone();
        if let Some(recorded) = unchanged::<Process>(&self.clients, bucket, &key, id, stamp).await? {
            return Ok(Some(recorded));
        }
        let Some(content) = self.object(bucket, &key).await? else { return Ok(None) };
        let tags = match content.tags {
            Some(tags) => Some(tags),
            None => object_tags(&self.clients.s3, bucket, &key).await?,
        };
        let Some(tags) = tags else { return Ok(None) };
        // What somebody else wrote there is shown as nothing that was asked for, and so is repaired.
        let found: Value = serde_json::from_slice(&content.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let inputs = ProcessInputs {
            bucket: Input::Known(bucket.to_owned()),
            name: name.to_owned(),
            worker: text(&found["worker"]),
            program_key: Input::Known(text(&found["program"]["key"])),
            program_sha256: text(&found["program"]["sha256"]),
            config: found["config"].clone(),
            instance: Input::Known(content.instance),
            tags,
        };
        let outputs = ProcessOutputs { name: name.to_owned(), manifest: hash(&content.body), stamp: content.stamp };
        Ok(Some(Live { inputs, outputs }))
    }

    async fn find(&self, new: &ProcessInputs) -> Result<Option<Found>, CloudError> {
        let id = format!("{}/{}", new.bucket.known()?, new.name);
        let found = self.read(&id).await?;
        Ok(found.map(|found| Found { id, owner: tags::owner(&new.tags, &found.inputs.tags) }))
    }

    async fn update(
        &self,
        _call: &Call,
        _id: &str,
        _old: &ProcessInputs,
        new: &ProcessInputs,
    ) -> Result<(), CloudError> {
        self.write(new).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        // `arn:aws:s3:::<bucket>/_pinfra/workers/<name>.json`
        let (bucket, key) = global_name.rsplit_once(":::")?.1.split_once('/')?;
        Some(format!("{bucket}/{}", keys::worker(key)?))
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let (bucket, name) = parts(id)?;
        let key = keys::manifest(name);
        let Some(content) = self.object(bucket, &key).await? else { return Ok(()) };
        delete(&self.clients.s3, bucket, &key).await?;
        let what = format!("waiting until the worker {name} has ended");
        let ended = wait_until(call, &what, GOING, || async {
            let Some((heartbeat, written)) = self.heartbeat(bucket, &content.instance).await? else {
                return Ok(Progress::Ready(()));
            };
            let age = written.written.and_then(|at| at.elapsed().ok()).unwrap_or_default();
            let is_over = age > STALE || !heartbeat.workers.contains_key(name);
            Ok(if is_over { Progress::Ready(()) } else { Progress::Pending("stopping".to_owned()) })
        });
        // Where it takes longer its machine is dead or slow. Either way it finds no manifest when it looks again.
        tokio::time::timeout(GOING.limit, ended).await.unwrap_or(Ok(()))
    }
}

/// What the agent reads. The same inputs always make the same bytes.
fn manifest(inputs: &ProcessInputs) -> Result<Vec<u8>, CloudError> {
    let program = json!({ "key": inputs.program_key.known()?, "sha256": inputs.program_sha256 });
    let manifest = json!({ "name": inputs.name, "worker": inputs.worker, "program": program, "config": inputs.config });
    Ok(manifest.to_string().into_bytes())
}

fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// Bucket and name of an id.
fn parts(id: &str) -> Result<(&str, &str), CloudError> {
    let wrong = || CloudError::new(ErrorKind::Invalid, "worker/process", format!("`{id}` is not `<bucket>/<name>`"));
    id.split_once('/').ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_bucket_and_name_and_is_found_in_an_arn() {
        assert_eq!(parts("lake/emulator").unwrap(), ("lake", "emulator"));
        let arn = "arn:aws:s3:::lake/_pinfra/workers/emulator.json";
        assert_eq!(Process::id_in(arn).as_deref(), Some("lake/emulator"));
        assert_eq!(Process::id_in("arn:aws:s3:::lake/emulator"), None);
    }
}
