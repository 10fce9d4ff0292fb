//! State files of every released format are read by this program.

use std::fs;
use std::path::Path;

use pinfra_engine::StateStore;
use pinfra_engine::state::{FORMAT, Status};

use crate::world::address;

#[test]
fn format_1_is_read() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state-v1");
    let state = StateStore::load(&stored).unwrap().unwrap();
    assert_eq!((state.stack.as_str(), state.serial, state.next_step), ("pinterest", 4, 16));
    let status = |text| state.resources[&address(text)].status.clone();
    assert_eq!(status("s3/bucket.lake"), Status::Settled);
    assert_eq!(status("kinesis/stream.pin"), Status::Settled);
    assert_eq!(status("kinesis/stream.user"), Status::Tainted { reason: "kinesis:CreateStream: too many".to_owned() });
    assert_eq!(status("kinesis/stream.new"), Status::Begun);
    assert_eq!(state.resources[&address("s3/bucket.lake")].outputs["arn"], "arn:aws:s3:::pinterest-lake-2");
    assert!(!state.resources.contains_key(&address("kinesis/stream.geo")), "its delete is in the journal");
    assert_eq!(state.resources.len(), 4);
    assert_eq!(state.open.keys().collect::<Vec<_>>(), [&15]);
    assert_eq!(state.place.unwrap().region, "us-east-1");
    assert!(state.protected.contains("s3/bucket"));
}

/// A new format needs files of the old one in `tests/data/` and a test above.
#[test]
fn the_newest_format_has_a_test() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/state-v{FORMAT}"));
    assert!(fs::exists(stored.join("state.json")).unwrap());
}
