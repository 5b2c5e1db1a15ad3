-- Servers by requests, then by attempts. Durations are those of answered requests.
-- 18.16 does not see what only a lambda names: hence the condition on everything, which is always true.
SELECT server_ip, server_port, all_requests AS requests, all_errors AS errors, all_unanswered AS unanswered,
       if(empty(ns), NULL, arrayFirst((x, c) -> c * 2 >= everything, ns, up_to) / 1000) AS p50_us,
       if(empty(ns), NULL, arrayFirst((x, c) -> c * 100 >= everything * 99, ns, up_to) / 1000) AS p99_us,
       all_attempts AS attempts, all_failed AS failed, asked_bytes AS request_bytes, answered_bytes AS response_bytes
FROM (
    SELECT server_ip, server_port, sum(requests) AS all_requests, sum(errors) AS all_errors, sum(unanswered) AS all_unanswered,
           sum(attempts) AS all_attempts, sum(failed) AS all_failed,
           sum(request_bytes) AS asked_bytes, sum(response_bytes) AS answered_bytes,
           sumMap(total_ns, total_counts) AS histogram,
           histogram.1 AS ns, arrayCumSum(histogram.2) AS up_to, arraySum(histogram.2) AS everything
    FROM rollups
    WHERE {where}
    GROUP BY server_ip, server_port
)
WHERE everything >= 0
ORDER BY all_requests DESC NULLS LAST, all_attempts DESC NULLS LAST, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
