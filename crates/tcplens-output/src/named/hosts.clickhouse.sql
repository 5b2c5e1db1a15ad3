-- What rollups tell of each host. A server is an address and a port.
SELECT host, first, last, rollups, servers, q AS requests, a AS attempts, e AS connections, l AS capture_losses
FROM (
    SELECT host, min(time) AS first, max(time) AS last, count() AS rollups,
           uniqExact(server_ip, server_port) AS servers,
           sum(requests) AS q, sum(attempts) AS a, sum(ended) AS e, sum(capture_losses) AS l
    FROM rollups
    WHERE {where}
    GROUP BY host
)
ORDER BY host
