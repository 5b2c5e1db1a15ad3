"""Parquet files of one run (tcplens records -f parquet -o FROM/) as a store: in its directories, with a column `host`, and with
rollups, which SQL makes here of the requests in the way that the program does. Twice, as of two hosts.

    store.py FROM STORE
"""
import pathlib
import sys

import duckdb

START = "20261121T040314000000000Z"

# The middle of the bucket that a duration is in: 64 buckets for each power of two (crates/tcplens-core/src/view/histogram.rs).
ROLLUPS = """
    WITH taken AS (
        SELECT host, time, vantage, server_ip, server_port, protocol, operation, CAST(total_us * 1000 AS BIGINT) AS ns
        FROM {requests} WHERE status IN ('ok', 'error') AND total_us IS NOT NULL
    ), shifts AS (
        SELECT *, greatest(length(bin(ns)) - 7, 0) AS shift FROM taken
    ), buckets AS (
        SELECT
            host, make_timestamp_ns(epoch_ns(time) // 60000000000 * 60000000000) AS time, vantage, server_ip, server_port, protocol,
            operation, ((ns >> shift) << shift) + (1 << shift) // 2 AS middle
        FROM shifts
    ), counted AS (
        SELECT *, count(*) AS n FROM buckets GROUP BY ALL
    )
    SELECT
        host, time, vantage, server_ip, server_port, protocol, operation, CAST(sum(n) AS BIGINT) AS answered,
        list(middle ORDER BY middle) AS total_ns, list(n ORDER BY middle) AS total_counts
    FROM counted GROUP BY ALL
"""


def main() -> None:
    origin, store = map(pathlib.Path, sys.argv[1:])
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")

    def write(rows: str, kind: str, host: str) -> None:
        days = connection.execute(f"SELECT DISTINCT CAST(make_timestamp(epoch_ns(time) // 1000) AS DATE) FROM ({rows})").fetchall()
        for (day,) in days:
            place = store / f"kind={kind}" / f"date={day}"
            place.mkdir(parents=True, exist_ok=True)
            file = place / f"{host}-{START}-00001.parquet"
            of_day = f"SELECT * FROM ({rows}) WHERE CAST(make_timestamp(epoch_ns(time) // 1000) AS DATE) = '{day}'"
            connection.execute(f"COPY ({of_day}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")

    for host in ("web_1", "web_2"):
        for kind in ("request", "handshake", "connection", "health"):
            rows = f"SELECT '{host}' AS host, * FROM '{origin}/{kind}.parquet'"
            write(rows, kind, host)
        requests = f"(SELECT '{host}' AS host, * FROM '{origin}/request.parquet')"
        write(ROLLUPS.format(requests=requests), "rollup", host)


main()
