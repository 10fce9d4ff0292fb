"""The Delta tables that the cleaner writes, read over S3 by programs that know Delta Lake and nothing of pinfra.

Four ways to read Parquet: Arrow's C++ datasets by deltalake's log, deltalake's own engine,
DuckDB with the Delta kernel, and polars. All see the same rows as `pinfra query`.
"""

import datetime
import itertools
import json
import pathlib

import duckdb
import duckdb_extension_delta
import duckdb_extension_httpfs
import polars
import pytest
import requests
from deltalake import DeltaTable, QueryBuilder

from cloud import until
from stack import TABLES, Stack, document

EVENTS = 2_400

pytestmark = pytest.mark.pinfra


@pytest.fixture(scope="module")
def stack(program, tmp_path_factory):
    emulator = {"source": "sample", "rows": 2_000, "rate": 200, "count": EVENTS}
    with Stack(program, tmp_path_factory.mktemp("delta"), document("delta", emulator)) as stack:
        yield stack


@pytest.fixture(scope="module")
def lake(stack):
    """How the readers reach the lake: its bucket, and the keys of the local cloud."""
    return {"bucket": stack.output("bucket"), **stack.environment()}


@pytest.fixture(scope="module")
def settled(stack):
    """The counts once all events are where they belong, and with them an event that became a reject."""
    stack.settle()
    record = {"StreamName": "delta-pin", "Data": {"index": "seven", "title": "é 🌞"}, "PartitionKey": "seven"}
    answer = requests.put(
        f"{stack.output('invoke_url')}/streams/delta-pin/record",
        json=record,
        headers={"x-api-key": stack.output("api_key")},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return until(lambda: (counts := stack.counts())["pin"]["rejected"] == 1 and counts, "the reject is counted")


def url(lake, table):
    return f"s3://{lake['bucket']}/tables/{table if table == 'rejects' else f'stream/{table}'}"


def options(lake):
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    return {**{name: lake[name] for name in names}, "AWS_ALLOW_HTTP": "true"}


def by_deltalake_and_arrow(lake, table):
    return DeltaTable(url(lake, table), storage_options=options(lake)).to_pyarrow_table().to_pylist()


def by_deltalake(lake, table):
    delta = DeltaTable(url(lake, table), storage_options=options(lake))
    answer = QueryBuilder().register("t", delta).execute("SELECT * FROM t").read_all()
    return polars.DataFrame(answer).to_dicts()


def by_duckdb(lake, table):
    # Signed by DuckDB's makers, which loading checks; PyPI has them, so nothing is fetched from elsewhere.
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    for package in (duckdb_extension_httpfs, duckdb_extension_delta):
        [extension] = pathlib.Path(package.__file__).parent.rglob("*.duckdb_extension")
        connection.load_extension(str(extension))
    secret = {
        "KEY_ID": lake["AWS_ACCESS_KEY_ID"],
        "SECRET": lake["AWS_SECRET_ACCESS_KEY"],
        "REGION": lake["AWS_REGION"],
        "ENDPOINT": lake["AWS_ENDPOINT_URL"].removeprefix("http://"),
        "URL_STYLE": "path",
    }
    words = ", ".join(f"{name} '{value}'" for name, value in secret.items())
    connection.execute(f"CREATE SECRET (TYPE s3, USE_SSL false, {words})")
    return connection.execute("SELECT * FROM delta_scan(?)", [url(lake, table)]).to_arrow_table().to_pylist()


def by_polars(lake, table):
    return polars.scan_delta(url(lake, table), storage_options=options(lake)).collect().to_dicts()


def comparable(rows):
    """Rows in an order of their own, each value as `pinfra query --format json` writes it."""

    def plain(value):
        if isinstance(value, datetime.datetime):
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            # Fractions have as many threes of digits as they need.
            unit = "seconds" if not value.microsecond else "auto" if value.microsecond % 1000 else "milliseconds"
            return value.isoformat(timespec=unit) + "Z"
        return value.hex() if isinstance(value, bytes) else value

    return sorted(json.dumps({name: plain(value) for name, value in row.items()}) for row in rows)


def test_a_reader_sees_whole_commits_while_the_cleaner_writes(stack, lake):
    """Versions are read as they come: what was there stays, rows are there once, and the log says how many there are."""
    seen = {table: (-1, set()) for table in TABLES}
    versions = 0
    until(lambda: stack.counts()["user"]["rows"], "rows are there")
    while True:
        done = sum(counts["read"] for counts in stack.counts().values()) == EVENTS
        for table in TABLES:
            delta = DeltaTable(url(lake, table), storage_options=options(lake))
            rows = comparable(delta.to_pyarrow_table().to_pylist())
            before, earlier = seen[table]
            assert delta.version() >= before
            versions += delta.version() > before
            assert earlier <= set(rows), f"{table}: rows of version {before} are not in {delta.version()}"
            assert len(rows) == len(set(rows)), f"{table}: the same row twice"
            # The counter is in the commit that has the rows.
            assert delta.transaction_version(f"pinfra/delta-{table}/rows") == len(rows)
            seen[table] = delta.version(), set(rows)
        if done:
            break
    assert versions > 6, "the tables were read while they grew"


@pytest.mark.parametrize("read", [by_deltalake_and_arrow, by_deltalake, by_duckdb, by_polars])
@pytest.mark.parametrize("table", [*TABLES, "rejects"])
def test_another_reader_has_the_same_rows(stack, lake, settled, table, read):
    ours = comparable(stack.query("--sql", f'SELECT * FROM "{table}"'))
    theirs = comparable(read(lake, table))
    assert len(ours) == (settled[table]["rows"] if table in settled else 1) > 0
    for mine, other in itertools.zip_longest(ours, theirs):
        assert mine == other


def test_maintenance_by_another_hand_leaves_the_cleaner_well(stack, lake, settled):
    """deltalake compacts a table and cleans its log up; the cleaner takes the next event as it took those before."""
    delta = DeltaTable(url(lake, "geo"), storage_options=options(lake))
    before = comparable(by_deltalake_and_arrow(lake, "geo"))
    delta.optimize.compact()
    delta.create_checkpoint()
    assert comparable(by_duckdb(lake, "geo")) == before
    place = {"ind": 1_999_999, "timestamp": "2020-08-28T03:52:47", "latitude": 1.5, "longitude": 2, "country": "Utopia"}
    answer = requests.put(
        f"{stack.output('invoke_url')}/streams/delta-geo/record",
        json={"StreamName": "delta-geo", "Data": place, "PartitionKey": "1999999"},
        headers={"x-api-key": stack.output("api_key")},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    until(lambda: stack.counts()["geo"]["rows"] == len(before) + 1, "the cleaner goes on")
    after = comparable(by_duckdb(lake, "geo"))
    assert len(after) == len(before) + 1 and set(before) < set(after)
    assert comparable(by_polars(lake, "geo")) == after
