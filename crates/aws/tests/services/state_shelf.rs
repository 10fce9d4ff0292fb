//! What a shelf promises, asked of the one in a folder and of the one in S3 alike; and what only S3 can get wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;

use pinfra_aws::state::S3Home;
use pinfra_engine::state::{FolderShelf, Shelf, ShelfError, When};

use crate::cloud::{Cloud, config};

const NAME: &str = "document";

/// Makes shelves of the same place, each as if in a process of its own.
type Make = Arc<dyn Fn() -> Arc<dyn Shelf> + Send + Sync>;

/// Runs a contract in an empty folder and in an empty bucket. Its calls block within an asynchronous program, as commands do.
async fn on_both(contract: fn(&Make)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let make: Make = Arc::new(move || Arc::new(FolderShelf::new(&path)));
    contract(&make);
    let cloud = Cloud::start().await;
    let make = in_s3(&cloud).await;
    contract(&make);
}

async fn in_s3(cloud: &Cloud) -> Make {
    cloud.bucket("team-state").await;
    let url = cloud.local.endpoint().to_owned();
    let credentials = cloud.credentials();
    Arc::new(move || {
        let client = aws_sdk_s3::Client::new(&config(&url, credentials.clone()));
        let home = S3Home::over(client, "s3://team-state/of/us".parse().unwrap()).unwrap();
        Arc::new(home.shelf("pins"))
    })
}

fn text(shelf: &Arc<dyn Shelf>) -> Option<String> {
    shelf.read(NAME).unwrap().map(|document| String::from_utf8(document.bytes).unwrap())
}

