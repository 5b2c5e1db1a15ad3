-- Servers by connections that were established.
SELECT server_ip, server_port, sum(established) AS established, sum(ended) AS ended, sum(resets) AS resets,
       sum(requests) AS requests,
       CASE WHEN sum(established) > 0 THEN CAST(sum(requests) AS DOUBLE) / sum(established) END AS requests_per_connection,
       sum(client_bytes) AS client_bytes, sum(server_bytes) AS server_bytes
FROM rollups
WHERE {where}
GROUP BY server_ip, server_port
HAVING sum(established) > 0
ORDER BY established DESC, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
