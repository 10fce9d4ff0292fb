//! What happens while a plan is carried out, for three readers: a terminal, a log file, a program.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pinfra_engine::{Action, Address, Event};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Paint, duration, out};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A person at a terminal: bars.
    Terminal,
    /// A log: a line when a step starts and one when it ends.
    Log,
    /// A program: a JSON object a line, on stdout.
    Program,
    /// Nobody: `--quiet`.
    Nobody,
}

/// How many running steps are shown at once; the rest is in the count.
const LINES: usize = 8;

/// Reads events until their sender is gone. `total` is the number of steps.
pub async fn show(mut events: UnboundedReceiver<Event>, total: usize, reader: Reader, paint: Paint) {
    match reader {
        Reader::Terminal => {
            let mut bars = Bars::new(total, paint);
            while let Some(event) = events.recv().await {
                bars.show(&event);
            }
            bars.finish();
        }
        Reader::Log => {
            while let Some(event) = events.recv().await {
                if let Some(line) = line(&event, paint, true) {
                    out::note(&line);
                }
            }
        }
        Reader::Program => {
            while let Some(event) = events.recv().await {
                // A program that reads no more is told nothing more, and the run goes on.
                let _ = out::data(&format!("{}\n", as_json(&event)));
            }
        }
        Reader::Nobody => while events.recv().await.is_some() {},
    }
}

/// The event as a line, if it is worth one.
fn line(event: &Event, paint: Paint, starts: bool) -> Option<String> {
    Some(match event {
        Event::Started { address, action, .. } if starts => format!("{address}: {}", doing(*action)),
        Event::Started { .. } | Event::Named { .. } => return None,
        Event::Waiting { address, message } if starts => format!("{address}: {message}"),
        Event::Waiting { .. } => return None,
        Event::Done { address, action, elapsed } => {
            format!(
                "{} {address}: {} {}",
                paint.good("✓"),
                done(*action),
                paint.faint(&format!("in {}", duration(*elapsed)))
            )
        }
        Event::Failed { address, action, error, .. } => {
            format!("{} {address}: {} failed: {error}", paint.bad("✗"), doing(*action))
        }
        Event::Stopping => {
            "stopping: nothing more is started, and what is being made goes on by itself; once more to leave at once"
                .to_owned()
        }
        Event::Halted { error } => format!("{} stopping: {error}", paint.bad("✗")),
        Event::Parked { address, action, waiting_for } => {
            let at = waiting_for.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
            format!("{} {address}: {}, not waited for{at}", paint.change("…"), doing(*action))
        }
        Event::Blocked { address, by, .. } => format!("{} {address}: not tried, because {by} failed", paint.bad("·")),
    })
}

fn doing(action: Action) -> &'static str {
    match action {
        Action::Create => "creating",
        Action::Update => "updating",
        Action::Adopt => "adopting",
        Action::Delete => "destroying",
        Action::Forget => "forgetting",
    }
}

fn done(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Adopt => "adopted",
        Action::Delete => "destroyed",
        Action::Forget => "forgotten",
    }
}

fn as_json(event: &Event) -> serde_json::Value {
    let seconds = |of: &Duration| of.as_secs_f64();
    match event {
        Event::Started { address, action, usual } => {
            json!({"event": "step_started", "address": address, "action": action, "usual_seconds": seconds(usual)})
        }
        Event::Named { address, id } => json!({"event": "step_named", "address": address, "id": id}),
        Event::Waiting { address, message } => {
            json!({"event": "step_waiting", "address": address, "message": message})
        }
        Event::Done { address, action, elapsed } => {
            json!({"event": "step_done", "address": address, "action": action, "seconds": seconds(elapsed)})
        }
        Event::Failed { address, action, error, elapsed } => json!({
            "event": "step_failed", "address": address, "action": action, "seconds": seconds(elapsed),
            "message": error.to_string(), "code": error.code, "hint": error.hint,
        }),
        Event::Stopping => json!({"event": "stopping"}),
        Event::Halted { error } => {
            json!({"event": "halted", "message": error.to_string(), "code": error.code, "hint": error.hint})
        }
        Event::Parked { address, action, waiting_for } => {
            json!({"event": "step_parked", "address": address, "action": action, "waiting_for": waiting_for})
        }
        Event::Blocked { address, action, by } => {
            json!({"event": "step_blocked", "address": address, "action": action, "by": by})
        }
    }
}

