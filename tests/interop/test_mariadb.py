"""The emulator's MySQL source against a real server: by itself, and as the source of a whole pipeline."""

import os
import pathlib
import re
import subprocess
import urllib.parse

import pytest

from mariadb import MariaDb, missing
from stack import Stack, document

pytestmark = [
    pytest.mark.pinfra,
    pytest.mark.skipif(bool(missing()), reason=f"not there: {', '.join(missing())} (apt-get install mariadb-server)"),
]

POSTS = 40
CATEGORIES = ("art", "tattoos", "travel")


@pytest.fixture
def mariadb():
    with MariaDb() as server:
        yield server


def only_reads(mariadb, connections):
    """What the emulator asked for, by the server's own log."""
    readers, asked = mariadb.read_only()
    assert readers >= connections, f"{readers} connections were read-only"
    wrong = [text for text in asked if not re.match(r"(?i)\s*(SELECT|SET)\b", text)]
    assert asked and not wrong, wrong[:5]


def test_the_emulator_by_itself(mariadb):
    """All column types, lost connections, a wrong password: the emulator's own test, which waits for a server."""
    url = mariadb.url(urllib.parse.quote(mariadb.password))
    test = ["--ignored", "--exact", "sources::rows_of_mysql_are_posted_as_they_are"]
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--workspace", "--test", "emulator", "--", *test],
        cwd=pathlib.Path(__file__).parents[2],
        env={**os.environ, "EMULATOR_MYSQL_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
    only_reads(mariadb, 3)


def rows():
    """SQL of three tables as the pipeline's source has them, and by key what a pin's row has to become."""
    pins, expected = [], {}
    for n in range(POSTS):
        category = CATEGORIES[n % len(CATEGORIES)]
        followers = ("12k", "3M", "437", "User Info Error")[n % 4]
        title = "No Title Data Available" if n % 5 == 0 else f"Idea {n} – é 🌞 ''quoted'' \\\\ \\\"x\\\""
        pins.append(
            f"({n}, 'id-{n}', '{title}', 'text {n}', '{followers}', 'poster {n}', 'a,b', 'image', "
            f"'https://example.org/{n}', 'Local save in /data/{category}', '{category}')"
        )
        expected[n] = {
            "ind": n,
            "title": None if n % 5 == 0 else f"Idea {n} – é 🌞 'quoted' \\ \"x\"",
            "follower_count": (12_000, 3_000_000, 437, None)[n % 4],
            "save_location": f"/data/{category}",
            "category": category,
        }
    places = [f"({n}, '2019-03-0{1 + n % 9} 10:20:30', {n / 4}, -{n / 8}, 'Utopia')" for n in range(POSTS)]
    people = [f"({n}, 'Ada', 'L{n}', '{20 + n % 30}', '2016-02-29 23:59:59')" for n in range(POSTS)]
    sql = f"""
        CREATE TABLE pinterest_data (`index` BIGINT, unique_id TEXT, title TEXT, description TEXT, follower_count TEXT,
            poster_name TEXT, tag_list TEXT, is_image_or_video TEXT, image_src TEXT, save_location TEXT, category TEXT);
        CREATE TABLE geolocation_data (ind BIGINT, timestamp DATETIME, latitude DOUBLE, longitude DOUBLE, country TEXT);
        CREATE TABLE user_data (ind BIGINT, first_name TEXT, last_name TEXT, age TEXT, date_joined DATETIME);
        INSERT INTO pinterest_data VALUES {", ".join(pins)};
        INSERT INTO geolocation_data VALUES {", ".join(places)};
        INSERT INTO user_data VALUES {", ".join(people)};
    """
    return sql, expected


def test_rows_of_a_database_become_answers(mariadb, program, tmp_path):
    """`pinfra up` with `source: mysql://…`: events of real rows, counted at each hop, cleaned and asked about."""
    sql, expected = rows()
    mariadb.execute(sql)
    password = urllib.parse.quote(mariadb.password)
    emulator = {"source": mariadb.url("${env:SOURCE_PASSWORD}"), "rate": 200, "count": 900}
    with Stack(program, tmp_path, document("maria", emulator), SOURCE_PASSWORD=password) as stack:
        counts = stack.settle()
        for table, hops in counts.items():
            assert hops["accepted"] == hops["emitted"] == hops["read"] == 300, (table, hops)
            assert hops["rows"] + hops["duplicates"] == 300 and hops["rejected"] == 0, (table, hops)
            assert 0 < hops["rows"] <= POSTS, "a row is there once, however often it was posted"
        columns = ", ".join(expected[0])
        pins = stack.query("--sql", f"SELECT {columns} FROM pin ORDER BY ind")
        assert pins == [expected[row["ind"]] for row in pins] and len(pins) == counts["pin"]["rows"]
        [place] = stack.query("--sql", 'SELECT coordinates, "timestamp", country FROM geo ORDER BY ind LIMIT 1')
        assert place["country"] == "Utopia" and place["timestamp"].startswith("2019-03-0")
        here = {category: sum(row["category"] == category for row in pins) for category in CATEGORIES}
        most = min(here, key=lambda category: (-here[category], category))
        answer = stack.query("most-popular-category-by-country")
        assert answer == [{"country": "Utopia", "category": most, "category_count": here[most]}]
        joined = stack.query("users-joined-by-year")
        assert joined == [{"post_year": 2016, "number_users_joined": counts["user"]["rows"]}]
        for analysis in stack.run("query").splitlines():
            assert isinstance(stack.query(analysis.split()[0]), list)
        assert password not in stack.run("logs", "emulator")
        # The lake and the machine, both in `local`, need it; what pinfra records does not.
        state = [path for path in (tmp_path / "state").rglob("*") if "local" not in path.parts and path.is_file()]
        told = [path for path in state if password.encode() in path.read_bytes()]
        assert state and not told, f"the password is in {told}"
    only_reads(mariadb, 1)