#[expect(clippy::needless_pass_by_value, reason = "an answer is asked once")]
fn is_changed<T>(answer: Result<T, ShelfError>) -> bool {
    matches!(answer, Err(ShelfError::Changed { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_replace_the_same_version_one_is_refused() {
    on_both(|make| {
        let (one, other) = (make(), make());
        assert_eq!(one.read(NAME).unwrap(), None);
        let first = one.write(NAME, b"1", When::Absent).unwrap();
        assert!(is_changed(other.write(NAME, b"2", When::Absent)));
        let read = other.read(NAME).unwrap().unwrap();
        assert_eq!(read.version, first);
        other.write(NAME, b"3", When::Is(read.version)).unwrap();
        assert!(is_changed(one.write(NAME, b"4", When::Is(first))));
        assert_eq!(text(&one).as_deref(), Some("3"));
        one.write(NAME, b"5", When::Any).unwrap();
        assert_eq!(text(&other).as_deref(), Some("5"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_keeps_its_version_while_its_shelf_appends_to_it() {
    on_both(|make| {
        let shelf = make();
        let version = shelf.write(NAME, b"a", When::Absent).unwrap();
        shelf.append(NAME, b"b").unwrap();
        shelf.append(NAME, b"c").unwrap();
        assert_eq!(text(&shelf).as_deref(), Some("abc"));
        shelf.write(NAME, b"d", When::Is(version)).unwrap();
        assert_eq!(text(&make()).as_deref(), Some("d"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_has_replaced_is_neither_appended_to_nor_overwritten() {
    on_both(|make| {
        let (late, next) = (make(), make());
        let version = late.write(NAME, b"a", When::Absent).unwrap();
        late.append(NAME, b"b").unwrap();
        let read = next.read(NAME).unwrap().unwrap();
        assert!(is_changed(next.append(NAME, b"!")), "only who has written a document may add to it");
        next.write(NAME, b"c", When::Is(read.version)).unwrap();
        next.append(NAME, b"d").unwrap();
        assert!(is_changed(late.append(NAME, b"!")));
        late.read(NAME).unwrap();
        assert!(is_changed(late.append(NAME, b"!")), "reading makes nobody the owner");
        assert!(is_changed(late.write(NAME, b"!", When::Is(version))));
        assert_eq!(text(&next).as_deref(), Some("cd"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_gone_and_may_be_removed_again() {
    on_both(|make| {
        let shelf = make();
        shelf.write(NAME, b"a", When::Absent).unwrap();
        shelf.remove(NAME).unwrap();
        shelf.remove(NAME).unwrap();
        assert_eq!(text(&shelf), None);
        assert!(is_changed(shelf.append(NAME, b"b")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_at_once_one_wins_each_round() {
    on_both(|make| {
        let first = make().write(NAME, b"0", When::Absent).unwrap();
        let mut version = first;
        for round in 0..8 {
            let (told, results) = channel();
            for writer in 0..6 {
                let (make, version, told) = (make.clone(), version.clone(), told.clone());
                std::thread::spawn(move || {
                    let text = format!("{round} {writer}");
                    let written = make().write(NAME, text.as_bytes(), When::Is(version));
                    told.send((text, written)).unwrap();
                });
            }
            drop(told);
            let (won, lost): (Vec<_>, Vec<_>) = results.iter().partition(|(_, written)| written.is_ok());
            assert_eq!((won.len(), lost.len()), (1, 5), "round {round}: {won:?} {lost:?}");
            assert!(lost.iter().all(|(_, lost)| matches!(lost, Err(ShelfError::Changed { .. }))), "{lost:?}");
            let (winner, now) = won.into_iter().next().unwrap();
            assert_eq!(text(&make()), Some(winner));
            version = now.unwrap();
        }
    })
    .await;
}

/// Longer than what one append writes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_is_read_as_it_was_written() {
    on_both(|make| {
        let shelf = make();
        let version = shelf.write(NAME, b"first\n", When::Absent).unwrap();
        let mut expected = "first\n".to_owned();
        for number in 0..40 {
            let line = format!("{number} {}\n", "x".repeat(7_000));
            shelf.append(NAME, line.as_bytes()).unwrap();
            expected.push_str(&line);
        }
        assert_eq!(text(&make()).as_ref(), Some(&expected));
        shelf.write(NAME, b"short", When::Is(version)).unwrap();
        assert_eq!(text(&make()).as_deref(), Some("short"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_long_document_that_was_replaced() {
    let cloud = Cloud::start().await;
    let (make, s3) = (in_s3(&cloud).await, cloud.clients.s3.clone());
    let keys = async || {
        let listed = s3.list_objects_v2().bucket("team-state").send().await.unwrap();
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let shelf = make();
    shelf.write(NAME, b"", When::Absent).unwrap();
    for _ in 0..3 {
        shelf.append(NAME, &[b'x'; 60_000]).unwrap();
    }
    assert_eq!(keys().await.len(), 3, "{:?}", keys().await);
    // The next run, which has read what the one before has left.
    let next = make();
    let read = next.read(NAME).unwrap();
    next.write(NAME, b"new", When::unchanged(read.as_ref())).unwrap();
    assert_eq!(keys().await, BTreeSet::from(["of/us/pins/document".to_owned()]));
    next.remove(NAME).unwrap();
    assert!(keys().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_named_with_what_to_do() {
    let cloud = Cloud::start().await;
    let location: pinfra_aws::state::Location = "s3://nobody-has-it".parse().unwrap();
    let home = S3Home::over(cloud.clients.s3.clone(), location).unwrap();
    let error = home.folders().unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    assert!(error.hint.unwrap().contains("pinfra does not make buckets for state"));
    let error = home.shelf("pins").write(NAME, b"", When::Absent).unwrap_err();
    assert_eq!(error.to_string(), "cannot write `s3://nobody-has-it/pins/document`");
}

#[tokio::test(flavor = "multi_thread")]
async fn stacks_are_the_folders_and_what_is_wrong_with_the_bucket_is_told() {
    let cloud = Cloud::start().await;
    let client = cloud.bucket("team-state").await;
    let home = S3Home::over(client.clone(), "s3://team-state/of/us".parse().unwrap()).unwrap();
    assert_eq!(home.folders().unwrap(), [""; 0]);
    for stack in ["pins", "a-pins"] {
        home.shelf(stack).write(NAME, b"", When::Absent).unwrap();
    }
    client.put_object().bucket("team-state").key("of/us/notes.txt").send().await.unwrap();
    client.put_object().bucket("team-state").key("of/others/x/state.json").send().await.unwrap();
    assert_eq!(home.folders().unwrap(), ["a-pins", "pins"]);
    let concerns = home.concerns();
    assert!(concerns.len() == 1 && concerns[0].contains("turn versioning on"), "{concerns:?}");
    let on = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    client.put_bucket_versioning().bucket("team-state").versioning_configuration(on).send().await.unwrap();
    assert_eq!(home.concerns(), [""; 0]);
}

/// What goes wrong on the way, at every other call: the document holds every line once all the same.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_is_lost_and_no_refusal_that_passes_changes_what_is_written() {
    let cloud = Cloud::start().await;
    let make = in_s3(&cloud).await;
    let any = ["error 500", "error 503", "throttle", "reset", "lose-answer"].map(|trouble| ("*", trouble));
    // Two conditional writers met: only a write is ever told so.
    let met = ("PutObject", "refuse ConditionalRequestConflict status=409");
    for (operation, trouble) in any.into_iter().chain([met]) {
        let name = format!("journal {trouble}");
        let shelf = make();
        cloud.local.faults().set(&format!("on s3:{operation} every=2 do {trouble}")).unwrap();
        let mut version = shelf.write(&name, b"0\n", When::Absent).unwrap();
        let mut expected = "0\n".to_owned();
        for line in 1..6 {
            shelf.append(&name, format!("{line}\n").as_bytes()).unwrap();
            expected.push_str(&format!("{line}\n"));
            assert_eq!(shelf.read(&name).unwrap().unwrap().bytes, expected.as_bytes(), "{trouble}");
        }
        for replaced in 0..4 {
            version = shelf.write(&name, format!("{replaced}").as_bytes(), When::Is(version)).unwrap();
        }
        assert_eq!(make().read(&name).unwrap().unwrap().bytes, b"3", "{trouble}");
        assert!(is_changed(make().write(&name, b"!", When::Absent)), "{trouble}");
        let fired = cloud.local.faults().rules()[0].fired;
        assert!(fired >= 5, "{trouble} came {fired} times");
    }
}

/// Whether a lock was taken must not hang on an answer: of two who try while answers are lost, one has it and knows it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_whose_answers_are_lost_one_wins_and_knows_it() {
    let cloud = Cloud::start().await;
    let make = in_s3(&cloud).await;
    cloud.local.faults().set("on s3:PutObject every=2 do lose-answer").unwrap();
    for round in 0..6 {
        let name = format!("lock-{round}");
        let (told, results) = channel();
        for _ in 0..2 {
            let (make, name, told) = (make.clone(), name.clone(), told.clone());
            // Both say the same, as two runs of one second on one machine may.
            std::thread::spawn(move || told.send(make().write(&name, b"mine", When::Absent)).unwrap());
        }
        drop(told);
        let (won, lost): (Vec<_>, Vec<_>) = results.iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}: {won:?} {lost:?}");
        assert!(lost.into_iter().all(is_changed));
    }
}
