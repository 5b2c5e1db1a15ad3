-- Servers by requests, then by attempts. Durations are those of answered requests.
WITH chosen AS (
    SELECT * FROM rollups WHERE {where}
), sums AS (
    SELECT server_ip, server_port, sum(requests) AS requests, sum(errors) AS errors, sum(unanswered) AS unanswered,
           sum(attempts) AS attempts, sum(failed) AS failed,
           sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes
    FROM chosen
    GROUP BY server_ip, server_port
), pairs AS (
    SELECT server_ip, server_port, unnest(total_ns) AS ns, unnest(total_counts) AS n FROM chosen
), bins AS (
    SELECT server_ip, server_port, ns, sum(n) AS n FROM pairs GROUP BY server_ip, server_port, ns
), ranks AS (
    SELECT server_ip, server_port, ns,
           sum(n) OVER (PARTITION BY server_ip, server_port ORDER BY ns) AS up_to,
           sum(n) OVER (PARTITION BY server_ip, server_port) AS everything
    FROM bins
), quantiles AS (
    SELECT server_ip, server_port,
           min(CASE WHEN up_to * 2 >= everything THEN ns END) AS p50_ns,
           min(CASE WHEN up_to * 100 >= everything * 99 THEN ns END) AS p99_ns
    FROM ranks
    GROUP BY server_ip, server_port
)
SELECT s.server_ip, s.server_port, s.requests, s.errors, s.unanswered,
       CAST(q.p50_ns AS DOUBLE) / 1000 AS p50_us, CAST(q.p99_ns AS DOUBLE) / 1000 AS p99_us,
       s.attempts, s.failed, s.request_bytes, s.response_bytes
FROM sums AS s
LEFT JOIN quantiles AS q
    ON q.server_ip IS NOT DISTINCT FROM s.server_ip AND q.server_port IS NOT DISTINCT FROM s.server_port
ORDER BY s.requests DESC NULLS LAST, s.attempts DESC NULLS LAST, s.server_ip NULLS LAST, s.server_port NULLS LAST
LIMIT {limit}
