-- Operations by p99 of answered requests.
WITH chosen AS (
    SELECT * FROM rollups WHERE protocol IS NOT NULL AND {where}
), sums AS (
    SELECT server_ip, server_port, protocol, operation, sum(requests) AS requests, sum(answered) AS answered,
           sum(errors) AS errors, sum(total_sum_us) AS all_us
    FROM chosen
    GROUP BY server_ip, server_port, protocol, operation
), pairs AS (
    SELECT server_ip, server_port, protocol, operation, unnest(total_ns) AS ns, unnest(total_counts) AS n FROM chosen
), bins AS (
    SELECT server_ip, server_port, protocol, operation, ns, sum(n) AS n
    FROM pairs
    GROUP BY server_ip, server_port, protocol, operation, ns
), ranks AS (
    SELECT server_ip, server_port, protocol, operation, ns,
           sum(n) OVER (PARTITION BY server_ip, server_port, protocol, operation ORDER BY ns) AS up_to,
           sum(n) OVER (PARTITION BY server_ip, server_port, protocol, operation) AS everything
    FROM bins
), quantiles AS (
    SELECT server_ip, server_port, protocol, operation,
           min(CASE WHEN up_to * 2 >= everything THEN ns END) AS p50_ns,
           min(CASE WHEN up_to * 100 >= everything * 99 THEN ns END) AS p99_ns,
           max(ns) AS max_ns
    FROM ranks
    GROUP BY server_ip, server_port, protocol, operation
)
SELECT s.server_ip, s.server_port, s.protocol, s.operation, s.requests, s.answered, s.errors,
       CAST(q.p50_ns AS DOUBLE) / 1000 AS p50_us, CAST(q.p99_ns AS DOUBLE) / 1000 AS p99_us,
       CAST(q.max_ns AS DOUBLE) / 1000 AS max_us, s.all_us
FROM sums AS s
LEFT JOIN quantiles AS q
    ON q.server_ip IS NOT DISTINCT FROM s.server_ip AND q.server_port IS NOT DISTINCT FROM s.server_port
    AND q.protocol IS NOT DISTINCT FROM s.protocol AND q.operation IS NOT DISTINCT FROM s.operation
ORDER BY p99_us DESC NULLS LAST, s.requests DESC, s.server_ip NULLS LAST, s.server_port NULLS LAST, s.protocol,
         s.operation NULLS LAST
LIMIT {limit}
