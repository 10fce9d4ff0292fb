//! What the sections say together: a part that needs another one, and settings that exclude each other.

use super::cleaning;
use super::cluster::{arn_region, is_express};
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::stack::Stack;
use super::workers::{EventSource, Paths};

pub(super) fn check(reader: &mut Reader<'_>, stack: &Stack) {
    check_tables(reader, stack);
    check_cleaning(reader, stack);
    check_brokers(reader, stack);
    check_cluster_region(reader, stack);
    check_workers(reader, stack);
    check_needs(reader, stack);
    check_idle(reader, stack);
}

/// A part that cannot be without another section.
fn check_needs(reader: &mut Reader<'_>, stack: &Stack) {
    let mut needs = |place: Place, part: &str, section: &str, why: &str, help: &str| {
        if !stack.has(section) {
            let problem = Problem::error(format!("`{part}` needs `{section}`, and there is none"));
            reader.report(problem.at(place, why).help(help));
        }
    };
    if let Some(connector) = &stack.connector {
        needs(
            connector.place,
            "connector",
            "cluster",
            "reads from its topics",
            "add a `cluster` section; `cluster: {}` takes the defaults",
        );
        needs(connector.place, "connector", "lake", "writes to its bucket", "add `lake: {}`");
    }
    if let Some(analyses) = &stack.analyses {
        needs(analyses.place, "analyses", "lake", "ask the tables in it", "add `lake: {}`");
    }
    let Some(workers) = &stack.workers else { return };
    needs(
        workers.place,
        "workers",
        "client",
        "run on this machine",
        "add a `client` section; `client: {}` takes the defaults",
    );
    if let Some(emulator) = &workers.emulator {
        needs(emulator.place, "workers.emulator", "lake", "its program is fetched from there", "add `lake: {}`");
        needs(
            emulator.place,
            "workers.emulator",
            "api",
            "posts its events to it",
            "add an `api` section; `api: {}` takes the defaults",
        );
        if *emulator.paths.get() == Paths::Kinesis {
            needs(emulator.paths.place, "workers.emulator.paths", "streams", "posts to them", "add `streams: {}`");
        }
    }
    if let Some(gateway) = &workers.gateway {
        needs(
            gateway.place,
            "workers.gateway",
            "cluster",
            "writes to its topics",
            "add a `cluster` section; `cluster: {}` takes the defaults",
        );
        needs(
            gateway.place,
            "workers.gateway",
            "api",
            "answers only to what the API sends on",
            "add an `api` section; `api: {}` takes the defaults",
        );
        needs(gateway.place, "workers.gateway", "lake", "its program is fetched from there", "add `lake: {}`");
    }
    if let Some(cleaner) = &workers.cleaner {
        needs(cleaner.place, "workers.cleaner", "lake", "keeps its tables there", "add `lake: {}`");
        if *cleaner.streaming.get() {
            needs(
                cleaner.streaming.place,
                "workers.cleaner.streaming",
                "streams",
                "cleans what is in them",
                "add `streams: {}`, or write `streaming: false`",
            );
        }
        // A bucket that exists may be filled by a connector of somebody else.
        let filled = stack.lake.as_ref().is_some_and(|lake| lake.existing.is_some());
        if let Some(schedule) = cleaner.schedule.as_ref().filter(|_| !filled) {
            needs(
                schedule.place,
                "workers.cleaner.schedule",
                "connector",
                "cleans what it wrote",
                "add a `connector` section, or remove `schedule`",
            );
        }
    }
}

fn check_tables(reader: &mut Reader<'_>, stack: &Stack) {
    if !stack.tables.is_empty() {
        if stack.streams.is_none()
            && stack.cluster.is_none()
            && let Some(tables) = stack.place("tables")
        {
            let problem = Problem::warning("nothing carries the events of these tables")
                .at(tables, "neither `streams` nor `cluster` is there");
            reader.report(problem.help("add `streams: {}` for Kinesis streams, or a `cluster` for topics"));
        }
        return;
    }
    // A table that was refused is no missing table.
    if stack.has("tables") && !reader.problems.is_empty() {
        return;
    }
    for (section, one) in [("streams", "a stream"), ("cluster", "a topic")] {
        if let Some(place) = stack.place(section) {
            let problem = Problem::error(format!("`{section}` has {one} for each table, and there are no tables"));
            reader.report(
                problem.at(place, "nothing to make").help("add tables, such as `tables: { clicks: { key: id } }`"),
            );
        }
    }
}

/// A cleaner needs SQL for every table.
fn check_cleaning(reader: &mut Reader<'_>, stack: &Stack) {
    let Some(cleaner) = stack.workers.as_ref().and_then(|workers| workers.cleaner.as_ref()) else { return };
    for table in stack.tables.iter().filter(|table| table.sql.is_none() && !table.clean_written) {
        let name = &table.name;
        let help = match cleaning::built_in_key(name) {
            Some(key) => format!(
                "the SQL that is built in for `{name}` has the key `{key}`; for another, name a file with `clean`"
            ),
            None => format!("write it, and name the file: `{name}: {{ key: {}, clean: {name}.sql }}`", *table.key),
        };
        reader.report(
            Problem::error(format!("there is no SQL that cleans the table `{name}`"))
                .at(name.place, "has no `clean`")
                .at(cleaner.place, "cleans every table")
                .help(help),
        );
    }
}

