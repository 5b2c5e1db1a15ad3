-- Answered requests by time and how long they took, in steps of 1, 2 and 5.
SELECT moment AS time, from_us, sum(n) AS requests
FROM (
    SELECT intDiv(time, {per_ns}) * {per_ns} AS moment, n,
           toInt64(multiIf(
                ns >= 100000000000, 100000000, ns >= 50000000000, 50000000, ns >= 20000000000, 20000000, ns >=
                10000000000, 10000000, ns >= 5000000000, 5000000, ns >= 2000000000, 2000000, ns >= 1000000000,
                1000000, ns >= 500000000, 500000, ns >= 200000000, 200000, ns >= 100000000, 100000, ns >=
                50000000, 50000, ns >= 20000000, 20000, ns >= 10000000, 10000, ns >= 5000000, 5000, ns >=
                2000000, 2000, ns >= 1000000, 1000, ns >= 500000, 500, ns >= 200000, 200, ns >= 100000, 100,
                ns >= 50000, 50, ns >= 20000, 20, ns >= 10000, 10, ns >= 5000, 5, ns >= 2000, 2, ns >= 1000, 1, 0)) AS from_us
    FROM rollups
    ARRAY JOIN total_ns AS ns, total_counts AS n
    WHERE protocol IS NOT NULL AND {where}
)
GROUP BY moment, from_us
ORDER BY moment, from_us
