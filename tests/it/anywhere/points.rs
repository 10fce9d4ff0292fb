//! The points at which a run can be killed: found in the local cloud's own log of the calls of an undisturbed run.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A call of an undisturbed run, as `pinfra local calls --json` has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Call {
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) mutating: bool,
    pub(super) status: Option<u16>,
}

/// When, seen from a call, the run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// The call has arrived and has no effect.
    Before,
    /// It has its effect, and no answer.
    After,
    /// The answer has left, and nothing is written of it.
    Answered,
}

/// All of them.
pub(super) const MOMENTS: [Moment; 3] = [Moment::Before, Moment::After, Moment::Answered];

impl Moment {
    /// As a rule of the local cloud says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Moment::Before => "before",
            Moment::After => "after",
            Moment::Answered => "answered",
        }
    }
}

/// What is run after the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same again.
    Same,
    /// The same again, and the stack's state is gone.
    WithoutState,
    /// The opposite: `down` after a killed `up`, and `up` after a killed `down`.
    Opposite,
}

/// All of them.
pub(super) const NEXTS: [Next; 3] = [Next::Same, Next::WithoutState, Next::Opposite];

/// One way to be killed.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Such as `kafka:CreateClusterV2`.
    pub(super) step: String,
    /// Which of the calls of this operation, from 1.
    pub(super) nth: usize,
    /// When.
    pub(super) moment: Moment,
    /// Whether every run makes this call. Reads are made as often as one has to look, and a refused call as often as it is
    /// refused.
    pub(super) certain: bool,
    /// Whether the call changes anything.
    pub(super) mutating: bool,
    /// What comes then.
    pub(super) next: Next,
}

impl Point {
    /// The rule for the local cloud.
    pub(super) fn rule(&self) -> String {
        format!("on {} nth={} do kill {}\n", self.step, self.nth, self.moment.word())
    }
}

/// Every moment of every call that changes something, in the order of the calls, and before the first and the last call of
/// each operation that reads.
pub(super) fn points(calls: &[Call], next: Next) -> Vec<Point> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut refused: BTreeMap<String, bool> = BTreeMap::new();
    for call in calls {
        *count.entry(step(call)).or_default() += 1;
        *refused.entry(step(call)).or_default() |= call.status.is_none_or(|status| status >= 300);
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for call in calls {
        let step = step(call);
        let nth = seen.entry(step.clone()).or_default();
        *nth += 1;
        let ends = *nth == 1 || *nth == count[&step];
        let moments = match (call.mutating, ends) {
            (true, _) => &MOMENTS[..],
            (false, true) => &MOMENTS[..1],
            (false, false) => &[],
        };
        points.extend(moments.iter().map(|moment| Point {
            step: step.clone(),
            nth: *nth,
            moment: *moment,
            certain: call.mutating && !refused[&step],
            mutating: call.mutating,
            next,
        }));
    }
    points
}

/// So many of them, spread evenly over the calls that change something, each moment as often as the others. `first` says
/// what comes after the first one; the others take turns.
pub(super) fn sample(points: &[Point], count: usize, first: usize) -> Vec<Point> {
    let mut chosen = Vec::new();
    for number in 0..count {
        let moment = MOMENTS[number % MOMENTS.len()];
        let of_moment: Vec<&Point> = points.iter().filter(|point| point.mutating && point.moment == moment).collect();
        let Some(point) = of_moment.get((number * of_moment.len() + of_moment.len() / 2) / count) else { continue };
        chosen.push(Point { next: NEXTS[(first + number) % NEXTS.len()], ..(*point).clone() });
    }
    chosen
}

fn step(call: &Call) -> String {
    format!("{}:{}", call.service, call.operation)
}

#[test]
fn calls_that_change_something_have_three_points_each_and_reads_two_an_operation() {
    let call = |operation: &str, mutating, status| Call {
        service: "kafka".to_owned(),
        operation: operation.to_owned(),
        mutating,
        status: Some(status),
    };
    let calls = [
        call("Describe", false, 404),
        call("Create", true, 200),
        call("Describe", false, 200),
        call("Create", true, 200),
        call("Describe", false, 200),
        call("Delete", true, 409),
    ];
    let rules: Vec<String> = points(&calls, Next::Same).iter().map(Point::rule).collect();
    assert_eq!(rules.len(), 2 + 6 + 3, "{rules:?}");
    assert_eq!(rules[0], "on kafka:Describe nth=1 do kill before\n");
    assert_eq!(rules[6], "on kafka:Create nth=2 do kill answered\n");
    assert_eq!(rules[7], "on kafka:Describe nth=3 do kill before\n");
    let certain: Vec<bool> = points(&calls, Next::Same).iter().map(|point| point.certain).collect();
    assert_eq!(certain, [false, true, true, true, true, true, true, false, false, false, false]);
    let sampled = sample(&points(&calls, Next::Same), 6, 1);
    assert_eq!(sampled.iter().filter(|point| point.moment == Moment::After).count(), 2);
    assert!(sampled.iter().all(|point| point.mutating));
}
