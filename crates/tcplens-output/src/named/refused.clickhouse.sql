-- Servers by failed attempts.
SELECT server_ip, server_port, n AS attempts, f AS failed, r AS refused, s AS silent,
       100 * toFloat64(f) / n AS failed_percent, first, last
FROM (
    SELECT server_ip, server_port, sum(attempts) AS n, sum(failed) AS f, sum(refused) AS r, sum(silent) AS s,
           min(if(failed > 0, time, NULL)) AS first, max(if(failed > 0, time, NULL)) AS last
    FROM rollups
    WHERE attempts > 0 AND {where}
    GROUP BY server_ip, server_port
)
WHERE f > 0
ORDER BY f DESC, n DESC, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
