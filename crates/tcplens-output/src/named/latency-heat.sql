-- Answered requests by time and how long they took, in steps of 1, 2 and 5.
WITH pairs AS (
    SELECT date_trunc('{per}', CAST(time AS TIMESTAMP WITH TIME ZONE)) AS time, unnest(total_ns) AS ns, unnest(total_counts) AS n
    FROM rollups
    WHERE protocol IS NOT NULL AND {where}
), steps AS (
    SELECT time, n,
           CASE
               WHEN ns >= 100000000000 THEN 100000000
               WHEN ns >= 50000000000 THEN 50000000
               WHEN ns >= 20000000000 THEN 20000000
               WHEN ns >= 10000000000 THEN 10000000
               WHEN ns >= 5000000000 THEN 5000000
               WHEN ns >= 2000000000 THEN 2000000
               WHEN ns >= 1000000000 THEN 1000000
               WHEN ns >= 500000000 THEN 500000
               WHEN ns >= 200000000 THEN 200000
               WHEN ns >= 100000000 THEN 100000
               WHEN ns >= 50000000 THEN 50000
               WHEN ns >= 20000000 THEN 20000
               WHEN ns >= 10000000 THEN 10000
               WHEN ns >= 5000000 THEN 5000
               WHEN ns >= 2000000 THEN 2000
               WHEN ns >= 1000000 THEN 1000
               WHEN ns >= 500000 THEN 500
               WHEN ns >= 200000 THEN 200
               WHEN ns >= 100000 THEN 100
               WHEN ns >= 50000 THEN 50
               WHEN ns >= 20000 THEN 20
               WHEN ns >= 10000 THEN 10
               WHEN ns >= 5000 THEN 5
               WHEN ns >= 2000 THEN 2
               WHEN ns >= 1000 THEN 1
               ELSE 0
           END AS from_us
    FROM pairs
)
SELECT time, from_us, sum(n) AS requests
FROM steps
GROUP BY time, from_us
ORDER BY time, from_us
