//! The log of calls: each one at its arrival, and what became of it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::Called;

/// So many are kept; those before are forgotten.
const MOST: usize = 100_000;

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedCall {
    /// From 1, in the order of arrival since the log was begun.
    pub number: u64,
    /// The name in the scope of signatures, such as `kafka`.
    pub service: &'static str,
    /// Such as `CreateCluster`.
    pub operation: &'static str,
    /// Whether the operation may change something.
    pub mutating: bool,
    /// `tool` for the local cloud's own key, `role/<name>` for a role's.
    pub by: Cow<'static, str>,
    /// The HTTP status of the answer; `None` while there is none, and for ever when none was sent.
    pub status: Option<u16>,
    /// The code of a refusal.
    pub code: Option<String>,
    /// What a rule did to it, such as `kill before`.
    pub fault: Option<&'static str>,
}

/// The calls since the log was begun.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Whether calls of roles are logged as well.
    all: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Which beginning this is, so that a call that spans one does not write into another's line.
    begun: u64,
    /// How many there were.
    count: u64,
    /// The last of them.
    kept: VecDeque<LoggedCall>,
}

impl Calls {
    pub(super) fn list(&self) -> Vec<LoggedCall> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(super) fn forget(&self, all: bool) {
        self.all.store(all, Ordering::Relaxed);
        let mut log = self.lock();
        *log = Log { begun: log.begun + 1, ..Log::default() };
    }

    pub(super) fn begin(&self, called: &Called<'_>) -> Entry<'_> {
        if called.role.is_some() && !self.all.load(Ordering::Relaxed) {
            return Entry { calls: self, at: None };
        }
        let by = called.role.map_or(Cow::Borrowed("tool"), |role| Cow::Owned(format!("role/{role}")));
        let mut log = self.lock();
        log.count += 1;
        let number = log.count;
        if log.kept.len() == MOST {
            log.kept.pop_front();
        }
        log.kept.push_back(LoggedCall {
            number,
            service: called.service,
            operation: called.operation,
            mutating: called.mutating,
            by,
            status: None,
            code: None,
            fault: None,
        });
        Entry { calls: self, at: Some((log.begun, number)) }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line of one call, which may not be logged at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    calls: &'a Calls,
    /// Which beginning of the log, and the number in it.
    at: Option<(u64, u64)>,
}

impl Entry<'_> {
    /// What a rule does to the call.
    pub(crate) fn met(&self, fault: &'static str) {
        self.change(|call| call.fault = Some(fault));
    }

    /// The call has an answer. `code` is asked for what refuses.
    pub(crate) fn answered(&self, status: u16, code: impl FnOnce() -> Option<String>) {
        if self.at.is_none() {
            return;
        }
        let code = if status >= 400 { code() } else { None };
        self.change(|call| (call.status, call.code) = (Some(status), code));
    }

    fn change(&self, change: impl FnOnce(&mut LoggedCall)) {
        let Some((begun, number)) = self.at else { return };
        let mut log = self.calls.lock();
        let first = log.kept.front().map_or(u64::MAX, |call| call.number);
        if log.begun != begun || number < first {
            return;
        }
        let index = usize::try_from(number - first).unwrap_or(usize::MAX);
        if let Some(call) = log.kept.get_mut(index) {
            change(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(operation: &'static str, role: Option<&'static str>) -> Called<'static> {
        Called { service: "kinesis", operation, mutating: false, role }
    }

    #[test]
    fn calls_stand_in_the_order_of_arrival_with_what_became_of_them() {
        let calls = Calls::default();
        let first = calls.begin(&called("ListStreams", None));
        let second = calls.begin(&called("ListShards", None));
        second.answered(400, || Some("Throttling".to_owned()));
        first.met("delay");
        first.answered(200, || panic!("not a refusal"));
        calls.begin(&called("PutRecord", Some("api"))).answered(200, || None);
        let all = calls.list();
        let short: Vec<_> = all
            .iter()
            .map(|call| (call.number, call.operation, call.status, call.code.as_deref(), call.fault))
            .collect();
        assert_eq!(
            short,
            [
                (1, "ListStreams", Some(200), None, Some("delay")),
                (2, "ListShards", Some(400), Some("Throttling"), None)
            ]
        );
    }

    #[test]
    fn a_call_that_spans_a_beginning_leaves_the_new_log_alone() {
        let calls = Calls::default();
        let old = calls.begin(&called("ListStreams", None));
        calls.forget(true);
        calls.begin(&called("ListShards", Some("cleaner")));
        old.answered(500, || None);
        let all = calls.list();
        assert_eq!((all.len(), &*all[0].by, all[0].status), (1, "role/cleaner", None));
    }

    #[test]
    fn the_last_hundred_thousand_are_kept() {
        let calls = Calls::default();
        let lost = calls.begin(&called("ListStreams", None));
        for _ in 0..MOST {
            calls.begin(&called("ListShards", None)).answered(200, || None);
        }
        lost.answered(200, || None);
        let all = calls.list();
        assert_eq!((all.len(), all[0].number, all[MOST - 1].status), (MOST, 2, Some(200)));
    }
}