/// MSK wants as many brokers in one zone as in another ("CreateCluster", Amazon MSK API reference). In a VPC of the user's
/// the zones are the subnets; in the default one there are three, or two where three do not divide the brokers.
fn check_brokers(reader: &mut Reader<'_>, stack: &Stack) {
    let Some(cluster) = stack.cluster.as_ref().filter(|cluster| cluster.existing.is_none()) else { return };
    let brokers = *cluster.brokers.get();
    let at = cluster.brokers.place;
    let shown = if cluster.brokers.from_env { "these".to_owned() } else { brokers.to_string() };
    let subnets =
        stack.network.as_ref().map(|network| &network.subnets).filter(|subnets| (2..=3).contains(&subnets.len()));
    if is_express(cluster) {
        let zones = subnets.map_or(3, Vec::len);
        if zones != 3 || !brokers.is_multiple_of(3) {
            let mut problem = Problem::error("express brokers stand in three zones, as many in each")
                .at(at, format!("{shown} brokers"));
            problem = problem.at(cluster.instance.place, "express here");
            if let Some(last) = subnets.filter(|subnets| subnets.len() != 3).and_then(|subnets| subnets.last()) {
                problem = problem.at(last.place, format!("{zones} subnets"));
            }
            reader.report(problem.help("use 3, 6, 9, 12 or 15 brokers and, in a VPC of your own, three subnets"));
        }
        return;
    }
    // US West (N. California) gives MSK two zones and no more (same page).
    let two_only = *stack.region == "us-west-1";
    match subnets {
        Some(subnets) => {
            let zones = u32::try_from(subnets.len()).unwrap_or(u32::MAX);
            if let Some(third) = subnets.get(2).filter(|_| two_only) {
                let problem = Problem::error("MSK has two zones in `us-west-1`").at(third.place, "a third subnet");
                reader.report(problem.at(stack.region.place, "this region").help("list two subnets"));
            } else if !brokers.is_multiple_of(zones)
                && let Some(last) = subnets.last()
            {
                let more = brokers.next_multiple_of(zones);
                let problem =
                    Problem::error(format!("{shown} brokers cannot be shared out evenly among {zones} subnets"));
                reader.report(
                    problem
                        .at(at, "a multiple of the subnets")
                        .at(last.place, format!("{zones} subnets"))
                        .help(format!("use {more} brokers")),
                );
            }
        }
        None if two_only && !brokers.is_multiple_of(2) => {
            let problem = Problem::error("MSK has two zones in `us-west-1`, so brokers come in pairs")
                .at(at, format!("{shown} brokers"));
            reader.report(problem.at(stack.region.place, "this region").help(format!("use {} brokers", brokers + 1)));
        }
        None if !brokers.is_multiple_of(2) && !brokers.is_multiple_of(3) => {
            let problem =
                Problem::error(format!("{shown} brokers cannot be shared out evenly among two or three zones"));
            reader.report(problem.at(at, "not a multiple of 2 or 3").help(format!(
                "use {} or {} brokers",
                brokers - 1,
                brokers + 1
            )));
        }
        None => {}
    }
}

fn check_cluster_region(reader: &mut Reader<'_>, stack: &Stack) {
    let Some(existing) = stack.cluster.as_ref().and_then(|cluster| cluster.existing.as_ref()) else { return };
    if let Some(region) = arn_region(existing).filter(|region| *region != *stack.region) {
        let problem =
            Problem::error("the cluster is not in the stack's region").at(existing.place, format!("in `{region}`"));
        let problem = match stack.place("region") {
            Some(_) => problem.at(stack.region.place, "the stack is here"),
            None => problem,
        };
        reader.report(problem.help(format!("write `region: {region}`, or name a cluster in `{}`", stack.region)));
    }
}

fn check_workers(reader: &mut Reader<'_>, stack: &Stack) {
    if let Some(api) = &stack.api {
        let gateway = stack.workers.as_ref().is_some_and(|workers| workers.gateway.is_some());
        if stack.streams.is_none() && !gateway {
            let problem = Problem::error("`api` fronts nothing")
                .at(api.place, "neither `streams` nor `workers.gateway` is there");
            reader.report(problem.help("add `streams: {}`, or a gateway with its cluster"));
        }
    }
    let Some(workers) = &stack.workers else { return };
    let Some(emulator) = &workers.emulator else { return };
    if *emulator.paths.get() == Paths::Kafka && workers.gateway.is_none() {
        let problem = Problem::error("`workers.emulator.paths` needs `workers.gateway`, and there is none");
        let problem = problem.at(emulator.paths.place, "posts to the topics by it");
        reader.report(problem.help("add `gateway: {}` to the workers"));
    }
    if *emulator.source.get() != EventSource::Sample {
        return;
    }
    const SAMPLE: [&str; 3] = ["pin", "geo", "user"];
    for table in stack.tables.iter().filter(|table| !SAMPLE.contains(&table.name.as_str())) {
        let problem = Problem::warning(format!("the sample source has no rows for `{}`", table.name))
            .at(table.name.place, "stays empty");
        reader.report(problem.at(emulator.source.place, "the sample source").help("it has `pin`, `geo` and `user`"));
    }
}

/// Sections that are right and of no use.
fn check_idle(reader: &mut Reader<'_>, stack: &Stack) {
    if let Some(network) = &stack.network
        && stack.cluster.is_none()
        && stack.client.is_none()
    {
        let problem = Problem::warning("nothing in this stack lives in a VPC").at(network.place, "not used");
        reader.report(problem.help("`network` is for `cluster`, `connector` and `client`"));
    }
    if let Some(client) = &stack.client
        && stack.workers.is_none()
    {
        reader.report(Problem::warning("nothing runs on the client").at(client.place, "there are no `workers`"));
    }
    let parts = ["streams", "lake", "cluster", "client", "connector", "api", "workers"];
    if !parts.iter().any(|part| stack.has(part)) && reader.problems.is_empty() {
        let problem = Problem::warning("this stack has nothing in it").at(stack.name.place, "only a name");
        reader.report(problem.help("add a section, such as `lake: {}`"));
    }
}
