//! What a request gets: the checks in their order, and each resource.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Refusal, offsets, respond};
use super::counts::Counts;
use super::metrics::{self, Metrics};
use super::outcome::Outcome;
use super::pending::tickets;
use super::producer::Producer;
use super::records::parse;
use super::route::{Route, is_topic_name};
use super::view::{Partition, Topic, View};
use super::{body, media};
use crate::report::Teller;

/// The header that carries the secret which API Gateway adds.
const SECRET: HeaderName = HeaderName::from_static("x-pinfra-gateway");

/// All that requests need.
pub(super) struct Gateway {
    pub(super) secret: Option<String>,
    pub(super) producer: Producer,
    pub(super) view: View,
    pub(super) counts: Counts,
    pub(super) metrics: Metrics,
    pub(super) teller: Teller,
    /// Bytes of bodies, and records, that may be under way.
    pub(super) bytes: Arc<Semaphore>,
    pub(super) records: Arc<Semaphore>,
    /// Whether the brokers answered when they were asked last.
    pub(super) answered: AtomicBool,
    pub(super) stop: CancellationToken,
}

impl Gateway {
    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let answer = match self.try_answer(request).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.answer(),
        };
        self.metrics.answered(answer.status().as_u16());
        answer
    }

    async fn try_answer(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        let route = Route::of(head.uri.path());
        if route == Some(Route::Health) && (head.method == Method::GET || head.method == Method::HEAD) {
            return Ok(self.health());
        }
        // Before anything else: who does not know it learns nothing.
        self.check_secret(&head.headers)?;
        let route = route.ok_or(Refusal::NoRoute)?;
        if !route.allows(&head.method) {
            return Err(Refusal::Method(route.allowed()));
        }
        if route == Route::Metrics {
            return Ok(respond(StatusCode::OK, metrics::TEXT, self.metrics.text()));
        }
        let accepted = media::acceptable(text(&head.headers, ACCEPT)).ok_or(Refusal::NotAcceptable)?;
        if head.method != Method::POST {
            let found = self.look(&route).await?;
            return Ok(respond(StatusCode::OK, accepted, found.to_string()));
        }
        let (topic, partition) = match &route {
            Route::Topic(topic) => (topic, None),
            Route::Partition(topic, partition) => (topic, Some(*partition)),
            _ => return Err(Refusal::Method(route.allowed())),
        };
        let produced = self.produce(topic, partition, &head.headers, body).await?;
        Ok(respond(StatusCode::OK, accepted, produced))
    }

    async fn produce(
        &self,
        topic: &str,
        partition: Option<i32>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<String, Refusal> {
        let began = Instant::now();
        let format = media::embedded(text(headers, CONTENT_TYPE)).ok_or(Refusal::Media)?;
        if self.stop.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let (body, bytes) = body::read(body, &self.bytes).await?;
        let known = self.topic(topic).await?;
        if partition.is_some_and(|partition| known.partition(partition).is_none()) {
            return Err(Refusal::NoPartition);
        }
        let outcomes = {
            let records = parse(&body, format)?;
            let count = u32::try_from(records.len()).map_err(|_| Refusal::Busy)?;
            let room = self.records.clone().try_acquire_many_owned(count).map_err(|_| Refusal::Busy)?;
            let (tickets, outcomes) = tickets(records.len(), self.counts.of(topic).clone(), [bytes, room]);
            self.producer.send(topic, partition, &records, tickets);
            outcomes
        };
        let _under_way = self.metrics.sent(began);
        // The client has copies of its own.
        drop(body);
        let outcomes = outcomes.await.map_err(|_| Refusal::Again("the producer was ended".to_owned()))?;
        if let Err(error) = self.counts.save() {
            self.teller.stumbled(format!("cannot write the counts: {error}"));
        }
        self.metrics.settled(self.counts.knows(topic).then_some(topic), &outcomes);
        match outcomes.iter().find(|outcome| matches!(outcome, Outcome::Taken { .. })) {
            Some(_) => Ok(offsets(&outcomes)),
            None => Err(refused(&outcomes, self.stop.is_cancelled())),
        }
    }

    async fn look(&self, route: &Route<'_>) -> Result<Value, Refusal> {
        match route {
            Route::Root => Ok(json!({})),
            Route::Brokers => Ok(json!({"brokers": self.view.brokers().await?})),
            Route::Topics => Ok(json!(self.view.topics().await?)),
            Route::Topic(name) => {
                let topic = self.topic(name).await?;
                let configs = self.view.configs(name).await?;
                let partitions: Vec<Value> = topic.partitions.iter().map(shown).collect();
                Ok(json!({"name": name, "configs": configs, "partitions": partitions}))
            }
            Route::Partitions(name) => Ok(self.topic(name).await?.partitions.iter().map(shown).collect()),
            Route::Partition(name, id) => {
                let topic = self.topic(name).await?;
                topic.partition(*id).map(shown).ok_or(Refusal::NoPartition)
            }
            Route::Offsets(name, id) => {
                self.topic(name).await?.partition(*id).ok_or(Refusal::NoPartition)?;
                let (first, end) = self.view.offsets(name, *id).await?;
                Ok(json!({"beginning_offset": first, "end_offset": end}))
            }
            // Answered before.
            Route::Health | Route::Metrics => Err(Refusal::NoRoute),
        }
    }

    async fn topic(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        if !is_topic_name(name) {
            return Err(Refusal::NoTopic);
        }
        self.view.topic(name).await?.ok_or(Refusal::NoTopic)
    }

    fn health(&self) -> Answer {
        let healthy = self.answered.load(Ordering::Relaxed) && !self.stop.is_cancelled();
        let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        respond(status, media::JSON, json!({"healthy": healthy}).to_string())
    }

    fn check_secret(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let given = headers.get(SECRET).map_or(&[][..], |value| value.as_bytes());
        // In a time that does not tell how much of it is right.
        if bool::from(secret.as_bytes().ct_eq(given)) { Ok(()) } else { Err(Refusal::Secret) }
    }
}

/// Why no record of a request was taken. One that may be tried again wins: the caller loses nothing by trying all of them.
fn refused(outcomes: &[Outcome], stopping: bool) -> Refusal {
    let mut first = None;
    for outcome in outcomes {
        let Outcome::Failed(code) = outcome else { continue };
        let refusal = Refusal::of_record(*code);
        if matches!(refusal, Refusal::Again(_)) {
            return if stopping { Refusal::Stopping } else { refusal };
        }
        first.get_or_insert(refusal);
    }
    first.unwrap_or(Refusal::Kafka("there was no record".to_owned()))
}

fn shown(partition: &Partition) -> Value {
    let replica = |(broker, in_sync): &(i32, bool)| json!({"broker": broker, "leader": *broker == partition.leader, "in_sync": in_sync});
    let replicas: Vec<Value> = partition.replicas.iter().map(replica).collect();
    json!({"partition": partition.id, "leader": partition.leader, "replicas": replicas})
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
