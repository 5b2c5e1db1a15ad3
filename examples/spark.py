#!/usr/bin/env python3
"""Asks a store of tcplens the questions of duckdb.sql, with Spark 3.5 or later (pip install pyspark, and Java).

    examples/spark.py /var/lib/tcplens/store [--csv]

What is here for Spark alone: it has no times of nanoseconds and refuses to read them, unless it is told to take them for
numbers. So `time` is nanoseconds since 1970 (BIGINT): timestamp_micros(time div 1000) is a TIMESTAMP of it.
"""
import csv
import sys

from pyspark.sql import SparkSession

TABLES = {"requests": "request", "handshakes": "handshake", "rollups": "rollup"}

QUESTIONS = {
    "p99-by-operation": """
        SELECT
            CAST(date AS STRING) AS date,
            protocol,
            operation,
            count(*) AS requests,
            count_if(status = 'error') AS errors,
            CAST(percentile_disc(0.99) WITHIN GROUP (ORDER BY total_us) AS DECIMAL(18,3)) AS p99_us
        FROM requests
        WHERE status IN ('ok', 'error') AND total_us IS NOT NULL
        GROUP BY date, protocol, operation
        ORDER BY date, p99_us DESC, protocol, operation
    """,
    "failed-handshakes": """
        SELECT
            CAST(date AS STRING) AS date,
            server_ip,
            server_port,
            outcome,
            count(*) AS attempts,
            count(DISTINCT client_ip) AS clients,
            date_format(timestamp_micros(min(time) div 1000), "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'") AS first
        FROM handshakes
        WHERE outcome <> 'established'
        GROUP BY date, server_ip, server_port, outcome
        ORDER BY date, attempts DESC, server_ip, server_port, outcome
    """,
    "p99-from-rollups": """
        WITH buckets AS (
            SELECT date, protocol, operation, bucket.total_ns AS ns, bucket.total_counts AS n
            FROM rollups
            LATERAL VIEW explode(arrays_zip(total_ns, total_counts)) AS bucket
            WHERE protocol IS NOT NULL
        ), merged AS (
            SELECT date, protocol, operation, ns, sum(n) AS n
            FROM buckets
            GROUP BY date, protocol, operation, ns
        ), running AS (
            SELECT
                *,
                sum(n) OVER (PARTITION BY date, protocol, operation ORDER BY ns) AS at_most,
                sum(n) OVER (PARTITION BY date, protocol, operation) AS total
            FROM merged
        )
        SELECT
            CAST(date AS STRING) AS date,
            protocol,
            operation,
            max(total) AS requests,
            min(ns) AS p99_ns
        FROM running
        WHERE at_most * 100 >= total * 99
        GROUP BY date, protocol, operation
        ORDER BY date, p99_ns DESC, protocol, operation
    """,
}


def session() -> SparkSession:
    builder = SparkSession.builder.appName("tcplens")
    builder = builder.config("spark.sql.legacy.parquet.nanosAsLong", "true")
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    # What master is used is said by spark-submit, or by the environment; without either, this machine is.
    return builder.getOrCreate()


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--csv"]
    if len(words) != 1:
        sys.exit(__doc__)
    spark = session()
    for table, kind in TABLES.items():
        # Directories called `date=...` are a column of that name. What older versions wrote may lack a column.
        store = spark.read.option("mergeSchema", "true").parquet(f"{words[0]}/kind={kind}")
        store.createOrReplaceTempView(table)
    for name, question in QUESTIONS.items():
        print(f"# {name}")
        answer = spark.sql(question)
        if "--csv" in sys.argv:
            out = csv.writer(sys.stdout, lineterminator="\n")
            out.writerow(answer.columns)
            out.writerows(tuple(row) for row in answer.collect())
        else:
            answer.show(1000, truncate=False)
    spark.stop()


if __name__ == "__main__":
    main()
