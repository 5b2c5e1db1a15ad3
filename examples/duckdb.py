#!/usr/bin/env python3
"""Asks a store of tcplens the questions of duckdb.sql, with DuckDB (pip install duckdb).

    examples/duckdb.py /var/lib/tcplens/store [--csv]
"""
import csv
import pathlib
import re
import sys

# This file is called like the library: where it lies is not where that is looked for.
HERE = pathlib.Path(__file__).resolve().parent
sys.path = [place for place in sys.path if pathlib.Path(place or ".").resolve() != HERE]

import duckdb


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--csv"]
    if len(words) != 1:
        sys.exit(__doc__)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET VARIABLE store = '{words[0].replace(chr(39), chr(39) * 2)}'")
    for text in (HERE / "duckdb.sql").read_text().split(";\n"):
        # The comment before a question begins with its name.
        name = re.search(r"^-- ([a-z0-9-]+): ", text, re.MULTILINE)
        if name is None:
            # A table, or nothing.
            connection.execute(text)
            continue
        print(f"# {name[1]}")
        if "--csv" in sys.argv:
            answer = connection.execute(text)
            columns = [column[0] for column in answer.description]
            out = csv.writer(sys.stdout, lineterminator="\n")
            out.writerow(columns)
            out.writerows(answer.fetchall())
        else:
            connection.sql(text).show()


if __name__ == "__main__":
    main()
