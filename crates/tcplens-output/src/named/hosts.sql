-- What rollups tell of each host.
SELECT host, min(time) AS first, max(time) AS last, count(*) AS rollups, count(DISTINCT server_ip) AS servers,
       sum(requests) AS requests, sum(attempts) AS attempts, sum(ended) AS connections, sum(capture_losses) AS capture_losses
FROM rollups
WHERE {where}
GROUP BY host
ORDER BY host
