-- p50 and p99 of answered requests by time and server; of the servers with most requests.
WITH chosen AS (
    SELECT date_trunc('{per}', CAST(time AS TIMESTAMP WITH TIME ZONE)) AS time, server_ip, server_port, requests, total_ns, total_counts
    FROM rollups
    WHERE protocol IS NOT NULL AND server_ip IS NOT NULL AND {where}
), busiest AS (
    SELECT server_ip, server_port, sum(requests) AS requests
    FROM chosen
    GROUP BY server_ip, server_port
    ORDER BY requests DESC, server_ip, server_port
    LIMIT {limit}
), theirs AS (
    SELECT c.time, c.server_ip, c.server_port, c.requests, c.total_ns, c.total_counts
    FROM chosen AS c
    JOIN busiest AS b ON b.server_ip = c.server_ip AND b.server_port = c.server_port
), sums AS (
    SELECT time, server_ip, server_port, sum(requests) AS requests FROM theirs GROUP BY time, server_ip, server_port
), pairs AS (
    SELECT time, server_ip, server_port, unnest(total_ns) AS ns, unnest(total_counts) AS n FROM theirs
), bins AS (
    SELECT time, server_ip, server_port, ns, sum(n) AS n FROM pairs GROUP BY time, server_ip, server_port, ns
), ranks AS (
    SELECT time, server_ip, server_port, ns,
           sum(n) OVER (PARTITION BY time, server_ip, server_port ORDER BY ns) AS up_to,
           sum(n) OVER (PARTITION BY time, server_ip, server_port) AS everything
    FROM bins
), quantiles AS (
    SELECT time, server_ip, server_port,
           min(CASE WHEN up_to * 2 >= everything THEN ns END) AS p50_ns,
           min(CASE WHEN up_to * 100 >= everything * 99 THEN ns END) AS p99_ns
    FROM ranks
    GROUP BY time, server_ip, server_port
)
SELECT s.time, s.server_ip, s.server_port, s.requests,
       CAST(q.p50_ns AS DOUBLE) / 1000 AS p50_us, CAST(q.p99_ns AS DOUBLE) / 1000 AS p99_us
FROM sums AS s
LEFT JOIN quantiles AS q ON q.time = s.time AND q.server_ip = s.server_ip AND q.server_port = s.server_port
ORDER BY s.time, s.server_ip, s.server_port
