"""Reads all of a store with one engine, and prints what it found so that two can be compared: each kind's rows and columns, and of one
host every request's time (ns), name and duration.

    read.py duckdb|spark STORE
    read.py jsonl FILE            the same of `tcplens records` (JSON Lines), but columns, which differ from line to line there
"""
import json
import pathlib
import sys
from datetime import datetime, timezone

KINDS = ("connection", "handshake", "health", "request", "rollup")


def duckdb_rows(store):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for kind in KINDS:
        place = f"read_parquet('{store}/kind={kind}/*/*.parquet', hive_partitioning = true, union_by_name = true)"
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {place}").fetchall()]
        # Every value of every column, as text: nothing that cannot be read.
        columns = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in names)
        rows = connection.execute(f"SELECT {columns}, host, epoch_ns(time) FROM {place}").fetchall()
        if kind == "request":
            wanted = [names.index(name) for name in ("connection_id", "task", "total_us")]
            name, task, took = wanted
            yield kind, names, [(row[-2], row[-1], row[name], int(row[task]), row[took]) for row in rows]
        else:
            yield kind, names, [(row[-2],) for row in rows]


def spark_rows(store):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.config("spark.sql.legacy.parquet.nanosAsLong", "true")
    spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    for kind in KINDS:
        table = spark.read.option("mergeSchema", "true").parquet(f"{store}/kind={kind}")
        rows = table.collect()
        if kind == "request":
            yield kind, table.columns, [(row.host, row.time, row.connection_id, row.task, row.total_us) for row in rows]
        else:
            yield kind, table.columns, [(row.host,) for row in rows]
    spark.stop()


def nanoseconds(text):
    """Of RFC 3339 with nine decimals: datetime has six."""
    whole, decimals = text.rstrip("Z").split(".")
    at = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return int(at.timestamp()) * 1_000_000_000 + int(decimals.ljust(9, "0"))


def jsonl_rows(file):
    records = [json.loads(line) for line in pathlib.Path(file).read_text().splitlines()]
    for kind in KINDS[:-1]:
        rows = [record for record in records if record["kind"] == kind]
        if kind == "request":
            yield kind, [], [("", nanoseconds(r["time"]), r["connection_id"], r["task"], r.get("total_us")) for r in rows]
        else:
            yield kind, [], [("",)] * len(rows)


def main():
    engine, place = sys.argv[1:]
    rows_of = {"duckdb": duckdb_rows, "spark": spark_rows, "jsonl": jsonl_rows}[engine]
    for kind, names, rows in rows_of(place):
        hosts = sorted({row[0] for row in rows})
        of_first = [row for row in rows if row[0] == hosts[0]]
        if names:
            # Of the directory `kind=`: DuckDB makes a column of it, Spark has it in the path that it was told.
            print(f"columns of {kind}: {' '.join(sorted(set(names) - {'kind'}))}")
        print(f"{kind}: {len(of_first)} rows of each host" if len(rows) == len(of_first) * len(hosts) else f"{kind}: hosts differ")
        for _, at, name, task, took in sorted(row for row in of_first if len(row) > 1):
            print(at, name, task, "-" if took is None else f"{float(took):.3f}")


main()
