//! Load for a gateway: single-record requests of 0.6 kB over some connections, and what they cost.
//!
//! ```text
//! cargo bench --workspace --bench gateway_load -- ADDRESS /topics/TOPIC [--connections 32] [--requests 500000]
//!     [--pid PID] [--secret FILE]
//! ```
//!
//! It prints requests a second, latencies and, with the gateway's process id, its CPU time a request and its memory. All
//! connections are of one thread, so that the gateway has the other cores. A third as many requests go before, unmeasured.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people, which ends when it cannot go on")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What one run did.
#[derive(Default)]
struct Done {
    micros: Vec<u32>,
    failed: usize,
}

struct Asked {
    address: String,
    path: String,
    connections: usize,
    requests: usize,
    pid: Option<u32>,
    secret: Option<String>,
}

fn main() {
    let asked = Rc::new(asked());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        run(&asked, asked.requests / 3).await;
        let before = asked.pid.map(cpu);
        let started = Instant::now();
        let mut done = run(&asked, asked.requests).await;
        let took = started.elapsed();
        done.micros.sort_unstable();
        let at = |part: f64| f64::from(done.micros[((done.micros.len() - 1) as f64 * part) as usize]) / 1_000.0;
        println!("connections      {}", asked.connections);
        println!("requests         {} ({} not answered 200)", done.micros.len(), done.failed);
        println!("requests/s       {:.0}", done.micros.len() as f64 / took.as_secs_f64());
        println!("p50, p99, max    {:.2} ms, {:.2} ms, {:.2} ms", at(0.5), at(0.99), at(1.0));
        if let (Some(pid), Some(before)) = (asked.pid, before) {
            let used = cpu(pid) - before;
            println!("CPU a request    {:.1} µs", used.as_secs_f64() * 1e6 / done.micros.len() as f64);
            for line in std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap().lines() {
                if ["VmHWM", "RssAnon", "RssFile"].iter().any(|name| line.starts_with(name)) {
                    println!("{line}");
                }
            }
        }
    });
}

fn asked() -> Asked {
    // Cargo adds one of its own.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let address = words.next().expect("the gateway's ADDRESS, such as 127.0.0.1:8082");
    let path = words.next().expect("a path, such as /topics/pinterest.pin");
    let mut asked = Asked { address, path, connections: 32, requests: 500_000, pid: None, secret: None };
    while let Some(option) = words.next() {
        let value = words.next().expect("each option has a value");
        match option.as_str() {
            "--connections" => asked.connections = value.parse().unwrap(),
            "--requests" => asked.requests = value.parse().unwrap(),
            "--pid" => asked.pid = Some(value.parse().unwrap()),
            "--secret" => asked.secret = Some(std::fs::read_to_string(value).unwrap().trim().to_owned()),
            other => unreachable!("there is no option {other}"),
        }
    }
    asked
}

async fn run(asked: &Rc<Asked>, requests: usize) -> Done {
    let done = Rc::new(RefCell::new(Done::default()));
    let left = Rc::new(RefCell::new(requests));
    let mut callers = Vec::new();
    for caller in 0..asked.connections {
        let (asked, done, left) = (asked.clone(), done.clone(), left.clone());
        callers.push(tokio::task::spawn_local(async move { call(&asked, caller, &left, &done).await }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    done.take()
}

async fn call(asked: &Asked, caller: usize, left: &RefCell<usize>, done: &RefCell<Done>) {
    let stream = TcpStream::connect(&asked.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::task::spawn_local(connection);
    let mut number = 0;
    loop {
        {
            let mut left = left.borrow_mut();
            let Some(fewer) = left.checked_sub(1) else { return };
            *left = fewer;
        }
        let began = Instant::now();
        let good = post(&mut sender, asked, caller, number).await;
        let mut done = done.borrow_mut();
        done.micros.push(u32::try_from(began.elapsed().as_micros()).unwrap());
        done.failed += usize::from(!good);
        number += 1;
    }
}

async fn post(sender: &mut SendRequest<Full<Bytes>>, asked: &Asked, caller: usize, number: usize) -> bool {
    let text = "a description of the length that descriptions have; ".repeat(8);
    let body = format!(
        r#"{{"records":[{{"value":{{"index":{number},"unique_id":"{caller:08}-{number:012}","title":"a title","description":"{text}","follower_count":"12k","downloaded":1,"category":"art"}}}}]}}"#
    );
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&asked.path)
        .header("host", &asked.address)
        .header("content-type", "application/vnd.kafka.json.v2+json");
    if let Some(secret) = &asked.secret {
        request = request.header("x-pinfra-gateway", secret);
    }
    let answer = sender.send_request(request.body(Full::from(body)).unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    status == 200 && !body.is_empty()
}

/// The CPU time of a process: fields 14 and 15 of its `stat`, in hundredths of a second (proc(5)).
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
