//! Tells how the gateway goes on: whether brokers answer, what was counted, how far the topics and the connector are.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::service::Gateway;
use crate::config::GatewayConfig;

/// How often brokers are asked.
const EVERY: Duration = Duration::from_secs(2);
/// How often until they answer.
const FIRST: Duration = Duration::from_millis(250);
/// How often counters are told.
const TOLD: Duration = Duration::from_millis(250);
/// Brokers that did not answer for so long are away; before that one of them may just be starting again.
const AWAY: Duration = Duration::from_secs(10);

/// Tells for as long as it is polled.
pub(super) async fn watch(config: &GatewayConfig, gateway: &Arc<Gateway>) -> Infallible {
    tokio::select! {
        never = tell(gateway) => never,
        never = ask(config, gateway) => never,
    }
}

async fn tell(gateway: &Gateway) -> Infallible {
    loop {
        tokio::time::sleep(TOLD).await;
        // For callers that hung up before their answer: their records were counted and not yet saved.
        if let Err(error) = gateway.counts.save() {
            gateway.teller.stumbled(format!("cannot write the counts: {error}"));
        }
        gateway.counts.tell(&gateway.teller);
    }
}

async fn ask(config: &GatewayConfig, gateway: &Gateway) -> Infallible {
    let topics: Vec<String> = config.topics.keys().cloned().collect();
    let mut answered = Instant::now();
    loop {
        // Without topics this asks nothing, and nobody would hear whether brokers are there.
        let there = if topics.is_empty() { gateway.view.brokers().await.map(drop) } else { Ok(()) };
        let standings = match there {
            Ok(()) => gateway.view.standings(topics.clone()).await,
            Err(refusal) => Err(refusal),
        };
        match standings {
            Ok(standings) => {
                answered = Instant::now();
                gateway.answered.store(true, Ordering::Relaxed);
                for (topic, standing) in &standings {
                    let committed = config.group.as_ref().map(|_| standing.committed);
                    gateway.metrics.stands(topic, standing.written, committed);
                    let Some(table) = config.topics.get(topic) else { continue };
                    gateway.teller.set(table, "in_kafka", standing.written);
                    if let Some(committed) = committed {
                        gateway.teller.set(table, "stored", committed);
                    }
                }
                let missing: Vec<&str> =
                    topics.iter().filter(|topic| !standings.contains_key(*topic)).map(String::as_str).collect();
                if missing.is_empty() {
                    gateway.teller.works(format!("taking records on port {}", config.port));
                } else {
                    gateway.teller.works(format!("taking records; topics that are not there: {}", missing.join(", ")));
                }
            }
            Err(refusal) if answered.elapsed() >= AWAY || !gateway.answered.load(Ordering::Relaxed) => {
                gateway.answered.store(false, Ordering::Relaxed);
                gateway.teller.fails(format!("the brokers do not answer: {refusal}"));
            }
            Err(refusal) => gateway.teller.stumbled(refusal),
        }
        let known = gateway.answered.load(Ordering::Relaxed);
        tokio::time::sleep(if known { EVERY } else { FIRST }).await;
    }
}
