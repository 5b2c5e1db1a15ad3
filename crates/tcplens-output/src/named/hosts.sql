-- What rollups tell of each host. A server is an address and a port.
SELECT host, min(time) AS first, max(time) AS last, count(*) AS rollups,
       count(DISTINCT CAST(server_ip AS VARCHAR) || ' ' || CAST(server_port AS VARCHAR)) AS servers,
       sum(requests) AS requests, sum(attempts) AS attempts, sum(ended) AS connections, sum(capture_losses) AS capture_losses
FROM rollups
WHERE {where}
GROUP BY host
ORDER BY host
