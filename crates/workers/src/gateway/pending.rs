//! A request whose records are under way. Each record carries a ticket, and whoever settles the last one wakes the request:
//! no task a record, no polling.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::counts::Tally;
use super::outcome::Outcome;

/// A request under way. It holds its part of the budget until its last record is settled, whether or not the caller still
/// waits.
struct Pending {
    state: Mutex<State>,
    tally: Arc<Tally>,
    _budget: [OwnedSemaphorePermit; 2],
}

struct State {
    outcomes: Vec<Outcome>,
    left: usize,
    caller: Option<oneshot::Sender<Vec<Outcome>>>,
}

/// One record's claim to tell its outcome.
pub(super) struct Ticket {
    request: Arc<Pending>,
    place: usize,
    /// Whether the caller wants it in a certain partition.
    chosen: bool,
}

/// Tickets for the records of a request, and what gives their outcomes in order once all are settled. Without an answer the
/// client was ended before.
pub(super) fn tickets(
    records: usize,
    tally: Arc<Tally>,
    budget: [OwnedSemaphorePermit; 2],
) -> (impl Iterator<Item = Box<Ticket>>, oneshot::Receiver<Vec<Outcome>>) {
    let (caller, outcomes) = oneshot::channel();
    let unsettled = vec![Outcome::Failed(RDKafkaErrorCode::Fail); records];
    let state = Mutex::new(State { outcomes: unsettled, left: records, caller: Some(caller) });
    let request = Arc::new(Pending { state, tally, _budget: budget });
    let tickets = (0..records).map(move |place| Box::new(Ticket { request: request.clone(), place, chosen: false }));
    (tickets, outcomes)
}

impl Ticket {
    /// Takes note of the partition that the caller wants the record in, if of any.
    pub(super) fn wants(&mut self, partition: Option<i32>) {
        self.chosen = partition.is_some();
    }

    /// Tells what became of the record.
    pub(super) fn settle(self, outcome: Outcome) {
        let outcome = match outcome {
            // The client chose it among those of a topic that was made again with fewer, and looks for them now.
            Outcome::Failed(RDKafkaErrorCode::UnknownPartition) if !self.chosen => {
                Outcome::Failed(RDKafkaErrorCode::UnknownTopicOrPartition)
            }
            outcome => outcome,
        };
        self.request.tally.count(outcome);
        let mut state = self.request.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.outcomes[self.place] = outcome;
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        let outcomes = std::mem::take(&mut state.outcomes);
        if let Some(caller) = state.caller.take() {
            // Who has hung up does not want to know.
            let _ = caller.send(outcomes);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_partition_that_nobody_chose_may_be_tried_again() {
        for (chosen, counted) in [(None, (0, 1, 0)), (Some(7), (0, 0, 1))] {
            let budget = Arc::new(Semaphore::new(2));
            let permits = [budget.clone().try_acquire_owned().unwrap(), budget.try_acquire_owned().unwrap()];
            let tally = Arc::new(Tally::default());
            let (mut all, _outcomes) = tickets(1, tally.clone(), permits);
            let mut ticket = all.next().unwrap();
            ticket.wants(chosen);
            ticket.settle(Outcome::Failed(RDKafkaErrorCode::UnknownPartition));
            assert_eq!((tally.accepted(), tally.failed(), tally.refused()), counted);
        }
    }

    #[tokio::test]
    async fn outcomes_come_in_the_order_of_records_and_free_the_budget() {
        let budget = Arc::new(Semaphore::new(10));
        let permits =
            || [budget.clone().try_acquire_many_owned(2).unwrap(), budget.clone().try_acquire_owned().unwrap()];
        let tally = Arc::new(Tally::default());
        let (all, outcomes) = tickets(2, tally.clone(), permits());
        let mut all: Vec<_> = all.collect();
        let failed = Outcome::Failed(RDKafkaErrorCode::MessageTimedOut);
        all.pop().unwrap().settle(failed);
        assert_eq!(budget.available_permits(), 7);
        let taken = Outcome::Taken { partition: 0, offset: 9 };
        all.pop().unwrap().settle(taken);
        drop(all);
        assert_eq!(outcomes.await.unwrap(), [taken, failed]);
        assert_eq!(budget.available_permits(), 10);
        assert_eq!((tally.accepted(), tally.failed(), tally.refused()), (1, 1, 0));

        let (all, outcomes) = tickets(2, tally, permits());
        drop(all);
        assert!(outcomes.await.is_err(), "tickets that were lost are no success");
        assert_eq!(budget.available_permits(), 10);
    }
}
