"""Compares Parquet files with the JSON Lines of the same run: parquet.py KIND PARQUET JSONL. DuckDB reads the one, json the
other; of every column the number of values and a sum that depends on all of them are compared."""

import json
import sys
from decimal import Decimal

import duckdb

kind, parquet, jsonl = sys.argv[1:]
# What each run measures about itself.
own = {"cpu_us", "peak_rss_bytes"}


def sums(name, type):
    """SQL for the number of values and their sum."""
    column = f'"{name}"'
    if type.startswith("TIMESTAMP"):
        value = f"epoch_ns({column})"
    elif type == "VARCHAR":
        # All letters count, and where they stand.
        value = f"list_sum(list_transform(range(1, length({column}) + 1), lambda i: i * unicode({column}[i])))"
    elif type == "BOOLEAN":
        value = f"{column}::int"
    elif type.startswith("MAP"):
        value = f"list_sum(map_values({column})) + list_sum(list_transform(map_keys({column}), lambda key: length(key)))"
    elif type.startswith("STRUCT"):
        value = f"list_sum(list_transform({column}, lambda frame: frame.threshold_bytes + coalesce(frame.bytes, 0) + coalesce(frame.us, 0)))"
    elif type.endswith("[]"):
        value = f"list_sum({column})"
    else:
        value = column
    return f"count({column}), coalesce(sum({value}::decimal(38, 3)), 0)"


def letters(text):
    return sum(n * ord(letter) for n, letter in enumerate(text, 1))


def weight(value, name):
    """The same of a value of JSON."""
    if isinstance(value, bool):
        return int(value)
    if name == "time":
        day, rest = value.rstrip("Z").split("T")
        from datetime import date

        hours, minutes, seconds = rest.split(":")
        days = date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()
        return int(((days * 24 + int(hours)) * 60 + int(minutes)) * 60 * 10**9 + Decimal(seconds) * 10**9)
    if isinstance(value, str):
        return letters(value)
    if isinstance(value, dict):
        return sum(value.values()) + sum(map(len, value))
    if isinstance(value, list):
        return sum(sum(item.values()) if isinstance(item, dict) else item for item in value)
    return value


with open(jsonl, encoding="utf-8") as lines:
    records = [json.loads(line, parse_float=Decimal) for line in lines]
records = [record for record in records if record["kind"] == kind]
columns = duckdb.execute(f"describe select * from '{parquet}'").fetchall()
names = {name for name, *_ in columns}
strange = {name for record in records for name in record} - names - {"kind"}
assert not strange, f"no columns: {strange}"
count = duckdb.execute(f"select count(*) from '{parquet}'").fetchone()[0]
assert count == len(records), f"{count} rows, {len(records)} lines"
for name, type, *_ in columns:
    if name in own:
        continue
    found = duckdb.execute(f"select {sums(name, type)} from '{parquet}'").fetchone()
    values = [record[name] for record in records if name in record]
    expected = (len(values), sum(weight(value, name) for value in values))
    assert found == expected, f"{kind}.{name} ({type}): {found} in Parquet, {expected} in JSON"
print(f"{kind}: {count} rows, {len(columns)} columns")