/// A bar for the whole, and a line for each of the steps that have run longest.
struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    lines: BTreeMap<Address, ProgressBar>,
    running: BTreeMap<Address, (Instant, Action, String)>,
    paint: Paint,
}

impl Bars {
    fn new(total: usize, paint: Paint) -> Bars {
        let all = MultiProgress::new();
        let whole = all.add(ProgressBar::new(total as u64));
        // The templates are constants of this file; the test below builds them.
        whole.set_style(style("  {bar:32} {pos}/{len}  {elapsed}"));
        whole.enable_steady_tick(Duration::from_millis(200));
        Bars { all, whole, lines: BTreeMap::new(), running: BTreeMap::new(), paint }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Started { address, action, .. } => {
                self.running.insert(address.clone(), (Instant::now(), *action, String::new()));
                self.add_lines();
            }
            Event::Named { .. } => {}
            Event::Stopping | Event::Halted { .. } => {
                if let Some(text) = line(event, self.paint, false) {
                    // A terminal that has gone away takes no more lines, and the run goes on.
                    let _ = self.all.println(self.paint.change(&text));
                }
            }
            Event::Waiting { address, message } => {
                if let Some((_, action, said)) = self.running.get_mut(address) {
                    said.clone_from(message);
                    if let Some(line) = self.lines.get(address) {
                        line.set_message(format!("{address}: {} ({message})", doing(*action)));
                    }
                }
            }
            Event::Done { address, .. }
            | Event::Failed { address, .. }
            | Event::Parked { address, .. }
            | Event::Blocked { address, .. } => {
                self.running.remove(address);
                if let Some(line) = self.lines.remove(address) {
                    line.finish_and_clear();
                    self.all.remove(&line);
                }
                if let Some(text) = line(event, self.paint, false) {
                    // A terminal that has gone away takes no more lines, and the run goes on.
                    let _ = self.all.println(text);
                }
                self.whole.inc(1);
                self.add_lines();
            }
        }
    }

    fn add_lines(&mut self) {
        let mut waiting: Vec<_> =
            self.running.iter().filter(|(address, _)| !self.lines.contains_key(*address)).collect();
        waiting.sort_by_key(|(_, (since, ..))| *since);
        for (address, (_, action, said)) in waiting.into_iter().take(LINES.saturating_sub(self.lines.len())) {
            let bar = self.all.insert_before(&self.whole, ProgressBar::new_spinner());
            bar.set_style(style("  {spinner} {wide_msg} {elapsed}"));
            let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
            bar.set_message(format!("{address}: {}{said}", doing(*action)));
            bar.enable_steady_tick(Duration::from_millis(200));
            self.lines.insert(address.clone(), bar);
        }
    }

    fn finish(&self) {
        self.whole.finish_and_clear();
        // What is left on the screen is drawn over by the summary.
        let _ = self.all.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_templates() {
        for template in ["  {bar:32} {pos}/{len}  {elapsed}", "  {spinner} {wide_msg} {elapsed}"] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn a_log_has_a_line_when_a_step_starts_and_one_when_it_ends() {
        let address = Address::new("kinesis/stream", "pin");
        let started = Event::Started { address: address.clone(), action: Action::Create, usual: Duration::ZERO };
        assert_eq!(line(&started, Paint::OFF, true).unwrap(), "kinesis/stream.pin: creating");
        let ended = Event::Done { address, action: Action::Create, elapsed: Duration::from_millis(420) };
        assert_eq!(line(&ended, Paint::OFF, true).unwrap(), "✓ kinesis/stream.pin: created in 0.4 s");
    }
}
