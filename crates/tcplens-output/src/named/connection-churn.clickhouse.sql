-- Servers by connections that were established.
SELECT server_ip, server_port, n AS established, e AS ended, r AS resets, q AS requests,
       toFloat64(q) / n AS requests_per_connection, c AS client_bytes, s AS server_bytes
FROM (
    SELECT server_ip, server_port, sum(established) AS n, sum(ended) AS e, sum(resets) AS r, sum(requests) AS q,
           sum(client_bytes) AS c, sum(server_bytes) AS s
    FROM rollups
    WHERE {where}
    GROUP BY server_ip, server_port
)
WHERE n > 0
ORDER BY n DESC, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
