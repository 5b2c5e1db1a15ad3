-- Operations by p99 of answered requests.
-- 18.16 does not see what only a lambda names: hence the condition on everything, which is always true.
SELECT server_ip, server_port, protocol, operation, all_requests AS requests, all_answered AS answered, all_errors AS errors,
       if(empty(ns), NULL, arrayFirst((x, c) -> c * 2 >= everything, ns, up_to) / 1000) AS p50_us,
       if(empty(ns), NULL, arrayFirst((x, c) -> c * 100 >= everything * 99, ns, up_to) / 1000) AS p99_us,
       if(empty(ns), NULL, ns[-1] / 1000) AS max_us, all_us
FROM (
    SELECT server_ip, server_port, protocol, operation, sum(requests) AS all_requests, sum(answered) AS all_answered,
           sum(errors) AS all_errors, sum(total_sum_us) AS all_us, sumMap(total_ns, total_counts) AS histogram,
           histogram.1 AS ns, arrayCumSum(histogram.2) AS up_to, arraySum(histogram.2) AS everything
    FROM rollups
    WHERE protocol IS NOT NULL AND {where}
    GROUP BY server_ip, server_port, protocol, operation
)
WHERE everything >= 0
ORDER BY p99_us DESC NULLS LAST, all_requests DESC, server_ip NULLS LAST, server_port NULLS LAST, protocol,
         operation NULLS LAST
LIMIT {limit}
