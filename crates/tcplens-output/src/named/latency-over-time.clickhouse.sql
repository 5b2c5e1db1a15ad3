-- p50 and p99 of answered requests by time and server; of the servers with most requests.
-- 18.16 does not see what only a lambda names: hence the condition on everything, which is always true.
SELECT moment AS time, server_ip, server_port, n AS requests,
       if(empty(ns), NULL, arrayFirst((x, c) -> c * 2 >= everything, ns, up_to) / 1000) AS p50_us,
       if(empty(ns), NULL, arrayFirst((x, c) -> c * 100 >= everything * 99, ns, up_to) / 1000) AS p99_us
FROM (
    SELECT intDiv(time, {per_ns}) * {per_ns} AS moment, server_ip, server_port, sum(requests) AS n,
           sumMap(total_ns, total_counts) AS histogram,
           histogram.1 AS ns, arrayCumSum(histogram.2) AS up_to, arraySum(histogram.2) AS everything
    FROM rollups
    WHERE protocol IS NOT NULL AND server_ip IS NOT NULL AND {where}
        AND (assumeNotNull(toString(server_ip)), assumeNotNull(server_port)) GLOBAL IN (
            SELECT assumeNotNull(toString(server_ip)), assumeNotNull(server_port)
            FROM rollups
            WHERE protocol IS NOT NULL AND server_ip IS NOT NULL AND {where}
            GROUP BY server_ip, server_port
            ORDER BY sum(requests) DESC, server_ip, server_port
            LIMIT {limit}
        )
    GROUP BY moment, server_ip, server_port
)
WHERE everything >= 0
ORDER BY moment, server_ip, server_port
