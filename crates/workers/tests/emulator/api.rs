//! An API of the tests, of both paths: takes records for streams and for topics, and misbehaves as planned.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What to do with a request.
pub(crate) enum Act {
    /// Take the record and say so.
    Take,
    /// Take the record, but not at once.
    TakeAfter(Duration),
    /// Take the record and hang up.
    TakeAndHangUp,
    /// Hang up.
    HangUp,
    /// Answer with this.
    Say(u16, &'static str),
    /// Answer with 429 and how long to wait.
    Throttle,
}

/// A request as the plan sees it.
pub(crate) struct Seen {
    /// Requests are numbered from 0 on.
    pub(crate) number: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

type Plan = dyn Fn(&Seen) -> Act + Send + Sync;

impl Seen {
    /// The topic that a record is for, if it is for one.
    pub(crate) fn topic(&self) -> Option<&str> {
        topic(&self.path)
    }
}

fn topic(path: &str) -> Option<&str> {
    path.strip_prefix("/stage/topics/")
}

/// A record that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Record {
    /// Where it is, and the row.
    fn place(&self) -> (String, String) {
        match topic(&self.path) {
            Some(topic) => {
                let [record] = self.body["records"].as_array().unwrap().as_slice() else { panic!("{:?}", self.body) };
                assert_eq!(record.as_object().unwrap().keys().collect::<Vec<_>>(), ["value"], "no key, no partition");
                (topic.to_owned(), record["value"].to_string())
            }
            None => (self.body["StreamName"].as_str().unwrap().to_owned(), self.body["Data"].to_string()),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    records: Arc<Mutex<Vec<Record>>>,
    requests: watch::Receiver<u64>,
}

impl Api {
    pub(crate) async fn start(plan: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Api {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, requests) = watch::channel(0);
        let api = Api { url, records: Arc::default(), requests };
        let (records, told, plan): (_, _, Arc<Plan>) = (api.records.clone(), Arc::new(told), Arc::new(plan));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (records, told, plan) = (records.clone(), told.clone(), plan.clone());
                let service = service_fn(move |request| answer(request, records.clone(), told.clone(), plan.clone()));
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        api
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    /// Records by stream or topic, and how often each row is there.
    pub(crate) fn rows(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut rows: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for record in self.records() {
            let (place, row) = record.place();
            *rows.entry(place).or_default().entry(row).or_default() += 1;
        }
        rows
    }

    /// Waits until so many requests have come in.
    pub(crate) async fn seen(&mut self, requests: u64) {
        let come = self.requests.wait_for(|seen| *seen >= requests);
        tokio::time::timeout(Duration::from_secs(60), come).await.expect("requests should come in").unwrap();
    }

    pub(crate) fn requests(&self) -> u64 {
        *self.requests.borrow()
    }
}

async fn answer(
    request: Request<Incoming>,
    records: Arc<Mutex<Vec<Record>>>,
    told: Arc<watch::Sender<u64>>,
    plan: Arc<Plan>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut number = 0;
    told.send_modify(|requests| {
        number = *requests;
        *requests += 1;
    });
    let seen = Seen {
        number,
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let act = plan(&seen);
    if let Act::TakeAfter(wait) = act {
        tokio::time::sleep(wait).await;
    }
    if matches!(act, Act::Take | Act::TakeAfter(_) | Act::TakeAndHangUp) {
        records.lock().unwrap().push(Record { path: seen.path.clone(), body: seen.body.clone() });
    }
    let say = |status, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    match act {
        Act::Take | Act::TakeAfter(_) if seen.topic().is_some() => {
            let offset = format!(r#"{{"partition":0,"offset":{number},"error_code":null,"error":null}}"#);
            Ok(say(200, format!(r#"{{"offsets":[{offset}],"key_schema_id":null,"value_schema_id":null}}"#)))
        }
        Act::Take | Act::TakeAfter(_) => {
            Ok(say(200, format!(r#"{{"SequenceNumber":"{number}","ShardId":"shardId-000000000000"}}"#)))
        }
        Act::Say(status, text) => Ok(say(status, text.to_owned())),
        Act::Throttle => {
            let mut response = say(429, r#"{"message":"Too Many Requests"}"#.to_owned());
            response.headers_mut().insert("retry-after", "0".parse().unwrap());
            Ok(response)
        }
        Act::TakeAndHangUp | Act::HangUp => Err(io::Error::other("as planned")),
    }
}
