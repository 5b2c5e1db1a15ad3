-- Servers by failed attempts.
SELECT server_ip, server_port, sum(attempts) AS attempts, sum(failed) AS failed, sum(refused) AS refused, sum(silent) AS silent,
       100 * CAST(sum(failed) AS DOUBLE) / sum(attempts) AS failed_percent,
       min(CASE WHEN failed > 0 THEN time END) AS first, max(CASE WHEN failed > 0 THEN time END) AS last
FROM rollups
WHERE attempts > 0 AND {where}
GROUP BY server_ip, server_port
HAVING sum(failed) > 0
ORDER BY sum(failed) DESC, sum(attempts) DESC, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
